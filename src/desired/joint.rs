//! The rules themselves that join several declarations; see `checks.rs` for who applies them.

use std::net::IpAddr;

use super::builder::LinkDeclaration;
use super::builder_route::RouteDeclaration;
use super::checks::{About, Problem, Rest};
use super::joint_settings::is_ipv6_off;
use super::limits::MTU_IPV6_MIN;
use super::loops;
use super::{DesiredNeighbour, ExtraAddresses, LinkMatch, Owner, State};
use crate::model::hash::HashMap;
use crate::model::kind::{DISABLE_IPV6, Kind, ValueType};
use crate::model::route::table_name;
use crate::model::text::LinkName;

/// All declarations, those of links by name.
pub(super) struct Joint<'d> {
    pub(super) owner: Option<&'d Owner>,
    pub(super) links: &'d [LinkDeclaration],
    routes: &'d [RouteDeclaration],
    pub(super) rest: &'d Rest,
    pub(super) by_name: HashMap<LinkName, usize>,
    /// The declared link that creates a peer, by the peer's name.
    pub(super) peer_of: HashMap<LinkName, usize>,
    /// The first link with an address, and the address's place there.
    holders: HashMap<IpAddr, (usize, usize)>,
    pub(super) problems: Vec<Problem>,
}

impl<'d> Joint<'d> {
    pub(super) fn new(
        owner: Option<&'d Owner>,
        links: &'d [LinkDeclaration],
        routes: &'d [RouteDeclaration],
        rest: &'d Rest,
    ) -> Self {
        Self {
            owner,
            links,
            routes,
            rest,
            by_name: HashMap::default(),
            peer_of: HashMap::default(),
            holders: HashMap::default(),
            problems: Vec::new(),
        }
    }

    pub(super) fn check(&mut self) {
        self.check_names();
        self.check_matches();
        self.check_peers();
        self.check_peers_elsewhere();
        for index in 0..self.links.len() {
            self.check_absent(index);
            self.check_references(index);
            self.check_port(index);
            self.check_vlans(index);
            self.check_fdb(index);
            self.check_mtu(index);
            self.check_mtu_of_lower(index);
            self.check_ipv6(index);
            self.check_group(index);
        }
        self.check_fdb_of_bridges();
        self.check_addresses();
        self.check_altnames();
        for index in 0..self.routes.len() {
            self.check_route(index);
        }
        self.check_duplicate_routes();
        self.check_nexthops();
        self.check_rules();
        self.check_neighbours();
        self.check_loops();
    }

    pub(super) fn push(&mut self, about: About, message: String, help: &str) {
        self.problems.push(Problem::new(about, message, help));
    }

    pub(super) fn push_against(&mut self, about: About, other: About, message: String, help: &str) {
        let problem = Problem::new(about, message, help).against(other);
        self.problems.push(problem);
    }

    fn check_names(&mut self) {
        for (index, link) in self.links.iter().enumerate() {
            match self.by_name.get(&link.name) {
                None => drop(self.by_name.insert(link.name, index)),
                Some(&first) => self.push_against(
                    About::link(index, ""),
                    About::link(first, ""),
                    format!("link `{}` is declared twice", link.name),
                    "keep one of the two",
                ),
            }
        }
    }

    /// A link with a match exists by itself, and two that say the same leave the second nothing.
    fn check_matches(&mut self) {
        let mut seen = HashMap::default();
        for (index, link) in self.links.iter().enumerate() {
            let Some(wanted) = &link.matching else { continue };
            let about = About::link(index, "match");
            if let Some(settings) = link.settings {
                let message =
                    format!("`{}` has a match and a kind, {}", link.name, settings.kind.name);
                let help = "what a match finds exists already: take one of the two out";
                self.push_against(about, About::link(index, "kind"), message, help);
            }
            if link.state == Some(State::Absent) {
                let message = format!("`{}` has a match, so it cannot be absent", link.name);
                let help = "what a match finds is not deleted: name the links that shall go";
                self.push_against(about, About::link(index, "state"), message, help);
            }
            // What is wrong in it was told.
            if **wanted == LinkMatch::default() {
                continue;
            }
            let first = *seen.entry(wanted).or_insert(index);
            let named = wanted.only_name().and_then(|name| self.by_name.get(&name).copied());
            let named = named.filter(|&at| self.links[at].matching.is_none());
            if first != index {
                let message = format!("the match of `{}` is the same", self.links[first].name);
                let help = "a link is taken by the first: keep one of the two";
                self.push_against(about, About::link(first, "match"), message, help);
            } else if let Some(named) = named {
                let message = format!("`{}` has a block of its own", self.links[named].name);
                let help = "the block that names a link takes it: keep one of the two";
                self.push_against(about, About::link(named, ""), message, help);
            }
        }
    }

