//! Many deletions as one: the links move into the group of the doomed, and the group is deleted.
//! Where all that the owner made goes, its own group is.
//!
//! Deleted one by one, each link waits for the kernel's RCU; a group waits once. But a group is a
//! number that anyone can set, so before the deletion the tables are read anew, and
//! only links that are still the ones meant are in the group then, or nothing is deleted so. The
//! kernel refuses a group whole: what it refuses is deleted one by one. Links that are set up or
//! down by their group (`group_state.rs`) go the same way, from the reading on.

use std::time::Instant;

use super::{Noticed, Pending, Reconcile, Role};
use crate::limits::DELETIONS_SINGLY_MAX;
use crate::model::change::{Change, LinkUpdate};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::refusal::Outcome;
use crate::model::text::LinkName;
use crate::plan::{Rank, Step, Subject};

/// Links on their way to be deleted together, or to be set up or down.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) task: Task,
    pub(super) group: u32,
    pub(super) members: Vec<Member>,
    /// How many of them, from the first on, are in the group. The answers come in their order.
    pub(super) moved: usize,
    pub(super) stage: Stage,
}

/// What is done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Delete,
    Set { up: bool },
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The links are being moved into the group.
    Moving,
    /// They are there, and the tables are to be read.
    Moved,
    /// The tables are being read.
    Reading,
    /// The tables tell what is in the group.
    Read,
    /// The request for the group is on its way.
    Sent,
}

/// One of the links.
#[derive(Debug)]
pub(super) struct Member {
    /// What was to be done to it alone.
    pub(super) pending: Pending,
    /// As it was then.
    pub(super) link: Link,
}

impl Reconcile {
    /// Takes the deletions out of the round where they are many, and puts moves in their place.
    pub(super) fn gather_deletions(&mut self, network: &Network) {
        let Some(owner) = &self.desired.owner else {
            return;
        };
        let eligible = |pending: &Pending| match pending.step.change {
            Change::DeleteLink(name) => {
                let made = |link: &&Link| !link.kind.is_empty();
                network.link_named(name).filter(made).filter(|_| !self.singly.contains(&name))
            }
            _ => None,
        };
        let count = self.round.iter().filter_map(eligible).count();
        if count <= DELETIONS_SINGLY_MAX {
            return;
        }
        // Where all that bears the owner's mark goes it is together already, and whatever gets that
        // mark meanwhile is the owner's and to go too.
        let is_marked = |link: &&Link| link.group == owner.group;
        let is_whole = owner.prune
            && self.round.iter().filter_map(eligible).filter(is_marked).count() == count
            && network.links().filter(is_marked).count() == count;
        let group = if is_whole { owner.group } else { owner.doomed() };
        let mut members = Vec::new();
        let mut round = Vec::new();
        for pending in std::mem::take(&mut self.round) {
            match eligible(&pending) {
                Some(link) => {
                    let link = link.clone();
                    members.push(Member { pending, link });
                }
                None => round.push(pending),
            }
        }
        let moves = members.iter().filter(|it| it.link.group != group).map(|it| {
            let name = it.link.name;
            let step = set_group(name, group, it.pending.step.subject, it.pending.step.rank);
            Pending { step, role: Role::Move, ..it.pending }
        });
        round.extend(moves);
        // What waits for nothing is not moved, and then there is no answer to wait for either.
        let stage = if round.is_empty() { Stage::Moved } else { Stage::Moving };
        self.round = round.into();
        self.bulk = Some(Bulk { task: Task::Delete, group, members, moved: 0, stage });
    }

    /// Whether the tables are to be read now: before something is done to a group, of which it says
    /// so once, or to see what came of a long round.
    pub(crate) fn poll_reading(&mut self) -> bool {
        let is_idle = self.round.is_empty();
        match &mut self.bulk {
            None => {
                self.is_deaf &= !self.is_to_be_read;
                self.is_to_be_read
            }
            Some(bulk) if bulk.stage == Stage::Moved && is_idle => {
                bulk.stage = Stage::Reading;
                true
            }
            _ => false,
        }
    }

