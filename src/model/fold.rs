//! Events as steps between two states of a network: taken, taken back, and found anew.
//!
//! Folding all events of a namespace from an empty network gives its network. That is what a
//! program does that keeps a map of its own, and what a reader that fell behind is brought up by.

use super::network::Network;
use super::object::{Object, What};

impl Network {
    /// Takes an event in, as it happened.
    pub fn fold(&mut self, what: &What) {
        match what {
            What::New(object) | What::Changed { after: object, .. } => {
                self.put(object.clone());
            }
            What::Deleted(object) => {
                self.remove(&object.key());
            }
            What::NetnsRemoved => *self = Self::default(),
            What::Resync { .. } | What::Raw(_) | What::NetnsAdded { .. } => {}
        }
    }

    /// Takes an event back. The last one first; what was in a namespace that was removed does
    /// not come back.
    pub fn unfold(&mut self, what: &What) {
        match what {
            What::New(object) => {
                self.remove(&object.key());
            }
            What::Changed { before: object, .. } | What::Deleted(object) => {
                self.put(object.clone());
            }
            What::NetnsAdded { .. } => *self = Self::default(),
            What::Resync { .. } | What::Raw(_) | What::NetnsRemoved => {}
        }
    }

    /// The events that lead from this state to `to`: what goes first, then what comes, each in
    /// an order in which nothing stands on what is not there.
    pub fn differences(&self, to: &Self, tell: &mut impl FnMut(What)) {
        let gone = |it: Object| (!to.contains(&it.key())).then_some(What::Deleted(it));
        self.objects().rev().filter_map(gone).for_each(&mut *tell);
        let come = |after: Object| match self.get(&after.key()) {
            None => Some(What::New(after)),
            Some(before) => (before != after).then_some(What::Changed { before, after }),
        };
        to.objects().filter_map(come).for_each(tell);
    }

    /// All objects, table by table.
    pub(crate) fn objects(&self) -> impl DoubleEndedIterator<Item = Object> {
        let links = self.links().map(|link| Object::Link(link.clone()));
        let addresses = self.addresses().map(|address| Object::Address(*address));
        let nexthops = self.nexthops().map(|nexthop| Object::Nexthop(nexthop.clone()));
        let routes = self.routes().map(|route| Object::Route(route.clone()));
        let neighbours = self.neighbours().map(|neighbour| Object::Neighbour(*neighbour));
        let vlans = self.bridge_vlans().map(|member| Object::BridgeVlan(*member));
        let fdb = self.fdb().map(|entry| Object::Fdb(*entry));
        let rules = self.rules().map(|rule| Object::Rule(*rule));
        let netconf = self.netconf().map(|netconf| Object::Netconf(*netconf));
        let nsids = self.nsids().map(|nsid| Object::Nsid(*nsid));
        let grounds = links.chain(addresses).chain(nexthops).chain(routes);
        grounds.chain(neighbours).chain(vlans).chain(fdb).chain(rules).chain(netconf).chain(nsids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::address::{Address, AddressKey, Prefix};
    use super::super::link::Link;
    use super::super::netconf::{Netconf, NetconfKey, NetconfScope};
    use super::super::route::{Route, RouteKey, RouteSlot};
    use super::super::rule::Rule;
    use super::super::text::LinkName;
    use super::*;

    /// One of a few objects, in one of a few states.
    fn object() -> impl Strategy<Value = Object> {
        (0..5, 1..4_u32, 0..3_u8).prop_map(|(what, index, state)| {
            let prefix = Prefix { address: [10, 0, 0, index as u8].into(), len: 32 };
            match what {
                0 => Object::Link(Link::new(index, LinkName::truncated(&[b'a' + state]))),
                1 => Object::Address(Address {
                    key: AddressKey { index, prefix, peer: None },
                    scope: state,
                    flags: 0,
                    protocol: 0,
                    label: LinkName::default(),
                }),
                2 => Object::Rule(Rule { priority: index, ..Rule::new(state == 0) }),
                3 => {
                    let key = NetconfKey { is_ipv6: false, scope: NetconfScope::Link(index) };
                    let forwarding = Some(i32::from(state));
                    Object::Netconf(Netconf { forwarding, ..Netconf::new(key) })
                }
                _ => Object::Route(Route::plain(
                    RouteKey {
                        slot: RouteSlot { table: 254, to: prefix, tos: 0, metric: 0 },
                        via: None,
                        dev: index,
                        route_type: 1,
                    },
                    state,
                )),
            }
        })
    }

    /// A network that came about by these wishes, and the events on the way.
    fn story(wishes: &[(bool, Object)], start: &Network) -> (Network, Vec<What>) {
        let mut network = start.clone();
        let mut events = Vec::new();
        for (is_there, object) in wishes {
            let what = match (network.get(&object.key()), is_there) {
                (None, true) => What::New(object.clone()),
                (Some(before), true) if before != *object => {
                    What::Changed { before, after: object.clone() }
                }
                (Some(before), false) => What::Deleted(before),
                _ => continue,
            };
            network.fold(&what);
            events.push(what);
        }
        (network, events)
    }

    fn all(network: &Network) -> Vec<Object> {
        network.objects().collect()
    }

    proptest! {
        #[test]
        fn events_taken_back_lead_to_where_they_began(
            before in prop::collection::vec((any::<bool>(), object()), 0..20),
            after in prop::collection::vec((any::<bool>(), object()), 0..20),
        ) {
            let (start, _) = story(&before, &Network::default());
            let (mut network, events) = story(&after, &start);
            events.iter().rev().for_each(|what| network.unfold(what));
            prop_assert_eq!(all(&network), all(&start));
        }

        #[test]
        fn differences_lead_from_one_state_to_the_other(
            one in prop::collection::vec((any::<bool>(), object()), 0..20),
            other in prop::collection::vec((any::<bool>(), object()), 0..20),
        ) {
            let (mut from, _) = story(&one, &Network::default());
            let (to, _) = story(&other, &Network::default());
            let mut events = Vec::new();
            from.differences(&to, &mut |what| events.push(what));
            events.iter().for_each(|what| from.fold(what));
            prop_assert_eq!(all(&from), all(&to));
        }
    }
}
