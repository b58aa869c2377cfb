//! Pairs whose other end is in another network namespace, as that one comes and goes.

use std::time::Instant;

use super::{Noticed, Reconcile, Role};
use crate::model::change::Change;
use crate::model::text::LinkName;
use crate::plan::subjects_of_link;

impl Reconcile {
    /// The changes that are to be sent next, in their order.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = &Change> {
        self.round.iter().skip(self.in_flight).map(|pending| &pending.step.change)
    }

    /// The number of the namespace that the other end of a declared pair is in.
    pub(crate) fn netns_of(&self, link: LinkName) -> Option<u16> {
        let declared = self.desired.links.get(self.index.link(link)? as usize)?;
        declared.settings?.peer_netns()
    }

    /// Something else is known of a namespace: what was to be made in it is looked at again first.
    pub(crate) fn handle_netns(&mut self, now: Instant, netns: u16) {
        let positions = self.index.with_peer_in(netns);
        let subjects = positions.iter().filter_map(|&position| {
            let link = self.desired.links.get(position as usize)?;
            Some(subjects_of_link(link, position))
        });
        let subjects: Vec<_> = subjects.flatten().collect();
        let (in_flight, mut at) = (self.in_flight, 0);
        self.round.retain(|pending| {
            at += 1;
            let is_planned = at > in_flight && pending.role == Role::Plain;
            !(is_planned && subjects.contains(&pending.step.subject))
        });
        for subject in subjects {
            self.mark(subject, Noticed::at(now));
        }
        self.note_end_of_round(now);
    }
}
