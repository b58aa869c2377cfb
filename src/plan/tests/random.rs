//! Random declared states and random networks, each from a seed.
//!
//! All draw from one small pool of names, addresses and destinations, so that they meet.

use std::net::{IpAddr, Ipv6Addr};

use super::model;
use crate::desired::{
    Desired, DesiredAddress, DesiredBuilder, DesiredFdb, DesiredNeighbour, DesiredNexthop,
    DesiredVlan, ExtraAddresses, LinkDeclaration, LinkMatch, Owner, PROTOCOL_DEFAULT,
    RouteDeclaration, State,
};
use crate::model::address::{AddressKey, IFA_F_DEPRECATED, IFA_F_NODAD, IFA_F_PERMANENT, Prefix};
use crate::model::change::{Change, FdbChange, LinkUpdate, NextHop};
use crate::model::glob::Glob;
use crate::model::identity::{Alias, AltName};
use crate::model::kind::{Kind, Settings, Value};
use crate::model::link::{IFF_UP, Link};
use crate::model::network::Network;
use crate::model::nexthop::Member;
use crate::model::object::Object;
use crate::model::route::{
    Metrics, RTN_BLACKHOLE, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, RouteKey, RouteSlot,
};
use crate::model::rule::{FR_ACT_BLACKHOLE, FR_ACT_TO_TBL, Rule};
use crate::model::text::{LinkName, Mac};
use crate::plan::Plan;

/// A small generator, so that a seed means the same everywhere (xorshift64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// Devices that come by themselves, if they come.
pub(crate) const DEVICES: [&str; 2] = ["e0", "e1"];
/// The links that may have addresses, each with a subnet of its own in each family.
const LINKS: [&str; 11] = ["br0", "br1", "v0", "p0", "v1", "p1", "i0", "mv0", "vx0", "e0", "e1"];
/// What a block calls the last of them that takes it by a match.
const LABEL: &str = "dev1";
const BRIDGES: [&str; 2] = ["br0", "br1"];

pub(crate) fn name(text: &str) -> LinkName {
    LinkName::valid(text.as_bytes()).expect("a valid name")
}

/// The address of that number in the subnet of a link.
fn address(link: usize, number: u8, is_ipv4: bool) -> IpAddr {
    let link = u8::try_from(link).expect("few links");
    match is_ipv4 {
        true => [10, link, 0, number].into(),
        false => {
            let (link, number) = (u16::from(link), u16::from(number));
            Ipv6Addr::new(0x2001, 0xdb8, link, 0, 0, 0, 0, number).into()
        }
    }
}

fn prefix(link: usize, number: u8, is_ipv4: bool) -> Prefix {
    Prefix { address: address(link, number, is_ipv4), len: if is_ipv4 { 24 } else { 64 } }
}

/// One of a few destinations that no link has an address in.
fn destination(number: usize, is_ipv4: bool) -> Prefix {
    prefix(100 + number, 0, is_ipv4)
}

/// A declared state that passes all checks.
pub(crate) fn desired(random: &mut Random) -> Desired {
    valid(random, route)
}

/// The same without what the simulated kernel knows nothing of.
pub(crate) fn plain(random: &mut Random) -> Desired {
    let mut desired = valid(random, plain_route);
    for link in &mut desired.links {
        (link.port, link.alias, link.altnames) = (None, None, None);
        (link.vlans, link.fdb) = (None, None);
    }
    desired.rules.clear();
    desired.neighbours.clear();
    desired.nexthops.clear();
    for own in desired.links.iter_mut().flat_map(|link| link.addresses.iter_mut().flatten()) {
        *own = DesiredAddress::new(own.prefix);
    }
    desired
}

fn valid(random: &mut Random, route: fn(&mut Random) -> RouteDeclaration) -> Desired {
    for _ in 0..1_000 {
        if let Ok(desired) = builder(random, route).build() {
            return desired;
        }
    }
    panic!("no valid declared state in a thousand");
}

