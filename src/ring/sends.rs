//! Sends in flight: each owns what the kernel reads until its completion.
//!
//! A slot is boxed, so the message header and the address in it never move, and is reused, so a
//! steady state allocates nothing.

use std::ptr;

use bytes::BytesMut;

/// What one SENDMSG needs; at one address from its queueing to its completion.
struct Send {
    header: libc::msghdr,
    vector: libc::iovec,
    kernel: libc::sockaddr_nl,
    socket: u16,
    token: u64,
    /// None when the slot is free. The bytes are on the heap; moving the handle leaves them.
    buffer: Option<BytesMut>,
}

/// A send that has ended, taken out of its slot.
pub(super) struct Ended {
    pub(super) socket: u16,
    pub(super) token: u64,
    pub(super) buffer: BytesMut,
}

/// The slots of sends.
#[derive(Default)]
pub(super) struct Sends {
    /// Raw pointers, because a box that is moved asserts that nobody else reads it, and the kernel
    /// does. Freed in `drop`.
    slots: Vec<*mut Send>,
    free: Vec<u32>,
}

impl Sends {
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes the buffer into a slot. The header pointed to stays valid until `end` of that slot.
    pub(super) fn begin(
        &mut self,
        socket: u16,
        mut buffer: BytesMut,
        token: u64,
    ) -> (u32, *const libc::msghdr) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Box::into_raw(Box::new(Send::idle())));
            (self.slots.len() - 1) as u32
        });
        let send = self.slots[slot as usize];
        // SAFETY: the slot was free, so no operation reads it, and it lives until `drop`. The
        // pointers stored in it lead to its own fields and to the buffer's heap memory, all kept
        // until `end`.
        let header = unsafe {
            (*send).vector.iov_base = buffer.as_mut_ptr().cast();
            (*send).vector.iov_len = buffer.len();
            (*send).header.msg_name = (&raw mut (*send).kernel).cast();
            (*send).header.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            (*send).header.msg_iov = &raw mut (*send).vector;
            (*send).header.msg_iovlen = 1;
            (*send).socket = socket;
            (*send).token = token;
            (*send).buffer = Some(buffer);
            &raw const (*send).header
        };
        (slot, header)
    }

    /// Gives the slots up for good: the kernel may still read them.
    pub(super) fn leak(&mut self) {
        self.slots.clear();
        self.free.clear();
    }

    /// Frees a slot whose operation has completed; none if nothing was in flight there.
    pub(super) fn end(&mut self, slot: u32) -> Option<Ended> {
        let send = *self.slots.get(slot as usize)?;
        // SAFETY: the slot lives until `drop`, and its operation, whose completion brought us
        // here, no longer reads it.
        let (buffer, socket, token) =
            unsafe { ((*send).buffer.take(), (*send).socket, (*send).token) };
        let buffer = buffer?;
        self.free.push(slot);
        Some(Ended { socket, token, buffer })
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        for &slot in &self.slots {
            // SAFETY: made by `Box::into_raw` in `begin` and freed here only. The ring drops us
            // when nothing is in flight, and leaks us otherwise.
            drop(unsafe { Box::from_raw(slot) });
        }
    }
}

impl Send {
    fn idle() -> Send {
        // SAFETY: `msghdr` and `sockaddr_nl` are plain C structures, for which all zero is a
        // value: null pointers and zero lengths.
        let (header, mut kernel): (libc::msghdr, libc::sockaddr_nl) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        kernel.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        Send {
            header,
            vector: libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 },
            kernel,
            socket: 0,
            token: 0,
            buffer: None,
        }
    }
}
