//! What a host is told to reach or to keep, and when it is told to stop.

use std::time::{Duration, Instant};

use super::Host;
use crate::desired::Desired;
use crate::plan::Step;
use crate::reconcile::{Mode, Reconcile};

impl Host {
    /// What we change bears that port id, where the kernel tells one.
    pub(crate) fn with_own_port(self, own_port: u32) -> Self {
        Self { own_port, ..self }
    }

    /// From now on `desired` is what is to be reached, or kept.
    pub(crate) fn set_desired(&mut self, now: Instant, mode: Mode, desired: Desired) {
        if self.requests.is_busy() {
            // Its answers belong to the steps of the old state, which nobody waits for any more.
            self.forget_requests();
        }
        let mut reconcile = Reconcile::new(mode, desired).rereading_every(self.silent_reread);
        reconcile.set_own_port(self.own_port);
        if self.synced {
            reconcile.handle_synced(now);
        }
        self.reconcile = Some(reconcile);
        self.verified = None;
        self.halted = false;
    }

    /// How often what is declared and not announced is read again, of what is declared from now on.
    pub(crate) fn set_silent_reread(&mut self, interval: Duration) {
        self.silent_reread = interval;
    }

    /// Sends these steps once, in their order, in place of what was to be reached before.
    pub(crate) fn set_steps(&mut self, now: Instant, steps: &[Step]) {
        self.forget_requests();
        self.reconcile = Some(Reconcile::with_steps(now, steps));
        self.halted = false;
    }

    /// Sends no more changes; those under way are still answered, and then it is not busy.
    pub(crate) fn halt(&mut self) {
        self.halted = true;
        self.withdraw();
    }

    fn forget_requests(&mut self) {
        (self.requests, self.ahead, self.answered) = Default::default();
    }

    /// Halts when that many changes have been sent, counted from the first.
    pub(crate) fn halt_after(&mut self, changes: u64) {
        self.changes_max = changes;
    }

    /// Whether no more changes are sent.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }
}
