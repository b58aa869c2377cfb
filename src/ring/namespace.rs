//! Network namespaces: entering one, making one to play in, and what we may do in ours.
//!
//! A namespace is a thread's, so all this comes before the program's second thread.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, UnshareFlags, capabilities, move_into_link_name_space,
    unshare_unsafe,
};
use thiserror::Error;

use super::error::{ErrnoText, errno_of};
use super::limits::USER_NAMESPACE_DEPTH_MAX;

/// Where `ip netns` keeps its names.
const NAMED: &str = "/run/netns";

/// ioctls of `linux/nsfs.h`, which libc does not name.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
const NS_GET_PARENT: libc::Ioctl = 0xb702;

/// A network namespace could not be entered or made.
#[derive(Clone, Eq, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The name cannot be one.
    #[error(
        "{name:?} is not the name of a network namespace; give a name as in `ip netns list`, \
         or a path that begins with / or ."
    )]
    BadName {
        /// What was given.
        name: String,
    },
    /// Nothing of that name or path is there.
    #[error("there is no network namespace {}; {}", path.display(), known_as_text(known))]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// The names that are there.
        known: Vec<String>,
    },
    /// It is there, and could not be opened.
    #[error("cannot open the network namespace {}: {}", path.display(), ErrnoText(*errno))]
    Open {
        /// Its path.
        path: PathBuf,
        /// The kernel's number.
        errno: i32,
    },
    /// It was opened, and could not be entered.
    #[error("cannot enter the network namespace {}: {}{}", path.display(), ErrnoText(*errno),
        enter_remedy(*errno))]
    Enter {
        /// Its path.
        path: PathBuf,
        /// The kernel's number.
        errno: i32,
    },
    /// A sandbox could not be made.
    #[error("cannot make a sandbox ({attempted}): {}{}", ErrnoText(*errno), sandbox_remedy(*errno))]
    Sandbox {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's number.
        errno: i32,
    },
}

/// Moves this process into a new user and network namespace, where it is root over nothing but
/// its own network, and brings the loopback up. Any user may, where user namespaces are allowed;
/// where they are not, root gets a new network namespace alone.
///
/// Call it before any other thread exists: the kernel refuses a process with two (EINVAL).
pub(crate) fn enter_sandbox() -> Result<(), NamespaceError> {
    // Read before: afterwards they are the overflow ids until the maps are written.
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: unshare may leave descriptors shared with or split from other threads; we do not
    // unshare the file table, and there is no other thread (or the call fails).
    match unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) } {
        Ok(()) => {
            // The kernel lets an unprivileged process map its group only once setgroups is denied.
            write("/proc/self/setgroups", "deny", "deny setgroups")?;
            write("/proc/self/uid_map", &format!("0 {user} 1"), "map the user id")?;
            write("/proc/self/gid_map", &format!("0 {group} 1"), "map the group id")?;
        }
        Err(refused) => {
            // Not when it is for a second thread (EINVAL too): that one would stay behind, outside.
            let forbidden = refused != Errno::INVAL || fs::metadata("/proc/self/ns/user").is_err();
            // SAFETY: as above.
            if !forbidden || unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.is_err() {
                return Err(NamespaceError::Sandbox {
                    attempted: "unshare the user and network namespaces",
                    errno: refused.raw_os_error(),
                });
            }
        }
    }
    bring_loopback_up()
        .map_err(|errno| NamespaceError::Sandbox { attempted: "bring the loopback up", errno })
}

/// Moves the calling thread into a network namespace: a name as `ip netns` knows it, or a path
/// (`/proc/PID/ns/net` too), which begins with `/` or `.`.
pub(crate) fn enter_netns(name_or_path: &str) -> Result<(), NamespaceError> {
    let path = path_of(name_or_path)?;
    let file = File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            NamespaceError::NotFound { path: path.clone(), known: known_names() }
        }
        _ => NamespaceError::Open { path: path.clone(), errno: errno_of(&e) },
    })?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| NamespaceError::Enter { path, errno: e.raw_os_error() })
}

