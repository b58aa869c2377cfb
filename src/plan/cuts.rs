//! Which steps of a plan would cut a remote session off from this host.
//!
//! It errs on the side of the session: a step that only may cut it counts. What it does not see are
//! routes of other tables than main, and settings of a kind or a port.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Plan, Step};
use crate::model::address::Prefix;
use crate::model::change::{Change, LinkUpdate, RouteChange};
use crate::model::kind::{DISABLE_IPV6, Kind, Settings, Value};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::route::{PROTOCOL_KERNEL, Route, TABLE_LOCAL, TABLE_MAIN, is_dead_end};
use crate::model::rule::{FIB_RULE_INVERT, FR_ACT_NOP, FR_ACT_TO_TBL, Rule};
use crate::model::text::LinkName;

/// A connection from elsewhere that is not to be cut, such as the one a command is typed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// This host's address of it.
    pub local: IpAddr,
    /// The other end's.
    pub client: IpAddr,
}

/// The steps that would cut `session`, or may: those that delete, set down, move into a master or
/// give another mac to the link that holds its local address, delete that address, or delete,
/// replace or go past the route by which its client is reached; those that make or delete a rule
/// which its packets meet, or the neighbour that they go to; and those that take away what that
/// link stands on. None where no link of `network` holds the local address: the session is then
/// none of this network.
pub fn cuts<'a>(plan: &'a Plan, network: &Network, session: Session) -> Vec<&'a Step> {
    let Some(mut way) = Way::new(network, session) else {
        return Vec::new();
    };
    let mut cuts = Vec::new();
    for step in &plan.steps {
        if way.is_cut_by(step) {
            cuts.push(step);
        }
    }
    cuts
}

/// IPPROTO_TCP of `linux/in.h`.
const IP_PROTOCOL_TCP: u8 = 6;

/// What a session goes through.
struct Way<'a> {
    network: &'a Network,
    session: Session,
    /// The links that hold the local address.
    holders: BTreeSet<LinkName>,
    /// They, and what they stand on: masters, lower links, ports, other ends.
    ground: BTreeSet<LinkName>,
    /// The routes to the client, and to the gateway on the way there.
    routes: Vec<&'a Route>,
}

impl<'a> Way<'a> {
    fn new(network: &'a Network, session: Session) -> Option<Self> {
        let held = network.addresses().filter(|it| it.key.prefix.address == session.local);
        let held: BTreeSet<_> = held.map(|it| it.key.index).collect();
        if held.is_empty() {
            return None;
        }
        let name = |index: &u32| network.name_of(*index);
        let holders = held.iter().filter_map(name).collect();
        let ground = ground(network, &held).iter().filter_map(name).collect();
        let mut routes = routes_to(network, session.client);
        let gateway = routes.first().and_then(|route| route.key.via);
        routes.extend(gateway.into_iter().flat_map(|via| routes_to(network, via)));
        if network.addresses().any(|it| it.key.prefix.address == session.client) {
            // It comes from this host itself.
            routes.clear();
        }
        Some(Self { network, session, holders, ground, routes })
    }

    fn is_cut_by(&mut self, step: &Step) -> bool {
        let along = step.also_removes.iter().any(|object| self.needs(object));
        along
            || match &step.change {
                Change::DeleteLink(link) => self.ground.contains(link),
                Change::SetLink(update) => self.is_cut_by_update(update),
                Change::SetSysctls { link, settings } => {
                    let is_off = settings.by_name(DISABLE_IPV6) == Some(Value::Bool(true));
                    is_off && !self.session.local.is_ipv4() && self.holders.contains(link)
                }
                Change::DeleteAddress { link, prefix, .. } => self.needs_address(*link, *prefix),
                Change::DeleteRoute(route) => self.needs_route(&route.object()),
                Change::ReplaceRoute(route) => self.is_led_elsewhere(route, step),
                Change::CreateRoute(route) => self.is_diverted(route),
                Change::CreateRule(rule) => self.meets(rule) && !is_looked_up_anyway(rule),
                Change::DeleteRule(rule) => self.meets(rule) && rule.action != FR_ACT_NOP,
                Change::PutNeighbour { address, .. } | Change::DeleteNeighbour { address, .. } => {
                    self.is_next(*address)
                }
                _ => false,
            }
    }

