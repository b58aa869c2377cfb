//! The routes of a great round, which are compared and taken into it as it goes: the kernel is busy
//! with the first of them by then.

use std::cell::OnceCell;
use std::time::Instant;

use super::{Mode, Noticed, Pending, Reconcile, Role, View, ready};
use crate::desired::DesiredRoute;
use crate::limits::{READING_SUBJECTS_MIN, ROUND_STEPS};
use crate::model::change::{Change, NextHop};
use crate::model::consequences::Standing;
use crate::model::network::Network;
use crate::plan::{Plan, Rank, Step, Subject};

/// What is still to come of a round: declared routes, most of them to be made.
#[derive(Debug, Default)]
pub(super) struct Rest {
    routes: std::vec::IntoIter<Subject>,
    planned: Option<Instant>,
    /// The plan of one of them; kept for its memory.
    own: Plan,
    standing: OnceCell<Standing>,
}

impl Rest {
    pub(super) fn new(now: Instant, routes: std::vec::IntoIter<Subject>) -> Self {
        Self { routes, planned: Some(now), ..Self::default() }
    }

    /// How many routes at most are still to be made.
    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }
}

impl Reconcile {
    /// Takes the routes out of `subjects`, where an apply declares a thousand and more and nothing
    /// is known against any of them: in the order in which they are made, which is theirs where
    /// they are taken in as the round goes.
    pub(super) fn split_routes(&self, subjects: &mut Vec<Subject>) -> Vec<Subject> {
        let is_apt = self.mode == Mode::Once
            && self.desired.routes.len() >= READING_SUBJECTS_MIN
            && self.labels.is_none()
            && self.refused.is_empty();
        if !is_apt {
            return Vec::new();
        }
        let is_route = |subject: &Subject| matches!(subject, Subject::Route(_));
        let (mut routes, others): (Vec<_>, _) = subjects.drain(..).partition(is_route);
        *subjects = others;
        // Of several next hops those that can be used decide, which is not known yet.
        let gateways = |route: &DesiredRoute| {
            let is_via = |hop: &NextHop| hop.via.is_some();
            let has_one = route.nexthop_id != 0 || route.via.is_some();
            let has_any = has_one || route.hops.iter().any(is_via);
            (has_any, has_any && route.hops.iter().all(is_via))
        };
        routes.sort_by_key(|subject| match subject {
            Subject::Route(at) => self.desired.routes.get(*at as usize).map(gateways),
            _ => None,
        });
        routes
    }

    /// Compares routes into `plan`, and returns those that are compared as the round goes: what is
    /// left after the first thousand, where no step changes what a route needs, and all of the
    /// thousand are new.
    pub(super) fn compare_first(
        &mut self,
        now: Instant,
        routes: Vec<Subject>,
        view: &View<'_>,
        plan: &mut Plan,
    ) -> std::vec::IntoIter<Subject> {
        let mut own = Plan::default();
        let puts_address = |step: &Step| matches!(step.change, Change::PutAddress { .. });
        let mut is_apt = plan.steps.iter().all(puts_address);
        let enough = plan.steps.len() + READING_SUBJECTS_MIN;
        let mut routes = routes.into_iter();
        while !is_apt || plan.steps.len() < enough {
            let Some(subject) = routes.next() else { break };
            self.compare(now, subject, view, &mut own);
            is_apt &= own.steps.iter().all(|step| is_new_route(step, view.network));
            plan.steps.append(&mut own.steps);
        }
        routes
    }

    /// Takes in more, so that there is something to be sent as long as anything is left.
    pub(super) fn refill(&mut self, network: &Network) {
        let Some(now) = self.rest.planned else { return };
        let noticed = Noticed::at(now);
        let mut rest = std::mem::take(&mut self.rest);
        let view = View { network, standing: std::mem::take(&mut rest.standing) };
        while self.round.len() < self.in_flight + ROUND_STEPS {
            let Some(subject) = rest.routes.next() else { return };
            self.compare(now, subject, &view, &mut rest.own);
            match &rest.own.steps[..] {
                [] => continue,
                [step] if is_new_route(step, network) => {}
                // It has its place among all steps of the next round, and so has what goes by
                // gateways that it may make reachable.
                steps => {
                    let direct = Rank::Route { has_gateway: false };
                    let is_direct = steps.iter().any(|step| step.rank == direct);
                    self.mark(subject, noticed);
                    if is_direct {
                        rest.routes.by_ref().for_each(|it| self.mark(it, noticed));
                    }
                    continue;
                }
            }
            let is_revert = self.clean.contains(subject);
            for step in rest.own.steps.drain(..) {
                if let Some(track) = self.permit(now, &step, noticed, is_revert) {
                    self.clean.remove(subject);
                    let (role, track) = (Role::Plain, Some(track));
                    self.round.push_back(Pending { step, noticed, is_revert, role, track });
                }
            }
        }
        rest.standing = view.standing;
        self.rest = rest;
    }
}

/// Whether a step makes a route, and can be sent at once.
fn is_new_route(step: &Step, network: &Network) -> bool {
    matches!(step.change, Change::CreateRoute(_)) && ready::is_ready(step, network)
}
