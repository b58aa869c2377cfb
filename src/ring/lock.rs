//! Keeps programs that write for the same owner apart: who holds the owner's name holds a socket
//! of that name.
//!
//! The socket is an abstract one (unix(7)), so it belongs to the network namespace, needs no
//! directory, and is gone with the last process that has it open, however that ended. Nothing is
//! ever sent through it.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// How many bytes of a holder's command line are told.
const COMMAND_BYTES_MAX: usize = 200;

/// The right to write for an owner in the network namespace of the calling thread, until it is
/// dropped or the process ends.
///
/// It binds only those who take it too: the program's writing verbs do. Any user of the namespace
/// can take any name.
#[derive(Debug)]
pub struct OwnerLock {
    _socket: OwnedFd,
}

/// The right to write for an owner cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Someone else has it.
    #[error("{holder} already writes for {} in this network namespace", owner_or_none(.owner))]
    Held {
        /// The owner's name, where there is one.
        owner: Option<String>,
        /// Who.
        holder: Holder,
    },
    /// The kernel refuses the socket.
    #[error("cannot lock {}: {} (errno {errno})", owner_or_none(.owner), Errno::from_raw_os_error(*.errno))]
    Socket {
        /// The owner's name, where there is one.
        owner: Option<String>,
        /// The error number, of unix(7).
        errno: i32,
    },
}

/// Who holds a lock, as far as this process may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id in our pid namespace; `None` where it has none here.
    pub pid: Option<u32>,
    /// Its command line, escaped and at most 200 bytes of it.
    pub command: Option<String>,
}

impl OwnerLock {
    /// Takes the right to write for the owner of that name, or for all documents without one.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] where another process has it; this never waits.
    pub fn take(owner: Option<&str>) -> Result<Self, LockError> {
        let failed = |errno: Errno| LockError::Socket {
            owner: owner.map(str::to_owned),
            errno: errno.raw_os_error(),
        };
        let name = match owner {
            Some(owner) => format!("ringlink/owner/{owner}"),
            None => "ringlink/no-owner".to_owned(),
        };
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(failed)?;
        let socket = open().map_err(failed)?;
        match bind(&socket, &address) {
            Ok(()) => {}
            Err(Errno::ADDRINUSE) => {
                let (owner, holder) = (owner.map(str::to_owned), holder(&address));
                return Err(LockError::Held { owner, holder });
            }
            Err(errno) => return Err(failed(errno)),
        }
        // Who connects reads the credentials of who listens.
        listen(&socket, 1).map_err(failed)?;
        Ok(Self { _socket: socket })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.command) {
            (Some(pid), Some(command)) => write!(f, "process {pid} (`{command}`)"),
            (Some(pid), None) => write!(f, "process {pid}"),
            (None, _) => f.write_str("a process that cannot be seen from here"),
        }
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Nobody accepts the connection; to ask for the other end's credentials it need not.
fn holder(address: &SocketAddrUnix) -> Holder {
    let socket = open().and_then(|socket| connect(&socket, address).map(|()| socket));
    let peer = socket.ok().and_then(|socket| peer(&socket));
    let pid = peer.and_then(|peer| u32::try_from(peer.pid).ok()).filter(|pid| *pid != 0);
    let command = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    Holder { pid, command: command.map(|bytes| readable(&bytes)).filter(|text| !text.is_empty()) }
}

/// SO_PEERCRED (unix(7)). The process id is 0 where it has none in our pid namespace, which the
/// type that rustix reads it into cannot hold.
pub(super) fn peer(socket: &impl AsRawFd) -> Option<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of_val(&credentials) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `credentials` before the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &mut length,
        )
    };
    (result == 0).then_some(credentials)
}

/// The words of /proc/PID/cmdline, which end in zeroes, as one line.
fn readable(cmdline: &[u8]) -> String {
    let cut = &cmdline[..cmdline.len().min(COMMAND_BYTES_MAX)];
    let words: Vec<_> = cut
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| word.escape_ascii().to_string())
        .collect();
    words.join(" ")
}

fn owner_or_none(owner: &Option<String>) -> String {
    match owner {
        Some(owner) => format!("the owner `{owner}`"),
        None => "documents without an owner".to_owned(),
    }
}
