//! The table of routes: found by the slot that they compete for, and sorted only for who looks at
//! all of them. To keep them sorted would be a tenth of the work of reading a thousand links.

use std::cmp::Ordering;

use indexmap::map::Entry;

use crate::model::hash::IndexMap;
use crate::model::route::{Route, RouteKey, RouteSlot};

/// All routes of a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Routes {
    slots: IndexMap<RouteSlot, Holders>,
}

/// The routes of one slot, by their keys: nearly always one.
#[derive(Debug, Clone, PartialEq)]
struct Holders {
    first: Route,
    others: Vec<Route>,
}

impl Holders {
    /// Where among the others it is, or would be.
    fn find(&self, key: &RouteKey) -> Result<usize, usize> {
        self.others.binary_search_by_key(key, |route| route.key)
    }

    fn iter(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Routes {
    pub(super) fn get(&self, key: &RouteKey) -> Option<&Route> {
        let holders = self.slots.get(&key.slot)?;
        if holders.first.key == *key {
            return Some(&holders.first);
        }
        holders.find(key).ok().map(|at| &holders.others[at])
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
                let holders = place.insert(Holders { first: route, others: Vec::new() });
                return (None, &mut holders.first);
            }
            Entry::Occupied(place) => place.into_mut(),
        };
        let at = match route.key.cmp(&holders.first.key) {
            Ordering::Equal => {
                let before = std::mem::replace(&mut holders.first, route);
                return (Some(before), &mut holders.first);
            }
            Ordering::Less => {
                let second = std::mem::replace(&mut holders.first, route);
                holders.others.insert(0, second);
                return (None, &mut holders.first);
            }
            Ordering::Greater => holders.find(&route.key),
        };
        match at {
            Ok(at) => {
                let now = &mut holders.others[at];
                (Some(std::mem::replace(now, route)), now)
            }
            Err(at) => {
                holders.others.insert(at, route);
                (None, &mut holders.others[at])
            }
        }
    }

    /// Takes a route out.
    pub(super) fn remove(&mut self, key: &RouteKey) -> Option<Route> {
        let Entry::Occupied(mut place) = self.slots.entry(key.slot) else { return None };
        let holders = place.get_mut();
        if holders.first.key != *key {
            return holders.find(key).ok().map(|at| holders.others.remove(at));
        }
        if holders.others.is_empty() {
            return Some(place.swap_remove().first);
        }
        let second = holders.others.remove(0);
        Some(std::mem::replace(&mut holders.first, second))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
