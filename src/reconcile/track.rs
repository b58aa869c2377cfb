//! The history of one thing that may be fought over: when it was changed, by us, and what came of
//! it; and of one that is refused. They decide when the next change may be made.

use std::time::{Duration, Instant};

use crate::limits::{
    ATTEMPTS_UNSETTLED_MAX, IN_VAIN_MAX, IN_VAIN_WINDOW, QUIET_RESET, RETRY_DELAY_MAX,
    RETRY_DELAY_MIN, REVERT_WINDOW, REVERTS_AT_ONCE_MAX,
};

/// What is remembered of a thing that had to be changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// When the latest reverts were made, oldest first.
    reverts: [Option<Instant>; REVERTS_AT_ONCE_MAX],
    /// The delay that applies now, where it is fought over or does not take what it is given. It
    /// stays until there is quiet.
    delay: Option<Duration>,
    /// Fought over: not before then.
    until: Option<Instant>,
    last_attempt: Option<Instant>,
    /// What the latest attempt was about, and whether the kernel took it.
    about: u64,
    is_taken: bool,
    /// How many attempts in a row the kernel took that left it different in the same way.
    in_vain: u32,
    /// How many attempts there were since it was last as declared.
    unsettled: u32,
    /// The planning that the verdict is of, which holds for all its steps.
    planning: u64,
    verdict: Option<Verdict>,
}

/// A step that asks to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    /// The planning that it is of.
    pub(super) planning: u64,
    /// Whether the thing was as declared.
    pub(super) is_revert: bool,
    /// Whether someone else has changed the thing since the last step.
    pub(super) is_by_others: bool,
    /// What differs; the same number for the same difference.
    pub(super) about: u64,
}

/// What [`Track::permit`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is made.
    Now,
    /// Not before then, which has been told.
    Later(Instant),
    /// Someone keeps changing it back: not before then.
    Conflict(Instant, Duration),
    /// The kernel takes the change, and nothing comes of it: not before then.
    InVain(Instant, Duration),
}

impl Track {
    /// Whether a change may be made now.
    pub(super) fn permit(&mut self, now: Instant, asking: Asking) -> Verdict {
        if let Some(verdict) = self.verdict.filter(|_| self.planning == asking.planning) {
            return match verdict {
                Verdict::Conflict(until, _) | Verdict::InVain(until, _) => Verdict::Later(until),
                other => other,
            };
        }
        if self.is_quiet(now) {
            *self = Self::default();
        }
        let verdict = self.judge(now, asking);
        (self.planning, self.verdict) = (asking.planning, Some(verdict));
        verdict
    }

    fn judge(&mut self, now: Instant, asking: Asking) -> Verdict {
        if let Some(until) = self.until.filter(|until| *until > now) {
            return Verdict::Later(until);
        }
        let is_same = self.is_taken && self.about == asking.about;
        let is_revert = asking.is_revert || (is_same && asking.is_by_others);
        if asking.is_revert {
            (self.in_vain, self.unsettled) = (0, 0);
        } else if self.last_attempt.is_none_or(|last| now - last >= IN_VAIN_WINDOW) {
            // What is that far apart is not in a row.
            (self.in_vain, self.unsettled) = (0, 1);
        } else {
            self.in_vain = if is_same && !is_revert { self.in_vain + 1 } else { 0 };
            self.unsettled += 1;
        }
        // An attempt that was put off until now is made.
        if self.until.take().is_none() && self.is_to_wait(now, is_revert) {
            let delay = next_delay(self.delay);
            let until = now + delay;
            (self.delay, self.until) = (Some(delay), Some(until));
            return match is_revert {
                true => Verdict::Conflict(until, delay),
                false => Verdict::InVain(until, delay),
            };
        }
        if is_revert {
            self.reverts.rotate_left(1);
            self.reverts[REVERTS_AT_ONCE_MAX - 1] = Some(now);
        }
        self.last_attempt = Some(now);
        (self.about, self.is_taken) = (asking.about, false);
        Verdict::Now
    }

    fn is_to_wait(&self, now: Instant, is_revert: bool) -> bool {
        let is_recent = |at: &Option<Instant>| at.is_some_and(|at| now - at < REVERT_WINDOW);
        let in_vain_max = if self.delay.is_some() { 1 } else { IN_VAIN_MAX };
        (is_revert && (self.delay.is_some() || self.reverts.iter().all(is_recent)))
            || self.in_vain >= in_vain_max
            || self.unsettled >= ATTEMPTS_UNSETTLED_MAX
    }

    /// The kernel took the latest attempt.
    pub(super) fn taken(&mut self) {
        self.is_taken = true;
    }

    /// Since when it counts as peaceful again, if nothing happens until then.
    pub(super) fn quiet_from(&self) -> Option<Instant> {
        self.last_attempt.map(|last| last + QUIET_RESET)
    }

    /// Whether nothing of it needs to be remembered.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.quiet_from().is_none_or(|from| from <= now)
    }
}

