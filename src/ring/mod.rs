//! Every system call of the engine, and all `unsafe`: netlink sockets on an io_uring.
//!
//! A [`Ring`] belongs to the thread that opened it. Its user queues receives and sends, calls
//! [`Ring::enter`] once a turn, then [`Ring::reap`], which hands each completion out while the
//! datagram still lies where the kernel put it. This room knows no netlink above the socket: it
//! moves datagrams, and says when some were lost.
//!
//! What a user must know of the kernel (KERNEL.md has the rest):
//! - After `Lost` the socket drops everything until its queue was read empty. Keep turning until
//!   [`Ring::is_drained`], then dump; another `Lost` meanwhile starts that over.
//! - Closing a descriptor does not end a receive that is armed on it; `close_socket` and the drop
//!   of the ring cancel, reap, then close.
//! - A disarmed socket loses nothing: what came before the cancel is reaped before `Cancelled`,
//!   and what comes later waits in the socket.
#![allow(unsafe_code)]

mod bell;
mod buffers;
mod driver;
mod error;
#[cfg(feature = "cli")]
pub(crate) mod guard;
mod limits;
mod lock;
#[cfg(feature = "cli")]
pub(crate) mod memory;
mod names;
#[cfg(feature = "cli")]
pub(crate) mod namespace;
mod netns;
#[cfg(feature = "cli")]
pub(crate) mod probe;
mod queue;
mod reaping;
mod sends;
#[cfg(feature = "cli")]
pub(crate) mod signals;
mod socket;
mod sysctl;
#[cfg(test)]
mod tests;
mod token;

use std::time::Duration;

use bytes::BytesMut;

pub(crate) use self::bell::{Doorbell, DoorbellHandle, Waker};
pub(crate) use self::driver::Ring;
pub use self::error::RingError;
pub use self::lock::{Holder, LockError, OwnerLock};
pub(crate) use self::netns::{Identity, OpenNetns, named, own_identity};
pub use self::netns::{NamespaceError, Netns};
pub(crate) use self::sysctl::write_sysctl;

/// Sizes of a ring, fixed when it is opened.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Config {
    /// Entries of the submission queue. More may be queued: it is then flushed in between.
    pub(crate) submission_entries: u32,
    /// Entries of the completion queue. An overflow costs a system call and a re-arm, no event.
    pub(crate) completion_entries: u32,
    /// The ring's descriptor is to be waited for by epoll, at some cost to every completion.
    pub(crate) pollable: bool,
    /// Buffers of the group for events; a power of 2, or rounded up to one.
    pub(crate) event_buffers: u16,
    /// The largest event datagram that is not truncated.
    pub(crate) event_buffer_bytes: u32,
    /// Buffers of the group for acks and dumps; a power of 2, or rounded up to one.
    pub(crate) reply_buffers: u16,
    /// The largest reply that is not truncated; dumps come in datagrams of up to 32 KiB.
    pub(crate) reply_buffer_bytes: u32,
}

/// Which of the ring's two groups of buffers a socket receives into.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum BufferGroup {
    /// Many, small.
    Events,
    /// Few, large.
    Replies,
}

/// What a socket is to be; it is opened in the network namespace of the calling thread.
#[derive(Clone, Debug)]
pub(crate) struct SocketConfig<'a> {
    /// The multicast groups to join (RTNLGRP_*).
    pub(crate) groups: &'a [u32],
    /// What SO_RCVBUF shall read afterwards; without privilege the host's limit caps it.
    pub(crate) receive_buffer_bytes: usize,
    pub(crate) buffers: BufferGroup,
}

/// The slot of a socket in its ring. Slots are reused after their socket has closed.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct SocketId(pub(crate) u16);

/// How long [`Ring::enter`] may stay.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Wait {
    /// Submit, let the kernel post what is ready, and return.
    None,
    /// Until there is a completion.
    One {
        /// At most so long; without it for ever.
        timeout: Option<Duration>,
        /// First gather completions for so long, so that a burst costs few turns. Nothing ends
        /// that part of the wait, a waker included; ignored by kernels before 6.12.
        collect: Option<Duration>,
    },
}

/// Something that the kernel has done.
#[derive(Debug)]
pub(crate) enum Completion<'a> {
    /// One datagram.
    Received(Received<'a>),
    /// Datagrams were dropped before we could read them. The receive goes on.
    Lost(Lost),
    /// A disarmed receive has ended; nothing more comes from this socket until it is armed.
    Cancelled(SocketId),
    /// A send has ended.
    Sent(Sent),
    /// A waker rang, once or often.
    Woken,
    /// Names came to or went from `/run/netns`, or may have.
    NamesChanged,
    /// A receive ended by an error and was not armed again.
    /// `RingError::from_receive` says what that means.
    Failed { socket: SocketId, errno: i32 },
}

/// One datagram, borrowed from the buffer that the kernel wrote it to.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) socket: SocketId,
    /// Who sent it: 0 is the kernel, anything else a process that may forge.
    pub(crate) sender: u32,
    /// The datagram was longer than the buffer; `bytes` is its start.
    pub(crate) truncated: bool,
    pub(crate) bytes: &'a [u8],
}

/// An overrun of a socket's queue.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Lost {
    pub(crate) socket: SocketId,
    /// Datagrams dropped since the last report. 0: the kernel reported a loss without a count,
    /// as when it had no memory to build an event.
    pub(crate) dropped: u64,
}

/// A send that has ended; its buffer comes back for reuse.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) socket: SocketId,
    /// What its sender gave.
    pub(crate) token: u64,
    pub(crate) buffer: BytesMut,
    /// Bytes taken by the kernel, or its errno.
    pub(crate) result: Result<usize, i32>,
}

/// What a ring has done and holds; for reports and for tests that nothing leaks.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct Counters {
    /// Calls of `io_uring_enter`.
    pub enters: u64,
    /// Completions seen.
    pub completions: u64,
    /// Multishot receives queued, re-arms included.
    pub receives_armed: u64,
    /// Receives whose -ECANCELED was reaped.
    pub reads_cancelled: u64,
    /// Overruns reported.
    pub overruns: u64,
    /// Receives of events that ended because their buffers were used up; costs a re-arm and no
    /// event. Those of replies end so in every long dump, and are not counted.
    pub buffers_exhausted: u64,
    /// Datagrams longer than their buffer.
    pub truncated: u64,
    /// Receives in flight or queued now.
    pub receives_in_flight: usize,
    /// Sends in flight or queued now.
    pub sends_in_flight: usize,
    /// Sockets open now.
    pub sockets: usize,
    /// Event buffers that are not in our hands.
    pub free_event_buffers: u16,
    /// Reply buffers that are not in our hands.
    pub free_reply_buffers: u16,
}