    fn is_cut_by_update(&mut self, update: &LinkUpdate) -> bool {
        if !self.ground.contains(&update.link) {
            return false;
        }
        // What follows in the plan speaks of its new name.
        self.ground.extend(update.rename);
        let is_holder = self.holders.contains(&update.link);
        if is_holder {
            self.holders.extend(update.rename);
        }
        update.up == Some(false) || update.master.is_some() || (is_holder && update.mac.is_some())
    }

    fn needs(&self, object: &ObjectId) -> bool {
        match object {
            ObjectId::Link(link) => self.ground.contains(link),
            ObjectId::Address { link, prefix } => self.needs_address(*link, *prefix),
            ObjectId::Route { .. } => self.needs_route(object),
            // Rules, neighbours, VLANs and groups do not go along with anything.
            _ => false,
        }
    }

    /// The address itself, and the one whose subnet the client is reached in: on IPv4 the route to
    /// a subnet goes with its first address.
    fn needs_address(&self, link: LinkName, prefix: Prefix) -> bool {
        let is_of_it = |route: &&Route| {
            let is_through = self.network.name_of(route.key.dev) == Some(link);
            let is_kernels = route.protocol == PROTOCOL_KERNEL && is_through;
            is_kernels && route.source == Some(prefix.address)
        };
        prefix.address == self.session.local || self.routes.iter().any(is_of_it)
    }

    fn needs_route(&self, object: &ObjectId) -> bool {
        self.routes.iter().any(|route| self.network.id_of_route(route.key) == *object)
    }

    /// Whether a route on the way is replaced by one that leads elsewhere.
    fn is_led_elsewhere(&self, route: &RouteChange, step: &Step) -> bool {
        let is_in_its_place = |now: &&Route| {
            let slot = now.key.slot;
            let place = (slot.table, slot.to, slot.metric, slot.tos);
            place == (route.table, route.to.network(), route.metric, route.tos)
        };
        let leads = |key: &str| !matches!(key, "protocol" | "mtu" | "advmss");
        self.routes.iter().any(is_in_its_place)
            && step.differences.iter().any(|difference| leads(difference.key))
    }

    /// Whether the session's packets to its client may meet a rule. They bear no mark and come from
    /// this host; their ports are not looked at.
    fn meets(&self, rule: &Rule) -> bool {
        let Session { local, client } = self.session;
        let holds = |prefix: Option<Prefix>, address| prefix.is_none_or(|it| it.contains(address));
        let is_plain = rule.fwmark == 0 && rule.iif.is_empty() && rule.oif.is_empty();
        let is_tcp = [0, IP_PROTOCOL_TCP].contains(&rule.ip_protocol);
        let is_inverted = rule.flags & FIB_RULE_INVERT != 0;
        let matches = is_plain && is_tcp && holds(rule.src, local) && holds(rule.dst, client);
        rule.is_ipv6 != local.is_ipv4() && (is_inverted || matches)
    }

    /// Whether the session's packets go to that neighbour next.
    fn is_next(&self, address: IpAddr) -> bool {
        let mut gateways = self.routes.iter().filter_map(|route| route.key.via);
        gateways.any(|via| via == address) || address == self.session.client
    }

