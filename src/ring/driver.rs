//! The ring as its user sees it: queue, enter, reap.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use bytes::BytesMut;
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{opcode, squeue};

use super::bell::{Bell, DoorbellHandle, Waker};
use super::buffers::Buffers;
use super::error::RingError;
use super::limits::{
    COLLECT_BUFFERS_DIVISOR, DROP_WAIT, DROP_WAITS_MAX, OVERFLOW_FETCHES_PER_REAP_MAX, SOCKETS_MAX,
};
use super::names::NameWatch;
use super::netns::OpenNetns;
use super::queue::Queue;
use super::reaping::{KnownDoorbell, State};
use super::sends::Sends;
use super::socket::{Receive, Socket};
use super::token::Token;
use super::{BufferGroup, Completion, Config, Counters, SocketConfig, SocketId, Wait};

const EVENTS: u16 = 0;
const REPLIES: u16 = 1;

/// An io_uring with netlink sockets on it. It belongs to the thread that opened it, as the kernel
/// demands of a ring with a single issuer.
pub(crate) struct Ring {
    /// First, so that it is closed before the memory that it knows is freed.
    queue: Queue,
    state: State,
    collect_count: u32,
    not_send: PhantomData<*const ()>,
}

impl Ring {
    /// Sets an io_uring up with its buffers; the calling thread is the one that may use it.
    pub(crate) fn open(config: &Config) -> Result<Ring, RingError> {
        let queue = Queue::open(config)?;
        let events = Buffers::register(
            &queue.uring,
            EVENTS,
            config.event_buffers,
            config.event_buffer_bytes,
        )?;
        let replies = Buffers::register(
            &queue.uring,
            REPLIES,
            config.reply_buffers,
            config.reply_buffer_bytes,
        )?;
        // SAFETY: `msghdr` is a plain C structure, for which all zero is a value.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        let collect_count = u32::from(events.count()) / COLLECT_BUFFERS_DIVISOR;
        let deferred = queue.deferred;
        Ok(Ring {
            queue,
            state: State {
                sockets: Vec::new(),
                events,
                replies,
                sends: Sends::default(),
                receive_header: Box::into_raw(Box::new(header)),
                bell: OnceCell::new(),
                doorbells: Vec::new(),
                names: None,
                names_changed: false,
                rearm: Vec::new(),
                cancel_again: Vec::new(),
                counters: Counters::default(),
                deferred,
            },
            collect_count,
            not_send: PhantomData,
        })
    }

    /// Opens a socket in the calling thread's network namespace. It receives once armed.
    pub(crate) fn open_socket(&mut self, config: &SocketConfig<'_>) -> Result<SocketId, RingError> {
        self.add_socket(|| Socket::open(config))
    }

    /// The same, in another network namespace.
    pub(crate) fn open_socket_in(
        &mut self,
        netns: &OpenNetns,
        config: &SocketConfig<'_>,
    ) -> Result<SocketId, RingError> {
        self.add_socket(|| netns.within(|| Socket::open(config))?)
    }

    /// From now on `NamesChanged` comes after names came to or went from `/run/netns`. What is
    /// there already is not told.
    pub(crate) fn watch_names(&mut self) -> Result<(), RingError> {
        if self.state.names.is_none() {
            let names = NameWatch::open()?;
            // SAFETY: the entry carries no pointer.
            unsafe { self.queue.push(names.entry()) };
            self.state.names = Some(names);
        }
        Ok(())
    }

    fn add_socket(
        &mut self,
        open: impl FnOnce() -> Result<Socket, RingError>,
    ) -> Result<SocketId, RingError> {
        let sockets = &mut self.state.sockets;
        let free = sockets.iter().position(Option::is_none).unwrap_or(sockets.len());
        let limit = SOCKETS_MAX;
        let index = match u16::try_from(free) {
            Ok(index) if free < limit => index,
            _ => return Err(RingError::TooManySockets { limit }),
        };
        let socket = Some(open()?);
        match sockets.get_mut(free) {
            Some(slot) => *slot = socket,
            None => sockets.push(socket),
        }
        self.state.counters.sockets += 1;
        Ok(SocketId(index))
    }

