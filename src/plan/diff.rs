//! Compares one declared object at a time with the observed network.
//!
//! A whole plan is every object compared; a correction is the touched ones. Both come through
//! the same functions, so they cannot disagree.

use std::cell::OnceCell;

use std::sync::Arc;

use super::{Blocked, DesiredIndex, Difference, Plan, Rank, Reason, Step};
use crate::desired::{Desired, DesiredLink, State, Unmatched};
use crate::model::address::SCOPE_LINK;
use crate::model::change::Change;
use crate::model::consequences::{Standing, Taken, Trigger, taken_along};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::route::PROTOCOL_KERNEL;
use crate::model::text::LinkName;

/// What is compared at a time; the numbers are positions in the declared state's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// A link's own settings.
    Link(u32),
    /// All addresses of a link.
    Addresses(u32),
    /// All VLANs of a port of a bridge, or of a bridge itself.
    Vlans(u32),
    /// All forwarding entries of a link.
    Fdb(u32),
    /// A next hop object.
    Nexthop(u32),
    /// A route.
    Route(u32),
    /// A rule, and ours of its priority.
    Rule(u32),
    /// A neighbour.
    Neighbour(u32),
    /// What is ours and not declared.
    Strays,
}

/// One comparison: what is wanted, what is, and the plan that takes the differences.
pub(crate) struct Diff<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) index: &'a DesiredIndex,
    pub(crate) observed: &'a Network,
    pub(crate) standing: &'a OnceCell<Standing>,
    /// Whether a link may be up when it is renamed, as it may since Linux 6.2.
    pub(crate) renames_live: bool,
    pub(crate) plan: &'a mut Plan,
}

