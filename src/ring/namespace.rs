//! Network namespaces: entering one, making one to play in, and what we may do in ours.
//!
//! A namespace is a thread's, so all this comes before the program's second thread.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

use super::error::errno_of;
use super::limits::USER_NAMESPACE_DEPTH_MAX;
use super::netns::{NamespaceError, Netns, OpenNetns};

/// ioctls of `linux/nsfs.h`, which libc does not name.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
const NS_GET_PARENT: libc::Ioctl = 0xb702;

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

/// Moves the calling thread into a network namespace.
pub(crate) fn enter_netns(netns: &Netns) -> Result<(), NamespaceError> {
    OpenNetns::open(netns)?.enter()
}

/// Is this process root, and not in a user namespace alone, where that says nothing
/// (user_namespaces(7))?
pub(crate) fn is_root_of_host() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    geteuid().is_root() && is_whole
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
