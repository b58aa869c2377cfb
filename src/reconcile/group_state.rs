//! Many links set up or down as one: the owner's group is, in one request.
//!
//! One by one, a link takes the kernel the longer the more are up, and a third of that in a group.
//! What is made in great number is therefore made down, though it shall be up. As with deletions
//! (`bulk.rs`) the tables are read first: the owner's group may hold what was not meant.

use super::bulk::{Bulk, Member, Stage, Task};
use super::{Pending, Reconcile, Role};
use crate::desired::State;
use crate::limits::{
    MADE_DOWN_MIN, STATES_TOGETHER_MAX, STATES_TOGETHER_MIN, STATES_TOGETHER_PART,
};
use crate::model::change::{Change, LinkUpdate, NewLink};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::text::LinkName;
use crate::plan::Rank;

impl Reconcile {
    /// Where many links are to be set up, or down, leaves that to a request for the owner's group.
    pub(super) fn gather_states(&mut self, network: &Network) {
        // A revert does not wait for a reading.
        if self.bulk.is_some() || self.round.iter().any(|pending| pending.is_revert) {
            return;
        }
        let Some(group) = self.desired.owner.as_ref().map(|owner| owner.group) else {
            return;
        };
        self.make_down(group, network);
        let member = |pending: &Pending, up: bool| {
            let Change::SetLink(update) = &pending.step.change else { return None };
            let is_all = **update == LinkUpdate { up: Some(up), ..LinkUpdate::new(update.link) };
            let is_one = |link: &&Link| link.group == group && !link.kind.is_empty();
            let link = network.link_named(update.link).filter(is_one)?;
            (is_all && !self.singly.contains(&link.name)).then_some(link)
        };
        let links = network.links().len();
        let are_many = |up: &bool| {
            let count = self.round.iter().filter_map(|pending| member(pending, *up)).count();
            let is_in_bounds = (STATES_TOGETHER_MIN..=STATES_TOGETHER_MAX).contains(&count);
            let are_enough = is_in_bounds && count >= links / STATES_TOGETHER_PART;
            are_enough && !self.is_any_left_out(group, *up, network)
        };
        let Some(up) = [true, false].into_iter().find(are_many) else {
            return;
        };
        let (mut members, mut round) = (Vec::new(), Vec::new());
        for pending in std::mem::take(&mut self.round) {
            if let Some(link) = member(&pending, up) {
                let link = link.clone();
                members.push(Member { pending, link });
            } else if pending.step.rank < (Rank::SetLink { depth: 0 }) {
                round.push(pending);
            }
            // What may need them up, or down, is planned again after the reading.
        }
        let stage = if round.is_empty() { Stage::Moved } else { Stage::Moving };
        self.round = round.into();
        self.bulk = Some(Bulk { task: Task::Set { up }, group, members, moved: 0, stage });
    }

    /// Whether the owner's group has a link, or gets one in this round, that a request to set all
    /// of it up, or down, would change and must not: the reading before it would be in vain.
    fn is_any_left_out(&self, group: u32, up: bool, network: &Network) -> bool {
        let wanted = if up { State::Up } else { State::Down };
        let is_meant = |name: LinkName| {
            let declared = self.index.link(name).and_then(|at| self.desired.links.get(at as usize));
            declared.is_some_and(|link| link.state == Some(wanted))
        };
        let is_left_out =
            |link: &Link| link.group == group && link.is_up() != up && !is_meant(link.name);
        let mut made = self.round.iter().filter_map(|pending| match &pending.step.change {
            Change::CreateLink(new) if new.group == Some(group) => Some(new),
            _ => None,
        });
        let names = |new: &NewLink| [Some(new.name), new.settings.peer()].into_iter().flatten();
        network.links().any(is_left_out) || made.any(|new| names(new).any(|name| !is_meant(name)))
    }

    /// Lets many links of the owner's that are made in this round be made down. Not pairs, of which
    /// an end costs little while the other one is down; and not where some are made anew, for what
    /// stands on those was up.
    fn make_down(&mut self, group: u32, network: &Network) {
        let is_eligible = |pending: &Pending| match &pending.step.change {
            Change::CreateLink(new) => {
                let is_single = new.settings.peer().is_none();
                new.up && new.group == Some(group) && is_single && pending.role == Role::Plain
            }
            _ => false,
        };
        let count = self.round.iter().filter(|pending| is_eligible(pending)).count();
        let is_any_anew = self.round.iter().any(|pending| pending.step.is_recreation());
        if count < MADE_DOWN_MIN || is_any_anew || self.is_any_left_out(group, true, network) {
            return;
        }
        for pending in self.round.iter_mut().filter(|pending| is_eligible(pending)) {
            if let Change::CreateLink(new) = &mut pending.step.change {
                new.up = false;
                self.made_down.insert(new.name);
            }
        }
    }
}
