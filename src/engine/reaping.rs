//! What each completion means to the hosts: one reaping of the ring.

use std::time::Instant;

use bytes::BytesMut;

use super::follow::Follow;
use super::members::{HOME, Member, Members};
use crate::host::Source;
use crate::limits::SPARE_BUFFERS_MAX;
use crate::ring::{Completion, Received, Sent, SocketId};

/// What one reaping brought.
#[derive(Debug, Default)]
pub(super) struct Reaped {
    pub(super) datagrams: usize,
    pub(super) events: usize,
    pub(super) sends: usize,
    pub(super) woken: bool,
    pub(super) cancelled: bool,
    /// What was to be sent by a thread of the kernel's, and was not taken by any.
    pub(super) unsent: Vec<Sent>,
    /// Sockets whose receive ended for good, and why.
    pub(super) failed: Vec<(SocketId, i32)>,
}

/// Hands completions out.
pub(super) struct Reaping<'a> {
    pub(super) now: Instant,
    pub(super) members: &'a mut Members,
    pub(super) follow: Option<&'a mut Follow>,
    pub(super) spare: &'a mut Vec<BytesMut>,
    pub(super) reaped: Reaped,
}

impl Reaping<'_> {
    pub(super) fn handle(&mut self, completion: Completion<'_>) {
        match completion {
            Completion::Received(received) => self.received(&received),
            Completion::Lost(lost) => {
                let now = self.now;
                match self.touched(lost.socket) {
                    Some((member, Source::Events)) => member.host.handle_lost(lost.dropped),
                    Some((member, Source::Replies)) => member.host.handle_replies_lost(now),
                    None => {}
                }
            }
            Completion::Sent(sent) => self.sent(sent),
            Completion::Woken => self.reaped.woken = true,
            Completion::NamesChanged => {
                let now = self.now;
                self.follow.iter_mut().for_each(|follow| follow.handle_changed(now));
                self.members.handle_names_changed();
            }
            Completion::Cancelled(socket) => {
                let is_home = self.members.owner(socket) == Some((HOME, Source::Events));
                self.reaped.cancelled |= is_home;
            }
            Completion::Failed { socket, errno } => self.reaped.failed.push((socket, errno)),
        }
    }

    /// Whose a socket is. Something happens there, so the next turn looks after it.
    fn touched(&mut self, socket: SocketId) -> Option<(&mut Member, Source)> {
        let (slot, source) = self.members.owner(socket)?;
        self.members.activate(slot);
        Some((self.members.get_mut(slot)?, source))
    }

    fn received(&mut self, received: &Received<'_>) {
        self.reaped.datagrams += 1;
        let now = self.now;
        let Some((member, source)) = self.touched(received.socket) else {
            return;
        };
        let brought = usize::from(source == Source::Events);
        member.brought += brought;
        let (sender, truncated) = (received.sender, received.truncated);
        member.host.handle_datagram(now, source, sender, truncated, received.bytes);
        self.reaped.events += brought;
    }

    fn sent(&mut self, sent: Sent) {
        self.reaped.sends += 1;
        // There is none, and none can be made: `io_wq_enqueue` in io_uring/io-wq.c.
        if sent.result == Err(libc::ECANCELED) {
            return self.reaped.unsent.push(sent);
        }
        let now = self.now;
        if let Some((member, _)) = self.touched(sent.socket) {
            member.host.handle_sent(now, sent.result.map(|_| ()));
        }
        if self.spare.len() < SPARE_BUFFERS_MAX {
            let mut buffer = sent.buffer;
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
