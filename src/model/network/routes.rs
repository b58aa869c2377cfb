//! The table of routes: found by the slot that they compete for, and sorted only for who looks at
//! all of them. To keep them sorted would be a tenth of the work of reading a thousand links.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::net::IpAddr;

use indexmap::map::Entry;

use crate::model::hash::IndexMap;
use crate::model::route::{Route, RouteKey, RouteSlot};

/// All routes of a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Routes {
    slots: IndexMap<RouteSlot, Holders>,
}

/// The routes of one slot, by their keys: nearly always one. Of IPv6's link-local prefix and of its
/// multicast each link has one, which are added and removed in any order.
#[derive(Debug, Clone, PartialEq)]
struct Holders {
    first: Route,
    others: BTreeMap<PlaceInSlot, Box<Route>>,
}

/// What tells the routes of one slot apart, in the order of their keys.
type PlaceInSlot = (Option<IpAddr>, u32, u8);

fn place_in_slot(key: &RouteKey) -> PlaceInSlot {
    (key.via, key.dev, key.route_type)
}

impl Holders {
    fn iter(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.first).chain(self.others.values().map(|route| &**route))
    }
}

impl Routes {
    /// Makes room for that many routes, with those that there are.
    pub(super) fn reserve(&mut self, routes: usize) {
        self.slots.reserve(routes.saturating_sub(self.slots.len()));
    }

    pub(super) fn get(&self, key: &RouteKey) -> Option<&Route> {
        let holders = self.slots.get(&key.slot)?;
        if holders.first.key == *key {
            return Some(&holders.first);
        }
        holders.others.get(&place_in_slot(key)).map(|route| &**route)
    }

    /// Those of one slot, by their keys.
    pub(super) fn in_slot(&self, slot: RouteSlot) -> impl Iterator<Item = &Route> + use<'_> {
        self.slots.get(&slot).into_iter().flat_map(Holders::iter)
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.slots.values().flat_map(Holders::iter)
    }

    /// All, by their keys.
    pub(super) fn sorted(&self) -> impl DoubleEndedIterator<Item = &Route> + use<'_> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|route| route.key);
        all.into_iter()
    }

    /// Stores a route; returns what stood in its place, and what stands there now.
    pub(super) fn insert(&mut self, route: Route) -> (Option<Route>, &mut Route) {
        let holders = match self.slots.entry(route.key.slot) {
            Entry::Vacant(place) => {
                let others = BTreeMap::new();
                return (None, &mut place.insert(Holders { first: route, others }).first);
            }
            Entry::Occupied(place) => place.into_mut(),
        };
        let place = place_in_slot(&route.key);
        let first = place_in_slot(&holders.first.key);
        match place.cmp(&first) {
            Ordering::Equal => {
                let before = std::mem::replace(&mut holders.first, route);
                (Some(before), &mut holders.first)
            }
            Ordering::Less => {
                let second = std::mem::replace(&mut holders.first, route);
                holders.others.insert(first, Box::new(second));
                (None, &mut holders.first)
            }
            Ordering::Greater => match holders.others.entry(place) {
                btree_map::Entry::Vacant(place) => (None, place.insert(Box::new(route))),
                btree_map::Entry::Occupied(place) => {
                    let now = place.into_mut();
                    (Some(std::mem::replace(now, route)), now)
                }
            },
        }
    }

    /// Takes a route out.
    pub(super) fn remove(&mut self, key: &RouteKey) -> Option<Route> {
        let Entry::Occupied(mut place) = self.slots.entry(key.slot) else { return None };
        let holders = place.get_mut();
        if holders.first.key != *key {
            return holders.others.remove(&place_in_slot(key)).map(|route| *route);
        }
        match holders.others.pop_first() {
            None => Some(place.swap_remove().first),
            Some((_, second)) => Some(std::mem::replace(&mut holders.first, *second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::address::Prefix;

    /// One of few, so that they meet.
    fn route() -> impl Strategy<Value = Route> {
        let prefix = (0..3_u8).prop_map(|it| Prefix { address: [10, 0, it, 0].into(), len: 24 });
        (prefix, 0..4_u32, 0..3_u8).prop_map(|(to, dev, protocol)| {
            Route::plain(
                RouteKey {
                    slot: RouteSlot { table: 254, to, tos: 0, metric: 0 },
                    via: None,
                    dev,
                    route_type: 1,
                },
                protocol,
            )
        })
    }

    proptest! {
        #[test]
        fn they_are_those_of_a_sorted_map(
            done in prop::collection::vec((route(), any::<bool>()), 0..100),
        ) {
            let (mut routes, mut model) = (Routes::default(), BTreeMap::new());
            for (route, is_put_in) in done {
                let key = route.key;
                if is_put_in {
                    let (before, now) = routes.insert(route.clone());
                    prop_assert_eq!(&*now, &route);
                    prop_assert_eq!(before, model.insert(key, route));
                } else {
                    prop_assert_eq!(routes.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(routes.get(&key), model.get(&key));
                prop_assert!(routes.sorted().eq(model.values()));
                prop_assert!(routes.sorted().rev().eq(model.values().rev()));
                prop_assert_eq!(routes.iter().count(), model.len());
                let of_slot = model.values().filter(|it| it.key.slot == key.slot);
                prop_assert!(routes.in_slot(key.slot).eq(of_slot));
            }
            let again = model.into_values().rev().fold(Routes::default(), |mut all, route| {
                all.insert(route);
                all
            });
            prop_assert_eq!(again, routes);
        }
    }
}