    /// Ends the socket: its receive is cancelled, what is in flight is reaped by the turns that
    /// follow, and then its descriptor is closed. Nothing but its `Sent`s is heard of it again.
    pub(crate) fn close_socket(&mut self, id: SocketId) {
        self.disarm(id);
        if let Some(socket) = self.socket_mut(id) {
            socket.closing = true;
            self.state.remove_if_closed(id.0);
        }
    }

    /// The socket's own port id, or 0 for one that is closed.
    pub(crate) fn port(&self, id: SocketId) -> u32 {
        self.socket(id).map_or(0, |socket| socket.port)
    }

    /// What SO_RCVBUF reads: the bytes that may wait in the socket, the kernel's overhead included.
    pub(crate) fn receive_buffer_bytes(&self, id: SocketId) -> usize {
        self.socket(id).map_or(0, |socket| socket.receive_buffer_bytes)
    }

    /// Lets the kernel drop what `program` (classic BPF) refuses, before it reaches the socket's
    /// queue; `None` lets all pass again. It acts on unicast too: never dump through that socket.
    ///
    /// The error is the kernel's number, after which the filter is as before: ENOMEM where the
    /// program is too large for `net.core.optmem_max`, EINVAL where it is none.
    pub(crate) fn set_filter(
        &mut self,
        id: SocketId,
        program: Option<&[libc::sock_filter]>,
    ) -> Result<(), i32> {
        self.socket(id).map_or(Ok(()), |socket| socket.set_filter(program))
    }

    /// Joins one more multicast group (RTNLGRP_*).
    pub(crate) fn join(&mut self, id: SocketId, group: u32) -> Result<(), RingError> {
        self.socket(id).map_or(Ok(()), |socket| socket.join(group))
    }

    #[cfg(test)]
    /// What SO_SNDBUF reads: a larger send is refused (EMSGSIZE).
    pub(crate) fn send_buffer_bytes(&self, id: SocketId) -> usize {
        self.socket(id).map_or(0, |socket| socket.send_buffer_bytes)
    }

    /// Queues a receive that goes on until it is disarmed. Nothing happens if it is armed; if it
    /// is being disarmed, it is armed again right after its `Cancelled`.
    pub(crate) fn arm(&mut self, id: SocketId) {
        let Some(socket) = self.socket_mut(id) else {
            return;
        };
        match socket.receive {
            Receive::Armed => {}
            Receive::Disarming { .. } => socket.receive = Receive::Disarming { again: true },
            Receive::Idle => self.start_receive(id.0),
        }
    }

    /// Queues the cancel of the receive. True when a `Cancelled` will come for it; false when
    /// none was in flight; none will be then.
    pub(crate) fn disarm(&mut self, id: SocketId) -> bool {
        let Some(socket) = self.socket_mut(id) else {
            return false;
        };
        match socket.receive {
            Receive::Idle => {
                self.state.rearm.retain(|index| *index != id.0);
                false
            }
            Receive::Disarming { .. } => {
                socket.receive = Receive::Disarming { again: false };
                true
            }
            Receive::Armed => {
                socket.receive = Receive::Disarming { again: false };
                self.cancel_receive(id.0);
                true
            }
        }
    }

    /// Leaves a receive that ended by itself, as when its buffers were used up, until it is armed
    /// again; what comes waits in the socket. False where it goes on: what is in flight is never
    /// cut short by this.
    pub(crate) fn put_off(&mut self, id: SocketId) -> bool {
        self.state.rearm.retain(|index| *index != id.0);
        self.socket(id).is_some_and(|socket| socket.receive == Receive::Idle)
    }

    #[cfg(feature = "aio")]
    /// Is there a receive that ended by itself, to be armed again with the next enter?
    pub(crate) fn is_rearming(&self) -> bool {
        !self.state.rearm.is_empty()
    }

    #[cfg(test)]
    /// Is a receive in flight, or about to be, and not being disarmed?
    pub(crate) fn is_armed(&self, id: SocketId) -> bool {
        let is_armed = |socket: &Socket| socket.receive == Receive::Armed;
        self.state.rearm.contains(&id.0) || self.socket(id).is_some_and(is_armed)
    }

