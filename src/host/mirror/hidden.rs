//! IPv6 routes that are there and that the kernel does not show.
//!
//! The next hops of an IPv6 route are entries of their own in the kernel's list of a slot. A dump
//! shows them as one, and goes on behind the last of them (`fib6_dump_node` in
//! net/ipv6/ip6_fib.c): what stands between them, such as a route without a gateway, it leaves
//! out, until enough of them have gone. The mirror holds what a dump shows; of neither change
//! there is news, so whatever may lead to one puts the slot in doubt.

use std::collections::BTreeSet;

use super::{Mirror, Reading};
use crate::model::network::Network;
use crate::model::route::{PROTOCOL_RA, Route, RouteKey, RouteSlot};

/// The slots in which a dump may have left out a route that is not held. They are as many as the
/// slots of several next hops at most.
#[derive(Debug, Default)]
pub(super) struct Hidden(BTreeSet<RouteSlot>);

impl Hidden {
    /// What is not known any more will be read.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Whether a route is a next hop of IPv6, which others may join (`rt6_qualify_for_ecmp`).
pub(super) fn may_have_siblings(route: &Route) -> bool {
    !route.is_ipv4() && route.key.via.is_some() && route.nexthop_id == 0
}

/// Whether a route of IPv6 may stand between next hops without being one of them. Of those that
/// the kernel makes by a router's advertisement none is, unlike those that a program makes so.
fn may_stand_between(route: &Route) -> bool {
    !may_have_siblings(route) || route.protocol == PROTOCOL_RA
}

fn has_siblings(network: &Network, slot: RouteSlot) -> bool {
    network.routes_in(slot).filter(|route| may_have_siblings(route)).nth(1).is_some()
}

impl Mirror {
    /// A route came by news: if a next hop, it may have joined others behind a route that is
    /// shown no more by that.
    pub(super) fn note_joined(&mut self, key: RouteKey) {
        let is_next_hop = self.network.route(key).is_some_and(may_have_siblings);
        if is_next_hop
            && has_siblings(&self.network, key.slot)
            && self.network.routes_in(key.slot).any(may_stand_between)
        {
            self.doubt.note_slot(key.slot, &self.network);
        }
    }

    /// A route went, by news or with what it stood on: if a next hop, what stood between it and
    /// others may be shown now.
    pub(super) fn note_parted(&mut self, key: RouteKey) {
        if key.via.is_none() || !self.hidden.0.contains(&key.slot) {
            return;
        }
        if self.network.routes_in(key.slot).any(may_have_siblings) {
            return self.doubt.note_slot(key.slot, &self.network);
        }
        self.hidden.0.remove(&key.slot);
        self.doubt.raise();
    }

    /// A dump showed several next hops as one: of what was not heard of something may stand
    /// between them.
    pub(super) fn note_shown_together(&mut self, route: &Route) {
        if !self.is_whole && may_have_siblings(route) {
            self.hidden.0.insert(route.key.slot);
        }
    }

    /// A dump that is whole did not show that route, of which nothing was heard meanwhile:
    /// whether it is gone or hidden for all that can be known.
    pub(super) fn is_gone_or_hidden(&mut self, key: RouteKey) -> bool {
        let Some(route) = self.network.route(key) else { return true };
        if route.is_ipv4() || !may_stand_between(route) {
            return true;
        }
        let reading = self.reading.as_ref();
        if reading.is_some_and(|reading| reading.silence.has_slot(key.slot)) {
            // It was hidden when the dump came by, and may have come to light since.
            self.doubt.raise();
            return false;
        }
        if has_siblings(&self.network, key.slot) {
            self.hidden.0.insert(key.slot);
        }
        true
    }

    /// The tables have been read: where no next hops are left to hide anything all was shown,
    /// unless they went after that.
    pub(super) fn forget_hidden(&mut self, reading: &Reading) {
        let Self { hidden, network, doubt, .. } = self;
        hidden.0.retain(|slot| {
            let may_hide = has_siblings(network, *slot);
            if !may_hide && reading.silence.has_slot(*slot) {
                doubt.raise();
            }
            may_hide
        });
    }
}