fn builder(random: &mut Random, route: fn(&mut Random) -> RouteDeclaration) -> DesiredBuilder {
    let mut builder = Desired::builder();
    if random.one_in(2) {
        let protocol = if random.one_in(2) { PROTOCOL_DEFAULT } else { 99 };
        let prune = random.one_in(2);
        builder = builder.owner(Owner { protocol, prune, ..Owner::new("sim") });
    }
    for link in links(random) {
        builder = builder.link(link);
    }
    for _ in 0..random.below(5) {
        builder = builder.route(route(random));
    }
    for id in 5..8 {
        if random.one_in(2) {
            builder = builder.nexthop(nexthop(random, id));
        }
    }
    for _ in 0..random.below(4) {
        builder = builder.rule(rule(random, 0));
    }
    for _ in 0..random.below(3) {
        builder = builder.neighbour(neighbour(random));
    }
    builder
}

fn links(random: &mut Random) -> Vec<LinkDeclaration> {
    let settings =
        |kind: &str| Settings::new(Kind::by_name(kind.as_bytes()).expect("a known kind"));
    let mut links = Vec::new();
    for (at, &own) in LINKS.iter().enumerate() {
        if random.one_in(3) {
            continue;
        }
        let mut link = LinkDeclaration::new(name(own));
        if own == "e1" && random.one_in(2) {
            let glob = random.pick(&["e1", "e[1-9]"]).expect("some").as_bytes();
            let wanted = Glob::new(glob).expect("a pattern");
            let wanted = LinkMatch { name: Some(wanted), ..LinkMatch::default() };
            link = LinkDeclaration::new(name(LABEL)).matching(wanted);
        }
        let below = *random.pick(&["br0", "v0", "v1", "e0"]).expect("some");
        let below = Value::Link(name(below));
        let peer = |text: &str| settings("veth").with("peer", Value::Link(name(text)));
        let made = match own {
            "br0" | "br1" => Some(settings("bridge")),
            "v0" => peer("p0"),
            "v1" => peer("p1"),
            "i0" => Some(settings("ifb")),
            "mv0" => settings("macvlan").with("dev", below),
            "vx0" if random.one_in(2) => settings("vxlan").with("id", Value::Number(42)),
            "vx0" => settings("vxlan")
                .with("id", Value::Number(42))
                .and_then(|settings| settings.with("dev", below)),
            _ => None,
        };
        let is_absent = random.one_in(12);
        link = made.into_iter().fold(link, LinkDeclaration::settings);
        links.push(if is_absent { link.state(State::Absent) } else { described(random, at, link) });
    }
    links
}

/// What a link has beside its kind.
fn described(random: &mut Random, at: usize, mut link: LinkDeclaration) -> LinkDeclaration {
    let own = LINKS[at];
    match random.below(5) {
        0 => link = link.state(State::Down),
        1 | 2 => link = link.state(State::Up),
        _ => {}
    }
    if random.one_in(5) {
        let words = ["words", "", "\x1b"][random.below(3)].as_bytes();
        link = link.alias(Alias::truncated(words));
    }
    if random.one_in(5) {
        let shared = ["shared", "shared", own][random.below(3)];
        let names = [format!("{own}-1"), format!("{shared}-2")];
        let names = names.iter().filter(|_| !random.one_in(3));
        link = link
            .altnames(names.map(|name| AltName::truncated(name.as_bytes())).collect::<Vec<_>>());
    }
    let is_bridge = BRIDGES.contains(&own);
    if random.one_in(3) && !is_bridge && own != "mv0" {
        link = link.mtu(1300 + 100 * u32::try_from(random.below(3)).unwrap_or(0));
    }
    let mut has_master = false;
    if random.one_in(3) && matches!(own, "v0" | "p0" | "p1" | "i0" | "e1") {
        has_master = true;
        link = link.master(name(random.pick(&BRIDGES).expect("some")));
        if matches!(own, "v0" | "p1" | "i0") {
            let port = Kind::by_name(b"bridge").and_then(|kind| kind.port).expect("a table");
            let cost = Value::Number(100 + u32::try_from(at).unwrap_or(0));
            let port = Settings::new(port).with("cost", cost);
            link = port.into_iter().fold(link, LinkDeclaration::port);
        }
    }
    let is_port = matches!(own, "v0" | "p1" | "i0" | "e1");
    if (is_bridge || is_port) && random.one_in(2) {
        link = link.vlans(vlans(random));
    }
    if random.one_in(2) && (is_port && has_master || own == "vx0") {
        link = link.fdb(fdb(random, at, own == "vx0"));
    }
    if random.one_in(2) {
        let pool = [(1, true), (2, true), (1, false), (2, false)];
        let some = pool.into_iter().filter(|_| !random.one_in(3));
        let some: Vec<_> = some.map(|(number, is_ipv4)| prefix(at, number, is_ipv4)).collect();
        let mut some: Vec<_> = some.into_iter().map(|own| declared_address(random, own)).collect();
        if random.one_in(3) {
            some.reverse();
        }
        link = link.addresses(some);
        if random.one_in(3) {
            let extra = [ExtraAddresses::Keep, ExtraAddresses::Remove];
            link = link.extra_addresses(extra[random.below(2)]);
        }
    }
    link
}