    /// A label that can stand for several links is no link to refer to.
    pub(super) fn check_is_one(&mut self, about: About, used: LinkName) {
        let Some(&at) = self.by_name.get(&used) else { return };
        if self.links[at].matching.as_ref().is_some_and(|wanted| wanted.is_wide()) {
            let message = format!("`{used}` can stand for several links");
            let help = "give its match a `mac`, a `parent` or a name without wildcards";
            self.push_against(about, About::link(at, "match"), message, help);
        }
    }

    fn check_peers(&mut self) {
        for (index, link) in self.links.iter().enumerate() {
            let Some(peer) = link.settings.and_then(|settings| settings.peer()) else {
                continue;
            };
            let about = About::link(index, key_of(link, ValueType::Peer));
            if peer == link.name {
                let message = format!("`{peer}` cannot be its own peer");
                self.push(about, message, "give the other end a name of its own");
                continue;
            }
            if let Some(&first) = self.peer_of.get(&peer) {
                let message =
                    format!("`{peer}` is the peer of `{}` already", self.links[first].name);
                let other = About::link(first, key_of(&self.links[first], ValueType::Peer));
                let help = "give each pair two names of its own";
                self.push_against(about, other, message, help);
                continue;
            }
            self.peer_of.insert(peer, index);
            let Some(&own) = self.by_name.get(&peer) else {
                continue;
            };
            if self.links[own].matching.is_some() {
                let message = format!("`{peer}` is the peer of `{}` and has a match", link.name);
                let help = "a peer has a name: take the match out, or choose another label";
                self.push_against(about, About::link(own, "match"), message, help);
            }
            if let Some(settings) = self.links[own].settings {
                let message = format!(
                    "`{peer}` is the peer of `{}` and has a kind of its own, {}",
                    link.name, settings.kind.name
                );
                let help = format!(
                    "a peer is created by `{}`: take the kind out of `{peer}`, or rename one",
                    link.name
                );
                self.push_against(about, About::link(own, "kind"), message, &help);
            }
            self.check_pair_is_there(index, own);
        }
    }

    /// The ends of a pair come and go together.
    fn check_pair_is_there(&mut self, creator: usize, peer: usize) {
        let (one, two) = (&self.links[creator], &self.links[peer]);
        let is_absent = |link: &LinkDeclaration| link.state == Some(State::Absent);
        if is_absent(one) != is_absent(two) {
            let (gone, there) =
                if is_absent(one) { (one.name, two.name) } else { (two.name, one.name) };
            self.push_against(
                About::link(creator, "state"),
                About::link(peer, "state"),
                format!("`{gone}` is to be absent, but its other end `{there}` is not"),
                "the two ends exist together: make both absent or neither",
            );
        }
    }

    fn check_absent(&mut self, index: usize) {
        let link = &self.links[index];
        if link.state != Some(State::Absent) {
            if link.extra_addresses == Some(ExtraAddresses::Remove) && link.addresses.is_none() {
                self.push(
                    About::link(index, "extra_addresses"),
                    format!("`{}` has extra addresses removed, but no `addresses`", link.name),
                    "declare them; `addresses = []` removes all",
                );
            }
            return;
        }
        let given = [
            ("mtu", link.mtu.is_some()),
            ("mac", link.mac.is_some()),
            ("group", link.group.is_some()),
            ("master", link.master.is_some()),
            ("port", link.port.is_some()),
            ("alias", link.alias.is_some()),
            ("altnames", link.altnames.is_some()),
            ("addresses", link.addresses.is_some()),
            ("extra_addresses", link.extra_addresses.is_some()),
            ("vlans", link.vlans.is_some()),
            ("fdb", link.fdb.is_some()),
        ];
        let common = link.common.iter().map(|(key, _)| (key.name, true));
        for (key, _) in given.into_iter().chain(common).filter(|(_, given)| *given) {
            self.push(
                About::link(index, key),
                format!("`{}` is to be absent, so it cannot have `{key}`", link.name),
                "take this key out, or `state = \"absent\"`",
            );
        }
    }

