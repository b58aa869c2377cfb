//! Network namespaces by name, path or process: opening them, and sockets in them.
//!
//! A socket belongs to the namespace of the thread that opens it, for ever. So one in another
//! namespace is opened by a thread that lives for no more than that; the caller's own namespace
//! never changes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;

use super::error::{ErrnoText, errno_of};

/// Where `ip netns` keeps its names (ip-netns(8)).
pub(super) const NAMED: &str = "/run/netns";

/// The filesystem that namespaces are files of (`linux/magic.h`).
const NSFS_MAGIC: u32 = 0x6e73_6673;

/// A network namespace, as a person or a program names it.
#[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
#[non_exhaustive]
pub enum Netns {
    /// By its name in `/run/netns`, as `ip netns list` shows it.
    Name(String),
    /// By a file that stands for it, as `/proc/PID/ns/net`.
    Path(PathBuf),
    /// That of a process, by its process id.
    Pid(u32),
}

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
    /// There is no /proc to tell the own namespace from others.
    #[error(
        "cannot tell network namespaces apart without /proc; mount it: mount -t proc proc /proc"
    )]
    NoProc,
    /// A sandbox could not be made.
    #[error("cannot make a sandbox ({attempted}): {}{}", ErrnoText(*errno), sandbox_remedy(*errno))]
    Sandbox {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's number.
        errno: i32,
    },
}

/// What tells a namespace from all others that are there: device and inode (namespaces(7)). A new
/// one of the same name has another.
#[derive(Clone, Copy, Eq, PartialEq, Debug)]
pub(crate) struct Identity(u64, u64);

/// A network namespace that is held open.
#[derive(Debug)]
pub(crate) struct OpenNetns {
    file: File,
    path: PathBuf,
}

impl Netns {
    /// A text as `--netns` takes it: a path if it begins with `/`, `./` or `../`, else a name.
    pub fn parse(text: &str) -> Netns {
        match ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
            true => Netns::Path(PathBuf::from(text)),
            false => Netns::Name(text.to_owned()),
        }
    }

    fn path(&self) -> Result<PathBuf, NamespaceError> {
        match self {
            Netns::Path(path) => Ok(path.clone()),
            Netns::Pid(pid) => Ok(PathBuf::from(format!("/proc/{pid}/ns/net"))),
            Netns::Name(name) => {
                let is_bad = ["", ".", ".."].contains(&name.as_str()) || name.contains(['/', '\0']);
                match is_bad {
                    true => Err(NamespaceError::BadName { name: name.clone() }),
                    false => Ok(Path::new(NAMED).join(name)),
                }
            }
        }
    }
}

/// As it was given; what a terminal would obey is escaped.
impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Netns::Name(name) => write!(f, "{}", name.escape_debug()),
            Netns::Path(path) => write!(f, "{}", path.as_os_str().as_bytes().escape_ascii()),
            Netns::Pid(pid) => write!(f, "pid {pid}"),
        }
    }
}

impl OpenNetns {
    pub(crate) fn open(netns: &Netns) -> Result<OpenNetns, NamespaceError> {
        let path = netns.path()?;
        match File::open(&path) {
            Ok(file) => Ok(OpenNetns { file, path }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(NamespaceError::NotFound { path, known: known_names() })
            }
            Err(e) => Err(NamespaceError::Open { path, errno: errno_of(&e) }),
        }
    }

    /// Moves the calling thread into it.
    pub(super) fn enter(&self) -> Result<(), NamespaceError> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| NamespaceError::Enter { path: self.path.clone(), errno: e.raw_os_error() })
    }

    /// What the kernel is told it by, for as long as this is held.
    pub(crate) fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Whether it is what it is to be, and no file: `ip netns add` makes one first, and mounts the
    /// namespace on it a moment later.
    pub(crate) fn is_namespace(&self) -> bool {
        // As wide as this is on each machine.
        let filesystem = rustix::fs::fstatfs(&self.file).map(|it| it.f_type);
        filesystem == Ok(NSFS_MAGIC as rustix::fs::FsWord)
    }

    /// What tells it from all others.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.file.metadata().ok().map(|file| Identity(file.dev(), file.ino()))
    }

    /// Runs `work` on a thread inside it.
    pub(super) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, NamespaceError> {
        let inside = || {
            self.enter()?;
            Ok(work())
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, inside);
            let thread = thread.map_err(|e| NamespaceError::Enter {
                path: self.path.clone(),
                errno: errno_of(&e),
            })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The identity of the calling thread's own network namespace; none without /proc.
pub(crate) fn own_identity() -> Option<Identity> {
    fs::metadata("/proc/thread-self/ns/net").ok().map(|own| Identity(own.dev(), own.ino()))
}

/// The names in `/run/netns`, each with what it stands for: nothing, while `ip netns add` has made
/// the file and not mounted the namespace yet. `like` is of any namespace.
pub(crate) fn named(like: Identity) -> BTreeMap<String, Option<Identity>> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        // A name that is not UTF-8 cannot be asked for by name either.
        let name = entry.file_name().into_string().ok()?;
        let file = fs::metadata(entry.path()).ok()?;
        let identity = Identity(file.dev(), file.ino());
        Some((name, (identity.0 == like.0).then_some(identity)))
    });
    named.collect()
}

fn known_names() -> Vec<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
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

#[cfg(test)]
mod tests {
    use super::{NamespaceError, Netns, OpenNetns};
    use std::path::Path;

    #[test]
    fn a_name_is_looked_for_where_ip_keeps_it() {
        let path_of = |text| Netns::parse(text).path();
        assert_eq!(path_of("blue").unwrap(), Path::new("/run/netns/blue"));
        assert_eq!(path_of("/proc/1/ns/net").unwrap(), Path::new("/proc/1/ns/net"));
        assert_eq!(path_of("./here").unwrap(), Path::new("./here"));
        assert_eq!(Netns::Pid(7).path().unwrap(), Path::new("/proc/7/ns/net"));
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(matches!(path_of(bad), Err(NamespaceError::BadName { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_namespace_says_what_there_is() {
        let error = OpenNetns::open(&Netns::parse("ringlink-no-such-namespace")).unwrap_err();
        assert!(matches!(&error, NamespaceError::NotFound { .. }));
        assert!(error.to_string().contains("/run/netns"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_namespace_is_refused() {
        let file = OpenNetns::open(&Netns::parse("/proc/self/status")).unwrap();
        let error = file.within(|| ()).unwrap_err();
        assert!(matches!(error, NamespaceError::Enter { .. }), "{error}");
    }
}