    /// Whether a new route would be taken in place of the one to the client.
    fn is_diverted(&self, route: &RouteChange) -> bool {
        let Some(now) = self.routes.first() else { return false };
        let concerns = route.table == TABLE_MAIN && route.tos == 0;
        if !concerns || !route.to.contains(self.session.client) {
            return false;
        }
        let (length, before) = (route.to.len, now.key.slot.to.len);
        let is_preferred =
            length > before || (length == before && route.metric < now.key.slot.metric);
        let dev = route.dev.or_else(|| self.network.name_of(now.key.dev));
        let is_same = route.hops.is_empty()
            && !is_dead_end(route.route_type)
            && route.via == now.key.via
            && dev == self.network.name_of(now.key.dev);
        is_preferred && !is_same
    }
}

/// Whether a rule does nothing, or leads to a table that is looked up without it.
fn is_looked_up_anyway(rule: &Rule) -> bool {
    let leads_to_own = rule.action == FR_ACT_TO_TBL && !rule.l3mdev;
    rule.action == FR_ACT_NOP || (leads_to_own && matches!(rule.table, TABLE_MAIN | TABLE_LOCAL))
}

/// The routes that are taken to `address`: those of the longest prefix, and of them the ones with
/// the least metric.
fn routes_to(network: &Network, address: IpAddr) -> Vec<&Route> {
    let leads = |route: &&Route| {
        let slot = route.key.slot;
        slot.table == TABLE_MAIN && slot.tos == 0 && slot.to.contains(address)
    };
    let order = |route: &Route| {
        let slot = route.key.slot;
        (std::cmp::Reverse(slot.to.len), slot.metric)
    };
    let best = network.unsorted_routes().filter(leads).map(order).min();
    let is_best = |route: &&Route| Some(order(route)) == best;
    network.routes().filter(leads).filter(is_best).collect()
}

/// The links of these indices, and those without which nothing comes through them.
fn ground(network: &Network, held: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut ground = held.clone();
    let mut masters: Vec<_> = held.iter().filter_map(|it| network.link(*it)).collect();
    while let Some(master) = masters.pop().and_then(|link| network.link(link.master)) {
        if ground.insert(master.index) {
            masters.push(master);
        }
    }
    let mut left: Vec<_> = held.iter().copied().collect();
    while let Some(link) = left.pop().and_then(|index| network.link(index)) {
        let lower = Some(link.lower).filter(|_| link.lower_netns.is_none() && link.lower != 0);
        for below in lower.into_iter().chain(uplinks(network, link)) {
            if ground.insert(below) {
                left.push(below);
            }
        }
    }
    ground
}