    fn check_references(&mut self, index: usize) {
        let link = &self.links[index];
        if link.state == Some(State::Absent) {
            return;
        }
        if let Some(master) = link.master {
            self.check_reference(About::link(index, "master"), link.name, master);
            self.check_master(index, master);
        }
        if let Some(lower) = link.settings.and_then(|settings| settings.lower()) {
            let key = key_of(link, ValueType::Lower);
            self.check_reference(About::link(index, key), link.name, lower);
            if lower == link.name {
                let message = format!("`{lower}` cannot stand on itself");
                self.push(About::link(index, key), message, "name the link below it");
            }
        }
    }

    pub(super) fn check_reference(&mut self, about: About, user: LinkName, used: LinkName) {
        self.check_is_one(about, used);
        let declared = self.by_name.get(&used).copied();
        // The peer of an absent link without a declaration of its own is gone with it.
        let creator = self.peer_of.get(&used).copied();
        if let Some(gone) = declared.or(creator) {
            if self.links[gone].state == Some(State::Absent) && user != used {
                self.push_against(
                    about,
                    About::link(gone, "state"),
                    format!("`{user}` needs `{used}`, which is to be absent"),
                    "name another link, or let that one exist",
                );
            }
        }
    }

    fn check_master(&mut self, index: usize, master: LinkName) {
        let about = About::link(index, "master");
        if master == self.links[index].name {
            let message = format!("`{master}` cannot be its own master");
            self.push(about, message, "name the link that it is a port of");
            return;
        }
        let declared = self.by_name.get(&master).map(|&at| &self.links[at]);
        let own = declared.and_then(|link| link.settings);
        let creator = self.peer_of.get(&master).map(|&at| &self.links[at]);
        let kind = own.or_else(|| creator.and_then(|link| link.settings));
        if let Some(kind) = kind.map(|settings| settings.kind) {
            if !kind.can_have_ports {
                let holders = Kind::ALL.iter().filter(|kind| kind.can_have_ports);
                let port_holders: Vec<_> = holders.map(|kind| kind.name).collect();
                self.push(
                    about,
                    format!("`{master}` is of kind {}, which cannot have ports", kind.name),
                    &format!("name a link that can, of kind {}", port_holders.join(" or ")),
                );
            }
        }
    }

    /// Which settings a port has depends on the kind of its master.
    fn check_port(&mut self, index: usize) {
        let link = &self.links[index];
        let Some(port) = link.port.filter(|_| link.state != Some(State::Absent)) else {
            return;
        };
        let about = About::link(index, "port");
        let Some(master) = link.master else {
            let message = format!("`{}` has `port`, but no `master` to be a port of", link.name);
            return self.push(about, message, "name the master, or take `port` out");
        };
        let declared = self.by_name.get(&master).and_then(|&at| self.links[at].settings);
        if declared.and_then(|settings| settings.kind.port) != Some(port.kind) {
            let message =
                format!("`{master}` is not declared as a master of {} ports", port.kind.name);
            self.push(about, message, "declare the master with its kind, and `port` to match");
        }
    }