/// Some of a few addresses, behind a port or behind other ends of a tunnel.
fn fdb(random: &mut Random, at: usize, is_tunnel: bool) -> Vec<DesiredFdb> {
    let mut all = Vec::new();
    for number in 0..3_u8 {
        if random.one_in(2) {
            continue;
        }
        let mac = [2, 0, 0, 0, u8::try_from(at).unwrap_or(0), number];
        let dst = |random: &mut Random| address(120, 1 + u8::from(random.one_in(2)), true);
        all.push(match is_tunnel {
            true if number == 0 => DesiredFdb::behind([0; 6], dst(random)),
            true => DesiredFdb::behind(mac, dst(random)),
            false => DesiredFdb::new(mac),
        });
    }
    all
}

/// Some of a few VLANs, of which one may be the PVID.
fn vlans(random: &mut Random) -> Vec<DesiredVlan> {
    let mut vlans = Vec::new();
    if random.one_in(2) {
        let untagged = random.one_in(2);
        let vid = 1 + u16::try_from(random.below(3)).unwrap_or(0);
        vlans.push(DesiredVlan { pvid: true, untagged, ..DesiredVlan::new(vid) });
    }
    if random.one_in(2) {
        let last = 10 + u16::try_from(random.below(4)).unwrap_or(0);
        let untagged = random.one_in(3);
        vlans.push(DesiredVlan { untagged, ..DesiredVlan::range(10, last) });
    }
    vlans
}

fn declared_address(random: &mut Random, prefix: Prefix) -> DesiredAddress {
    let mut own = DesiredAddress::new(prefix);
    match random.below(8) {
        0 if prefix.is_ipv4() => own.label = Some(name("label")),
        1 if prefix.is_ipv4() => own.scope = Some(253),
        0 => own.flags = IFA_F_NODAD,
        2 => own.preferred_lft = Some(0),
        3 => own.valid_lft = Some(3600),
        _ => {}
    }
    own
}

fn route(random: &mut Random) -> RouteDeclaration {
    let is_ipv4 = random.one_in(2);
    let mut route = RouteDeclaration::new(destination(random.below(3), is_ipv4));
    if random.one_in(6) {
        let types = [RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_THROW];
        route = route.route_type(*random.pick(&types).expect("some"));
    } else if random.one_in(5) {
        route = route.nexthop_id(5 + u32::try_from(random.below(3)).unwrap_or(0));
    } else if random.one_in(5) {
        let count = 2 + random.below(2);
        let hops: Vec<_> = (0..count).map(|_| next_hop(random, is_ipv4)).collect();
        route = route.nexthops(hops);
    } else {
        let hop = next_hop(random, is_ipv4);
        route = hop.via.into_iter().fold(route, RouteDeclaration::via);
        route = hop.dev.into_iter().fold(route, RouteDeclaration::dev);
        route = route.onlink(hop.onlink);
    }
    if random.one_in(4) {
        route = route.source(address(random.below(LINKS.len()), 1, is_ipv4));
    }
    if random.one_in(3) {
        let mtu = 1300 + 50 * u32::try_from(random.below(2)).unwrap_or(0);
        route = route.metrics(Metrics { mtu, advmss: 0 });
    }
    if is_ipv4 && random.one_in(6) {
        route = route.tos(16);
    }
    placed(random, route)
}

