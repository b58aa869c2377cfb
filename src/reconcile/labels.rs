//! Labels as links come, go and change their names.
//!
//! Which link a block with a match takes is judged when there is news of what a match looks at, of
//! that link alone. Only where that changes an answer is the declared state put in order anew;
//! what it says otherwise by that is looked at again, and what stays keeps its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use std::time::Instant;

use super::{Noticed, Reconcile, Role};
use crate::desired::{Desired, Resolution};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::object::{Object, What};
use crate::plan::{DesiredIndex, Subject, subjects_of_link};

/// The declared state as it is written, and which links are which.
#[derive(Debug)]
pub(super) struct Labels {
    declared: Desired,
    resolution: Resolution,
    /// Whether all links have been judged once.
    is_begun: bool,
    /// Links of which there was news since they were judged.
    stale: BTreeMap<u32, Noticed>,
}

impl Labels {
    pub(super) fn new(declared: Desired) -> Self {
        let resolution = Resolution::new(&declared);
        Self { declared, resolution, is_begun: false, stale: BTreeMap::new() }
    }

    /// Whether every link has been judged as it is.
    pub(super) fn is_resolved(&self) -> bool {
        self.is_begun && self.stale.is_empty()
    }
}

impl Reconcile {
    /// Remembers links whose news may change what they are taken by.
    pub(super) fn note_for_labels(&mut self, what: &What, noticed: Noticed) {
        let Some(labels) = &mut self.labels else { return };
        let link = match what {
            What::Changed { before: Object::Link(before), after: Object::Link(after) } => {
                if !is_known_otherwise(before, after) {
                    return;
                }
                after
            }
            What::New(Object::Link(link)) | What::Deleted(Object::Link(link)) => link,
            _ => return,
        };
        labels.stale.entry(link.index).or_insert(noticed);
        // Where it has the name of a declared link, the one that had it is that link no more.
        let named = self.index.link(link.name);
        let before = named.and_then(|position| self.bindings.index_at(position));
        labels.stale.extend(before.map(|before| (before, noticed)));
    }

    /// What is not sent yet of a round was meant for links that may be others by now.
    pub(super) fn drop_stale(&mut self) {
        if self.labels.as_ref().is_none_or(|labels| labels.stale.is_empty()) {
            return;
        }
        let mut at = 0;
        let (in_flight, mut dropped) = (self.in_flight, Vec::new());
        self.round.retain(|pending| {
            at += 1;
            let stays = at <= in_flight || pending.role != Role::Plain;
            if !stays {
                dropped.push((pending.step.subject, pending.noticed));
            }
            stays
        });
        for (subject, noticed) in dropped {
            self.mark(subject, noticed);
        }
    }

    /// Judges the links of which there was news, and puts the labels in order where that changes
    /// anything.
    pub(super) fn resolve_labels(&mut self, now: Instant, network: &Network) {
        if self.labels.as_ref().is_none_or(Labels::is_resolved) {
            return;
        }
        let Some(mut labels) = self.labels.take() else { return };
        let mut stale = std::mem::take(&mut labels.stale);
        let mut is_changed = !labels.is_begun;
        if !std::mem::replace(&mut labels.is_begun, true) {
            let noticed = Noticed::at(now);
            stale.extend(network.links().map(|link| (link.index, noticed)));
        }
        let mut first = Noticed::at(now);
        for (index, noticed) in stale {
            let link = network.link(index).filter(|_| !self.is_named(index, network, &labels));
            if labels.resolution.judge(&labels.declared, index, link) {
                is_changed = true;
                first = if noticed.at < first.at { noticed } else { first };
            }
        }
        if is_changed {
            let resolved = labels.resolution.resolved(&labels.declared, network);
            self.become_resolved(resolved, first);
        }
        self.labels = Some(labels);
    }

    /// Whether a link is one that a block names, under another name for the moment: it is renamed
    /// back.
    fn is_named(&self, index: u32, network: &Network, labels: &Labels) -> bool {
        let position = self.bindings.position(index);
        let position = position.filter(|&position| !labels.resolution.is_by_match(position));
        let name = position.and_then(|at| Some(self.desired.links.get(at as usize)?.name));
        name.is_some_and(|name| network.index_of(name).is_none_or(|bearer| bearer == index))
    }

    /// Takes the declared state with other names, and looks at all that differs by that.
    fn become_resolved(&mut self, resolved: Desired, noticed: Noticed) {
        let index = Arc::new(DesiredIndex::new(&resolved));
        let mut changed = Vec::new();
        let before = std::mem::replace(&mut self.desired, resolved);
        let after = &self.desired;
        for (at, link) in (0..).zip(&after.links) {
            let known = before.links.get(at as usize);
            if known != Some(link) {
                changed.extend(subjects_of_link(link, at));
            }
            if known.is_none_or(|known| known.name != link.name) {
                self.bindings.forget(at);
            }
        }
        for (at, route) in (0..).zip(after.routes.iter()) {
            let is_same_way = index.route_devs(at) == self.index.route_devs(at);
            if before.routes.get(at as usize) != Some(route) || !is_same_way {
                changed.push(Subject::Route(at));
            }
        }
        for (at, nexthop) in (0..).zip(&after.nexthops) {
            if before.nexthops.get(at as usize) != Some(nexthop) {
                changed.push(Subject::Nexthop(at));
            }
        }
        for (at, rule) in (0..).zip(&after.rules) {
            if before.rules.get(at as usize) != Some(rule) {
                changed.push(Subject::Rule(at));
            }
        }
        for (at, neighbour) in (0..).zip(&after.neighbours) {
            if before.neighbours.get(at as usize) != Some(neighbour) {
                changed.push(Subject::Neighbour(at));
            }
        }
        changed.extend(after.owner.as_ref().map(|_| Subject::Strays));
        self.index = index;
        self.silent.become_declared(&self.desired);
        if self.silent.poll_timeout().is_none() {
            self.start_interval(noticed.at);
        }
        for subject in changed {
            // It differs because it is another link, not because someone changed it.
            self.clean.remove(subject);
            self.mark(subject, noticed);
        }
    }
}

/// Whether a match may judge the two otherwise.
fn is_known_otherwise(before: &Link, after: &Link) -> bool {
    before.name != after.name
        || before.altnames() != after.altnames()
        || before.permanent_mac() != after.permanent_mac()
        || before.parent() != after.parent()
}