    fn check_addresses(&mut self) {
        for (index, link) in self.links.iter().enumerate() {
            let mut own = HashMap::default();
            for (item, declared) in link.addresses.iter().flatten().enumerate() {
                // IPv4 may have one address with several other ends; on IPv6 it is one address.
                let prefix = declared.prefix;
                if declared.peer.is_some() && prefix.is_ipv4() {
                    continue;
                }
                let on_this = own.insert(prefix.address, item).map(|item| (index, item));
                let held = self.holders.get(&prefix.address).copied();
                let on_other =
                    held.filter(|(holder, _)| *holder != index && !is_link_local(prefix.address));
                self.holders.entry(prefix.address).or_insert((index, item));
                let Some((first, first_item)) = on_this.or(on_other) else {
                    continue;
                };
                let name = self.links[first].name;
                let message = if first == index {
                    format!("`{name}` has {} twice", prefix.address)
                } else {
                    format!("{} is already on `{name}`", prefix.address)
                };
                let key = "addresses";
                let other = About::Link { index: first, key, item: first_item };
                let about = About::Link { index, key, item };
                self.push_against(about, other, message, "keep one of the two");
            }
        }
    }

    /// Names and alternative names are of one space: the kernel refuses what is taken.
    fn check_altnames(&mut self) {
        let mut holders = HashMap::default();
        for (index, link) in self.links.iter().enumerate() {
            for name in link.altnames.iter().flatten() {
                let about = About::link(index, "altnames");
                let own = LinkName::new(name.as_bytes());
                let named = own.and_then(|name| self.by_name.get(&name).copied());
                let first = *holders.entry(*name).or_insert(index);
                if first != index {
                    let message =
                        format!("`{name}` is an alternative name of `{}`", self.links[first].name);
                    let other = About::link(first, "altnames");
                    self.push_against(about, other, message, "keep one of the two");
                } else if let Some(other) = named {
                    let message = format!("`{name}` is a link's own name");
                    let help = "choose one that no link has";
                    self.push_against(about, About::link(other, ""), message, help);
                }
            }
        }
    }

    fn check_route(&mut self, index: usize) {
        let route = &self.routes[index];
        for (item, hop) in route.hops().enumerate() {
            let key_or = |key| if route.nexthops.is_empty() { key } else { "nexthops" };
            let about = |key| About::Route { index, key: key_or(key), item };
            self.check_gateway(about("via"), hop.via);
            let Some(dev) = hop.dev else { continue };
            self.check_is_one(about("dev"), dev);
            let declared = self.by_name.get(&dev).copied();
            let absent = |at: &usize| self.links[*at].state == Some(State::Absent);
            if let Some(gone) = declared.or(self.peer_of.get(&dev).copied()).filter(absent) {
                self.push_against(
                    about("dev"),
                    About::link(gone, "state"),
                    format!("the route to {} needs `{dev}`, which is to be absent", route.to),
                    "name another link, or let that one exist",
                );
            } else if let Some(at) = declared.filter(|_| !route.to.is_ipv4()) {
                if is_ipv6_off(&self.links[at]) {
                    self.push_against(
                        about("dev"),
                        About::link(at, DISABLE_IPV6),
                        format!("IPv6 is turned off on `{dev}`, which leaves none to route"),
                        "take the route out, or `disable`",
                    );
                }
                if let Some(mtu) = self.links[at].mtu.filter(|mtu| *mtu < MTU_IPV6_MIN) {
                    self.push_against(
                        about("dev"),
                        About::link(at, "mtu"),
                        format!("the MTU of `{dev}`, {mtu}, leaves no IPv6 to route"),
                        "IPv6 needs 1280: raise the MTU, or take the route out",
                    );
                }
            }
        }
    }

    /// The kernel refuses a gateway that is its own address.
    pub(super) fn check_gateway(&mut self, about: About, via: Option<IpAddr>) {
        let Some(via) = via.filter(|via| !is_link_local(*via)) else {
            return;
        };
        if let Some((holder, item)) = self.holders.get(&via).copied() {
            let key = "addresses";
            let other = About::Link { index: holder, key, item };
            let message = format!("{via} is an address of `{}` here", self.links[holder].name);
            let help = "give the address of the next router";
            self.push_against(about, other, message, help);
        }
    }

