//! Batches of requests and their answers.
//!
//! The kernel answers every error, and success only where asked: the last request of a batch
//! asks, and its answer closes the batch. The kernel takes one batch at a time and in order, so
//! whatever has no error by then was made. Every request ends: done, refused, or, where an
//! answer was lost or does not come in time, unknown.

use std::time::Instant;

use bytes::BytesMut;

use super::Sequence;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_DEADLINE, BATCH_REQUESTS_MAX, GROUP_DEADLINE, LONG_BATCH_REQUESTS_MIN,
    SHORT_REQUESTS_PER_LONG,
};
use crate::model::change::{Change, Op};
use crate::model::object::ObjectId;
use crate::model::refusal::{Outcome, Refusal};
use crate::model::text::{LinkName, write_escaped};
use crate::wire::decode::Ack;
use crate::wire::encode::{self, EncodeError};

/// The batch in flight, if any.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    entries: Vec<Entry>,
    /// The sequence number whose answer closes the batch; 0 for none.
    last: u32,
    last_offset: usize,
    deadline: Option<Instant>,
    notification_bytes: usize,
    /// How long the kernel takes for it, in short requests.
    length: usize,
    /// Whether an answer was lost; it may have been an error.
    lost_answers: bool,
    /// Whether a request in it is about a group of links, and takes as long as that has links.
    is_long: bool,
}

#[derive(Debug)]
struct Entry {
    sequence: u32,
    op: Op,
    object: ObjectId,
    /// Whether it makes something in another network namespace too.
    is_across: bool,
    outcome: Option<Outcome>,
}

impl Entry {
    /// What the kernel leaves unsaid where the name that is taken is not one of this namespace.
    fn taken(&self, errno: i32) -> Option<Box<str>> {
        const TAKEN: &str = "a link of its peer's name exists in that network namespace";
        (self.is_across && errno == libc::EEXIST).then(|| TAKEN.into())
    }
}

impl Requests {
    /// Whether a batch is being filled or waits for its answer.
    pub(crate) fn is_busy(&self) -> bool {
        !self.entries.is_empty()
    }

    /// How many requests are in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether one more request may be sent with those that there are: the first always may.
    pub(crate) fn has_room(
        &self,
        change: &Change,
        buffer: &BytesMut,
        receive_buffer_bytes: usize,
    ) -> bool {
        self.entries.is_empty() || self.fits(change, buffer, receive_buffer_bytes / 2)
    }

    /// Whether one more request fits: by the time it takes, by bytes, and by the notifications that
    /// it will put into our own event socket, which may take `free_bytes` of its buffer.
    pub(crate) fn fits(&self, change: &Change, buffer: &BytesMut, free_bytes: usize) -> bool {
        let notifications = self.notification_bytes.saturating_add(notification_bytes(change));
        self.length + length(change) <= BATCH_REQUESTS_MAX * SHORT_REQUESTS_PER_LONG
            && buffer.len() < BATCH_BYTES_MAX
            && notifications <= free_bytes
    }

    /// What the notifications of it all may take of a receive buffer.
    pub(crate) fn notification_bytes(&self) -> usize {
        self.notification_bytes
    }

    /// Adds a request to the batch. One that names a link or a namespace which has gone is refused
    /// here.
    pub(crate) fn push(
        &mut self,
        change: &Change,
        sequence: &mut Sequence,
        resolve: &dyn Fn(LinkName) -> Option<u32>,
        open_netns: &dyn Fn(u16) -> Option<i32>,
        buffer: &mut BytesMut,
    ) {
        let sequence = sequence.next();
        let (op, object) = (change.op(), change.object());
        let offset = buffer.len();
        let outcome = match encode::change(change, sequence, resolve, open_netns, buffer) {
            Ok(()) => {
                (self.last, self.last_offset) = (sequence, offset);
                None
            }
            Err(error) => {
                let (errno, message) = match error {
                    EncodeError::UnknownLink(name) => (libc::ENODEV, gone(name)),
                    EncodeError::UnknownNetns => (libc::ENOENT, error.to_string().into()),
                };
                let (message, offset) = (Some(message), None);
                let refusal = Refusal { op, object, errno, message, offset, sequence };
                Some(Outcome::Refused(refusal.into()))
            }
        };
        self.notification_bytes =
            self.notification_bytes.saturating_add(notification_bytes(change));
        self.length += length(change);
        self.is_long |= matches!(change, Change::DeleteGroup(_) | Change::SetGroup { .. });
        let is_across = change.netns().is_some();
        self.entries.push(Entry { sequence, op, object, is_across, outcome });
    }

