//! The tables of what the network is: links, addresses, routes and what else is followed.
//!
//! They hold facts and keep the indices over them true. Which fact to believe, and what to tell
//! of it, is the mirror's decision (`host/mirror.rs`).

mod contents;
mod grounds;
mod routes;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use self::grounds::{Ground, Grounds};
use self::routes::Routes;
pub use self::tables::{Table, Tables};
use super::address::{Address, AddressKey, Prefix};
use super::bridge_vlan::{BridgeVlan, BridgeVlanKey};
use super::fdb::{FdbEntry, FdbKey};
use super::hash::HashMap;
use super::link::Link;
use super::neighbour::{Neighbour, NeighbourKey};
use super::netconf::{Netconf, NetconfKey};
use super::netns::NamedNetns;
use super::nexthop::Nexthop;
use super::nsid::Nsid;
use super::object::ObjectId;
use super::route::{Route, RouteKey, RouteSlot};
use super::rule::Rule;
use super::text::LinkName;

/// The network state of one namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    links: BTreeMap<u32, Link>,
    names: HashMap<LinkName, u32>,
    /// Links whose name another one bears too, as the news of the two came; `names` has one.
    shadowed: BTreeSet<(LinkName, u32)>,
    addresses: BTreeMap<AddressKey, Address>,
    routes: Routes,
    grounds: Grounds,
    nexthops: BTreeMap<u32, Nexthop>,
    neighbours: BTreeMap<NeighbourKey, Neighbour>,
    bridge_vlans: BTreeMap<BridgeVlanKey, BridgeVlan>,
    fdb: BTreeMap<FdbKey, FdbEntry>,
    rules: BTreeSet<Rule>,
    netconf: BTreeMap<NetconfKey, Netconf>,
    nsids: BTreeSet<Nsid>,
    /// What is known of other namespaces, by what a declared state calls them.
    named_netns: BTreeMap<Arc<str>, NamedNetns>,
}

/// Before all other prefixes.
const LEAST: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 0 };

/// Before all other routes.
const FIRST_ROUTE: RouteKey = RouteKey {
    slot: RouteSlot { table: 0, to: LEAST, tos: 0, metric: 0 },
    via: None,
    dev: 0,
    route_type: 0,
};