impl Diff<'_> {
    /// Compares one subject. `bound` is the index of the link that the subject was found as
    /// before, by which a rename is told from a deletion.
    pub(crate) fn subject(&mut self, subject: Subject, bound: Option<u32>) {
        match subject {
            Subject::Link(position) => self.link(position, bound),
            Subject::Addresses(position) => self.addresses(position, bound),
            Subject::Vlans(position) => self.vlans(position, bound),
            Subject::Fdb(position) => self.fdb(position, bound),
            Subject::Nexthop(position) => self.nexthop(position),
            Subject::Route(position) => self.route(position),
            Subject::Rule(position) => self.rule(position),
            Subject::Neighbour(position) => self.neighbour(position),
            Subject::Strays => self.strays(),
        }
    }

    /// Whether a link exists, or this plan makes it.
    pub(super) fn will_exist(&self, name: LinkName) -> bool {
        self.observed.link_named(name).is_some() || self.is_ours_to_make(name)
    }

    pub(super) fn is_ours_to_make(&self, name: LinkName) -> bool {
        let Some(wanted) = self.declared(name) else {
            return false;
        };
        let wanted = wanted.peer_of.and_then(|owner| self.declared(owner)).unwrap_or(wanted);
        let Some(settings) = wanted.settings else {
            return false;
        };
        let has_ground = settings.lower().is_none_or(|lower| self.will_exist(lower));
        has_ground && self.netns_obstacle(&settings).is_none()
    }

    pub(super) fn declared(&self, name: LinkName) -> Option<&DesiredLink> {
        self.desired.links.get(self.index.link(name)? as usize)
    }

    /// Whether a link is up, or will be by the time that the links on it are made.
    pub(super) fn is_up_before(&self, name: LinkName) -> bool {
        let declared = self.declared(name).and_then(|wanted| wanted.state);
        match self.observed.link_named(name) {
            Some(found) => declared == Some(State::Up) || (declared.is_none() && found.is_up()),
            // A peer is made down and brought up by a step of its own.
            None => self
                .declared(name)
                .is_some_and(|wanted| wanted.peer_of.is_none() && declared == Some(State::Up)),
        }
    }

    /// The objects that go along, save those that go because the plan itself says so.
    pub(super) fn taken(&self, trigger: Trigger) -> Vec<ObjectId> {
        self.named(taken_along(self.observed, trigger))
    }

    pub(super) fn named(&self, taken: impl IntoIterator<Item = Taken>) -> Vec<ObjectId> {
        let mut taken: Vec<_> = taken
            .into_iter()
            .filter(|taken| !self.is_kernels_own(taken))
            .map(|taken| match taken {
                Taken::Address(key) => self.observed.id_of_address(key),
                Taken::Route(key) => self.observed.id_of_route(key),
            })
            .collect();
        taken.sort_unstable();
        taken
    }

    /// The same of a link that is deleted: its own, the links that go with it, and theirs. Left
    /// out are links of which `is_known` says that the plan deletes them anyway.
    pub(super) fn taken_with_link(
        &self,
        index: u32,
        is_known: impl Fn(&Link) -> bool,
    ) -> Vec<ObjectId> {
        let mut taken = self.taken(Trigger::LinkGone(index));
        for link in self.standing().along(index) {
            let Some(link) = self.observed.link(link) else { continue };
            if !is_known(link) {
                taken.push(ObjectId::Link(link.name));
                taken.extend(self.taken(Trigger::LinkGone(link.index)));
            }
        }
        taken
    }

    /// Connected, local and link-local entries come and go with what they belong to; naming
    /// them would bury what matters.
    fn is_kernels_own(&self, taken: &Taken) -> bool {
        match *taken {
            Taken::Route(key) => {
                self.observed.route(key).is_none_or(|route| route.protocol == PROTOCOL_KERNEL)
            }
            Taken::Address(key) => {
                self.observed.address(key).is_none_or(|own| own.scope == SCOPE_LINK)
            }
        }
    }

    pub(super) fn step(
        &mut self,
        subject: Subject,
        rank: Rank,
        change: Change,
        differences: Vec<Difference>,
        also_removes: Vec<ObjectId>,
    ) {
        let (mut needs, mut needs_source) = (None, None);
        if let Subject::Route(position) = subject {
            // The first that is not there yet, where any is not.
            let devs = self.index.route_devs(position).iter().flatten().copied();
            needs = devs.min_by_key(|dev| self.observed.index_of(*dev).is_some());
            needs_source = self.desired.routes.get(position as usize).and_then(|it| it.source);
        }
        if let Subject::Nexthop(position) = subject {
            let devs = self.index.nexthop_devs(position).iter().copied();
            needs = devs.min_by_key(|dev| self.observed.index_of(*dev).is_some());
        }
        if matches!(change, Change::DeleteRoute(_) | Change::DeleteNexthop(_)) {
            (needs, needs_source) = (None, None);
        }
        let interrupts = self.interrupted(subject, rank, &change);
        self.plan.steps.push(Step {
            differences,
            also_removes,
            interrupts,
            needs,
            needs_source,
            ..Step::bare(change, subject, rank)
        });
    }

    /// The links that are up and carry nothing from such a step on until a later one.
    fn interrupted(&self, subject: Subject, rank: Rank, change: &Change) -> Vec<ObjectId> {
        let is_to_be_down = match subject {
            Subject::Link(position) => {
                let wanted = self.desired.links.get(position as usize);
                wanted.is_some_and(|wanted| wanted.state == Some(State::Down))
            }
            _ => false,
        };
        let is_recreation = matches!(rank, Rank::Recreate { .. });
        let name = match change {
            Change::DeleteLink(name) if is_recreation => *name,
            Change::SetLink(update) if update.up == Some(false) && !is_to_be_down => update.link,
            _ => return Vec::new(),
        };
        let Some(index) = self.observed.index_of(name) else {
            return Vec::new();
        };
        // What goes with a link that is deleted comes back only where it is declared.
        let comes_back = |link: &&Link| {
            !is_recreation || link.index == index || self.declared(link.name).is_some()
        };
        let along = self.standing().along(index);
        let links = std::iter::once(index).chain(along).filter_map(|it| self.observed.link(it));
        let links = links.filter(|link| link.is_up()).filter(comes_back);
        links.map(|link| ObjectId::Link(link.name)).collect()
    }

    /// Which links are deleted with which; found out once, since that looks at all of them.
    pub(super) fn standing(&self) -> &Standing {
        self.standing.get_or_init(|| Standing::new(self.observed))
    }

    pub(super) fn block(&mut self, subject: Subject, object: ObjectId, reason: Reason) {
        let unmatched = match &reason {
            Reason::NoSuchLink(name) | Reason::LinkIsDown(name) => self.desired.unmatched(*name),
            _ => None,
        };
        let reason = match unmatched {
            None => reason,
            Some(Unmatched { label, wanted, links }) => match links[..] {
                [one, other, ..] => Reason::SeveralMatch { label: *label, links: (one, other) },
                _ => Reason::NoMatch { label: *label, wanted: Arc::clone(wanted) },
            },
        };
        let object = self.desired.as_written(object);
        self.plan.blocked.push(Blocked { object, reason, subject });
    }

    pub(super) fn suspend(&mut self, object: ObjectId) {
        let object = self.desired.as_written(object);
        self.plan.suspended.push(object);
    }
}
