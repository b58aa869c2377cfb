//! Why a ring or one of its sockets could not do its work, and what a person can do about it.
//!
//! Every errno of this room is mapped here and nowhere else; one that we do not know is shown with
//! its number.

use std::fmt;
use std::fs;
use std::io;

use rustix::process::{Resource, getrlimit};
use rustix::system::uname;

use super::netns::NamespaceError;

/// io_uring, or a netlink socket on it, could not do what was asked.
///
/// The text names the cause and the remedy: the sysctl, the limit, the capability or the kernel
/// version. `errno` is the kernel's own number, never negative.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum RingError {
    /// The host switched io_uring off with the sysctl `kernel.io_uring_disabled`.
    Disabled {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's number, EPERM.
        errno: i32,
        /// The sysctl's value: 1 leaves it to CAP_SYS_ADMIN and one group, 2 forbids it to all.
        sysctl: u32,
    },
    /// The system call itself is not allowed or not there: a seccomp profile, a security module,
    /// or a kernel built without io_uring.
    Forbidden {
        /// What was attempted.
        attempted: &'static str,
        /// EPERM, EACCES or ENOSYS.
        errno: i32,
    },
    /// The memory of the ring does not fit the process's limit of locked memory.
    MemoryLimit {
        /// What was attempted.
        attempted: &'static str,
        /// ENOMEM.
        errno: i32,
        /// RLIMIT_MEMLOCK in bytes; none where it is unlimited and the machine itself is short.
        limit_bytes: Option<u64>,
    },
    /// This kernel lacks something that the ring cannot do without.
    KernelTooOld {
        /// What was attempted.
        attempted: &'static str,
        /// Usually EINVAL.
        errno: i32,
        /// The kernel's release, as `uname -r` prints it.
        release: String,
    },
    /// The process, or the host, has no file descriptor left.
    NoDescriptors {
        /// What was attempted.
        attempted: &'static str,
        /// EMFILE for the process, ENFILE for the host.
        errno: i32,
    },
    /// Joining a multicast group was refused.
    Membership {
        /// The group's number (RTNLGRP_*).
        group: u32,
        /// The kernel's number.
        errno: i32,
    },
    /// A system call of a socket's set-up failed.
    Socket {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's number.
        errno: i32,
    },
    /// The network namespace of a socket could not be opened or entered.
    Netns(NamespaceError),
    /// One ring holds no more sockets than this.
    TooManySockets {
        /// The limit.
        limit: usize,
    },
    /// Submitting or waiting failed.
    Enter {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's number.
        errno: i32,
    },
}

impl RingError {
    /// Maps what `io_uring_setup` or `io_uring_register` answered.
    pub(super) fn from_setup(attempted: &'static str, errno: i32) -> RingError {
        match errno {
            libc::EPERM | libc::EACCES => match io_uring_disabled() {
                Some(sysctl @ 1..) => RingError::Disabled { attempted, errno, sysctl },
                _ => RingError::Forbidden { attempted, errno },
            },
            libc::ENOSYS => RingError::Forbidden { attempted, errno },
            libc::ENOMEM => {
                RingError::MemoryLimit { attempted, errno, limit_bytes: memory_lock_limit_bytes() }
            }
            libc::EMFILE | libc::ENFILE => RingError::NoDescriptors { attempted, errno },
            libc::EINVAL | libc::EOPNOTSUPP => {
                RingError::KernelTooOld { attempted, errno, release: kernel_release() }
            }
            _ => RingError::Enter { attempted, errno },
        }
    }

    /// Maps what a plain call of a socket's set-up answered.
    pub(super) fn from_socket(attempted: &'static str, errno: i32) -> RingError {
        match errno {
            libc::EMFILE | libc::ENFILE => RingError::NoDescriptors { attempted, errno },
            _ => RingError::Socket { attempted, errno },
        }
    }

    /// Maps the errno of a `Completion::Failed`, for a caller that gives up on it.
    pub(crate) fn from_receive(errno: i32) -> RingError {
        RingError::from_setup("receive netlink messages (multishot RECVMSG)", errno)
    }

    /// Maps what `io_uring_enter` answered.
    pub(super) fn from_enter(attempted: &'static str, errno: i32) -> RingError {
        RingError::Enter { attempted, errno }
    }

    /// The kernel's number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            RingError::Disabled { errno, .. }
            | RingError::Forbidden { errno, .. }
            | RingError::MemoryLimit { errno, .. }
            | RingError::KernelTooOld { errno, .. }
            | RingError::NoDescriptors { errno, .. }
            | RingError::Membership { errno, .. }
            | RingError::Socket { errno, .. }
            | RingError::Enter { errno, .. } => Some(*errno),
            RingError::Netns(_) | RingError::TooManySockets { .. } => None,
        }
    }
}

