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
    /// Whether something may be hidden in that slot.
    pub(super) fn is_where(&self, slot: RouteSlot) -> bool {
        self.0.contains(&slot)
    }

    /// One may be there that is not held.
    pub(super) fn note(&mut self, slot: RouteSlot) {
        self.0.insert(slot);
    }

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

    /// A next hop came and was told alone, though another one is held: that one has gone, and it
    /// is told after this. What deletes all of a slot tells of it when it holds the lock no more
    /// (`__ip6_del_rt_siblings` in net/ipv6/route.c), by a message that may name this one too.
    pub(super) fn note_alone(&mut self, route: &Route) {
        let is_bound = |route: &Route| may_have_siblings(route) && !may_stand_between(route);
        let is_beside = |other: &Route| other.key != route.key && is_bound(other);
        if is_bound(route) && self.network.routes_in(route.key.slot).any(is_beside) {
            self.hidden.note(route.key.slot);
            self.doubt.note_slot(route.key.slot, &self.network);
        }
    }

    /// A route went, by news or with what it stood on: if a next hop, what stood between it and
    /// others may be shown now.
    pub(super) fn note_parted(&mut self, key: RouteKey) {
        if key.via.is_none() || !self.hidden.is_where(key.slot) {
            return;
        }
        match self.network.routes_in(key.slot).any(may_have_siblings) {
            true => self.doubt.note_slot(key.slot, &self.network),
            false => self.doubt.raise(),
        }
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
            if has_siblings(network, *slot) {
                return true;
            }
            let went_meanwhile = reading.silence.has_slot(*slot);
            if went_meanwhile {
                doubt.raise();
            }
            went_meanwhile
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Prefix;
    use crate::model::link::{IFF_UP, Link};
    use crate::model::network::{Table, Tables};
    use crate::model::route::{Metrics, RTN_UNICAST, TABLE_MAIN};
    use crate::model::text::LinkName;

    /// A route of the one slot, through one of two links that are up.
    fn through(via: Option<&str>, dev: u32) -> Route {
        let to = Prefix { address: "2001:db8::".parse().unwrap(), len: 64 };
        let slot = RouteSlot { table: TABLE_MAIN, to, tos: 0, metric: 1024 };
        let via = via.map(|via| via.parse().unwrap());
        let key = RouteKey { slot, via, dev, route_type: RTN_UNICAST };
        let (protocol, scope, flags, source, nexthop_id) = (3, 0, 0, None, 0);
        let (hops, replaced) = (Box::default(), false);
        let metrics = Metrics::default();
        Route { key, protocol, scope, flags, source, nexthop_id, metrics, hops, replaced }
    }

    fn direct() -> Route {
        through(None, 1)
    }

    fn next_hops() -> [Route; 2] {
        ["fe80::1", "fe80::2"].map(|via| through(Some(via), 1))
    }

    /// A reading up to where the routes are dumped.
    fn begin(mirror: &mut Mirror) {
        mirror.dump_begins(Table::Links);
        for (index, name) in [(1, "v0"), (2, "v1")] {
            let name = LinkName::truncated(name.as_bytes());
            mirror.dumped_link(Link { flags: IFF_UP, ..Link::new(index, name) }, &mut |_| {});
        }
        mirror.dump_ends(false, &mut |_| {});
        mirror.dump_begins(Table::Routes);
    }

    fn show_together(mirror: &mut Mirror) {
        next_hops().into_iter().for_each(|hop| mirror.dumped_route(hop, true, &mut |_| {}));
    }

    /// A reading that shows the next hops as one, and nothing between them.
    fn read(mirror: &mut Mirror) {
        begin(mirror);
        show_together(mirror);
        mirror.dump_ends(true, &mut |_| {});
    }

    fn part(mirror: &mut Mirror) {
        next_hops().iter().for_each(|hop| mirror.route_gone(hop.key, 0, &mut |_| {}));
    }

    /// Read when there was nothing; then news of these came.
    fn told(routes: impl IntoIterator<Item = Route>) -> Mirror {
        let mut mirror = Mirror::new(Tables::default());
        begin(&mut mirror);
        mirror.dump_ends(true, &mut |_| {});
        let (mut next_hops, tell) = (0, &mut |_| {});
        for route in routes {
            next_hops += u32::from(may_have_siblings(&route));
            mirror.route(route, next_hops > 1, 0, tell);
        }
        mirror
    }

    #[test]
    fn one_between_next_hops_is_in_doubt_when_they_join_and_when_they_part() {
        let [first, second] = next_hops();
        let mut mirror = told([first, direct()]);
        assert!(!mirror.is_in_doubt());
        mirror.route(second, true, 0, &mut |_| {});
        assert!(mirror.settle_doubt());
        read(&mut mirror);
        assert!(mirror.network().route(direct().key).is_none() && !mirror.is_in_doubt());
        part(&mut mirror);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn next_hops_that_were_heard_to_come_hide_nothing() {
        let mut mirror = told(next_hops());
        part(&mut mirror);
        assert!(!mirror.settle_doubt(), "it takes no reading");
    }

    #[test]
    fn a_deletion_of_all_that_is_told_late_leaves_what_came_before_it_in_doubt() {
        let [first, second] = next_hops();
        let mut mirror = told([first.clone(), second]);
        mirror.route(first, false, 0, &mut |_| {});
        part(&mut mirror);
        assert_eq!(mirror.network().routes().count(), 0);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn next_hops_that_were_there_before_may_hide_something() {
        let mut mirror = Mirror::new(Tables::default());
        read(&mut mirror);
        assert!(!mirror.is_in_doubt());
        part(&mut mirror);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn one_that_was_hidden_when_the_dump_came_by_is_not_gone_by_that() {
        let [first, second] = next_hops();
        let mut mirror = told([first, direct(), second]);
        begin(&mut mirror);
        show_together(&mut mirror);
        part(&mut mirror);
        mirror.dump_ends(true, &mut |_| {});
        assert!(mirror.network().route(direct().key).is_some());
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn next_hops_that_an_old_part_shows_may_have_hidden_something() {
        let mut mirror = Mirror::new(Tables::default());
        begin(&mut mirror);
        part(&mut mirror);
        show_together(&mut mirror);
        mirror.dump_ends(true, &mut |_| {});
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn a_replacement_may_have_taken_the_place_of_one_that_is_hidden() {
        let mut mirror = Mirror::new(Tables::default());
        read(&mut mirror);
        let [first, second] = next_hops();
        mirror.route_gone(second.key, 0, &mut |_| {});
        mirror.route(Route { replaced: true, ..direct() }, false, 0, &mut |_| {});
        assert!(mirror.network().route(first.key).is_some());
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn one_that_was_wrongly_guessed_to_be_replaced_may_be_hidden() {
        let (other, [first, second]) = (through(None, 2), next_hops());
        let mut mirror = told([direct(), other.clone()]);
        mirror.route(Route { replaced: true, ..first }, false, 0, &mut |_| {});
        mirror.route(second, true, 0, &mut |_| {});
        mirror.route_gone(other.key, 0, &mut |_| {});
        assert!(mirror.settle_doubt());
        read(&mut mirror);
        part(&mut mirror);
        assert!(mirror.settle_doubt());
    }
}
