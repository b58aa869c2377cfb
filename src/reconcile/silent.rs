//! What the kernel does not announce: the links that are read for it, and when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Mode, Noticed, Reconcile};
use crate::desired::{Desired, DesiredLink};
use crate::model::change::Change;
use crate::model::hash::HashSet;
use crate::model::kind::{News, Settings};
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::plan::{Step, Subject};

/// Links to be read, and what waits for it.
#[derive(Debug)]
pub(super) struct Silent {
    /// How often what is declared is read again.
    interval: Duration,
    due: Option<Instant>,
    /// The declared links of which something may change in silence, up or down.
    positions: Vec<u32>,
    wanted: Vec<u32>,
    /// Links of which a change was acknowledged that may not be told; at most the declared ones.
    unseen: HashSet<ObjectId>,
    /// Subjects whose last change was acknowledged and is not seen.
    waiting: BTreeMap<Subject, Noticed>,
}

impl Silent {
    pub(super) fn new(desired: &Desired, interval: Duration) -> Self {
        let (positions, wanted, waiting) = (Vec::new(), Vec::new(), BTreeMap::new());
        let unseen = HashSet::default();
        let mut silent = Self { interval, due: None, positions, wanted, unseen, waiting };
        silent.become_declared(desired);
        silent
    }

    /// That is what is declared from now on.
    pub(super) fn become_declared(&mut self, desired: &Desired) {
        let links = (0..).zip(&desired.links);
        let positions = links.filter(|(_, link)| may_change_when_down(link)).map(|(at, _)| at);
        self.positions = positions.collect();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether something waits for a link to be read.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Reconcile {
    /// What is not announced is read again that often.
    pub(crate) fn rereading_every(mut self, interval: Duration) -> Self {
        self.silent.interval = interval;
        self
    }

    /// The links to be read now.
    pub(crate) fn poll_looks(&mut self, now: Instant, network: &Network, want: impl FnMut(u32)) {
        if self.silent.due.is_some_and(|due| due <= now) {
            self.start_interval(now);
            for position in &self.silent.positions {
                let Some(declared) = self.desired.links.get(*position as usize) else { continue };
                let bound = self.bindings.index_at(*position).and_then(|index| network.link(index));
                let Some(link) = bound.or_else(|| network.link_named(declared.name)) else {
                    continue;
                };
                if !link.is_up() || may_change_when_up(declared) {
                    self.silent.wanted.push(link.index);
                }
            }
        }
        self.silent.wanted.drain(..).for_each(want);
    }

    /// Begins to count the time to the next reading.
    pub(super) fn start_interval(&mut self, now: Instant) {
        let is_kept = self.mode != Mode::Once && !self.silent.positions.is_empty();
        self.silent.due = is_kept.then(|| now + self.silent.interval);
    }

    /// Something came that may tell of a silent change of that link.
    pub(super) fn look_at(&mut self, index: u32) {
        self.silent.wanted.push(index);
    }

    /// Whether a link is declared with that key of every link.
    pub(super) fn declares(&self, position: u32, key: &str) -> bool {
        let link = self.desired.links.get(position as usize);
        link.is_some_and(|link| link.common.by_name(key).is_some())
    }

    /// The kernel took a change, which may have gone without news of it.
    pub(super) fn note_unseen(&mut self, change: &Change) {
        if may_be_silent(change) {
            self.silent.unseen.insert(change.object());
        }
    }

    /// Whether a step waits until its link has been read: what was acknowledged last may be so, and
    /// not have been told.
    pub(super) fn is_looked_at_first(
        &mut self,
        step: &Step,
        noticed: Noticed,
        is_revert: bool,
        network: &Network,
    ) -> bool {
        if self.silent.waiting.contains_key(&step.subject) {
            return true;
        }
        let object = step.change.object();
        let ObjectId::Link(name) = object else { return false };
        let is_unseen = self.silent.unseen.remove(&object) && !is_revert;
        let index = network.index_of(name).filter(|_| is_unseen && may_be_silent(&step.change));
        if let Some(index) = index {
            self.silent.wanted.push(index);
            self.silent.waiting.insert(step.subject, noticed);
        }
        index.is_some()
    }

    /// All links that were to be read have been.
    pub(crate) fn handle_looked(&mut self) {
        if !self.silent.wanted.is_empty() {
            return;
        }
        for (subject, noticed) in std::mem::take(&mut self.silent.waiting) {
            self.mark(subject, noticed);
        }
    }
}

/// Whether a change may go through without news of it.
fn may_be_silent(change: &Change) -> bool {
    match change {
        Change::SetSysctls { .. } => true,
        Change::AddAltname { .. } | Change::DeleteAltname { .. } => true,
        Change::SetLink(it) => {
            let has_settings = it.common.is_some() || it.settings.is_some() || it.port.is_some();
            has_settings || it.group.is_some() || it.alias.is_some()
        }
        _ => false,
    }
}

/// Whether settings of it change without certain news where it is up.
fn may_change_when_up(link: &DesiredLink) -> bool {
    link.common.iter().any(|(key, _)| key.news != News::Link)
}

/// The same where it is down.
fn may_change_when_down(link: &DesiredLink) -> bool {
    let tables = [Some(link.common), link.settings, link.port];
    let is_variable = |it: &Settings| it.iter().any(|(key, _)| !key.only_at_creation);
    let is_named = link.alias.is_some() || link.altnames.is_some();
    is_named || link.group.is_some() || tables.iter().flatten().any(is_variable)
}
