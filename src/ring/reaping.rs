//! What a completion means: the state of the sockets, moved on by one completion at a time.
//!
//! Nothing here enters the kernel, but for one getsockopt after an overrun, and one
//! register call when a message to a doorbell failed. Counts are changed before the user's callback
//! runs: after one that panics the ring is safe to use and to drop, less the buffer it was given.

use std::cell::OnceCell;
use std::sync::{Arc, Weak};

use io_uring::cqueue;
use io_uring::types::RecvMsgOut;

use super::bell::{Bell, DoorbellHandle, SharedDoorbell};
use super::buffers::Buffers;
use super::names::NameWatch;
use super::sends::Sends;
use super::socket::{Receive, Socket};
use super::token::Token;
use super::{BufferGroup, Completion, Counters, Lost, Received, Sent, SocketId};

/// All that a ring holds beside its queues. Dropped after them.
pub(super) struct State {
    pub(super) sockets: Vec<Option<Socket>>,
    pub(super) events: Buffers,
    pub(super) replies: Buffers,
    pub(super) sends: Sends,
    /// What every multishot receive reads its name length from; never written again.
    pub(super) receive_header: *mut libc::msghdr,
    pub(super) bell: OnceCell<Arc<Bell>>,
    pub(super) doorbells: Vec<KnownDoorbell>,
    pub(super) names: Option<NameWatch>,
    /// Whether the watch of names has told something in this reap, and waits no more.
    pub(super) names_changed: bool,
    /// Sockets whose receive ended benignly, to be armed again with the next enter.
    pub(super) rearm: Vec<u16>,
    /// Sockets whose cancel missed the receive, which still goes on.
    pub(super) cancel_again: Vec<u16>,
    pub(super) counters: Counters,
    /// See `Queue::deferred`.
    pub(super) deferred: bool,
}

/// A doorbell that this ring has rung before.
pub(super) struct KnownDoorbell {
    pub(super) bell: Weak<SharedDoorbell>,
    /// Keeps its descriptor open until our message to it was submitted.
    pub(super) held: Option<DoorbellHandle>,
}