    /// What the kernel tells routes by: on IPv6 the next hop belongs to it.
    fn check_duplicate_routes(&mut self) {
        let mut seen = HashMap::default();
        for (index, route) in self.routes.iter().enumerate() {
            let hops: Vec<_> = match route.to.is_ipv4() {
                true => vec![(None, None)],
                false => route.hops().map(|hop| (hop.via, hop.dev)).collect(),
            };
            let hops = if hops.is_empty() { vec![(None, None)] } else { hops };
            let (metric, table) = (route.metric_filled(), route.table_filled());
            let first = hops.into_iter().find_map(|(via, dev)| {
                let identity = (table, route.to, route.tos, metric, via);
                let others: &mut Vec<(Option<LinkName>, usize)> = seen.entry(identity).or_default();
                // Without a link it is any, so also the one that another names.
                let is_same = |other: &Option<LinkName>| {
                    *other == dev || (via.is_some() && (other.is_none() || dev.is_none()))
                };
                let first = others.iter().find(|(other, at)| *at != index && is_same(other));
                let first = first.map(|(_, at)| *at);
                others.push((dev, index));
                first
            });
            if let Some(first) = first {
                let name = table_name(table).map(str::to_owned);
                let message = format!(
                    "the route to {} with metric {metric} in table {} is declared twice",
                    route.to,
                    name.unwrap_or_else(|| table.to_string())
                );
                let about = |index| About::Route { index, key: "", item: 0 };
                let help = "keep one of the two, or give them different metrics";
                self.push_against(about(index), about(first), message, help);
            }
        }
    }

    fn check_rules(&mut self) {
        for (index, rule) in self.rest.rules.iter().enumerate() {
            self.check_is_one(About::Rule { index, key: "iif" }, rule.iif);
            self.check_is_one(About::Rule { index, key: "oif" }, rule.oif);
            let first = self.rest.rules[..index].iter().position(|first| first.is_alike(rule));
            if let Some(first) = first {
                let about = |index| About::Rule { index, key: "" };
                let message = format!("the rule `{rule}` is declared twice");
                self.push_against(about(index), about(first), message, "keep one of the two");
            }
        }
    }

    fn check_neighbours(&mut self) {
        let mut seen = HashMap::default();
        for (index, neighbour) in self.rest.neighbours.iter().enumerate() {
            let about = |index, key| About::Neighbour { index, key };
            let DesiredNeighbour { dev, address, .. } = *neighbour;
            let first = *seen.entry((dev, address)).or_insert(index);
            self.check_is_one(about(index, "dev"), dev);
            if first != index {
                let message = format!("the neighbour {address} of `{dev}` is declared twice");
                let (about, other) = (about(index, ""), about(first, ""));
                self.push_against(about, other, message, "keep one of the two");
            }
            let declared = self.by_name.get(&dev).or_else(|| self.peer_of.get(&dev)).copied();
            let is_absent = |at: &usize| self.links[*at].state == Some(State::Absent);
            if let Some(gone) = declared.filter(is_absent) {
                let message =
                    format!("the neighbour {address} needs `{dev}`, which is to be absent");
                let help = "name another link, or let that one exist";
                let other = About::link(gone, "state");
                self.push_against(about(index, "dev"), other, message, help);
            }
            if let Some((holder, item)) = self.holders.get(&address).copied() {
                if !is_link_local(address) {
                    let key = "addresses";
                    let other = About::Link { index: holder, key, item };
                    let name = self.links[holder].name;
                    let message = format!("{address} is an address of `{name}` here");
                    let help = "give the address of another host";
                    self.push_against(about(index, "address"), other, message, help);
                }
            }
        }
    }

    fn check_loops(&mut self) {
        for found in loops::find(self.links, &self.by_name) {
            let names = found.names.join("` on `");
            self.push(
                About::link(found.index, found.key),
                format!("these links stand on one another in a circle: `{names}`"),
                "a master stands on its ports: take one of these out",
            );
        }
    }
}

/// Link-local addresses mean another thing on every link.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The name of the key of that type in a link's kind; empty where it has none.
pub(super) fn key_of(link: &LinkDeclaration, wanted: ValueType) -> &'static str {
    let keys = link.settings.map_or(&[][..], |settings| settings.kind.keys);
    let key = keys.iter().find(|key| key.value == wanted);
    key.map_or("", |key| key.name)
}
