//! Writes settings of a link to their files under /proc/sys/net, which no message can set.
//!
//! Plain system calls, not the ring's: a write takes a few microseconds, and one that finds the
//! kernel's lock of links taken is made again by the kernel itself, where the ring's would end with
//! EINTR (`restart_syscall` in net/ipv6/addrconf.c). The files are those of the calling thread's
//! network namespace.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::error::errno_of;

/// Writes `text` to a file of the link that has this name and index. The error is the kernel's
/// number; ENODEV where the name is that of another link by now, or of none.
pub(crate) fn write_sysctl(path: &Path, text: &str, name: &[u8], index: u32) -> Result<(), i32> {
    let name = CString::new(name).map_err(|_| libc::ENODEV)?;
    let mut file = OpenOptions::new().write(true).open(path).map_err(|e| errno_of(&e))?;
    // Asked after the opening: should the link be renamed from now on, the file goes with its name,
    // and the write is refused (ENOENT).
    // SAFETY: the name is a string with its final zero, and only read.
    if unsafe { libc::if_nametoindex(name.as_ptr()) } != index {
        return Err(libc::ENODEV);
    }
    file.write_all(text.as_bytes()).map_err(|e| errno_of(&e))
}
