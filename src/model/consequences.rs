//! What the kernel takes away by itself after a change.
//!
//! Two readers: the mirror, which must take out what goes in silence, and the plan, which shows
//! everything that a step also removes. The rules are those of net/ipv4/fib_semantics.c
//! (`fib_sync_down_dev`), net/ipv4/fib_frontend.c (`fib_disable_ip`), net/ipv4/nexthop.c
//! (`remove_nexthop`) and net/ipv6/route.c (`fib6_ifdown`), each seen on 6.18.

use super::address::{Address, AddressKey, IFA_F_NODAD, IFA_F_TENTATIVE, SCOPE_HOST};
use super::hash::HashMap;
use super::kind::{Settings, Value, ValueType};
use super::link::Link;
use super::network::Network;
use super::route::{Route, RouteKey};

/// A change that takes other objects along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The link of that index goes administratively down.
    LinkDown(u32),
    /// The link of that index is deleted, or moved to another namespace.
    LinkGone(u32),
    /// IPv6 is turned off on the link of that index.
    Ipv6Off(u32),
    /// That address goes away.
    AddressGone(AddressKey),
    /// The next hop object of that number is deleted.
    NexthopGone(u32),
}

/// An object that goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// An address.
    Address(AddressKey),
    /// A route.
    Route(RouteKey),
}

/// What a trigger means for a route that stood there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It has nothing to do with it.
    Stays,
    /// It goes unless another next hop of it, or of its slot, is alive.
    Unclear,
    /// It goes.
    Goes,
}

/// What becomes of `route` by `trigger`; an address counts as the last of its link.
pub fn fate(trigger: Trigger, route: &Route) -> Fate {
    let has_others = match route.is_ipv4() {
        true => !route.hops.is_empty(),
        // The other next hops of an IPv6 route are routes of their own here.
        false => route.key.via.is_some(),
    };
    let unless_others = if has_others { Fate::Unclear } else { Fate::Goes };
    match trigger {
        // A route of scope host has a next hop of scope nowhere, which spares it.
        Trigger::LinkDown(index) if route.uses(index) && route.scope < SCOPE_HOST => unless_others,
        Trigger::Ipv6Off(index) if route.uses(index) && !route.is_ipv4() => unless_others,
        // All hops of IPv4 go with one whose device is unregistered, but a group of next hop
        // objects only loses a member.
        Trigger::LinkGone(index) if route.uses(index) && route.nexthop_id != 0 => unless_others,
        Trigger::LinkGone(index) if route.uses(index) => Fate::Goes,
        Trigger::AddressGone(gone) if route.uses(gone.index) && route.is_ipv4() => unless_others,
        Trigger::NexthopGone(id) if route.nexthop_id == id => Fate::Goes,
        _ => Fate::Stays,
    }
}

/// What of `network` goes for certain with `trigger` and is **not announced** by the kernel, or
/// not by every kernel.
///
/// `network` may still hold the object that the trigger names, or not any more. Left out is what
/// depends on more than `network` tells, see [`in_doubt`].
pub fn taken_in_silence(network: &Network, trigger: Trigger) -> Vec<Taken> {
    let goes = |route: &&Route| fate(trigger, route) == Fate::Goes;
    let key = |route: &Route| Taken::Route(route.key);
    match trigger {
        Trigger::LinkDown(index) => {
            // Those of IPv6 are announced, or found to be doubtful.
            let of_ipv4 = network.routes_through(index).filter(|route| route.is_ipv4());
            of_ipv4.filter(goes).map(key).collect()
        }
        Trigger::LinkGone(index) => {
            let addresses = network.addresses_of(index);
            let addresses = addresses.map(|address| Taken::Address(address.key));
            network.routes_through(index).filter(goes).map(key).chain(addresses).collect()
        }
        Trigger::AddressGone(gone) if is_last_ipv4(network, gone) => {
            network.routes_through(gone.index).filter(goes).map(key).collect()
        }
        // It announces all of it.
        Trigger::AddressGone(_) | Trigger::Ipv6Off(_) => Vec::new(),
        Trigger::NexthopGone(id) => network.routes_by_nexthop(id).map(key).collect(),
    }
}

/// Which links are deleted together with which.
#[derive(Debug, Default)]
pub struct Standing {
    /// By the index of a link, those that go with it: the other end, and what stands on it.
    next: HashMap<u32, Vec<u32>>,
}