    /// Does to the group what is to be done, if that concerns just those that are meant.
    pub(super) fn send_group(&mut self, now: Instant, network: &Network) {
        let Some(bulk) = &mut self.bulk else {
            return;
        };
        let (group, task) = (bulk.group, bulk.task);
        let is_concerned = |link: &Link| match task {
            Task::Delete => link.group == group,
            Task::Set { up } => link.group == group && link.is_up() != up,
        };
        bulk.members.retain(|it| {
            let now = network.link(it.link.index).filter(|now| is_concerned(now));
            now.is_some_and(|now| is_the_same(now, &it.link, group))
        });
        let concerned = network.links().filter(|link| is_concerned(link)).count();
        if concerned != bulk.members.len() || bulk.members.is_empty() {
            return self.give_up_bulk(now);
        }
        let (change, rank) = match task {
            Task::Delete => {
                (Change::DeleteGroup(group), Rank::DeleteLink { depth: std::cmp::Reverse(0) })
            }
            Task::Set { up } => (Change::SetGroup { group, up }, Rank::SetLink { depth: 0 }),
        };
        let subject = bulk.members.first().map_or(Subject::Strays, |it| it.pending.step.subject);
        let step = Step::bare(change, subject, rank);
        let noticed = Noticed::at(now);
        self.round.push_back(Pending::new(step, noticed, Role::Group));
        bulk.stage = Stage::Sent;
    }

    /// The answer to what was done to the group.
    pub(super) fn handle_group_result(&mut self, now: Instant, outcome: Outcome) {
        if outcome != Outcome::Done {
            return self.give_up_bulk(now);
        }
        let Some(Bulk { task, members, .. }) = self.bulk.take() else { return };
        for Member { pending, link } in members {
            match task {
                Task::Delete => self.touched.push(pending.step.subject),
                // All of it is told, and much is still to be done: this is no round to read after.
                Task::Set { .. } => self.mark(pending.step.subject, Noticed::at(now)),
            }
            if self.made_down.remove(&link.name) {
                // That it is up was told when it was made.
                self.note_taken(&pending);
            } else {
                self.note_done(now, pending);
            }
        }
    }

    /// What is left of it is done to each alone.
    fn give_up_bulk(&mut self, now: Instant) {
        for Member { pending, link } in self.bulk.take().into_iter().flat_map(|it| it.members) {
            self.singly.insert(link.name);
            self.mark(pending.step.subject, Noticed::at(now));
        }
    }

    /// A link was moved, or could not be: `deletion` is what is told of it then.
    pub(super) fn handle_moved_to_group(&mut self, name: LinkName, is_done: bool) -> Option<Step> {
        let bulk = self.bulk.as_mut()?;
        let rest = bulk.members.get(bulk.moved..)?;
        let at = bulk.moved + rest.iter().position(|it| it.link.name == name)?;
        bulk.moved = at;
        if is_done {
            bulk.moved += 1;
            self.moved.insert(name, bulk.members[at].link.group);
            return None;
        }
        Some(bulk.members.remove(at).pending.step)
    }

    /// Forgets the doomed that have gone, and what was made down that is up.
    pub(super) fn forget_gone(&mut self, network: &Network) {
        let is_there = |name: &LinkName| network.index_of(*name).is_some();
        self.moved.retain(|name, _| is_there(name));
        self.singly.retain(is_there);
        let is_down = |name: &LinkName| network.link_named(*name).is_some_and(|it| !it.is_up());
        self.made_down.retain(is_down);
    }

    /// A link that is to go and is among the doomed already: an earlier run did not come to it. If
    /// the kernel does not delete it, it is to leave them, whatever group it had.
    pub(super) fn note_doomed(&mut self, step: &Step, network: &Network) {
        let (&Change::DeleteLink(name), Some(owner)) = (&step.change, &self.desired.owner) else {
            return;
        };
        let is_doomed = |link: &Link| link.group == owner.doomed() && !link.kind.is_empty();
        if network.link_named(name).is_some_and(is_doomed) {
            let group = if step.subject == Subject::Strays { owner.group } else { 0 };
            self.moved.entry(name).or_insert(group);
        }
    }

    /// A link that the kernel does not delete goes back to the group that it was taken from.
    pub(super) fn restore_group(&mut self, now: Instant, name: LinkName, subject: Subject) {
        let Some(group) = self.moved.remove(&name) else {
            return;
        };
        let step = set_group(name, group, subject, Rank::SetLink { depth: 0 });
        let noticed = Noticed::at(now);
        self.round.push_back(Pending::new(step, noticed, Role::Restore));
    }
}

/// Whether the link of that index is still the one that is to be deleted, and in the group.
fn is_the_same(now: &Link, then: &Link, group: u32) -> bool {
    (now.name, now.kind, now.mac, now.group) == (then.name, then.kind, then.mac, group)
}

fn set_group(name: LinkName, group: u32, subject: Subject, rank: Rank) -> Step {
    let update = LinkUpdate { group: Some(group), ..LinkUpdate::new(name) };
    Step::bare(Change::from(update), subject, rank)
}