impl Network {
    /// All links, by index.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = &Link> + ExactSizeIterator {
        self.links.values()
    }

    /// All addresses, by link and address.
    pub fn addresses(&self) -> impl DoubleEndedIterator<Item = &Address> {
        self.addresses.values()
    }

    /// All routes, by table and destination.
    pub fn routes(&self) -> impl DoubleEndedIterator<Item = &Route> {
        self.routes.sorted()
    }

    /// The same in no order.
    pub(crate) fn unsorted_routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// All next hop objects, by id; none unless they are followed.
    pub fn nexthops(&self) -> impl DoubleEndedIterator<Item = &Nexthop> {
        self.nexthops.values()
    }

    /// All neighbours, by link and address; none unless they are followed.
    pub fn neighbours(&self) -> impl DoubleEndedIterator<Item = &Neighbour> {
        self.neighbours.values()
    }

    /// All VLANs of bridges and their ports, by link and number; none unless they are followed.
    pub fn bridge_vlans(&self) -> impl DoubleEndedIterator<Item = &BridgeVlan> {
        self.bridge_vlans.values()
    }

    /// The entries of forwarding databases that are kept, by the bridge or tunnel that has them;
    /// none unless they are followed.
    pub fn fdb(&self) -> impl DoubleEndedIterator<Item = &FdbEntry> {
        self.fdb.values()
    }

    /// All rules, by family and priority; none unless they are followed.
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The settings of IPv4 and IPv6, by family and link; none unless they are followed.
    pub fn netconf(&self) -> impl DoubleEndedIterator<Item = &Netconf> {
        self.netconf.values()
    }

    /// The numbers of other namespaces, in their order; none unless they are followed.
    pub fn nsids(&self) -> impl DoubleEndedIterator<Item = &Nsid> {
        self.nsids.iter()
    }

    /// What is known of the namespace that a declared state calls so; nothing unless it is looked
    /// for.
    pub fn named_netns(&self, name: &str) -> Option<NamedNetns> {
        self.named_netns.get(name).copied()
    }

    /// From now on that is known of it; whether that is news.
    pub(crate) fn set_named_netns(&mut self, name: &Arc<str>, known: NamedNetns) -> bool {
        self.named_netns.insert(Arc::clone(name), known) != Some(known)
    }

    pub(crate) fn forget_named_netns(&mut self) {
        self.named_netns.clear();
    }

    /// The name of the namespace that has that number here, where one that is looked for has.
    pub(crate) fn netns_name(&self, nsid: i32) -> Option<&str> {
        let is_it = |known: &NamedNetns| *known == NamedNetns::There { nsid: Some(nsid) };
        self.named_netns.iter().find(|(_, known)| is_it(known)).map(|(name, _)| &**name)
    }

    /// The link of that index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The link of that name.
    pub fn link_named(&self, name: LinkName) -> Option<&Link> {
        self.links.get(self.names.get(&name)?)
    }

    /// The index of the link of that name.
    pub fn index_of(&self, name: LinkName) -> Option<u32> {
        self.names.get(&name).copied()
    }

    /// The name of the link of that index.
    pub fn name_of(&self, index: u32) -> Option<LinkName> {
        self.links.get(&index).map(|link| link.name)
    }

    /// The address of that key.
    pub fn address(&self, key: AddressKey) -> Option<&Address> {
        self.addresses.get(&key)
    }

    /// The addresses of one link.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        let first = AddressKey { index, prefix: LEAST, peer: None };
        self.addresses
            .range(first..)
            .map(|(_, address)| address)
            .take_while(move |address| address.key.index == index)
    }

    /// The route of that key.
    pub fn route(&self, key: RouteKey) -> Option<&Route> {
        self.routes.get(&key)
    }

    /// The routes that hold one slot: at most one on IPv4 unless someone appended to it, the
    /// next hops on IPv6.
    pub fn routes_in(&self, slot: RouteSlot) -> impl Iterator<Item = &Route> {
        self.routes.in_slot(slot)
    }

    /// The routes that leave through one link, by any of their next hops.
    pub fn routes_through(&self, index: u32) -> impl Iterator<Item = &Route> {
        self.routes_on(Ground::Dev(index))
    }

    /// The routes whose packets are sent from that address (RTA_PREFSRC).
    pub fn routes_from(&self, source: IpAddr) -> impl Iterator<Item = &Route> {
        self.routes_on(Ground::Source(source))
    }

    /// The routes that use the next hop object of that number.
    pub fn routes_by_nexthop(&self, id: u32) -> impl Iterator<Item = &Route> {
        self.routes_on(Ground::Nexthop(id))
    }

    /// Whether any route uses a next hop object.
    pub fn uses_nexthops(&self) -> bool {
        self.grounds.is_any_by_nexthop()
    }

    /// The next hop object of that id.
    pub fn nexthop(&self, id: u32) -> Option<&Nexthop> {
        self.nexthops.get(&id)
    }

    /// The rules of one priority and family.
    pub fn rules_in(&self, is_ipv6: bool, priority: u32) -> impl Iterator<Item = &Rule> {
        let first = Rule { priority, ..Rule::new(is_ipv6) };
        let is_there = move |rule: &&Rule| (rule.is_ipv6, rule.priority) == (is_ipv6, priority);
        self.rules.range(first..).take_while(is_there)
    }

    /// The neighbour of that key.
    pub fn neighbour(&self, key: NeighbourKey) -> Option<&Neighbour> {
        self.neighbours.get(&key)
    }

    /// The VLANs of one port, or of a bridge itself, in their order.
    pub fn bridge_vlans_of(&self, index: u32) -> impl Iterator<Item = &BridgeVlan> {
        let first = BridgeVlanKey { index, vid: 0 };
        let last = BridgeVlanKey { index, vid: u16::MAX };
        self.bridge_vlans.range(first..=last).map(|(_, member)| member)
    }

    /// The settings of that key.
    pub fn netconf_of(&self, key: NetconfKey) -> Option<&Netconf> {
        self.netconf.get(&key)
    }

    /// The entry of that key.
    pub fn fdb_entry(&self, key: FdbKey) -> Option<&FdbEntry> {
        self.fdb.get(&key)
    }

    /// The forwarding entries of a link: those that lead through it as a port, and a tunnel's own.
    pub fn fdb_of(&self, link: &Link) -> impl Iterator<Item = &FdbEntry> {
        let index = link.index;
        self.fdb_around(link).filter(move |entry| entry.dev == index)
    }

    /// The forwarding databases that a link has a part in: its own, and that of its master.
    pub fn fdb_around(&self, link: &Link) -> impl Iterator<Item = &FdbEntry> {
        self.fdb_on(link.index).chain(self.fdb_on(link.master))
    }

    /// The entries of the forwarding database of a bridge or tunnel.
    pub fn fdb_on(&self, on: u32) -> impl Iterator<Item = &FdbEntry> {
        let first = FdbKey { on, mac: [0; 6], vid: 0, source_vni: 0, remote: None };
        self.fdb.range(first..).map(|(_, entry)| entry).take_while(move |entry| entry.key.on == on)
    }

    /// The entries that are alike in all but where they lead: the other ends of a tunnel that an
    /// address leads to.
    pub fn fdb_alike(&self, key: FdbKey) -> impl Iterator<Item = &FdbEntry> {
        let first = FdbKey { remote: None, ..key };
        let is_alike = move |entry: &&FdbEntry| FdbKey { remote: None, ..entry.key } == first;
        self.fdb.range(first..).map(|(_, entry)| entry).take_while(is_alike)
    }

    /// Finds out what each route stands on, which the first question about it does otherwise.
    pub(crate) fn know_grounds(&self) {
        self.grounds.on(Ground::Dev(0), &self.routes).next();
    }

    fn routes_on(&self, ground: Ground) -> impl Iterator<Item = &Route> {
        self.grounds.on(ground, &self.routes).filter_map(|key| self.routes.get(&key))
    }

    /// How plans and reports name an address.
    pub fn id_of_address(&self, key: AddressKey) -> ObjectId {
        ObjectId::Address { link: self.name_of(key.index).unwrap_or_default(), prefix: key.prefix }
    }

    /// How plans and reports name a route.
    pub fn id_of_route(&self, key: RouteKey) -> ObjectId {
        let RouteKey { slot, via, dev, .. } = key;
        let RouteSlot { table, to, tos, metric } = slot;
        ObjectId::Route { to, via, dev: self.name_of(dev), metric, table, tos }
    }

    /// Stores a link; returns what stood in its place.
    pub fn put_link(&mut self, link: Link) -> Option<Link> {
        let Link { index, name, .. } = link;
        let before = self.links.insert(index, link);
        if before.as_ref().is_none_or(|before| before.name != name) {
            before.iter().for_each(|before| self.forget_name(before));
            if let Some(other) = self.names.insert(name, index) {
                self.shadowed.insert((name, other));
            }
        }
        before
    }

    /// Takes a link out; its addresses and routes stay, for the caller to decide.
    pub fn remove_link(&mut self, index: u32) -> Option<Link> {
        let before = self.links.remove(&index)?;
        self.forget_name(&before);
        Some(before)
    }

    /// A name may have passed to another link before this one's own news came.
    fn forget_name(&mut self, link: &Link) {
        let Link { name, index, .. } = *link;
        if self.names.get(&name) != Some(&index) {
            self.shadowed.remove(&(name, index));
            return;
        }
        self.names.remove(&name);
        let heir = self.shadowed.range((name, 0)..=(name, u32::MAX)).next().copied();
        if let Some((_, heir)) = heir {
            self.shadowed.remove(&(name, heir));
            self.names.insert(name, heir);
        }
    }

    /// Stores an address; returns what stood in its place.
    pub fn put_address(&mut self, address: Address) -> Option<Address> {
        self.addresses.insert(address.key, address)
    }

    /// Takes an address out.
    pub fn remove_address(&mut self, key: AddressKey) -> Option<Address> {
        self.addresses.remove(&key)
    }

    /// Stores a route; returns what stood in its place.
    pub fn put_route(&mut self, route: Route) -> Option<Route> {
        let (before, now) = self.routes.insert(route);
        self.grounds.note(before.as_ref(), now);
        before
    }

    /// The same of a route as a dump shows it, which does not tell whether it came by a
    /// replacement: what is known of that stays.
    pub(crate) fn put_dumped_route(&mut self, route: Route) -> Option<Route> {
        let (before, now) = self.routes.insert(route);
        now.replaced |= before.as_ref().is_some_and(|before| before.replaced);
        self.grounds.note(before.as_ref(), now);
        before
    }

    /// Makes room for that many routes, with those that there are.
    pub(crate) fn expect_routes(&mut self, routes: usize) {
        self.routes.reserve(routes);
    }

    /// Takes a route out.
    pub fn remove_route(&mut self, key: RouteKey) -> Option<Route> {
        let before = self.routes.remove(&key)?;
        self.grounds.remove(&before);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link::new(index, LinkName::truncated(name.as_bytes()))
    }

    #[test]
    fn a_name_falls_to_the_link_that_bore_it_all_along() {
        let a = LinkName::truncated(b"a");
        let mut network = Network::default();
        network.put_link(link(1, "a"));
        // Old news of a link that bore the name before, and of its end.
        network.put_link(link(2, "a"));
        network.remove_link(2);
        assert_eq!(network.index_of(a), Some(1));
        network.put_link(link(2, "a"));
        network.put_link(link(1, "b"));
        network.remove_link(2);
        assert_eq!(network.index_of(a), None);
    }

    #[test]
    fn names_follow_renames_in_any_order() {
        let mut network = Network::default();
        network.put_link(link(1, "a"));
        network.put_link(link(2, "b"));
        // The two swap names by way of a third; the news of the first comes last.
        network.put_link(link(2, "a"));
        assert_eq!(network.index_of(LinkName::truncated(b"a")), Some(2));
        network.put_link(link(1, "b"));
        assert_eq!(network.index_of(LinkName::truncated(b"a")), Some(2));
        assert_eq!(network.index_of(LinkName::truncated(b"b")), Some(1));
        network.remove_link(1);
        assert_eq!(network.index_of(LinkName::truncated(b"b")), None);
        assert_eq!(network.index_of(LinkName::truncated(b"a")), Some(2));
    }
}
