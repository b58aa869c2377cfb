//! What routes stand on: an index of a table of routes, to find those that go, or change, with a
//! link, an address or a next hop object.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::OnceLock;

use super::FIRST_ROUTE;
use super::routes::Routes;
use crate::model::route::{Route, RouteKey};

/// What a route stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ground {
    Dev(u32),
    Source(IpAddr),
    Nexthop(u32),
}

/// The routes by what they stand on.
///
/// It is made of all of them when it is first asked, and true from then on. Who reads the tables
/// once to compare them never asks, and making it takes a third of such a reading.
#[derive(Debug, Clone, Default)]
pub(super) struct Grounds {
    made: OnceLock<BTreeSet<(Ground, RouteKey)>>,
    /// How many routes go by a next hop object.
    by_nexthop: usize,
}

/// Of the same routes it says the same, made or not.
impl PartialEq for Grounds {
    fn eq(&self, other: &Self) -> bool {
        self.by_nexthop == other.by_nexthop
    }
}

impl Grounds {
    /// The keys of the routes on a ground, in order. `routes` are all.
    pub(super) fn on(
        &self,
        ground: Ground,
        routes: &Routes,
    ) -> impl Iterator<Item = RouteKey> + use<'_> {
        let made = self.made.get_or_init(|| {
            routes
                .iter()
                .flat_map(|route| grounds_of(route).map(|ground| (ground, route.key)))
                .collect()
        });
        let from = made.range((ground, FIRST_ROUTE)..);
        from.take_while(move |(other, _)| *other == ground).map(|(_, key)| *key)
    }

    pub(super) fn is_any_by_nexthop(&self) -> bool {
        self.by_nexthop != 0
    }

    /// A route came, in place of another one of the same key or of none.
    pub(super) fn note(&mut self, before: Option<&Route>, now: &Route) {
        match before {
            Some(before) if grounds_of(before).eq(grounds_of(now)) => return,
            Some(before) => self.remove(before),
            None => {}
        }
        self.by_nexthop += usize::from(now.nexthop_id != 0);
        if let Some(made) = self.made.get_mut() {
            made.extend(grounds_of(now).map(|ground| (ground, now.key)));
        }
    }

    /// A route is gone.
    pub(super) fn remove(&mut self, route: &Route) {
        self.by_nexthop -= usize::from(route.nexthop_id != 0);
        if let Some(made) = self.made.get_mut() {
            for ground in grounds_of(route) {
                made.remove(&(ground, route.key));
            }
        }
    }
}

/// A link may come twice.
fn grounds_of(route: &Route) -> impl Iterator<Item = Ground> {
    let nexthop = (route.nexthop_id != 0).then_some(Ground::Nexthop(route.nexthop_id));
    std::iter::once(Ground::Dev(route.key.dev))
        .chain(route.hops.iter().map(|hop| Ground::Dev(hop.dev)))
        .chain(route.source.map(Ground::Source))
        .chain(nexthop)
}