/// An object whose last change was refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    delay: Duration,
    /// Not before then; `None` where something has come that may let it succeed.
    pub(super) until: Option<Instant>,
    /// The count of successes then; `None` where none of them lets it be tried again.
    pub(super) progress: Option<u64>,
}

impl Refused {
    /// After what it was before, if it was.
    pub(super) fn again(before: Option<&Self>, now: Instant, progress: Option<u64>) -> Self {
        let delay = next_delay(before.map(|before| before.delay));
        Self { delay, until: Some(now + delay), progress }
    }

    /// How long until the next attempt.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }
}

fn next_delay(before: Option<Duration>) -> Duration {
    before.map_or(RETRY_DELAY_MIN, |delay| (delay * 2).min(RETRY_DELAY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing and the time, each question a planning of its own.
    struct Thing {
        track: Track,
        now: Instant,
        planning: u64,
    }

    impl Thing {
        fn new() -> Self {
            Self { track: Track::default(), now: Instant::now(), planning: 0 }
        }

        fn permit(&mut self, is_revert: bool, is_by_others: bool, about: u64) -> Verdict {
            self.planning += 1;
            let asking = Asking { planning: self.planning, is_revert, is_by_others, about };
            let verdict = self.track.permit(self.now, asking);
            if verdict == Verdict::Now {
                self.track.taken();
            }
            verdict
        }

        fn revert(&mut self) -> Verdict {
            self.permit(true, true, 7)
        }
    }

    #[test]
    fn five_reverts_are_made_at_once_then_the_delay_doubles() {
        let mut it = Thing::new();
        for _ in 0..REVERTS_AT_ONCE_MAX {
            assert_eq!(it.revert(), Verdict::Now);
            it.now += Duration::from_millis(1);
        }
        let mut expected = RETRY_DELAY_MIN;
        for _ in 0..12 {
            let Verdict::Conflict(until, delay) = it.revert() else { panic!("at once") };
            assert_eq!(delay, expected);
            assert_eq!(it.revert(), Verdict::Later(until));
            it.now = until;
            assert_eq!(it.revert(), Verdict::Now);
            expected = (expected * 2).min(RETRY_DELAY_MAX);
        }
        assert_eq!(expected, RETRY_DELAY_MAX);
        it.now += QUIET_RESET;
        assert_eq!(it.revert(), Verdict::Now);
        assert_eq!(it.revert(), Verdict::Now);
    }

    #[test]
    fn reverts_spread_over_time_are_no_fight() {
        let mut it = Thing::new();
        for _ in 0..100 {
            assert_eq!(it.revert(), Verdict::Now);
            it.now += REVERT_WINDOW / 4;
        }
    }

    #[test]
    fn a_rival_that_is_faster_than_our_look_gains_no_more_attempts() {
        let mut it = Thing::new();
        let mut made = 0;
        let start = it.now;
        while it.now < start + Duration::from_secs(10) {
            // It never is as declared when it is looked at, and differs as before.
            made += usize::from(it.permit(made == 0, true, 7) == Verdict::Now);
            it.now += Duration::from_millis(1);
        }
        // Five at once, and one after each of 0.1, 0.2, 0.4, 0.8, 1.6 and 3.2 seconds.
        assert_eq!(made, REVERTS_AT_ONCE_MAX + 6);
    }

    #[test]
    fn what_the_kernel_takes_in_vain_is_tried_thrice_and_then_later_and_later() {
        let mut it = Thing::new();
        for _ in 0..IN_VAIN_MAX {
            assert_eq!(it.permit(false, false, 7), Verdict::Now);
        }
        let mut expected = RETRY_DELAY_MIN;
        for _ in 0..5 {
            let Verdict::InVain(until, delay) = it.permit(false, false, 7) else { panic!("no") };
            assert_eq!(delay, expected);
            it.now = until;
            assert_eq!(it.permit(false, false, 7), Verdict::Now);
            expected *= 2;
        }
    }

    #[test]
    fn the_steps_of_one_planning_go_together_and_count_once() {
        let mut it = Thing::new();
        let asking = Asking { planning: 9, is_revert: true, is_by_others: true, about: 7 };
        for _ in 0..20 {
            assert_eq!(it.track.permit(it.now, asking), Verdict::Now);
        }
        assert_eq!(it.revert(), Verdict::Now);
    }

    #[test]
    fn what_differs_otherwise_each_time_is_bounded_too() {
        let mut it = Thing::new();
        let verdicts = (0..20).map(|about| it.permit(false, true, about) == Verdict::Now);
        assert_eq!(verdicts.filter(|made| *made).count(), ATTEMPTS_UNSETTLED_MAX as usize - 1);
    }

    #[test]
    fn refusals_back_off() {
        let now = Instant::now();
        let first = Refused::again(None, now, None);
        let second = Refused::again(Some(&first), now, None);
        assert_eq!((first.delay(), second.delay()), (RETRY_DELAY_MIN, RETRY_DELAY_MIN * 2));
        assert_eq!(second.until, Some(now + second.delay()));
    }
}
