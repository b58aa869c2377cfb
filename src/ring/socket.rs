//! A netlink socket: opened and set up by plain calls, which are rare and work on every kernel.
//!
//! What moves bytes afterwards is elsewhere. SO_ERROR is never read (it swallows a pending
//! overrun) and NETLINK_NO_ENOBUFS never set (it leaves holes that nobody reports).

use std::os::fd::{AsRawFd, OwnedFd};

use libc::c_int;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

use super::error::RingError;
use super::limits::{FILTER_INSTRUCTIONS_MAX, SEND_BUFFER_BYTES};
use super::{BufferGroup, SocketConfig};

/// SK_MEMINFO_* of `linux/sock_diag.h`, which libc does not name.
const MEMINFO_RECEIVE_ALLOCATED: usize = 0;
const MEMINFO_DROPS: usize = 8;
const MEMINFO_COUNT: usize = 9;

/// Where the receive of a socket stands.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Receive {
    /// Nothing in flight.
    Idle,
    /// A multishot is in flight, or queued to be.
    Armed,
    /// A cancel is on its way to the multishot; `again` arms it anew once that has ended.
    Disarming { again: bool },
}

/// One open socket and what is in flight on it.
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) port: u32,
    pub(super) buffers: BufferGroup,
    pub(super) receive: Receive,
    /// Counts armings; a receive's token carries it.
    pub(super) generation: u32,
    /// SK_MEMINFO_DROPS when it was last reported.
    pub(super) drops_reported: u32,
    pub(super) sends_in_flight: u32,
    /// Closed by its user; it goes when its last operation has ended.
    pub(super) closing: bool,
    pub(super) receive_buffer_bytes: usize,
    #[cfg(test)]
    pub(super) send_buffer_bytes: usize,
}

/// What the kernel accounts for a socket.
pub(super) struct Memory {
    /// Bytes of datagrams that wait in the socket, with the kernel's own overhead.
    pub(super) queued_bytes: u32,
    /// Datagrams dropped since the socket was opened, modulo 2^32.
    pub(super) drops: u32,
}

impl Socket {
    pub(super) fn open(config: &SocketConfig<'_>) -> Result<Socket, RingError> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // NETLINK_ROUTE is 0.
        )
        .map_err(|e| RingError::from_socket("open an rtnetlink socket", e.raw_os_error()))?;
        let receive_buffer_bytes =
            set_buffer(&fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, config.receive_buffer_bytes)?;
        let send_buffer_bytes =
            set_buffer(&fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER_BYTES)?;
        for (option, attempted) in [
            (libc::NETLINK_EXT_ACK, "ask rtnetlink for extended acks"),
            (libc::NETLINK_CAP_ACK, "ask rtnetlink for short acks"),
            (libc::NETLINK_GET_STRICT_CHK, "ask rtnetlink for strict checks of dumps"),
        ] {
            set_option(&fd, libc::SOL_NETLINK, option, 1)
                .map_err(|errno| RingError::from_socket(attempted, errno))?;
        }
        bind(&fd, &SocketAddrNetlink::new(0, 0))
            .map_err(|e| RingError::from_socket("bind an rtnetlink socket", e.raw_os_error()))?;
        let port = getsockname(&fd)
            .and_then(SocketAddrNetlink::try_from)
            .map_err(|e| RingError::from_socket("read a netlink port", e.raw_os_error()))?
            .pid();
        for &group in config.groups {
            add_membership(&fd, group)?;
        }
        tracing::debug!(port, receive_buffer_bytes, send_buffer_bytes, "opened a netlink socket");
        Ok(Socket {
            fd,
            port,
            buffers: config.buffers,
            receive: Receive::Idle,
            generation: 0,
            drops_reported: 0,
            sends_in_flight: 0,
            closing: false,
            receive_buffer_bytes,
            #[cfg(test)]
            send_buffer_bytes,
        })
    }

    /// Joins one more multicast group; a group that it is in already is no error.
    pub(super) fn join(&self, group: u32) -> Result<(), RingError> {
        add_membership(&self.fd, group)
    }

    /// Attaches a filter of classic BPF in place of the one that is there; without one, takes that
    /// away. The kernel exchanges them at once: no datagram meets neither.
    pub(super) fn set_filter(&self, program: Option<&[libc::sock_filter]>) -> Result<(), i32> {
        let Some(program) = program else {
            return match set_option(&self.fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0) {
                Err(libc::ENOENT) => Ok(()),
                result => result,
            };
        };
        let len = u16::try_from(program.len()).map_err(|_| libc::EINVAL)?;
        if len > FILTER_INSTRUCTIONS_MAX {
            return Err(libc::EINVAL);
        }
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        // SAFETY: the kernel copies `len` instructions from the borrowed slice, and writes none,
        // before the call returns.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of_val(&program) as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(last_errno()) }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.receive != Receive::Idle || self.sends_in_flight != 0
    }

    /// Reads the kernel's account of this socket. It takes nothing from it, a pending error
    /// included.
    pub(super) fn memory(&self) -> Result<Memory, i32> {
        let mut values = [0_u32; MEMINFO_COUNT];
        let mut length = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into `values` before the call returns.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                values.as_mut_ptr().cast(),
                &mut length,
            )
        };
        if result != 0 {
            return Err(last_errno());
        }
        Ok(Memory { queued_bytes: values[MEMINFO_RECEIVE_ALLOCATED], drops: values[MEMINFO_DROPS] })
    }

    /// How many datagrams were dropped since this was last asked.
    pub(super) fn new_drops(&mut self) -> u64 {
        match self.memory() {
            Ok(memory) => {
                let grown = memory.drops.wrapping_sub(self.drops_reported);
                self.drops_reported = memory.drops;
                u64::from(grown)
            }
            // Not to be had (a socket before 4.12): the caller takes it for an overrun all the
            // same, unless its buffers were exhausted.
            Err(_) => 0,
        }
    }
}

fn add_membership(fd: &OwnedFd, group: u32) -> Result<(), RingError> {
    let number =
        c_int::try_from(group).map_err(|_| RingError::Membership { group, errno: libc::EINVAL })?;
    set_option(fd, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, number)
        .map_err(|errno| RingError::Membership { group, errno })
}

/// Sets a buffer size beyond the host's limit where we may, within it where not; returns what it
/// became. The kernel doubles what it is told, for its own overhead, so it is told the half.
fn set_buffer(fd: &OwnedFd, force: c_int, plain: c_int, bytes: usize) -> Result<usize, RingError> {
    let half = c_int::try_from(bytes.div_ceil(2)).unwrap_or(c_int::MAX / 2);
    set_option(fd, libc::SOL_SOCKET, force, half)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, plain, half))
        .and_then(|()| get_option(fd, libc::SOL_SOCKET, plain))
        .map(|value| usize::try_from(value).unwrap_or(0))
        .map_err(|errno| RingError::from_socket("size a socket's buffer", errno))
}

fn set_option(fd: &OwnedFd, level: c_int, option: c_int, value: c_int) -> Result<(), i32> {
    // SAFETY: the kernel reads one int from `value` before the call returns.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

fn get_option(fd: &OwnedFd, level: c_int, option: c_int) -> Result<c_int, i32> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most one int into `value` before the call returns.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &mut length)
    };
    if result == 0 { Ok(value) } else { Err(last_errno()) }
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
