//! What the kernel took away without a word while its tables were being read.
//!
//! A part of a dump may be older than the news that were read before it, and then shows what one
//! of them took along. What a notification names is known by its key (`host/mirror.rs`); this
//! remembers the rest, and judges what a dump shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::limits::SILENCED_MAX;
use crate::model::address::Address;
use crate::model::consequences::{Fate, Trigger, fate, may_turn_tentative};
use crate::model::route::{Route, RouteSlot};

/// The changes since a reading began that took something in silence.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// By link; of each kind of change one is enough.
    of_links: BTreeMap<u32, Changes>,
    nexthops: BTreeSet<u32>,
    /// Addresses that went, and may have been the source of routes.
    sources: BTreeSet<IpAddr>,
    /// Where a route came or went, and what it meant for the others only the kernel knows.
    slots: BTreeSet<RouteSlot>,
    /// Whether there were more than are remembered.
    is_crowded: bool,
}

#[derive(Debug, Default)]
struct Changes {
    down: Option<Trigger>,
    gone: Option<Trigger>,
    /// It lost an address of IPv4: `Goes` where that was its last one for certain, or `Unclear`.
    bare: Option<(Trigger, Fate)>,
}

impl Silence {
    /// Remembers a change.
    pub(super) fn note(&mut self, trigger: Trigger) {
        if self.is_full() {
            return;
        }
        match trigger {
            Trigger::LinkDown(index) => self.of_link(index).down = Some(trigger),
            Trigger::LinkGone(index) => self.of_link(index).gone = Some(trigger),
            Trigger::AddressGone(key) => drop(self.sources.insert(key.prefix.address)),
            Trigger::NexthopGone(id) => drop(self.nexthops.insert(id)),
            // Its parts are announced, each for itself.
            Trigger::Ipv6Off(_) => {}
        }
    }

    /// Remembers that a link lost the last of its IPv4 addresses, for certain or perhaps.
    pub(super) fn note_bare(&mut self, index: u32, trigger: Trigger, most: Fate) {
        if !self.is_full() {
            let bare = &mut self.of_link(index).bare;
            let before = bare.map_or(Fate::Stays, |(_, most)| most);
            *bare = Some((trigger, before.max(most)));
        }
    }

    /// Remembers that a route came in the place of another one, or an IPv6 next hop went.
    pub(super) fn note_slot(&mut self, slot: RouteSlot) {
        if !self.is_full() {
            self.slots.insert(slot);
        }
    }

    /// Whether a route that a dump shows went since. What came after that is announced.
    pub(super) fn fate_of_route(&self, route: &Route) -> Fate {
        let devs = std::iter::once(route.key.dev).chain(route.hops.iter().map(|hop| hop.dev));
        let of_links = devs.filter_map(|dev| self.of_links.get(&dev));
        let by_link = of_links.map(|changes| changes.fate_of_route(route)).max();
        let by_nexthop = match self.nexthops.contains(&route.nexthop_id) {
            true => Fate::Goes,
            false => Fate::Stays,
        };
        let has_source = |source: IpAddr| self.sources.contains(&source);
        let is_unclear = self.has_slot(route.key.slot) || route.source.is_some_and(has_source);
        let otherwise = if is_unclear { Fate::Unclear } else { Fate::Stays };
        by_link.unwrap_or(Fate::Stays).max(by_nexthop).max(otherwise)
    }

    /// The same for an address, which may also have changed.
    pub(super) fn fate_of_address(&self, address: &Address) -> Fate {
        match self.of_links.get(&address.key.index) {
            Some(changes) if changes.gone.is_some() => Fate::Goes,
            Some(changes) if changes.down.is_some() && may_turn_tentative(address) => Fate::Unclear,
            _ if self.is_crowded => Fate::Unclear,
            _ => Fate::Stays,
        }
    }

    /// Whether a route of that slot went or came in the place of another.
    pub(super) fn has_slot(&self, slot: RouteSlot) -> bool {
        self.is_crowded || self.slots.contains(&slot)
    }

    fn of_link(&mut self, index: u32) -> &mut Changes {
        self.of_links.entry(index).or_default()
    }

    /// Whether no more is remembered, which is remembered.
    fn is_full(&mut self) -> bool {
        let of_routes = self.nexthops.len() + self.sources.len() + self.slots.len();
        self.is_crowded |= self.of_links.len() + of_routes >= SILENCED_MAX;
        self.is_crowded
    }
}

impl Changes {
    fn fate_of_route(&self, route: &Route) -> Fate {
        let by_link = self.down.into_iter().chain(self.gone).map(|trigger| fate(trigger, route));
        let by_address = self.bare.map(|(trigger, most)| fate(trigger, route).min(most));
        by_link.chain(by_address).max().unwrap_or(Fate::Stays)
    }
}