    /// Whether the kernel may take milliseconds for the batch, in which the sender does nothing
    /// else where it waits for it.
    pub(crate) fn takes_long(&self) -> bool {
        self.is_long || self.entries.len() >= LONG_BATCH_REQUESTS_MIN
    }

    /// Closes the batch for sending; `false` where nothing is to be sent.
    pub(crate) fn seal(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        if buffer.is_empty() {
            return false;
        }
        encode::request_ack(buffer, self.last_offset);
        self.deadline = Some(now + if self.is_long { GROUP_DEADLINE } else { BATCH_DEADLINE });
        true
    }

    /// An answer. Returns the outcomes of the whole batch when it was the last one.
    pub(crate) fn handle_ack(&mut self, ack: &Ack<'_>) -> Option<std::vec::IntoIter<Outcome>> {
        let entry = self.entries.iter_mut().find(|entry| entry.sequence == ack.sequence)?;
        if ack.errno != 0 {
            let refusal = Refusal {
                op: entry.op,
                object: entry.object,
                errno: ack.errno,
                message: ack.message.map(escaped).or_else(|| entry.taken(ack.errno)),
                offset: ack.offset,
                sequence: ack.sequence,
            };
            entry.outcome = Some(Outcome::Refused(refusal.into()));
        }
        if ack.sequence != self.last {
            return None;
        }
        let (last, lost_answers) = (self.last, self.lost_answers);
        Some(self.close(|entry| match lost_answers && entry.sequence != last {
            true => Outcome::Unknown,
            false => Outcome::Done,
        }))
    }

    /// Answers were lost: what has no error any more at the end is unknown.
    pub(crate) fn handle_replies_lost(&mut self) {
        self.lost_answers = self.is_busy();
    }

    /// The batch could not be sent at all, or had nothing to send.
    pub(crate) fn fail(&mut self, errno: i32) -> std::vec::IntoIter<Outcome> {
        self.close(move |entry| {
            let Entry { op, object, sequence, .. } = *entry;
            let (message, offset) = (None, None);
            let refusal = Refusal { op, object, errno, message, offset, sequence };
            Outcome::Refused(refusal.into())
        })
    }

    /// When the batch counts as unanswered.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The answers did not come: what has none is unknown.
    pub(crate) fn expire(&mut self) -> std::vec::IntoIter<Outcome> {
        self.close(|_| Outcome::Unknown)
    }

    fn close(&mut self, otherwise: impl Fn(&Entry) -> Outcome) -> std::vec::IntoIter<Outcome> {
        let entries = std::mem::take(self).entries;
        let outcome = |mut entry: Entry| entry.outcome.take().unwrap_or_else(|| otherwise(&entry));
        entries.into_iter().map(outcome).collect::<Vec<_>>().into_iter()
    }
}

/// How long the kernel takes for a change, in short requests: of other kinds one takes ten
/// microseconds to a millisecond.
fn length(change: &Change) -> usize {
    if change.is_short() { 1 } else { SHORT_REQUESTS_PER_LONG }
}

/// What the notifications of a change take of a receive buffer, at most: a link's is about
/// 2.3 KiB with the kernel's own overhead, the others' 0.8 KiB, and one change makes several.
fn notification_bytes(change: &Change) -> usize {
    match change {
        Change::CreateLink(_) => 24 * 1024,
        Change::SetLink(_) | Change::DeleteLink(_) => 16 * 1024,
        Change::AddAltname { .. } | Change::DeleteAltname { .. } => 16 * 1024,
        // No request.
        Change::SetSysctls { .. } => 0,
        // Of how many links is not known here: it goes alone.
        Change::DeleteGroup(_) | Change::SetGroup { .. } => usize::MAX / 2,
        Change::PutAddress { .. } | Change::DeleteAddress { .. } => 4 * 1024,
        Change::CreateRule(_) | Change::DeleteRule(_) => 2 * 1024,
        Change::PutNeighbour { .. } | Change::DeleteNeighbour { .. } => 2 * 1024,
        Change::PutFdb { .. } | Change::DeleteFdb(_) => 2 * 1024,
        // With it go the routes that use it, of which IPv6 tells.
        Change::PutNexthop { .. } | Change::DeleteNexthop(_) => 16 * 1024,
        // One of the VLANs, and one of the port in the old way.
        Change::PutVlans { .. } | Change::DeleteVlans { .. } => 4 * 1024,
        Change::CreateRoute(_) | Change::ReplaceRoute(_) | Change::DeleteRoute(_) => 2 * 1024,
    }
}

/// Why a request that names a link which has gone is refused without being sent.
pub(crate) fn gone(link: LinkName) -> Box<str> {
    format!("link {link} is not there any more").into()
}

fn escaped(bytes: &[u8]) -> Box<str> {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_escaped(&mut text, bytes);
    text.into()
}