    /// Queues a datagram to the kernel. The ring owns the buffer until the `Sent` with this token
    /// hands it back; for a closed socket that is never, and the buffer is dropped. One that
    /// `is_long` is sent by a thread of the kernel's, and the next enter does not wait for that.
    pub(crate) fn send(&mut self, id: SocketId, buffer: BytesMut, is_long: bool, token: u64) {
        let Some(socket) = self.socket_mut(id) else {
            return;
        };
        socket.sends_in_flight += 1;
        let fd = Fd(socket.fd.as_raw_fd());
        let (slot, header) = self.state.sends.begin(id.0, buffer, token);
        let flags = if is_long { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
        let entry = opcode::SendMsg::new(fd, header).build().flags(flags);
        let entry = entry.user_data(Token::Send { slot }.encode());
        // SAFETY: the slot keeps the header, the address and the bytes until this completion is
        // reaped (or for ever); the descriptor stays open while a send is in flight.
        unsafe { self.queue.push(entry) };
    }

    /// Queues the ring of a doorbell, which goes out with the next enter. Nothing comes back.
    pub(crate) fn ring_doorbell(&mut self, handle: &DoorbellHandle) {
        let Some(entry) = handle.entry() else {
            return;
        };
        let Some(slot) = self.hold(handle) else {
            handle.retry();
            return;
        };
        let entry =
            entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::Doorbell { slot }.encode());
        // SAFETY: the message carries no pointer, and its descriptor is held until submitted.
        unsafe { self.queue.push(entry) };
    }

    /// One `io_uring_enter`: submits what is queued, and waits.
    ///
    /// Returns early, with success, for a signal, and when the kernel is short of memory for the
    /// moment.
    pub(crate) fn enter(&mut self, wait: Wait) -> Result<(), RingError> {
        while let Some(index) = self.state.rearm.pop() {
            self.start_receive(index);
        }
        self.queue.enter(&wait, self.collect_count)?;
        if !self.state.doorbells.is_empty() && self.queue.is_flushed() {
            for known in &mut self.state.doorbells {
                known.held = None;
            }
        }
        Ok(())
    }