/// May this thread change its network namespace: does it have CAP_NET_ADMIN in the user namespace
/// that owns it?
///
/// Decided as the kernel's own check does, by walking from the owner to our user namespace. A
/// trial request would be as sure, but an outside listener sees it, and a converged apply sends
/// nothing that looks like a change. Root in a user namespace of its own whose network is still
/// the parent's is told no; root of a parent is told yes in its children.
pub(crate) fn has_net_admin() -> bool {
    let Ok(sets) = capabilities(None) else {
        return false;
    };
    let capable = sets.effective.contains(CapabilitySet::NET_ADMIN);
    let (Ok(network), Ok(own)) =
        (File::open("/proc/thread-self/ns/net"), fs::metadata("/proc/thread-self/ns/user"))
    else {
        // No /proc: all that is left is our own capability.
        return capable;
    };
    // Refused when the owner is no descendant of our user namespace, and not it: then what we are
    // here counts for nothing there.
    let Ok(mut namespace) = related(network.as_fd(), NS_GET_USERNS) else {
        return false;
    };
    for _ in 0..USER_NAMESPACE_DEPTH_MAX {
        let Ok(metadata) = namespace.metadata() else {
            return false;
        };
        if (metadata.dev(), metadata.ino()) == (own.dev(), own.ino()) {
            return capable;
        }
        let Ok(parent) = related(namespace.as_fd(), NS_GET_PARENT) else {
            return false;
        };
        namespace = parent;
    }
    false
}

fn path_of(name_or_path: &str) -> Result<PathBuf, NamespaceError> {
    if ["/", "./", "../"].iter().any(|start| name_or_path.starts_with(start)) {
        return Ok(PathBuf::from(name_or_path));
    }
    let bad = name_or_path.is_empty()
        || name_or_path == "."
        || name_or_path == ".."
        || name_or_path.contains(['/', '\0']);
    if bad {
        return Err(NamespaceError::BadName { name: name_or_path.to_owned() });
    }
    Ok(Path::new(NAMED).join(name_or_path))
}

fn known_names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMED) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

fn known_as_text(known: &[String]) -> String {
    if known.is_empty() {
        return format!("{NAMED} holds none; make one: ip netns add NAME");
    }
    format!(
        "{NAMED} holds: {}",
        known.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")
    )
}

fn enter_remedy(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "; entering a network namespace needs CAP_SYS_ADMIN, here and in its owner",
        libc::EINVAL => "; it is not a network namespace",
        _ => "",
    }
}

fn sandbox_remedy(errno: i32) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES => {
            "; user namespaces are forbidden here (sysctls kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns; a container's seccomp profile)"
        }
        libc::ENOSPC | libc::EUSERS => "; raise the sysctl user.max_user_namespaces",
        libc::EINVAL => "; it must come before the process has a second thread",
        _ => "",
    }
}

fn write(path: &str, text: &str, attempted: &'static str) -> Result<(), NamespaceError> {
    fs::write(path, text).map_err(|e| NamespaceError::Sandbox { attempted, errno: errno_of(&e) })
}

/// A namespace that stands in the given relation to one.
fn related(namespace: BorrowedFd<'_>, relation: libc::Ioctl) -> io::Result<File> {
    // SAFETY: these ioctls take no argument and return a new descriptor, ours alone.
    unsafe {
        let fd = libc::ioctl(namespace.as_raw_fd(), relation);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from(OwnedFd::from_raw_fd(fd)))
    }
}

/// Sets IFF_UP on `lo`, by ioctl: one link, known by name, long before any netlink socket.
fn bring_loopback_up() -> Result<(), i32> {
    const LOOPBACK: &CStr = c"lo";
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| e.raw_os_error())?;
    // SAFETY: `ifreq` is a plain C structure, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, &from) in request.ifr_name.iter_mut().zip(LOOPBACK.to_bytes_with_nul()) {
        *to = from as libc::c_char;
    }
    // SAFETY: both ioctls read and write one `ifreq`, ours, before they return; the first leaves
    // the flags in the union, which the second reads.
    unsafe {
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as libc::Ioctl, &mut request) != 0 {
            return Err(errno_of(&io::Error::last_os_error()));
        }
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as libc::Ioctl, &request) != 0 {
            return Err(errno_of(&io::Error::last_os_error()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NamespaceError, enter_netns, path_of};
    use std::path::Path;

    #[test]
    fn a_name_is_looked_for_where_ip_keeps_it() {
        assert_eq!(path_of("blue").unwrap(), Path::new("/run/netns/blue"));
        assert_eq!(path_of("/proc/1/ns/net").unwrap(), Path::new("/proc/1/ns/net"));
        assert_eq!(path_of("./here").unwrap(), Path::new("./here"));
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(matches!(path_of(bad), Err(NamespaceError::BadName { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_namespace_says_what_there_is() {
        let error = enter_netns("ringlink-no-such-namespace").unwrap_err();
        assert!(matches!(&error, NamespaceError::NotFound { .. }));
        assert!(error.to_string().contains("/run/netns"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_namespace_is_refused() {
        let error = enter_netns("/proc/self/status").unwrap_err();
        assert!(matches!(error, NamespaceError::Enter { .. }), "{error}");
    }
}
