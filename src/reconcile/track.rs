//! The history of one object: failed attempts, reverts, and when the next may be made.

use std::time::{Duration, Instant};

use crate::limits::{
    IN_VAIN_MAX, IN_VAIN_WINDOW, QUIET_RESET, RETRY_DELAY_MAX, RETRY_DELAY_MIN, REVERT_WINDOW,
    REVERTS_AT_ONCE_MAX,
};

/// What is remembered of an object that had to be changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// When the latest reverts were sent, oldest first.
    reverts: [Option<Instant>; REVERTS_AT_ONCE_MAX],
    /// The delay that applies now, where it is fought over or fails.
    delay: Option<Duration>,
    last_attempt: Option<Instant>,
    gate: Gate,
    pub(super) failures: u32,
    /// How many acknowledged changes in a row have left it different.
    in_vain: u32,
}

/// Whether the object may be changed now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// Failed or fought over: not before then.
    Waiting(Instant),
}

/// What [`Track::revert`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Now,
    /// Someone keeps changing it back: not before then.
    Conflict(Instant, Duration),
}

impl Track {
    /// When the object may be changed, if not now.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        match self.gate {
            Gate::Waiting(until) if until > now => Some(until),
            _ => None,
        }
    }

    /// What held it back is gone; a fight's delay stays.
    pub(super) fn released(&mut self) {
        if self.failures > 0 {
            self.gate = Gate::Open;
        }
    }

    /// The object was right and is not any more: may it be put right at once?
    pub(super) fn revert(&mut self, now: Instant) -> Verdict {
        if self.last_attempt.is_some_and(|last| now - last >= QUIET_RESET) {
            *self = Self::default();
        }
        if matches!(self.gate, Gate::Waiting(_)) {
            // Its delay is over, else it would not be asked.
            self.gate = Gate::Open;
            return Verdict::Now;
        }
        let recent = |at: &Instant| now - *at < REVERT_WINDOW;
        let is_fight =
            self.delay.is_some() || self.reverts.iter().all(|at| at.as_ref().is_some_and(recent));
        if !is_fight {
            return Verdict::Now;
        }
        let delay = self.next_delay();
        let until = now + delay;
        self.gate = Gate::Waiting(until);
        Verdict::Conflict(until, delay)
    }

    /// A change is sent.
    pub(super) fn sent(&mut self, now: Instant, is_revert: bool) {
        let is_new = self.last_attempt.is_none_or(|last| now - last >= IN_VAIN_WINDOW);
        if is_revert || is_new {
            self.in_vain = 0;
        }
        self.last_attempt = Some(now);
        if is_revert {
            self.reverts.rotate_left(1);
            self.reverts[REVERTS_AT_ONCE_MAX - 1] = Some(now);
        }
    }

    /// The kernel took it.
    pub(super) fn succeeded(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.delay = None;
        }
        self.in_vain += 1;
    }

    /// It was refused or had no effect; returns when to try again.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.in_vain = 0;
        let delay = self.next_delay();
        self.gate = Gate::Waiting(now + delay);
        delay
    }

    /// Whether nothing of it needs to be remembered.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        self.failures == 0 && self.last_attempt.is_none_or(|last| now - last >= QUIET_RESET)
    }

    /// Whether the kernel keeps acknowledging a change that the object does not show.
    pub(super) fn is_in_vain(&self) -> bool {
        self.in_vain >= IN_VAIN_MAX
    }

    fn next_delay(&mut self) -> Duration {
        let next = self.delay.map_or(RETRY_DELAY_MIN, |delay| (delay * 2).min(RETRY_DELAY_MAX));
        self.delay = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_reverts_are_made_at_once_then_the_delay_doubles() {
        let start = Instant::now();
        let mut track = Track::default();
        let mut now = start;
        for _ in 0..REVERTS_AT_ONCE_MAX {
            assert_eq!(track.revert(now), Verdict::Now);
            track.sent(now, true);
            track.succeeded();
            now += Duration::from_millis(1);
        }
        let mut expected = RETRY_DELAY_MIN;
        for _ in 0..12 {
            let Verdict::Conflict(until, delay) = track.revert(now) else { panic!("at once") };
            assert_eq!(delay, expected);
            assert_eq!(track.not_before(now), Some(until));
            now = until;
            assert_eq!(track.not_before(now), None);
            assert_eq!(track.revert(now), Verdict::Now);
            track.sent(now, true);
            track.succeeded();
            expected = (expected * 2).min(RETRY_DELAY_MAX);
        }
        assert_eq!(expected, RETRY_DELAY_MAX);
        now += QUIET_RESET;
        assert_eq!(track.revert(now), Verdict::Now);
    }

    #[test]
    fn reverts_spread_over_time_are_no_fight() {
        let mut track = Track::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            assert_eq!(track.revert(now), Verdict::Now);
            track.sent(now, true);
            track.succeeded();
            now += REVERT_WINDOW / 4;
        }
    }

    #[test]
    fn failures_back_off_and_a_release_opens() {
        let mut track = Track::default();
        let now = Instant::now();
        assert_eq!(track.failed(now), RETRY_DELAY_MIN);
        assert_eq!(track.failed(now), RETRY_DELAY_MIN * 2);
        assert!(track.not_before(now).is_some());
        track.released();
        assert_eq!(track.not_before(now), None);
    }
}