/// The ports through which the outside reaches a master: all that a person would call uplinks,
/// which are devices and what stands on other links; where there are none, every port. The ends of
/// virtual machines and containers among them come and go.
fn uplinks(network: &Network, master: &Link) -> Vec<u32> {
    let ports: Vec<_> = network.links().filter(|link| link.master == master.index).collect();
    let is_uplink = |port: &&&Link| {
        let kind = port.settings.map(|settings: Settings| settings.kind);
        let is_pair = kind.is_some_and(Kind::has_peer);
        let stands = port.lower != 0 && port.lower_netns.is_none() && !is_pair;
        port.kind.is_empty() || stands || kind.is_some_and(|kind| kind.can_have_ports)
    };
    let uplinks: Vec<_> = ports.iter().filter(is_uplink).map(|port| port.index).collect();
    if uplinks.is_empty() { ports.iter().map(|port| port.index).collect() } else { uplinks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Desired;
    use crate::model::address::AddressKey;
    use crate::model::kind::Value;
    use crate::model::link::IFF_UP;
    use crate::model::route::{RTN_UNICAST, RouteKey, RouteSlot};
    use crate::model::text::{KindName, Mac};
    use crate::plan::tests::model;
    use crate::plan::tests::random::name;

    const SESSION: Session = Session { local: IpAddr::V4(LOCAL), client: IpAddr::V4(CLIENT) };
    const LOCAL: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 5);
    const CLIENT: std::net::Ipv4Addr = std::net::Ipv4Addr::new(198, 51, 100, 7);

    fn prefix(text: &str) -> Prefix {
        let (address, len) = text.split_once('/').expect("a length");
        Prefix { address: address.parse().expect("an address"), len: len.parse().expect("bits") }
    }

    fn link(index: u32, text: &str, kind: &str) -> Link {
        let settings = Kind::by_name(kind.as_bytes()).map(Settings::new);
        let kind = KindName::truncated(kind.as_bytes());
        Link { kind, settings, flags: IFF_UP, mtu: 1500, ..Link::new(index, name(text)) }
    }

    fn on(mut link: Link, lower: u32) -> Link {
        link.lower = lower;
        if let Some(tied) = link.clone().tied_to(lower) {
            return tied;
        }
        let settings = link.settings.as_mut().expect("a kind that we know");
        let at = settings.kind.position("dev").expect("a kind with a lower link");
        settings.set(at, Some(Value::Index(lower)));
        link
    }

    fn port(link: Link, master: u32) -> Link {
        Link { master, ..link }
    }

    fn route(to: &str, via: Option<&str>, dev: u32, source: Option<&str>) -> Route {
        let via = via.map(|text| text.parse().expect("an address"));
        let slot = RouteSlot { table: TABLE_MAIN, to: prefix(to), tos: 0, metric: 0 };
        let key = RouteKey { slot, via, dev, route_type: RTN_UNICAST };
        let protocol = if source.is_some() { PROTOCOL_KERNEL } else { 3 };
        let source = source.map(|text| text.parse().expect("an address"));
        Route { source, ..model::route(key, protocol, false) }
    }

    /// br0 with the session's address, on a vlan of the device e0; a pair's end is in it too. The
    /// client is reached by way of a gateway.
    fn host() -> Network {
        let mut network = Network::default();
        network.put_link(link(2, "e0", ""));
        network.put_link(port(on(link(3, "e0v", "vlan"), 2), 4));
        network.put_link(link(4, "br0", "bridge"));
        network.put_link(port(on(link(5, "v0", "veth"), 6), 4));
        network.put_link(on(link(6, "p0", "veth"), 5));
        network.put_link(link(7, "e1", ""));
        for (index, text) in [(4, "192.0.2.1/24"), (4, "192.0.2.5/24"), (7, "203.0.113.1/24")] {
            let key = AddressKey { index, prefix: prefix(text), peer: None };
            model::put_address(&mut network, key, 0, 0, 82, LinkName::default());
        }
        for way in [
            route("192.0.2.0/24", None, 4, Some("192.0.2.1")),
            route("203.0.113.0/24", None, 7, Some("203.0.113.1")),
            route("0.0.0.0/0", Some("192.0.2.254"), 4, None),
            route("10.0.0.0/8", Some("192.0.2.253"), 4, None),
        ] {
            network.put_route(way);
        }
        network
    }

    fn planned(change: Change) -> Plan {
        let step = Step::bare(change, crate::plan::Subject::Strays, crate::plan::Rank::Address);
        Plan { steps: vec![step], ..Plan::default() }
    }

    fn is_cut(change: Change) -> bool {
        !cuts(&planned(change), &host(), SESSION).is_empty()
    }

    fn down(link: &str) -> Change {
        Change::from(LinkUpdate { up: Some(false), ..LinkUpdate::new(name(link)) })
    }

    #[test]
    fn links_on_the_way_are_guarded_and_others_are_not() {
        for (link, is_on_the_way) in [
            ("br0", true),
            ("e0v", true),
            ("e0", true),
            ("v0", false),
            ("p0", false),
            ("e1", false),
            ("absent", false),
        ] {
            assert_eq!(is_cut(Change::DeleteLink(name(link))), is_on_the_way, "{link} deleted");
            assert_eq!(is_cut(down(link)), is_on_the_way, "{link} down");
            let joins = LinkUpdate { master: Some(name("br9")), ..LinkUpdate::new(name(link)) };
            assert_eq!(is_cut(Change::from(joins)), is_on_the_way, "{link} joins");
        }
        let update = LinkUpdate::new(name("br0"));
        let mac = Some(Mac::new(&[2, 0, 0, 0, 0, 1]).expect("a mac"));
        assert!(is_cut(Change::from(LinkUpdate { mac, ..update })));
        for harmless in [
            LinkUpdate { mtu: Some(1400), ..update },
            LinkUpdate { up: Some(true), ..update },
            LinkUpdate { rename: Some(name("br1")), ..update },
            LinkUpdate { mac, ..LinkUpdate::new(name("e1")) },
        ] {
            assert!(!is_cut(Change::from(harmless)), "{harmless:?}");
        }
    }

    #[test]
    fn a_link_is_known_by_the_name_that_the_plan_gives_it() {
        let mut plan = planned(Change::from(LinkUpdate {
            rename: Some(name("lan")),
            ..LinkUpdate::new(name("br0"))
        }));
        plan.steps.extend(planned(down("lan")).steps);
        let host = host();
        let cuts = cuts(&plan, &host, SESSION);
        assert_eq!(cuts.iter().map(|step| step.change.clone()).collect::<Vec<_>>(), [down("lan")]);
    }

    #[test]
    fn addresses_and_routes_on_the_way_are_guarded_and_others_are_not() {
        let address = |link: &str, text: &str| Change::DeleteAddress {
            link: name(link),
            prefix: prefix(text),
            peer: None,
        };
        assert!(is_cut(address("br0", "192.0.2.5/24")));
        assert!(is_cut(address("br0", "192.0.2.1/24")), "the route to the gateway goes with it");
        assert!(!is_cut(address("e1", "203.0.113.1/24")));
        let to = |text: &str, via: &str| RouteChange {
            via: Some(via.parse().expect("an address")),
            dev: Some(name("br0")),
            ..RouteChange::new(prefix(text), 82)
        };
        assert!(is_cut(Change::DeleteRoute(to("0.0.0.0/0", "192.0.2.254"))));
        assert!(!is_cut(Change::DeleteRoute(to("10.0.0.0/8", "192.0.2.253"))));
        assert!(is_cut(Change::CreateRoute(to("198.51.100.0/24", "192.0.2.253"))));
        assert!(!is_cut(Change::CreateRoute(to("198.51.100.0/24", "192.0.2.254"))), "the same way");
        assert!(!is_cut(Change::CreateRoute(to("10.1.0.0/16", "192.0.2.253"))));
        let mut replaced = planned(Change::ReplaceRoute(to("0.0.0.0/0", "192.0.2.253")));
        let difference = |key| crate::plan::Difference::new(key, 1u32, 2u32);
        replaced.steps[0].differences = vec![difference("protocol")];
        assert!(cuts(&replaced, &host(), SESSION).is_empty());
        replaced.steps[0].differences = vec![difference("via")];
        assert_eq!(cuts(&replaced, &host(), SESSION).len(), 1);
    }

    #[test]
    fn rules_and_neighbours_on_the_way_are_guarded_and_others_are_not() {
        let to_table = |table| Rule { action: FR_ACT_TO_TBL, table, ..Rule::new(false) };
        let from = |text: &str| Rule { src: Some(prefix(text)), ..to_table(100) };
        let blackhole = Rule { action: 6, ..Rule::new(false) };
        let inverted = Rule { flags: FIB_RULE_INVERT, ..from("192.0.2.0/24") };
        for rule in [to_table(100), from("192.0.2.0/24"), from("0.0.0.0/0"), blackhole, inverted] {
            assert!(is_cut(Change::CreateRule(Box::new(rule))), "{rule:?}");
            assert!(is_cut(Change::DeleteRule(Box::new(rule))), "{rule:?}");
        }
        let to_client = Rule { dst: Some(prefix("198.51.100.0/24")), ..to_table(100) };
        assert!(is_cut(Change::CreateRule(Box::new(to_client))));
        for rule in [
            to_table(TABLE_MAIN),
            Rule { action: FR_ACT_NOP, ..Rule::new(false) },
            from("10.0.0.0/8"),
            Rule { dst: Some(prefix("10.0.0.0/8")), ..to_table(100) },
            Rule { fwmark: 1, ..to_table(100) },
            Rule { iif: name("e1"), ..to_table(100) },
            Rule { ip_protocol: 17, ..to_table(100) },
            Rule { is_ipv6: true, ..to_table(100) },
        ] {
            assert!(!is_cut(Change::CreateRule(Box::new(rule))), "{rule:?}");
        }
        for (text, is_on_the_way) in
            [("192.0.2.254", true), ("198.51.100.7", true), ("192.0.2.253", false)]
        {
            let address = text.parse().expect("an address");
            let gone = Change::DeleteNeighbour { link: name("br0"), address };
            assert_eq!(is_cut(gone), is_on_the_way, "{text}");
        }
    }

    #[test]
    fn what_goes_along_is_guarded_too() {
        let mut plan = planned(Change::DeleteAddress {
            link: name("e1"),
            prefix: prefix("203.0.113.1/24"),
            peer: None,
        });
        let default = *host().routes().next().map(|route| &route.key).expect("the default route");
        for along in [
            ObjectId::Link(name("e0")),
            ObjectId::Address { link: name("br0"), prefix: prefix("192.0.2.5/24") },
            host().id_of_route(default),
        ] {
            plan.steps[0].also_removes = vec![along];
            assert_eq!(cuts(&plan, &host(), SESSION).len(), 1, "{along}");
        }
        plan.steps[0].also_removes = vec![ObjectId::Link(name("v0"))];
        assert!(cuts(&plan, &host(), SESSION).is_empty());
    }

    #[test]
    fn a_session_of_another_network_is_not_guarded_and_a_local_one_needs_no_route() {
        let elsewhere = Session { local: [203, 0, 113, 99].into(), ..SESSION };
        assert!(cuts(&planned(down("br0")), &host(), elsewhere).is_empty());
        let local = Session { client: [203, 0, 113, 1].into(), ..SESSION };
        let default = Change::DeleteRoute(RouteChange {
            via: Some([192, 0, 2, 254].into()),
            dev: Some(name("br0")),
            ..RouteChange::new(prefix("0.0.0.0/0"), 82)
        });
        assert!(cuts(&planned(default), &host(), local).is_empty());
        assert_eq!(cuts(&planned(down("br0")), &host(), local).len(), 1);
    }

    #[test]
    fn where_all_ports_are_ends_of_pairs_each_may_be_the_way() {
        let mut network = Network::default();
        network.put_link(link(4, "br0", "bridge"));
        network.put_link(port(on(link(5, "v0", "veth"), 6), 4));
        network.put_link(on(link(6, "p0", "veth"), 5));
        let key = AddressKey { index: 4, prefix: prefix("192.0.2.5/24"), peer: None };
        model::put_address(&mut network, key, 0, 0, 82, LinkName::default());
        for link in ["br0", "v0", "p0"] {
            assert_eq!(cuts(&planned(down(link)), &network, SESSION).len(), 1, "{link}");
        }
    }

    #[test]
    fn a_whole_plan_is_looked_through() {
        let text =
            "version = 1\n[link.br0]\nkind = \"bridge\"\nstate = \"down\"\n[link.e1]\nmtu = 1400\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let host = host();
        let plan = Plan::new(&desired, &host);
        let cuts = cuts(&plan, &host, SESSION);
        assert!(
            !cuts.is_empty()
                && cuts.iter().all(|step| step.change.object() == ObjectId::Link(name("br0"))),
            "{cuts:#?}"
        );
    }
}