impl State {
    /// Handles one completion; `handle` hears of it where it concerns the user.
    pub(super) fn complete(
        &mut self,
        completion: &cqueue::Entry,
        handle: &mut impl FnMut(Completion<'_>),
    ) {
        self.counters.completions += 1;
        match Token::decode(completion.user_data()) {
            Token::Receive { socket, generation } => {
                self.received(socket, generation, completion, handle);
            }
            Token::Send { slot } => self.sent(slot, completion.result(), handle),
            Token::Cancel { socket, generation } => {
                // It completes only when it missed. The receive had ended, or it was just being
                // run: then it goes on and must be cancelled again.
                if let Some(Some(open)) = self.sockets.get(usize::from(socket)) {
                    if open.generation == generation
                        && matches!(open.receive, Receive::Disarming { .. })
                    {
                        self.cancel_again.push(socket);
                    }
                }
            }
            Token::Wake => {
                if let Some(bell) = self.bell.get() {
                    bell.answer();
                    handle(Completion::Woken);
                }
            }
            Token::Doorbell { slot } => {
                let known = self.doorbells.get(usize::from(slot));
                if let Some(shared) = known.and_then(|known| known.bell.upgrade()) {
                    DoorbellHandle { shared }.retry();
                }
            }
            Token::Names => {
                self.names_changed = true;
                handle(Completion::NamesChanged);
            }
            Token::Unknown => {}
        }
    }

    /// Shows the kernel all buffers that were given back.
    pub(super) fn publish_buffers(&mut self) {
        self.events.publish();
        self.replies.publish();
    }

    /// One completion of a multishot receive.
    fn received(
        &mut self,
        index: u16,
        generation: u32,
        completion: &cqueue::Entry,
        handle: &mut impl FnMut(Completion<'_>),
    ) {
        let Some(Some(socket)) = self.sockets.get_mut(usize::from(index)) else {
            return;
        };
        if socket.generation != generation || socket.receive == Receive::Idle {
            return;
        }
        let id = SocketId(index);
        let quiet = socket.closing;
        let before = socket.receive;
        // On every completion, good data included: a multishot also ends when the completion
        // queue overflows.
        let ended = !cqueue::more(completion.flags());
        if ended {
            socket.receive = Receive::Idle;
            self.counters.receives_in_flight -= 1;
        }
        let buffers = match socket.buffers {
            BufferGroup::Events => &mut self.events,
            BufferGroup::Replies => &mut self.replies,
        };
        let result = completion.result();
        let mut go_on = true;
        let mut lost = None;
        if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
            // SAFETY: allocated when the ring was opened, freed after its last completion.
            let header = unsafe { &*self.receive_header };
            if let Some(bytes) = buffers.take(buffer, result) {
                match RecvMsgOut::parse(bytes, header) {
                    Ok(message) if result >= 0 && !quiet => {
                        let truncated = message.is_payload_truncated();
                        self.counters.truncated += u64::from(truncated);
                        handle(Completion::Received(Received {
                            socket: id,
                            sender: sender_of(message.name_data()),
                            truncated,
                            bytes: message.payload_data(),
                        }));
                    }
                    // Not even a header came: whatever it was, we did not get it.
                    Err(()) if result >= 0 => lost = Some(0),
                    _ => {}
                }
                buffers.give_back(buffer);
            }
        }
        match result {
            0.. => {}
            _ if result == -libc::ECANCELED => {
                self.counters.reads_cancelled += 1;
                go_on = false;
            }
            _ if result == -libc::ENOBUFS => {
                let (exhausted, dropped) = why_no_buffers(buffers, socket, self.deferred);
                let is_of_events = socket.buffers == BufferGroup::Events;
                self.counters.buffers_exhausted += u64::from(exhausted && is_of_events);
                lost = dropped;
            }
            _ if result == -libc::EINTR || result == -libc::EAGAIN => {}
            _ => go_on = false,
        }
        if let Some(dropped) = lost.filter(|_| !quiet) {
            self.counters.overruns += 1;
            handle(Completion::Lost(Lost { socket: id, dropped }));
        }
        if ended {
            self.receive_ended(index, before, go_on.then_some(()).ok_or(-result), handle);
        }
    }

    /// What follows the last completion of a receive: it was in state `before`, and may go on, or
    /// has failed.
    fn receive_ended(
        &mut self,
        index: u16,
        before: Receive,
        outcome: Result<(), i32>,
        handle: &mut impl FnMut(Completion<'_>),
    ) {
        let id = SocketId(index);
        if self.remove_if_closed(index) {
            return;
        }
        let Some(Some(socket)) = self.sockets.get(usize::from(index)) else {
            return;
        };
        if socket.closing {
            return;
        }
        match (before, outcome) {
            (Receive::Disarming { again }, _) => {
                if again {
                    self.rearm.push(index);
                }
                handle(Completion::Cancelled(id));
            }
            (_, Ok(())) => self.rearm.push(index),
            (_, Err(errno)) => handle(Completion::Failed { socket: id, errno }),
        }
    }

    fn sent(&mut self, slot: u32, result: i32, handle: &mut impl FnMut(Completion<'_>)) {
        let Some(ended) = self.sends.end(slot) else {
            return;
        };
        if let Some(Some(socket)) = self.sockets.get_mut(usize::from(ended.socket)) {
            socket.sends_in_flight -= 1;
        }
        self.remove_if_closed(ended.socket);
        handle(Completion::Sent(Sent {
            socket: SocketId(ended.socket),
            token: ended.token,
            buffer: ended.buffer,
            result: usize::try_from(result).map_err(|_| -result),
        }));
    }

    /// Frees the slot of a closed socket, and so closes its descriptor, once nothing is in flight.
    pub(super) fn remove_if_closed(&mut self, index: u16) -> bool {
        match self.sockets.get_mut(usize::from(index)) {
            Some(slot) if slot.as_ref().is_some_and(|s| s.closing && !s.is_busy()) => {
                *slot = None;
                self.counters.sockets -= 1;
                true
            }
            _ => false,
        }
    }

    /// How many operations may still touch our memory.
    pub(super) fn in_flight(&self) -> usize {
        self.counters.receives_in_flight + self.sends.in_flight()
    }

    /// Gives up for good what the kernel may still use.
    pub(super) fn leak(&mut self) {
        self.events.leak();
        self.replies.leak();
        self.sends.leak();
        self.receive_header = std::ptr::null_mut();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.receive_header.is_null() {
            // SAFETY: made by `Box::into_raw` when the ring was opened, and no receive is in
            // flight: the ring leaks us otherwise.
            drop(unsafe { Box::from_raw(self.receive_header) });
        }
    }
}

/// Tells the two meanings of ENOBUFS apart: were our buffers used up, and how many datagrams were
/// dropped, if it was, or may have been, an overrun of the socket?
fn why_no_buffers(buffers: &Buffers, socket: &mut Socket, deferred: bool) -> (bool, Option<u64>) {
    if buffers.was_exhausted() {
        // An overrun beside it shows as the next receive's error.
        return (true, None);
    }
    let exhausted = !deferred && buffers.was_perhaps_exhausted();
    let dropped = socket.new_drops();
    // Neither: the kernel could not build an event. In doubt it is an overrun.
    (exhausted, (dropped > 0 || !exhausted).then_some(dropped))
}

/// The port that a netlink name carries. A short one is nobody's: not the kernel's, which is 0.
fn sender_of(name: &[u8]) -> u32 {
    // struct sockaddr_nl: family, padding, port, groups, in the host's order.
    match name.get(4..8) {
        Some(&[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]),
        _ => u32::MAX,
    }
}

const _: () = assert!(std::mem::offset_of!(libc::sockaddr_nl, nl_pid) == 4);
