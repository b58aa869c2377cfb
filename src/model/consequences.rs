//! What the kernel takes away by itself after a change.
//!
//! Two readers: the mirror, which must take out what goes in silence, and the plan, which shows
//! everything that a step also removes. The rules are those of net/ipv4/fib_semantics.c
//! (`fib_sync_down_dev`) and net/ipv4/fib_frontend.c (`fib_disable_ip`), seen on 6.18.

use super::address::AddressKey;
use super::network::Network;
use super::route::{RTN_LOCAL, Route, RouteKey};

/// A change that takes other objects along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The link of that index goes administratively down.
    LinkDown(u32),
    /// The link of that index is deleted, or moved to another namespace.
    LinkGone(u32),
    /// That address goes away.
    AddressGone(AddressKey),
}

/// An object that goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// An address.
    Address(AddressKey),
    /// A route.
    Route(RouteKey),
}

/// What of `network` goes with `trigger` and is **not announced** by the kernel.
///
/// `network` may still hold the object that the trigger names, or not any more.
pub fn taken_in_silence(network: &Network, trigger: Trigger) -> Vec<Taken> {
    match trigger {
        Trigger::LinkDown(index) => routes(network, index, |route| {
            // A local route's next hop has scope nowhere, which spares it until the address goes.
            route.is_ipv4() && route.key.route_type != RTN_LOCAL
        }),
        Trigger::LinkGone(index) => {
            let mut taken = routes(network, index, |_| true);
            taken.extend(network.addresses_of(index).map(|address| Taken::Address(address.key)));
            taken
        }
        Trigger::AddressGone(gone) if is_last_ipv4(network, gone) => {
            routes(network, gone.index, Route::is_ipv4)
        }
        Trigger::AddressGone(_) => Vec::new(),
    }
}

/// All of `network` that goes with `trigger`, announced or not.
pub fn taken_along(network: &Network, trigger: Trigger) -> Vec<Taken> {
    let mut taken = taken_in_silence(network, trigger);
    match trigger {
        Trigger::LinkGone(_) => {}
        Trigger::LinkDown(index) => {
            taken.extend(routes(network, index, |route| !route.is_ipv4()));
            let of_ipv6 = network.addresses_of(index).filter(|own| !own.key.prefix.is_ipv4());
            taken.extend(of_ipv6.map(|address| Taken::Address(address.key)));
        }
        Trigger::AddressGone(gone) => {
            let source = Some(gone.prefix.address);
            let by_source = network.routes().filter(|route| route.source == source);
            taken.extend(by_source.map(|route| Taken::Route(route.key)));
        }
    }
    taken.sort_unstable();
    taken.dedup();
    taken
}

fn is_last_ipv4(network: &Network, gone: AddressKey) -> bool {
    gone.prefix.is_ipv4()
        && network
            .addresses_of(gone.index)
            .all(|other| other.key == gone || !other.key.prefix.is_ipv4())
}

/// The routes through a link, of those that `wanted` picks, that lose their last live next hop.
fn routes(network: &Network, index: u32, wanted: impl Fn(&Route) -> bool) -> Vec<Taken> {
    let is_dead = |dev: u32| dev == index || network.link(dev).is_none_or(|link| !link.is_up());
    network
        .routes_through(index)
        .filter(|route| wanted(route) && route.hops.iter().all(|hop| is_dead(hop.dev)))
        .map(|route| Taken::Route(route.key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::{Address, Prefix};
    use crate::model::link::{IFF_UP, Link};
    use crate::model::route::{Hop, RTN_UNICAST, RouteSlot, TABLE_LOCAL, TABLE_MAIN};
    use crate::model::text::LinkName;

    fn prefix(text: &str, len: u8) -> Prefix {
        Prefix { address: text.parse().unwrap(), len }
    }

    fn address(index: u32, text: &str, len: u8) -> Address {
        let key = AddressKey { index, prefix: prefix(text, len), peer: None };
        Address { key, scope: 0, flags: 0x80, protocol: 0 }
    }

    fn route(table: u32, to: &str, len: u8, dev: u32, route_type: u8) -> Route {
        let slot = RouteSlot { table, to: prefix(to, len), tos: 0, metric: 0 };
        let key = RouteKey { slot, via: None, dev, route_type };
        let (protocol, scope, flags, source, nexthop_id) = (3, 0, 0, None, 0);
        let (hops, replaced) = (Box::default(), false);
        Route { key, protocol, scope, flags, source, nexthop_id, hops, replaced }
    }

    fn network() -> Network {
        let mut network = Network::default();
        for (index, name) in [(1, "v0"), (2, "p0")] {
            let name = LinkName::truncated(name.as_bytes());
            network.put_link(Link { flags: IFF_UP, ..Link::new(index, name) });
        }
        network.put_address(address(1, "10.0.0.1", 24));
        network.put_address(address(1, "2001:db8::1", 64));
        network.put_route(route(TABLE_MAIN, "10.0.0.0", 24, 1, RTN_UNICAST));
        network.put_route(route(77, "20.0.0.0", 24, 1, RTN_UNICAST));
        network.put_route(route(TABLE_LOCAL, "10.0.0.1", 32, 1, RTN_LOCAL));
        network.put_route(route(TABLE_MAIN, "2001:db8::", 64, 1, RTN_UNICAST));
        network.put_route(route(TABLE_MAIN, "30.0.0.0", 24, 2, RTN_UNICAST));
        let hop = |dev| Hop { via: None, dev, weight: 1 };
        let hops = Box::from([hop(1), hop(2)]);
        network.put_route(Route { hops, ..route(TABLE_MAIN, "40.0.0.0", 24, 1, RTN_UNICAST) });
        network
    }

    fn destinations(taken: &[Taken]) -> Vec<String> {
        let destination = |taken: &Taken| match taken {
            Taken::Route(key) => key.slot.to.to_string(),
            Taken::Address(key) => format!("address {}", key.prefix),
        };
        let mut destinations: Vec<_> = taken.iter().map(destination).collect();
        destinations.sort();
        destinations
    }

    #[test]
    fn link_down_takes_ipv4_routes_of_every_table_in_silence() {
        let taken = taken_in_silence(&network(), Trigger::LinkDown(1));
        assert_eq!(destinations(&taken), ["10.0.0.0/24", "20.0.0.0/24"]);
        let along = taken_along(&network(), Trigger::LinkDown(1));
        let all = ["10.0.0.0/24", "20.0.0.0/24", "2001:db8::/64", "address 2001:db8::1/64"];
        assert_eq!(destinations(&along), all);
    }

    #[test]
    fn the_last_ipv4_address_takes_every_ipv4_route() {
        let mut network = network();
        let gone = address(1, "10.0.0.1", 24).key;
        let taken = taken_in_silence(&network, Trigger::AddressGone(gone));
        assert_eq!(destinations(&taken), ["10.0.0.0/24", "10.0.0.1/32", "20.0.0.0/24"]);
        network.put_address(address(1, "10.1.0.1", 24));
        assert!(taken_in_silence(&network, Trigger::AddressGone(gone)).is_empty());
    }

    #[test]
    fn a_multipath_route_goes_with_its_last_live_hop() {
        let mut network = network();
        let taken = taken_in_silence(&network, Trigger::LinkGone(1));
        assert!(!destinations(&taken).contains(&"40.0.0.0/24".to_owned()));
        network.remove_link(2);
        let taken = taken_in_silence(&network, Trigger::LinkGone(1));
        assert!(destinations(&taken).contains(&"40.0.0.0/24".to_owned()));
    }
}