impl Standing {
    /// As `network` tells it.
    pub fn new(network: &Network) -> Self {
        let mut next: HashMap<u32, Vec<u32>> = HashMap::default();
        for link in network.links() {
            for below in goes_with(link) {
                next.entry(below).or_default().push(link.index);
            }
        }
        Self { next }
    }

    /// What is deleted with the link of that index, nearest first, without itself.
    pub fn along(&self, index: u32) -> Vec<u32> {
        let mut along = vec![index];
        let mut at = 0;
        while let Some(below) = along.get(at) {
            at += 1;
            for above in self.next.get(below).into_iter().flatten() {
                if !along.contains(above) {
                    along.push(*above);
                }
            }
        }
        along.remove(0);
        along
    }
}

/// The links with which the kernel deletes that one. Of a kind that we do not know, the one that
/// it says it stands on is taken for one.
fn goes_with(link: &Link) -> impl Iterator<Item = u32> + '_ {
    let is_here = link.lower_netns.is_none() && link.lower != 0;
    let unknown = link.settings.is_none() && !link.kind.is_empty() && is_here;
    let settings = link.settings.iter().flat_map(Settings::iter);
    let outlives = link.settings.is_some_and(|settings| settings.kind.outlives_lower);
    let known = settings.filter_map(move |(key, value)| match (key.value, value) {
        (ValueType::Lower, Value::Index(index)) if !outlives => Some(index),
        (ValueType::Peer, Value::Index(index)) => Some(index),
        _ => None,
    });
    known.chain(unknown.then_some(link.lower))
}

/// What of `network` the kernel may have taken or changed by `trigger`, without a word where none
/// of it comes soon.
///
/// That is: an IPv6 route of a link that went down, where
/// net.ipv6.route.skip_notify_on_dev_down is set; an IPv4 route of several next hops of which
/// none seems alive, or which are a group of objects that lost a member; an IPv6 address that
/// net.ipv6.conf.*.keep_addr_on_down kept, and which is tentative again; a route from an address
/// that is gone, which goes too, announced on IPv4 since 6.7, or on IPv6 forgets its source.
pub fn in_doubt(network: &Network, trigger: Trigger) -> Vec<Taken> {
    let key = |route: &Route| Taken::Route(route.key);
    match trigger {
        Trigger::LinkDown(index) | Trigger::LinkGone(index) => {
            let may_go = |route: &&Route| match route.is_ipv4() {
                true if route.hops.is_empty() => false,
                true => route.nexthop_id != 0 || is_last_hop(network, index, route),
                false => route.nexthop_id != 0 || !has_live_sibling(network, index, route),
            };
            let kept = network.addresses_of(index).filter(|own| may_turn_tentative(own));
            let kept = kept.map(|own| Taken::Address(own.key));
            network.routes_through(index).filter(may_go).map(key).chain(kept).collect()
        }
        Trigger::AddressGone(gone) => {
            let mut keys: Vec<_> = network.routes_from(gone.prefix.address).map(key).collect();
            // Looked at first: most links keep an address, and have many routes.
            if is_last_ipv4(network, gone) {
                let may_go = |route: &&Route| is_last_hop(network, gone.index, route);
                keys.extend(network.routes_through(gone.index).filter(may_go).map(key));
            }
            keys
        }
        Trigger::NexthopGone(_) | Trigger::Ipv6Off(_) => Vec::new(),
    }
}

/// Whether the address is one that its link, going down, makes tentative where it keeps it.
pub fn may_turn_tentative(own: &Address) -> bool {
    !own.key.prefix.is_ipv4() && own.flags & (IFA_F_TENTATIVE | IFA_F_NODAD) == 0
}