fn plain_route(random: &mut Random) -> RouteDeclaration {
    let at = random.below(LINKS.len());
    let is_ipv4 = random.one_in(2);
    let mut route = RouteDeclaration::new(destination(random.below(3), is_ipv4));
    let has_gateway = !random.one_in(3);
    if has_gateway {
        route = route.via(address(at, 9, is_ipv4));
    }
    if !has_gateway || random.one_in(2) {
        route = route.dev(link_or_label(random, at));
    }
    placed(random, route)
}

fn placed(random: &mut Random, mut route: RouteDeclaration) -> RouteDeclaration {
    if random.one_in(3) {
        route = route.metric(7);
    }
    if random.one_in(4) {
        route = route.table(77);
    }
    route
}

/// One of a few rules, of a few priorities.
fn rule(random: &mut Random, protocol: u8) -> Rule {
    let is_ipv6 = random.one_in(2);
    let mut rule = Rule { priority: 100, action: FR_ACT_TO_TBL, protocol, ..Rule::new(is_ipv6) };
    rule.priority += u32::try_from(random.below(3)).unwrap_or(0);
    rule.table = 77 + u32::try_from(random.below(2)).unwrap_or(0);
    if random.one_in(2) {
        rule.src = Some(destination(random.below(2), !is_ipv6));
    }
    if random.one_in(4) {
        (rule.action, rule.table) = (FR_ACT_BLACKHOLE, 0);
    }
    if random.one_in(4) {
        rule.fwmark = 7;
    }
    rule
}

/// A next hop object, or a group of them.
fn nexthop(random: &mut Random, id: u32) -> DesiredNexthop {
    let at = random.below(LINKS.len());
    match random.below(4) {
        0 if id == 7 => {
            let weight = 1 + u16::try_from(random.below(2)).unwrap_or(0);
            DesiredNexthop::of(id, [Member { id: 5, weight }, Member { id: 6, weight: 1 }])
        }
        1 => DesiredNexthop { blackhole: true, ..DesiredNexthop::new(id) },
        2 => DesiredNexthop { dev: Some(name(LINKS[at])), ..DesiredNexthop::new(id) },
        _ => {
            let by = DesiredNexthop::by(id, address(at, 9, true), name(LINKS[at]));
            DesiredNexthop { onlink: true, ..by }
        }
    }
}

/// A link, or a label that stands for it.
fn link_or_label(random: &mut Random, at: usize) -> LinkName {
    let is_label = LINKS[at] == "e1" && random.one_in(2);
    name(if is_label { LABEL } else { LINKS[at] })
}

fn neighbour(random: &mut Random) -> DesiredNeighbour {
    let at = random.below(LINKS.len());
    let address = address(at, 20, random.one_in(2));
    let mac = Mac::new(&[2, 0, 0, 0, 0, if random.one_in(2) { 1 } else { 2 }]).expect("a mac");
    DesiredNeighbour { dev: name(LINKS[at]), address, mac }
}

fn next_hop(random: &mut Random, is_ipv4: bool) -> NextHop {
    let at = random.below(LINKS.len());
    // The same gateway is on the link in all declarations, or in none.
    let onlink = random.one_in(6);
    let via = (!random.one_in(3) || onlink).then(|| address(at, 9 + u8::from(onlink), is_ipv4));
    let dev = (via.is_none() || onlink || random.one_in(2)).then(|| link_or_label(random, at));
    let weight = 1 + u16::try_from(random.below(3)).unwrap_or(0);
    NextHop { via, dev, weight, onlink }
}

