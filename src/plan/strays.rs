//! What bears our mark and is not declared: it is taken away.
//!
//! Links of the owner's group where it prunes, and always those of the group of the doomed, which
//! an earlier run decided to delete and did not come to. Nothing that the document names in any
//! place is a stray.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::Rank;
use super::diff::{Diff, Subject};
use super::index::slot_of;
use crate::desired::{Owner, PROTOCOL_DEFAULT};
use crate::limits::LINK_DEPTH_MAX;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::consequences::Trigger;
use crate::model::link::Link;
use crate::model::route::Route;

impl Diff<'_> {
    pub(super) fn strays(&mut self) {
        let Some(owner) = &self.desired.owner else {
            return;
        };
        let observed = self.observed;
        let strays: HashSet<_> = observed
            .links()
            .filter(|link| self.is_stray_link(link, owner))
            .map(|link| link.index)
            .collect();
        if !strays.is_empty() {
            self.stray_links(&strays);
        }
        self.stray_addresses(owner);
        self.stray_routes(owner, &strays);
        self.stray_nexthops(owner, &strays);
        self.stray_rules(owner);
        self.stray_neighbours(owner);
    }

    fn is_stray_link(&self, link: &Link, owner: &Owner) -> bool {
        is_marked(link, owner) && !self.is_named(link)
    }

    /// A link that the document speaks of, or that is the other end of one: it would go along.
    fn is_named(&self, link: &Link) -> bool {
        let other_end = self.other_end(link);
        let ends = std::iter::once(link).chain(other_end);
        ends.into_iter().any(|end| !self.index.touched_by_link(end.name).is_empty())
    }

    fn other_end(&self, link: &Link) -> Option<&Link> {
        let is_paired = link.settings.is_some_and(|settings| settings.kind.has_peer());
        self.observed.link(link.lower).filter(|_| is_paired && link.lower_netns.is_none())
    }

    fn stray_links(&mut self, strays: &HashSet<u32>) {
        let observed = self.observed;
        for link in observed.links().filter(|link| strays.contains(&link.index)) {
            let is_known = |along: &Link| strays.contains(&along.index);
            let also_removes = self.taken_with_link(link.index, is_known);
            let rank = Rank::DeleteLink { depth: Reverse(self.observed_depth(link)) };
            let change = Change::DeleteLink(link.name);
            self.step(Subject::Strays, rank, change, Vec::new(), also_removes);
        }
    }

    /// How many links that one stands on.
    fn observed_depth(&self, link: &Link) -> u16 {
        let is_paired = |link: &Link| link.settings.is_some_and(|it| it.kind.has_peer());
        let below = |link: &&Link| {
            let is_here = link.lower_netns.is_none() && !is_paired(link);
            self.observed.link(link.lower).filter(|_| is_here)
        };
        let chain = std::iter::successors(Some(link), below).skip(1).take(LINK_DEPTH_MAX);
        u16::try_from(chain.count()).unwrap_or(u16::MAX)
    }

    fn stray_addresses(&mut self, owner: &Owner) {
        let observed = self.observed;
        for &(link, prefix) in &self.desired.gone.addresses {
            let index = observed.index_of(link);
            let mut on_link = index.into_iter().flat_map(|index| observed.addresses_of(index));
            let is_it = |now: &&Address| now.key.prefix == prefix && now.protocol == owner.protocol;
            let Some(now) = on_link.find(is_it) else {
                continue;
            };
            let also_removes = self.taken(Trigger::AddressGone(now.key));
            let change = Change::DeleteAddress { link, prefix, peer: now.key.peer };
            self.step(Subject::Strays, Rank::DeleteAddress, change, Vec::new(), also_removes);
        }
    }

    /// Those through a link that goes are not named: they go with it.
    fn stray_routes(&mut self, owner: &Owner, strays: &HashSet<u32>) {
        let observed = self.observed;
        if !owner.prune {
            return;
        }
        let gone = self.desired.gone.routes.iter();
        let gone: HashSet<_> = gone.map(slot_of).collect();
        let ours = observed.unsorted_routes().filter(|route| route.protocol == owner.protocol);
        let mut ours: Vec<_> = ours.collect();
        ours.sort_unstable_by_key(|route| route.key);
        for route in ours {
            let mut devs = route.hops.iter().map(|hop| hop.dev).chain([route.key.dev]);
            let goes_along = devs.any(|dev| strays.contains(&dev));
            let is_ours = gone.contains(&route.key.slot) || self.is_route_of(route, owner);
            let is_declared = !self.index.routes_in(route.key.slot).is_empty();
            if is_ours && !is_declared && !goes_along {
                let removal = Change::DeleteRoute(self.observed_change(route));
                self.step(Subject::Strays, Rank::DeleteRoute, removal, Vec::new(), Vec::new());
            }
        }
    }

    /// Those of the default protocol may be another's, unless they are named.
    fn stray_rules(&mut self, owner: &Owner) {
        let (observed, gone) = (self.observed, &self.desired.gone.rules);
        let ours = observed.rules().filter(|rule| rule.protocol == owner.protocol && owner.prune);
        for rule in ours {
            let is_ours = owner.protocol != PROTOCOL_DEFAULT
                || gone.iter().any(|declared| declared.is_alike(rule));
            let is_declared = !self.index.rules_in(rule.is_ipv6, rule.priority).is_empty();
            if is_ours && !is_declared {
                let removal = Change::DeleteRule(Box::new(*rule));
                self.step(Subject::Strays, Rank::DeleteRule, removal, Vec::new(), Vec::new());
            }
        }
    }

    /// The same of next hop objects; with them go the routes of others that use them.
    fn stray_nexthops(&mut self, owner: &Owner, strays: &HashSet<u32>) {
        let (observed, gone) = (self.observed, &self.desired.gone.nexthops);
        let ours = observed.nexthops().filter(|it| it.protocol == owner.protocol && owner.prune);
        for nexthop in ours {
            let is_through_ours =
                || observed.link(nexthop.dev).is_some_and(|dev| is_marked(dev, owner));
            let is_ours = owner.protocol != PROTOCOL_DEFAULT
                || gone.contains(&nexthop.id)
                || is_through_ours();
            let goes_along = strays.contains(&nexthop.dev);
            if is_ours && !goes_along && self.index.nexthop(nexthop.id).is_none() {
                let along = self.taken(Trigger::NexthopGone(nexthop.id));
                let removal = Change::DeleteNexthop(nexthop.id);
                self.step(Subject::Strays, Rank::DeleteNexthop, removal, Vec::new(), along);
            }
        }
    }

    /// The same of neighbours.
    fn stray_neighbours(&mut self, owner: &Owner) {
        let (observed, gone) = (self.observed, &self.desired.gone.neighbours);
        let ours = observed.neighbours().filter(|it| it.protocol == owner.protocol && owner.prune);
        for neighbour in ours {
            let address = neighbour.key.address;
            let Some(link) = observed.name_of(neighbour.key.index) else { continue };
            let is_ours = owner.protocol != PROTOCOL_DEFAULT
                || gone.iter().any(|it| (it.dev, it.address) == (link, address));
            if is_ours && self.index.neighbour(link, address).is_none() {
                let removal = Change::DeleteNeighbour { link, address };
                let rank = Rank::DeleteNeighbour;
                self.step(Subject::Strays, rank, removal, Vec::new(), Vec::new());
            }
        }
    }

    /// Whether a route of the owner's protocol can have been made by nobody else.
    fn is_route_of(&self, route: &Route, owner: &Owner) -> bool {
        let is_through_ours =
            || self.observed.link(route.key.dev).is_some_and(|dev| is_marked(dev, owner));
        owner.protocol != PROTOCOL_DEFAULT || is_through_ours()
    }
}

/// Whether a link bears the owner's mark and may be taken away for it.
fn is_marked(link: &Link, owner: &Owner) -> bool {
    // What no kind made, such as a network card, cannot have been made by us.
    let is_made = !link.kind.is_empty();
    is_made && ((owner.prune && link.group == owner.group) || link.group == owner.doomed())
}
