//! The routes of a great round, which are taken into it as it goes: the kernel is busy with the
//! first of them by then.

use std::time::Instant;

use super::{Mode, Noticed, Pending, Reconcile, Role, ready};
use crate::limits::{READING_SUBJECTS_MIN, ROUND_STEPS};
use crate::model::change::Change;
use crate::model::network::Network;
use crate::plan::Step;

/// What is still to come of a round: new routes, of which nothing has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Rest {
    steps: std::vec::IntoIter<Step>,
    planned: Option<Instant>,
}

impl Rest {
    pub(super) fn new(now: Instant, steps: std::vec::IntoIter<Step>) -> Self {
        Self { steps, planned: Some(now) }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

impl Reconcile {
    /// How many steps of a plan are to be taken in at once: all but the routes at its end, where an
    /// apply makes a thousand and more, no other step changes what they need, and nothing is known
    /// against any of them.
    pub(super) fn count_first(&self, steps: &[Step], network: &Network) -> usize {
        let makes_route = |step: &Step| matches!(step.change, Change::CreateRoute(_));
        let first = steps.iter().rposition(|step| !makes_route(step)).map_or(0, |at| at + 1);
        let (others, routes) = steps.split_at(first);
        let is_apt = self.mode == Mode::Once
            && routes.len() >= READING_SUBJECTS_MIN
            && self.labels.is_none()
            && self.refused.is_empty()
            && others.iter().all(|step| matches!(step.change, Change::PutAddress { .. }))
            && routes.iter().all(|step| ready::is_ready(step, network));
        if is_apt { first } else { steps.len() }
    }

    /// Takes in more, so that there is something to be sent as long as anything is left.
    pub(super) fn refill(&mut self) {
        let Some(now) = self.rest.planned else { return };
        let noticed = Noticed::at(now);
        while self.round.len() < self.in_flight + ROUND_STEPS {
            let Some(step) = self.rest.steps.next() else {
                self.rest = Rest::default();
                break;
            };
            let is_revert = self.clean.contains(step.subject);
            if let Some(track) = self.permit(now, &step, noticed, is_revert) {
                self.clean.remove(step.subject);
                let (role, track) = (Role::Plain, Some(track));
                self.round.push_back(Pending { step, noticed, is_revert, role, track });
            }
        }
    }
}