impl From<NamespaceError> for RingError {
    fn from(error: NamespaceError) -> RingError {
        RingError::Netns(error)
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = ErrnoText(self.errno().unwrap_or(0));
        match self {
            RingError::Membership { group, .. } => {
                write!(f, "cannot join the rtnetlink group {group}: {errno}")?;
            }
            RingError::Netns(error) => write!(f, "{error}")?,
            RingError::TooManySockets { limit } => {
                write!(f, "one ring holds at most {limit} sockets")?;
            }
            RingError::Disabled { attempted, .. } => write!(f, "cannot {attempted}")?,
            RingError::Forbidden { attempted, .. }
            | RingError::MemoryLimit { attempted, .. }
            | RingError::KernelTooOld { attempted, .. }
            | RingError::NoDescriptors { attempted, .. }
            | RingError::Socket { attempted, .. }
            | RingError::Enter { attempted, .. } => write!(f, "cannot {attempted}: {errno}")?,
        }
        self.write_remedy(f)
    }
}

impl RingError {
    /// What a person can do, as the sentence's second half.
    fn write_remedy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Disabled { sysctl: 1, .. } => f.write_str(
                ": io_uring is limited on this host (kernel.io_uring_disabled=1); run with \
                 CAP_SYS_ADMIN, join the group in kernel.io_uring_group, or allow it: \
                 sysctl kernel.io_uring_disabled=0",
            ),
            RingError::Disabled { sysctl, .. } => write!(
                f,
                ": io_uring is switched off on this host (kernel.io_uring_disabled={sysctl}), \
                 for root too; allow it: sysctl kernel.io_uring_disabled=0"
            ),
            RingError::Forbidden { .. } => f.write_str(
                "; a seccomp or container profile forbids io_uring, or the kernel was built \
                 without CONFIG_IO_URING; allow io_uring_setup, io_uring_enter and \
                 io_uring_register there",
            ),
            RingError::MemoryLimit { limit_bytes: Some(limit), .. } => write!(
                f,
                "; locked memory is limited to {limit} bytes; raise it: ulimit -l \
                 (RLIMIT_MEMLOCK, LimitMEMLOCK= of a systemd unit)"
            ),
            RingError::MemoryLimit { limit_bytes: None, .. } => f.write_str(
                "; locked memory is not limited, so this host, or the control group of this \
                 process, is short of memory",
            ),
            RingError::KernelTooOld { release, .. } => {
                write!(f, "; this needs Linux 6.1 or newer, and this is {release}")
            }
            RingError::NoDescriptors { errno: libc::EMFILE, .. } => {
                f.write_str("; raise ulimit -n (RLIMIT_NOFILE)")
            }
            RingError::NoDescriptors { .. } => f.write_str("; raise the sysctl fs.file-max"),
            RingError::Membership { errno: libc::EPERM, .. } => {
                f.write_str("; it needs CAP_NET_ADMIN")
            }
            RingError::Membership { errno: libc::EINVAL | libc::ENOENT, .. } => {
                f.write_str("; this kernel does not have that group")
            }
            RingError::Socket { errno: libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT, .. } => {
                f.write_str("; this kernel or sandbox has no rtnetlink")
            }
            RingError::TooManySockets { .. } => f.write_str("; open another ring"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for RingError {}

/// An errno as a person reads it: the C library's words, and the number.
pub(super) struct ErrnoText(pub(super) i32);

impl fmt::Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// The errno of an `io::Error` that a system call made; EIO for one that no system call made,
/// which the crates below never return.
pub(super) fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The sysctl `kernel.io_uring_disabled`; none on kernels before 6.6, which lack it.
pub(super) fn io_uring_disabled() -> Option<u32> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// RLIMIT_MEMLOCK of this process in bytes; none where it is unlimited.
pub(super) fn memory_lock_limit_bytes() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// The kernel's release, as `uname -r` prints it.
pub(super) fn kernel_release() -> String {
    uname().release().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::RingError;

    #[test]
    fn every_text_names_a_remedy() {
        let attempted = "set up io_uring";
        let cases: [(RingError, &str); 6] = [
            (RingError::Disabled { attempted, errno: 1, sysctl: 2 }, "kernel.io_uring_disabled=0"),
            (RingError::Disabled { attempted, errno: 1, sysctl: 1 }, "kernel.io_uring_group"),
            (RingError::Forbidden { attempted, errno: libc::ENOSYS }, "seccomp"),
            (
                RingError::MemoryLimit { attempted, errno: libc::ENOMEM, limit_bytes: Some(0) },
                "ulimit -l",
            ),
            (
                RingError::KernelTooOld {
                    attempted,
                    errno: libc::EINVAL,
                    release: "5.15.0".to_owned(),
                },
                "6.1 or newer, and this is 5.15.0",
            ),
            (RingError::NoDescriptors { attempted, errno: libc::EMFILE }, "ulimit -n"),
        ];
        for (error, remedy) in cases {
            let text = error.to_string();
            assert!(text.contains(remedy), "{text} does not name {remedy}");
            assert!(text.contains(attempted));
        }
    }

    #[test]
    fn a_missing_feature_is_an_old_kernel() {
        let error = RingError::from_setup("register a buffer ring", libc::EINVAL);
        assert!(matches!(error, RingError::KernelTooOld { .. }));
        assert_eq!(error.errno(), Some(libc::EINVAL));
    }
}
