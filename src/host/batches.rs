//! The batches of a round: filled, sent and answered.
//!
//! One batch is in flight at a time, so order stands. Where the kernel takes long for it, the next
//! one is filled meanwhile, goes out as soon as that is answered, and only then are the answers
//! looked at: the kernel does not wait for us.

use std::time::Instant;

use bytes::BytesMut;

use super::{Host, Transmit};
use crate::model::change::Change;
use crate::model::refusal::Outcome;
use crate::reconcile::Reconcile;
use crate::session::Requests;

/// A batch that is to follow the one in flight.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    requests: Requests,
    bytes: BytesMut,
}

impl Ahead {
    /// Whether a change may be in it: such as take the kernel little each, and make no link that
    /// another one could name.
    fn has_room(&self, change: &Change, free_bytes: usize, is_deaf: bool) -> bool {
        let is_unheard = is_deaf && matches!(change, Change::CreateRoute(_));
        let free_bytes = if is_unheard { usize::MAX } else { free_bytes };
        change.is_short() && self.requests.fits(change, &self.bytes, free_bytes)
    }
}

impl Host {
    pub(super) fn can_send(&self) -> bool {
        self.sending == 0 && !self.requests.is_busy() && self.is_undisturbed()
    }

    /// Whether changes may be sent at all.
    fn is_undisturbed(&self) -> bool {
        let is_known = self.synced && self.namespaces.is_known() && self.dumps.is_idle();
        is_known && !self.settling && !self.halted
    }

    /// The next batch of changes, if one may be sent.
    pub(super) fn next_batch(&mut self, now: Instant, buffer: &mut BytesMut) -> Transmit {
        if self.ahead.requests.is_busy() && self.is_undisturbed() {
            return match self.can_send() && self.send_ahead(now, buffer) {
                true => Transmit::Long,
                false => Transmit::Nothing,
            };
        }
        if let Some(outcomes) = self.answered.take() {
            self.answer(now, outcomes);
        }
        self.fill_ahead();
        if !self.can_send() || !self.fill_batch(now, buffer) {
            return Transmit::Nothing;
        }
        if self.requests.takes_long() { Transmit::Long } else { Transmit::Short }
    }

    /// How many changes are known to be left, at most.
    pub(crate) fn changes_left(&self) -> usize {
        self.reconcile.as_ref().map_or(0, Reconcile::steps_left)
    }

    /// Whether there is something to do while the kernel is busy with a batch.
    pub(crate) fn is_unfinished(&self) -> bool {
        let is_to_be_sent = self.ahead.requests.is_busy() && self.is_undisturbed();
        (self.answered.is_some() && !is_to_be_sent) || self.may_fill_ahead()
    }

    fn fill_batch(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let Some(reconcile) = &mut self.reconcile else {
            return false;
        };
        let (network, namespaces) = (self.mirror.network(), &self.namespaces);
        let resolve = |name| network.index_of(name);
        let open_netns = |number| namespaces.held(number);
        while let Some(step) = reconcile.poll_step(now, network) {
            let change = &step.change;
            if self.counters.changes >= self.changes_max {
                self.halted = true;
                break;
            }
            // It is no request, and comes when these are answered.
            if matches!(change, Change::SetSysctls { .. }) {
                break;
            }
            if !self.requests.has_room(change, buffer, self.receive_buffer_bytes) {
                break;
            }
            // It is opened first.
            if change.netns().is_some_and(|number| namespaces.is_awaited(number)) {
                break;
            }
            self.requests.push(change, &mut self.sequence, &resolve, &open_netns, buffer);
            reconcile.handle_sent(network);
            self.counters.changes += 1;
        }
        self.unread_bytes = self.requests.notification_bytes();
        self.seal(now, buffer)
    }

    fn seal(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let is_to_be_sent = self.requests.seal(now, buffer);
        if !is_to_be_sent && self.requests.is_busy() {
            let outcomes = self.requests.fail(libc::ENODEV);
            self.handle_answered(now, outcomes);
        }
        self.collect_reports();
        is_to_be_sent
    }

    fn may_fill_ahead(&self) -> bool {
        let is_apt = self.requests.takes_long() && !self.ahead.requests.is_busy();
        let next = self.reconcile.as_ref().and_then(Reconcile::next_in_round);
        let is_in_bounds = self.counters.changes < self.changes_max;
        is_apt
            && is_in_bounds
            && self.is_undisturbed()
            && next.is_some_and(|step| {
                self.ahead.has_room(&step.change, self.free_bytes(), self.holds_back)
            })
    }

    /// How much the news of what is sent while earlier ones may be unread can take.
    fn free_bytes(&self) -> usize {
        (self.receive_buffer_bytes / 2).saturating_sub(self.unread_bytes)
    }

    fn fill_ahead(&mut self) {
        if !self.may_fill_ahead() {
            return;
        }
        let free = self.free_bytes();
        let Some(reconcile) = &mut self.reconcile else {
            return;
        };
        let network = self.mirror.network();
        let resolve = |name| network.index_of(name);
        while let Some(step) = reconcile.next_in_round() {
            let is_in_bounds = self.counters.changes < self.changes_max;
            if !is_in_bounds || !self.ahead.has_room(&step.change, free, self.holds_back) {
                break;
            }
            let Ahead { requests, bytes } = &mut self.ahead;
            requests.push(&step.change, &mut self.sequence, &resolve, &|_| None, bytes);
            reconcile.handle_sent(network);
            self.counters.changes += 1;
        }
    }

    fn send_ahead(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let ahead = std::mem::take(&mut self.ahead);
        (self.requests, *buffer) = (ahead.requests, ahead.bytes);
        let bytes = self.requests.notification_bytes();
        self.unread_bytes = self.unread_bytes.saturating_add(bytes);
        self.seal(now, buffer)
    }

    /// The batch that was filled ahead is not sent: its changes are, anew, when that may be.
    pub(super) fn withdraw(&mut self) {
        let unsent = std::mem::take(&mut self.ahead).requests.len();
        self.counters.changes -= unsent as u64;
        if let Some(reconcile) = &mut self.reconcile {
            reconcile.handle_unsent(unsent);
        }
    }

    /// What the engine reached of what [`is_deaf`](Self::is_deaf) asks for.
    pub(crate) fn set_held_back(&mut self, holds_back: bool) {
        self.holds_back = holds_back;
    }

    /// All of a batch was answered. Where another one is to go out first, that is looked at later.
    pub(super) fn handle_answered(&mut self, now: Instant, outcomes: std::vec::IntoIter<Outcome>) {
        if let Some(earlier) = self.answered.take() {
            self.answer(now, earlier);
        }
        if outcomes.as_slice().contains(&Outcome::Unknown) {
            self.withdraw();
        }
        match self.ahead.requests.is_busy() {
            true => self.answered = Some(outcomes),
            false => self.answer(now, outcomes),
        }
    }

    pub(super) fn answer(&mut self, now: Instant, outcomes: std::vec::IntoIter<Outcome>) {
        // What follows at once is compared with nothing.
        self.settling |= !self.requests.is_busy();
        self.namespaces.release();
        for outcome in outcomes {
            if outcome == Outcome::Unknown {
                // Whatever it did may have been told long ago, or not yet.
                self.synced = false;
                self.dumps.start(now);
            }
            if let Some(reconcile) = &mut self.reconcile {
                reconcile.handle_result(now, outcome);
            }
        }
        self.collect_reports();
    }
}
