//! What others undo while a round is under way is made good between two of its batches: a round can
//! take seconds.
//!
//! Most of what differs then is the round's own doing, or is still to be done by it. So only that
//! is looked at which was as declared, before the round or by it, and which another one changed:
//! one that the news name, or, while nothing is sent that changes a link or an address, whoever it
//! was. All else is compared when the round has ended, and so is this once more.

use std::time::Instant;

use super::subjects::SubjectSet;
use super::{HashMap, HashSet, Mode, Noticed, OnceCell, Pending, Plan, Reconcile, Role, View};
use crate::limits::UNDONE_MAX;
use crate::model::network::Network;
use crate::plan::{Step, Subject};

/// What became of subjects since the round began.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// They were changed by others, and are to be looked at.
    waiting: Vec<Subject>,
    /// A step of theirs was made.
    made: SubjectSet,
    /// They were looked at within the round.
    righted: SubjectSet,
}

impl Undone {
    pub(super) fn begin_round(&mut self) {
        self.waiting.clear();
        self.made.clear();
        self.righted.clear();
    }

    pub(super) fn note_made(&mut self, subject: Subject) {
        self.made.insert(subject);
    }
}

impl Reconcile {
    /// There is news of it.
    pub(super) fn note_undone(&mut self, subject: Subject, noticed: Noticed) {
        if noticed.news == 0 || self.mode != Mode::Keep || subject == Subject::Strays {
            return;
        }
        let Some(next) = self.round.front() else { return };
        let was_as_declared = self.clean.contains(subject) || self.undone.righted.contains(subject);
        let may_be_undone = match noticed.sender {
            0 => was_as_declared && next.step.change.is_short(),
            _ => was_as_declared || self.undone.made.contains(subject),
        };
        // With an address go any number of routes, which are made good in vain without it.
        let room = match subject {
            Subject::Link(_) | Subject::Addresses(_) => 2 * UNDONE_MAX,
            _ => UNDONE_MAX,
        };
        let waiting = &mut self.undone.waiting;
        if may_be_undone && waiting.len() < room && !waiting.contains(&subject) {
            waiting.push(subject);
        }
    }

    /// Whether the round is to stop after what is on its way.
    pub(crate) fn has_undone(&self) -> bool {
        !self.undone.waiting.is_empty()
    }

    /// Puts before the rest of the round what makes it good.
    pub(super) fn plan_undone(&mut self, now: Instant, network: &Network) {
        if self.in_flight > 0 || !self.has_undone() {
            return;
        }
        let undone = self.take_undone();
        if undone.is_empty() {
            return;
        }
        self.planning += 1;
        let (mut plan, mut own) = (Plan::default(), Plan::default());
        let mut noticed = HashMap::default();
        let view = View { network, standing: OnceCell::new() };
        let mut made = Vec::new();
        for subject in undone {
            noticed.extend(self.dirty.remove(&subject).map(|it| (subject, it)));
            // What the round has made is a revert too.
            let was_clean = self.clean.contains(subject);
            self.clean.insert(subject);
            self.undone.righted.insert(subject);
            self.compare(now, subject, &view, &mut own);
            if !was_clean && !own.steps.is_empty() {
                made.push(subject);
            }
            plan.steps.append(&mut own.steps);
        }
        plan.sort();
        let left = self.round.len();
        if plan.steps.iter().any(Step::is_recreation) {
            // What stands on such a link waits for a round of its own.
            self.dirty.extend(noticed);
        } else {
            for step in plan.steps {
                let noticed = noticed.get(&step.subject).copied().unwrap_or(Noticed::at(now));
                self.admit(now, step, noticed, network);
            }
        }
        for subject in made {
            self.clean.remove(subject);
        }
        for pending in self.round.range(left..) {
            self.clean.remove(pending.step.subject);
        }
        self.round.rotate_right(self.round.len() - left);
    }

    /// Those that are to be looked at now. What the round has steps left for comes with them.
    fn take_undone(&mut self) -> Vec<Subject> {
        let mut undone = std::mem::take(&mut self.undone.waiting);
        let is_plain = |it: &Pending| it.role == Role::Plain && !it.step.is_recreation();
        let is_apt = self.round.front().is_some_and(is_plain)
            && self.labels.is_none()
            && self.bulk.is_none()
            && !self.is_to_be_read;
        if !is_apt {
            undone.clear();
        }
        let is_made = |it: &&Subject| !self.clean.contains(**it) && self.undone.made.contains(**it);
        let mut made: HashSet<_> = undone.iter().filter(is_made).copied().collect();
        if !made.is_empty() {
            for pending in &self.round {
                made.remove(&pending.step.subject);
            }
        }
        undone.retain(|it| self.clean.contains(*it) || made.contains(it));
        undone
    }
}
