//! What comes of the steps that were sent: remembered, told, and followed up.

use std::time::{Duration, Instant};

use super::bulk::Stage;
use super::{Attempt, Mode, Noticed, Outcome, Pending, Reconcile, Report, Role};
use crate::limits::READING_SUBJECTS_MIN;
use crate::model::change::Change;

impl Reconcile {
    /// The answer to the oldest unanswered step.
    pub(crate) fn handle_result(&mut self, now: Instant, outcome: Outcome) {
        let Some(pending) = self.round.pop_front() else {
            return;
        };
        self.in_flight = self.in_flight.saturating_sub(1);
        self.touched.push(pending.step.subject);
        match (pending.role, &pending.step.change) {
            (Role::Group, _) => self.handle_group_result(now, outcome),
            (Role::Move, Change::SetLink(update)) => {
                let deletion = self.handle_moved_to_group(update.link, outcome == Outcome::Done);
                if let Some(step) = deletion {
                    self.conclude(now, Pending { step, ..pending }, outcome);
                }
            }
            (Role::Restore, _) if outcome == Outcome::Done => {}
            _ => self.conclude(now, pending, outcome),
        }
        self.note_end_of_round(now);
    }

    /// Looks at what a round was about, where it has ended.
    pub(super) fn note_end_of_round(&mut self, now: Instant) {
        if self.round.is_empty() {
            if let Some(bulk) = self.bulk.as_mut().filter(|bulk| bulk.stage == Stage::Moving) {
                bulk.stage = Stage::Moved;
            }
            // Where many were, each is looked at after the reading that verifies them all. Those
            // that were made down are looked at now, and read when they are to be set up.
            let are_many = self.touched.len() >= READING_SUBJECTS_MIN && self.made_down.is_empty();
            if self.is_deaf || (are_many && self.mode == Mode::Once && self.unresolved.is_empty()) {
                self.is_to_be_read = true;
            }
            // What is read is all looked at.
            if self.is_to_be_read {
                return self.touched.clear();
            }
            // What named a link that was to be made is looked at again too, made or not.
            self.touched.extend(self.unresolved.keys());
            for subject in std::mem::take(&mut self.touched) {
                self.mark(subject, Noticed::at(now));
            }
        }
    }

    /// Whether the news of the routes that the round makes may be passed over. Hearing of each
    /// takes as long as reading it, and so many are read in any case.
    pub(super) fn are_read_afterwards(&self) -> bool {
        let makes_route = |it: &&Pending| matches!(it.step.change, Change::CreateRoute(_));
        let is_alone = self.unresolved.is_empty() && self.bulk.is_none() && self.labels.is_none();
        self.mode == Mode::Once
            && is_alone
            && self.round.iter().filter(makes_route).count() + self.rest.len()
                >= READING_SUBJECTS_MIN
    }

    /// Whether news of our own about a new route are to be passed over.
    pub(crate) fn is_deaf_to_own_routes(&self) -> bool {
        self.is_deaf
    }

    /// The tables are about to be read, and nothing is passed over from now on.
    pub(crate) fn hear(&mut self) {
        self.is_deaf = false;
    }

    /// Remembers and tells what came of a step.
    fn conclude(&mut self, now: Instant, pending: Pending, outcome: Outcome) {
        let object = pending.step.change.object();
        match outcome {
            Outcome::Refused(refusal) if is_moot(&pending.step.change, refusal.errno) => {
                self.note_taken(&pending);
            }
            Outcome::Refused(refusal)
                if self.renames_live && is_live_rename(&pending.step.change, refusal.errno) =>
            {
                self.renames_live = false;
            }
            Outcome::Refused(refusal) => {
                let retry_in = self.refuse(now, object, Some(self.progress));
                if let Change::DeleteLink(name) = pending.step.change {
                    self.restore_group(now, name, pending.step.subject);
                }
                let retry_in = (self.mode == Mode::Keep).then_some(retry_in);
                self.report(now, pending, Outcome::Refused(refusal), retry_in);
            }
            Outcome::Unknown => self.report(now, pending, Outcome::Unknown, None),
            _ => self.note_done(now, pending),
        }
    }

    /// The kernel made what a step asked for.
    pub(super) fn note_done(&mut self, now: Instant, pending: Pending) {
        self.note_taken(&pending);
        self.undone.note_made(pending.step.subject);
        self.progress += 1;
        self.report(now, pending, Outcome::Done, None);
    }

    fn report(
        &mut self,
        now: Instant,
        pending: Pending,
        outcome: Outcome,
        retry_in: Option<Duration>,
    ) {
        let attempt = Attempt {
            step: pending.step,
            outcome,
            is_revert: pending.is_revert,
            sender: pending.noticed.sender,
            took: now.saturating_duration_since(pending.noticed.at),
            retry_in,
        };
        self.reports.push_back(Report::Attempted(Box::new(attempt)));
    }
}

/// Whether a refusal says that the wish is fulfilled (KERNEL, "error numbers of an already true
/// wish"), or that the link of the step is gone, whose news is on its way. Either way what is
/// really there is seen when the object is compared again.
fn is_moot(change: &Change, errno: i32) -> bool {
    match change {
        // A group without links is ENODEV too.
        _ if errno == libc::ENODEV => true,
        Change::PutAddress { .. } | Change::CreateRoute(_) => errno == libc::EEXIST,
        Change::DeleteAltname { .. } => errno == libc::ENOENT,
        Change::DeleteAddress { .. } => errno == libc::EADDRNOTAVAIL,
        Change::DeleteRoute(_) => errno == libc::ESRCH,
        Change::CreateRule(_) => errno == libc::EEXIST,
        Change::DeleteRule(_) | Change::DeleteNeighbour { .. } => {
            matches!(errno, libc::ENOENT | libc::ESRCH)
        }
        Change::DeleteVlans { .. } | Change::DeleteFdb(_) | Change::DeleteNexthop(_) => {
            errno == libc::ENOENT
        }
        Change::PutNexthop { replace: false, .. } => errno == libc::EEXIST,
        _ => false,
    }
}

/// Whether a refusal is that of a kernel before 6.2, which renames no link that is up.
fn is_live_rename(change: &Change, errno: i32) -> bool {
    errno == libc::EBUSY && matches!(change, Change::SetLink(update) if update.rename.is_some())
}