/// All of `network` that goes with `trigger`, announced or not.
pub fn taken_along(network: &Network, trigger: Trigger) -> Vec<Taken> {
    let mut taken = taken_in_silence(network, trigger);
    match trigger {
        Trigger::LinkGone(_) | Trigger::NexthopGone(_) => {}
        Trigger::Ipv6Off(index) => {
            let of_ipv6 = network.addresses_of(index).filter(|own| !own.key.prefix.is_ipv4());
            taken.extend(of_ipv6.map(|address| Taken::Address(address.key)));
            let through = network.routes_through(index).filter(|route| !route.is_ipv4());
            taken.extend(through.map(|route| Taken::Route(route.key)));
        }
        Trigger::LinkDown(index) => {
            let is_gone = |route: &&Route| !route.is_ipv4() || is_last_hop(network, index, route);
            let through = network.routes_through(index).filter(is_gone);
            taken.extend(through.map(|route| Taken::Route(route.key)));
            let of_ipv6 = network.addresses_of(index).filter(|own| !own.key.prefix.is_ipv4());
            taken.extend(of_ipv6.map(|address| Taken::Address(address.key)));
        }
        Trigger::AddressGone(gone) => {
            if is_last_ipv4(network, gone) {
                let is_gone = |route: &&Route| is_last_hop(network, gone.index, route);
                let through = network.routes_through(gone.index).filter(is_gone);
                taken.extend(through.map(|route| Taken::Route(route.key)));
            }
            let by_source = network.routes_from(gone.prefix.address);
            taken.extend(by_source.map(|route| Taken::Route(route.key)));
        }
    }
    taken.sort_unstable();
    taken.dedup();
    taken
}

/// Whether that address is the last of IPv4 on its link, if it is there at all.
pub fn is_last_ipv4(network: &Network, gone: AddressKey) -> bool {
    gone.prefix.is_ipv4()
        && network
            .addresses_of(gone.index)
            .all(|other| other.key == gone || !other.key.prefix.is_ipv4())
}

/// Whether an IPv4 route of several next hops has none alive when that link is not.
fn is_last_hop(network: &Network, index: u32, route: &Route) -> bool {
    let is_dead = |dev: u32| dev == index || is_dead(network, dev);
    route.is_ipv4() && !route.hops.is_empty() && route.hops.iter().all(|hop| is_dead(hop.dev))
}

/// Whether a next hop of IPv4 through that link may be dead; one of a link without addresses is
/// from when the last of them went, and may be alive if it came later.
fn is_dead(network: &Network, dev: u32) -> bool {
    network.link(dev).is_none_or(|link| !link.is_up())
        || !network.addresses_of(dev).any(|own| own.key.prefix.is_ipv4())
}