    /// Hands out what the kernel has done, in its order, without a system call (but for rare
    /// recoveries). Buffers go back to the kernel. A receive that ended without a reason to stop
    /// is armed again with the next enter.
    pub(crate) fn reap(&mut self, mut handle: impl FnMut(Completion<'_>)) {
        for _ in 0..=OVERFLOW_FETCHES_PER_REAP_MAX {
            for completion in self.queue.uring.completion() {
                self.state.complete(&completion, &mut handle);
            }
            // A failure shows again in the next enter, which reports it.
            if !self.queue.has_overflow() || self.queue.fetch_overflow().is_err() {
                break;
            }
        }
        self.state.publish_buffers();
        // Cancels first: a receive that ended meanwhile is idle now, and the one that follows it
        // must not be hit.
        while let Some(index) = self.state.cancel_again.pop() {
            let socket = self.state.sockets.get(usize::from(index));
            if let Some(Some(Socket { receive: Receive::Disarming { .. }, .. })) = socket {
                self.cancel_receive(index);
            }
        }
        if let Some(names) = self.state.names.as_mut().filter(|_| self.state.names_changed) {
            names.answer();
            self.state.names_changed = false;
            // SAFETY: the entry carries no pointer.
            unsafe { self.queue.push(names.entry()) };
        }
    }

    /// Has everything been read that was sent to this socket so far, and reaped? One getsockopt;
    /// asked after a `Lost`, and true only then means that the socket takes messages again.
    pub(crate) fn is_drained(&mut self, id: SocketId) -> bool {
        let reaped = self.queue.uring.completion().is_empty() && !self.queue.has_overflow();
        let empty = self
            .socket(id)
            .and_then(|socket| socket.memory().ok())
            .is_none_or(|memory| memory.queued_bytes == 0);
        // The queue is looked at again last: a datagram leaves the socket before its completion
        // shows.
        empty && reaped && self.queue.uring.completion().is_empty()
    }

    /// Is half of what may wait in this socket in use, as the kernel accounts? One getsockopt.
    pub(crate) fn is_half_full(&self, id: SocketId) -> bool {
        self.socket(id).is_some_and(|socket| {
            let half = socket.receive_buffer_bytes / 2;
            socket.memory().is_ok_and(|memory| memory.queued_bytes as usize >= half)
        })
    }

    /// A handle with which any thread ends this ring's current or next wait.
    pub(crate) fn waker(&self) -> Result<Waker, RingError> {
        if let Some(bell) = self.state.bell.get() {
            return Ok(Waker(Arc::clone(bell)));
        }
        let bell = Bell::new(self.queue.uring.as_raw_fd())?;
        Ok(Waker(Arc::clone(self.state.bell.get_or_init(|| Arc::new(bell)))))
    }

    /// What the ring has done and holds.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            enters: self.queue.enters,
            sends_in_flight: self.state.sends.in_flight(),
            free_event_buffers: self.state.events.free(),
            free_reply_buffers: self.state.replies.free(),
            ..self.state.counters
        }
    }

    #[cfg(feature = "cli")]
    /// Does the kernel know collecting waits?
    pub(crate) fn can_collect(&self) -> bool {
        self.queue.has_collect()
    }

    /// The ring's descriptor, to be waited for by epoll where the ring was opened `pollable`.
    #[cfg(any(test, feature = "aio"))]
    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: the io_uring owns the descriptor and lives as long as the borrow of `self`.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.queue.uring.as_raw_fd()) }
    }

    fn start_receive(&mut self, index: u16) {
        let Some(Some(socket)) = self.state.sockets.get_mut(usize::from(index)) else {
            return;
        };
        if socket.closing || socket.receive != Receive::Idle {
            return;
        }
        socket.generation = socket.generation.wrapping_add(1);
        socket.receive = Receive::Armed;
        let token = Token::Receive { socket: index, generation: socket.generation };
        let group = match socket.buffers {
            BufferGroup::Events => self.state.events.id(),
            BufferGroup::Replies => self.state.replies.id(),
        };
        let fd = Fd(socket.fd.as_raw_fd());
        let entry = opcode::RecvMsgMulti::new(fd, self.state.receive_header, group)
            .build()
            .user_data(token.encode());
        self.state.counters.receives_armed += 1;
        self.state.counters.receives_in_flight += 1;
        // SAFETY: the header and the buffers live until the ring's last completion (or for ever);
        // the descriptor stays open while the receive is in flight.
        unsafe { self.queue.push(entry) };
    }

    fn cancel_receive(&mut self, index: u16) {
        let Some(Some(socket)) = self.state.sockets.get(usize::from(index)) else {
            return;
        };
        let generation = socket.generation;
        let target = Token::Receive { socket: index, generation };
        // Silent when it hits: the receive's own -ECANCELED tells.
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(target.encode()))
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Token::Cancel { socket: index, generation }.encode());
        // SAFETY: a cancel carries no pointer.
        unsafe { self.queue.push(entry) };
    }

    /// Notes a doorbell whose message is about to be queued; none when there are too many.
    fn hold(&mut self, handle: &DoorbellHandle) -> Option<u16> {
        let bell = Arc::downgrade(&handle.shared);
        let doorbells = &mut self.state.doorbells;
        let found = doorbells
            .iter()
            .position(|known| known.bell.ptr_eq(&bell))
            .or_else(|| doorbells.iter().position(|known| known.bell.strong_count() == 0));
        let slot = u16::try_from(found.unwrap_or(doorbells.len())).ok()?;
        let known = KnownDoorbell { bell, held: Some(handle.clone()) };
        match found {
            Some(found) => doorbells[found] = known,
            None => doorbells.push(known),
        }
        Some(slot)
    }

    fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.state.sockets.get(usize::from(id.0))?.as_ref().filter(|socket| !socket.closing)
    }

    fn socket_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.state.sockets.get_mut(usize::from(id.0))?.as_mut().filter(|socket| !socket.closing)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(bell) = self.state.bell.get() {
            bell.close();
        }
        for index in 0..self.state.sockets.len() {
            self.close_socket(SocketId(index as u16));
        }
        for _ in 0..DROP_WAITS_MAX {
            if self.state.in_flight() == 0 {
                return;
            }
            let wait = Wait::One { timeout: Some(DROP_WAIT), collect: None };
            if self.enter(wait).is_err() {
                break;
            }
            self.reap(|_| ());
        }
        if self.state.in_flight() != 0 {
            // Freed memory that the kernel still writes to would be far worse than lost memory.
            tracing::error!(
                operations = self.state.in_flight(),
                "io_uring did not end what was cancelled; its memory is leaked"
            );
            self.state.leak();
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
