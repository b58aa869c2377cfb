//! Whose a netlink port id is.
//!
//! The kernel tells it in two halves: the socket of a port (`/proc/net/netlink`), and the sockets
//! of a process (`/proc/PID/fd`). A process that has ended by then is not found, nor one whose
//! descriptors may not be read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::limits::PROCESSES_MAX;
use crate::model::text::write_escaped;

/// A process that holds the socket of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// As the kernel knows it (comm), escaped for a terminal.
    pub(super) name: String,
}

/// The process that sends from a port of NETLINK_ROUTE in the network namespace of this thread.
pub(super) fn holder(port: u32) -> Option<Holder> {
    holder_below(Path::new("/proc"), port)
}

fn holder_below(proc: &Path, port: u32) -> Option<Holder> {
    let table = fs::read_to_string(proc.join("thread-self/net/netlink")).ok()?;
    let socket = format!("socket:[{}]", inode_of(&table, port)?);
    // A port id is most often the number of its process.
    let first = proc.join(port.to_string());
    let entries = fs::read_dir(proc).ok()?.take(PROCESSES_MAX).flatten();
    let others = entries.map(|entry| entry.path()).filter(|path| pid_of(path).is_some());
    let process = std::iter::once(first).chain(others).find(|path| holds(path, &socket))?;
    let comm = fs::read(process.join("comm")).unwrap_or_default();
    let mut name = String::new();
    // Writing into a string cannot fail.
    let _ = write_escaped(&mut name, comm.trim_ascii_end());
    Some(Holder { pid: pid_of(&process)?, name })
}

/// The inode of the socket of a port, from lines of `sk Eth Pid Groups Rmem Wmem Dump Locks Drops
/// Inode`, where `Eth` is the protocol and `Pid` the port id.
fn inode_of(table: &str, port: u32) -> Option<u64> {
    let inode = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_it = words.get(1) == Some(&"0") && words.get(2)?.parse() == Ok(port);
        words.get(9).filter(|_| is_it)?.parse().ok()
    };
    table.lines().find_map(inode)
}

fn pid_of(process: &Path) -> Option<u32> {
    process.file_name()?.to_str()?.parse().ok()
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let is_it = |path: PathBuf| fs::read_link(path).is_ok_and(|to| to == Path::new(socket));
    descriptors.flatten().any(|descriptor| is_it(descriptor.path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_port_is_traced_to_its_process() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let proc = folder.path();
        fs::create_dir_all(proc.join("thread-self/net")).expect("a folder");
        let table = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                     00000000f00d0000 15  77         00000001 0        0        0     2        0        7001\n\
                     00000000f00d0001 0   4294963201 00000000 0        0        0     2        0        7002\n";
        fs::write(proc.join("thread-self/net/netlink"), table).expect("a file");
        for (pid, name, inode) in [("1", "init", 1), ("77", "udev", 7001), ("90", "ev\x1bil", 7002)]
        {
            fs::create_dir_all(proc.join(pid).join("fd")).expect("a folder");
            fs::write(proc.join(pid).join("comm"), format!("{name}\n")).expect("a file");
            let to = format!("socket:[{inode}]");
            symlink(to, proc.join(pid).join("fd/3")).expect("a link");
        }
        let found = holder_below(proc, 4_294_963_201).expect("it is there");
        assert_eq!(found.pid, 90);
        assert!(found.name.starts_with("ev") && !found.name.contains('\x1b'), "{found:?}");
        // A port of another protocol, and none.
        assert_eq!(holder_below(proc, 77), None);
        assert_eq!(holder_below(proc, 5), None);
    }
}
