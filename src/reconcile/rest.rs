//! The routes of a great round, which are taken into it as it goes: the kernel is busy with the
//! first of them by then.

use std::time::Instant;

use super::{Mode, Noticed, Pending, Reconcile, Role, ready};
use crate::limits::{READING_SUBJECTS_MIN, ROUND_STEPS};
use crate::model::change::Change;
use crate::model::network::Network;
use crate::plan::{Plan, Step};

/// What is still to come of a round: new routes, of which nothing has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Rest {
    steps: std::vec::IntoIter<Step>,
    planned: Option<Instant>,
}

impl Rest {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

impl Reconcile {
    /// Takes the routes out of `plan` that need not be taken in at once: an apply makes a thousand and
    /// more, no other step changes what they need, and nothing is known against any of them.
    pub(super) fn take_rest(&self, now: Instant, plan: &mut Plan, network: &Network) -> Rest {
        let makes_route = |step: &Step| matches!(step.change, Change::CreateRoute(_));
        let first = plan.steps.iter().rposition(|step| !makes_route(step)).map_or(0, |at| at + 1);
        let (others, routes) = plan.steps.split_at(first);
        let is_apt = self.mode == Mode::Once
            && routes.len() >= READING_SUBJECTS_MIN
            && self.labels.is_none()
            && self.refused.is_empty()
            && others.iter().all(|step| matches!(step.change, Change::PutAddress { .. }))
            && routes.iter().all(|step| ready::is_ready(step, network));
        if !is_apt {
            return Rest::default();
        }
        Rest { steps: plan.steps.split_off(first).into_iter(), planned: Some(now) }
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
