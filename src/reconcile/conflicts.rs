//! Who may be changed when: what others keep changing back slows down, and what is refused.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use super::track::{Asking, Refused, Track, Verdict};
use super::{Contested, Mode, Noticed, Pending, Reconcile, Report};
use crate::model::change::Change;
use crate::model::object::ObjectId;
use crate::plan::{Step, Subject};

/// Of an unsigned change the first notification may be of our own.
const NEWS_OF_OTHERS: u32 = 2;

impl Reconcile {
    /// The netlink port id that our changes are sent from. What bears it is no one else's; what
    /// bears none may be anyone's.
    pub(crate) fn set_own_port(&mut self, port: u32) {
        self.own_port = port;
    }

    /// How many objects are fought over.
    pub(crate) fn conflicts(&self) -> usize {
        self.conflicts.len()
    }

    /// Whether an object that was refused may be tried again now; if not, when is noted.
    pub(super) fn may_retry(&mut self, now: Instant, object: ObjectId, subject: Subject) -> bool {
        let Some(refused) = self.refused.get(&object) else {
            return true;
        };
        if self.mode == Mode::Once {
            return refused.progress.is_some_and(|then| then != self.progress);
        }
        match refused.until.filter(|until| *until > now) {
            Some(until) => {
                self.later.insert((until, subject));
                false
            }
            None => true,
        }
    }

    /// Where the history of a step is that may be made now; if it may not, that is told once, and
    /// when it may is noted.
    pub(super) fn permit(
        &mut self,
        now: Instant,
        step: &Step,
        noticed: Noticed,
        is_revert: bool,
    ) -> Option<usize> {
        let (object, subject, key) = (step.change.object(), step.subject, contested(step));
        let is_by_others = noticed.sender != 0 || noticed.news >= NEWS_OF_OTHERS;
        let planning = self.planning;
        let asking = Asking { planning, is_revert, is_by_others, about: about(step) };
        let entry = self.tracks.entry(key);
        let place = entry.index();
        let (at, told) = match entry.or_default().permit(now, asking) {
            Verdict::Now => return Some(place),
            Verdict::Later(at) => (at, None),
            Verdict::Conflict(at, retry_in) => {
                self.begin_conflict(key, object);
                (at, Some(retry_in))
            }
            Verdict::InVain(at, retry_in) => (at, Some(retry_in)),
        };
        if let Some(retry_in) = told {
            let sender = noticed.sender;
            self.reports.push_back(match self.conflicts.contains_key(&key) {
                true => Report::Conflict { object, sender, retry_in },
                false => Report::WithoutEffect { step: Box::new(step.clone()), retry_in },
            });
        }
        if let Change::DeleteLink(name) = step.change {
            self.restore_group(now, name, subject);
        }
        self.put_off(at, object, subject);
        None
    }

    /// An `apply` does not wait for others to give in.
    fn put_off(&mut self, at: Instant, object: ObjectId, subject: Subject) {
        if self.mode == Mode::Once {
            self.refuse(at, object, None);
        } else {
            self.later.insert((at, subject));
        }
    }

    /// The object was refused, or nothing came of its change; how long until it is tried again.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        object: ObjectId,
        progress: Option<u64>,
    ) -> Duration {
        let refused = Refused::again(self.refused.get(&object), now, progress);
        self.refused.insert(object, refused);
        refused.delay()
    }

    /// The kernel took a step.
    pub(super) fn note_taken(&mut self, pending: &Pending) {
        let Pending { step, track, .. } = pending;
        self.note_unseen(&step.change);
        if !self.refused.is_empty() {
            self.refused.remove(&step.change.object());
        }
        let key = contested(step);
        let at = track.filter(|at| self.tracks.get_index(*at).is_some_and(|it| *it.0 == key));
        let at = at.or_else(|| self.tracks.get_index_of(&key));
        if let Some((_, track)) = at.and_then(|at| self.tracks.get_index_mut(at)) {
            track.taken();
        }
    }

    fn begin_conflict(&mut self, key: Contested, object: ObjectId) {
        let is_new = self.conflicts.insert(key, object).is_none();
        if let Some(from) = self.tracks.get(&key).and_then(Track::quiet_from).filter(|_| is_new) {
            self.quiet.insert((from, key));
        }
    }

    /// Ends the fights that no one goes on with.
    pub(super) fn note_quiet(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.quiet.first().filter(|(at, _)| *at <= now) {
            self.quiet.remove(&(at, key));
            let from = self.tracks.get(&key).and_then(Track::quiet_from);
            if let Some(from) = from.filter(|from| *from > now) {
                self.quiet.insert((from, key));
            } else if let Some(object) = self.conflicts.remove(&key) {
                self.tracks.swap_remove(&key);
                self.reports.push_back(Report::ConflictOver { object });
            }
        }
    }
}

/// Addresses are many on a link, each with its own right; what is not declared could be another
/// thing each time, and counts as one.
fn contested(step: &Step) -> Contested {
    let of_its_own = matches!(step.change, Change::PutAddress { .. });
    (step.subject, of_its_own.then(|| step.change.object()))
}

/// A number of what a step is about: what is done, to what, and which keys differ. What they differ
/// from may be anything.
fn about(step: &Step) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    (step.change.op(), step.change.object()).hash(&mut hasher);
    step.differences.iter().for_each(|difference| difference.key.hash(&mut hasher));
    hasher.finish()
}