/// A network that others left behind: half of what another state declared, and then some.
pub(crate) fn network(random: &mut Random) -> Network {
    let mut network = Network::default();
    for (at, device) in DEVICES.iter().enumerate() {
        if !random.one_in(4) {
            let mut link = Link::new(1000 + u32::try_from(at).unwrap_or(0), name(device));
            (link.mtu, link.flags) = (1500, if random.one_in(2) { IFF_UP } else { 0 });
            network.put_link(link);
        }
    }
    let before = desired(random);
    for step in Plan::new(&before, &network).steps {
        if !random.one_in(4) {
            // A step whose ground was left out fails, as it would at the kernel.
            let _ = model::apply(&mut network, &step.change);
        }
    }
    for _ in 0..random.below(6) {
        meddle(random, &mut network);
    }
    network
}

/// Someone else changes something.
pub(crate) fn meddle(random: &mut Random, network: &mut Network) {
    if random.one_in(6) {
        let protocol = *random.pick(&[3, 99, PROTOCOL_DEFAULT]).expect("some");
        let rule = rule(random, protocol).normal();
        network.put(Object::Rule(rule));
        return;
    }
    let links: Vec<_> = network.links().cloned().collect();
    let Some(link) = random.pick(&links).cloned() else { return };
    let at = LINKS.iter().position(|own| name(own) == link.name).unwrap_or(50);
    match random.below(8) {
        5 => drop(network.put_link(link.with_identity(|it| it.alias = Box::from(*b"theirs")))),
        6 => {
            let altname = AltName::truncated(format!("theirs-{}", link.name).as_bytes());
            drop(network.put_link(link.with_identity(|it| it.altnames = [altname].into())));
        }
        7 => meddle_with_vlans(random, network, &link),
        4 => drop(network.put_link(Link { group: Owner::new("sim").doomed(), ..link })),
        0 => {
            // Those on it fall along.
            let update = LinkUpdate { mtu: Some(1234), ..LinkUpdate::new(link.name) };
            let _ = model::apply(network, &Change::from(update));
        }
        1 if random.one_in(2) => {
            let id = 5 + u32::try_from(random.below(3)).unwrap_or(0);
            let _ = model::apply(network, &Change::DeleteNexthop(id));
        }
        1 => {
            let flags = if random.one_in(2) { IFF_UP } else { 0 };
            model::set_up(network, link.index, flags != 0);
        }
        2 => {
            let prefix = prefix(at, 7, random.one_in(2));
            let key = AddressKey { index: link.index, prefix, peer: None };
            let flags = [IFA_F_PERMANENT, IFA_F_PERMANENT | IFA_F_DEPRECATED, 0];
            let flags = *random.pick(&flags).expect("some");
            model::put_address(network, key, 0, flags, 0, link.name);
        }
        _ => {
            let is_ipv4 = random.one_in(2);
            let metric = if is_ipv4 { 0 } else { 1024 };
            let to = destination(random.below(3), is_ipv4);
            let slot = RouteSlot { table: 254, to, tos: 0, metric };
            let via = Some(address(at, 77, is_ipv4));
            let key = RouteKey { slot, via, dev: link.index, route_type: RTN_UNICAST };
            let protocol = *random.pick(&[3, 4, 16]).expect("some");
            let is_free = network.routes_in(slot).next().is_none();
            if link.is_up() && (is_free || !is_ipv4) {
                network.put_route(model::route(key, protocol, !is_free));
            }
        }
    }
}

/// Someone else makes a port a member of a VLAN, or the PVID another one.
fn meddle_with_vlans(random: &mut Random, network: &mut Network, link: &Link) {
    let vid = 1 + u16::try_from(random.below(20)).unwrap_or(0);
    let (pvid, untagged) = (random.one_in(2), random.one_in(2));
    let link = link.name;
    let put = Change::PutVlans { link, first: vid, last: vid, pvid, untagged, replace: false };
    // Of what is no port the kernel refuses it.
    let _ = model::apply(network, &put);
    let [at, number] = [LINKS.len(), 4].map(|below| u8::try_from(random.below(below)).unwrap_or(0));
    let mac = [2, 0, 0, 0, at, number];
    let dst = random.one_in(2).then(|| address(120, 3, true));
    let entry = FdbChange { link, mac, vid: 0, dst, port: 0, vni: 0, via: None };
    for replace in [false, true] {
        let _ = model::apply(network, &Change::PutFdb { entry, replace });
    }
}