/// Whether an IPv6 route is kept by another next hop of its slot when that link is down.
fn has_live_sibling(network: &Network, index: u32, route: &Route) -> bool {
    let is_up = |dev: u32| dev != index && network.link(dev).is_some_and(|link| link.is_up());
    let mut others = network.routes_in(route.key.slot).filter(|other| other.key.via.is_some());
    route.key.via.is_some() && others.any(|other| is_up(other.key.dev))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::{Address, Prefix};
    use crate::model::link::IFF_UP;
    use crate::model::route::{
        Hop, Metrics, RTN_LOCAL, RTN_UNICAST, RouteSlot, TABLE_LOCAL, TABLE_MAIN,
    };
    use crate::model::text::LinkName;

    fn prefix(text: &str, len: u8) -> Prefix {
        Prefix { address: text.parse().unwrap(), len }
    }

    fn address(index: u32, text: &str, len: u8) -> Address {
        let key = AddressKey { index, prefix: prefix(text, len), peer: None };
        Address { key, scope: 0, flags: 0x80, protocol: 0, label: LinkName::default() }
    }

    fn route(table: u32, to: &str, len: u8, dev: u32, route_type: u8) -> Route {
        let slot = RouteSlot { table, to: prefix(to, len), tos: 0, metric: 0 };
        let key = RouteKey { slot, via: None, dev, route_type };
        let (protocol, scope, flags, source, nexthop_id) = (3, 0, 0, None, 0);
        let (hops, replaced) = (Box::default(), false);
        let metrics = Metrics::default();
        Route { key, protocol, scope, flags, source, nexthop_id, metrics, hops, replaced }
    }

    fn network() -> Network {
        let mut network = Network::default();
        for (index, name) in [(1, "v0"), (2, "p0")] {
            let name = LinkName::truncated(name.as_bytes());
            network.put_link(Link { flags: IFF_UP, ..Link::new(index, name) });
        }
        network.put_address(address(1, "10.0.0.1", 24));
        network.put_address(address(2, "10.2.0.1", 24));
        network.put_address(address(1, "2001:db8::1", 64));
        network.put_route(route(TABLE_MAIN, "10.0.0.0", 24, 1, RTN_UNICAST));
        network.put_route(route(77, "20.0.0.0", 24, 1, RTN_UNICAST));
        let local = route(TABLE_LOCAL, "10.0.0.1", 32, 1, RTN_LOCAL);
        network.put_route(Route { scope: SCOPE_HOST, ..local });
        let to_host = route(TABLE_MAIN, "50.0.0.0", 24, 1, RTN_UNICAST);
        network.put_route(Route { scope: SCOPE_HOST, ..to_host });
        network.put_route(route(TABLE_MAIN, "2001:db8::", 64, 1, RTN_UNICAST));
        network.put_route(route(TABLE_MAIN, "30.0.0.0", 24, 2, RTN_UNICAST));
        let hop = |dev| Hop { via: None, dev, weight: 1, onlink: false };
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
        assert_eq!(
            destinations(&taken),
            ["10.0.0.0/24", "10.0.0.1/32", "20.0.0.0/24", "50.0.0.0/24"]
        );
        network.put_address(address(1, "10.1.0.1", 24));
        assert!(taken_in_silence(&network, Trigger::AddressGone(gone)).is_empty());
    }

    #[test]
    fn a_multipath_route_goes_with_the_device_of_any_hop_and_with_the_last_that_is_up() {
        let mut network = network();
        let has = |taken: Vec<Taken>| destinations(&taken).contains(&"40.0.0.0/24".to_owned());
        assert!(has(taken_in_silence(&network, Trigger::LinkGone(1))));
        assert!(!has(taken_along(&network, Trigger::LinkDown(1))));
        let lower = network.link(2).unwrap().clone();
        network.put_link(Link { flags: 0, ..lower });
        assert!(has(taken_along(&network, Trigger::LinkDown(1))));
        // The mirror does not know it for certain.
        assert!(!has(taken_in_silence(&network, Trigger::LinkDown(1))));
        assert!(has(in_doubt(&network, Trigger::LinkDown(1))));
    }

    #[test]
    fn a_next_hop_object_takes_the_routes_that_use_it() {
        let mut network = network();
        let by_object = route(TABLE_MAIN, "60.0.0.0", 24, 1, RTN_UNICAST);
        network.put_route(Route { nexthop_id: 5, ..by_object });
        let taken = taken_in_silence(&network, Trigger::NexthopGone(5));
        assert_eq!(destinations(&taken), ["60.0.0.0/24"]);
        assert!(taken_in_silence(&network, Trigger::NexthopGone(6)).is_empty());
    }

    #[test]
    fn what_ipv6_has_on_a_link_that_went_down_is_in_doubt() {
        let mut network = network();
        let doubts = |network: &Network| destinations(&in_doubt(network, Trigger::LinkDown(1)));
        assert_eq!(doubts(&network), ["2001:db8::/64", "address 2001:db8::1/64"]);
        let kept = address(1, "2001:db8::1", 64);
        network.put_address(Address { flags: kept.flags | IFA_F_TENTATIVE, ..kept });
        assert_eq!(doubts(&network), ["2001:db8::/64"]);
        // A sibling on another link that is up keeps a next hop.
        let hop = |dev| {
            let mut hop = route(TABLE_MAIN, "2001:db8:5::", 64, dev, RTN_UNICAST);
            hop.key.via = Some("fe80::1".parse().unwrap());
            hop
        };
        network.put_route(hop(1));
        network.put_route(hop(2));
        assert_eq!(doubts(&network), ["2001:db8::/64"]);
        network.remove_link(2);
        assert_eq!(doubts(&network), ["2001:db8:5::/64", "2001:db8::/64", "40.0.0.0/24"]);
    }

    #[test]
    fn a_route_from_an_address_that_is_gone_is_in_doubt() {
        let mut network = network();
        let gone = address(1, "2001:db8::1", 64).key;
        assert!(in_doubt(&network, Trigger::AddressGone(gone)).is_empty());
        let from = route(TABLE_MAIN, "2001:db8:9::", 64, 1, RTN_UNICAST);
        network.put_route(Route { source: Some(gone.prefix.address), ..from });
        let doubts = in_doubt(&network, Trigger::AddressGone(gone));
        assert_eq!(destinations(&doubts), ["2001:db8:9::/64"]);
    }
}
