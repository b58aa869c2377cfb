//! The rules that join several declared objects, and the defaults that follow from them.
//!
//! They work on declarations and answer with indices into them, so that the document, which
//! knows where each was written, and the builder, which does not, share every rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::{ExtraAddresses, LinkDeclaration};
use super::builder_route::RouteDeclaration;
use super::joint::Joint;
use super::values::{self, Fault};
use super::values_address::check_address;
use super::values_fdb::check_fdb;
use super::values_names::{check_alias, check_altnames};
use super::values_netns::{check_netns_of, number_namespaces};
use super::values_nexthop::check_nexthop;
use super::values_route::check_route;
use super::values_rule::{check_neighbour, check_rule};
use super::values_vlan::check_vlan;
use super::{
    Desired, DesiredLink, DesiredNeighbour, DesiredNexthop, DesiredRoute, Gone, Owner,
    PROTOCOL_DEFAULT, State,
};
use crate::model::change::NextHop;
use crate::model::hash::{HashMap, HashSet};
use crate::model::rule::Rule;
use crate::model::text::LinkName;

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A key of the owner.
    Owner { key: &'static str },
    /// A declared link; one of its keys (empty: the link itself), one item of that key's array.
    Link { index: usize, key: &'static str, item: usize },
    /// A declared route, one of its keys (empty: the route itself), one item of that key's array.
    Route { index: usize, key: &'static str, item: usize },
    /// A declared rule, one of its keys (empty: the rule itself).
    Rule { index: usize, key: &'static str },
    /// A declared neighbour, one of its keys (empty: the neighbour itself).
    Neighbour { index: usize, key: &'static str },
    /// A declared next hop, one of its keys (empty: the next hop), one item of that key's array.
    Nexthop { index: usize, key: &'static str, item: usize },
}

/// What is declared beside links and routes.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest {
    pub(super) rules: Vec<Rule>,
    pub(super) neighbours: Vec<DesiredNeighbour>,
    pub(super) nexthops: Vec<DesiredNexthop>,
}

impl About {
    pub(super) fn link(index: usize, key: &'static str) -> Self {
        Self::Link { index, key, item: 0 }
    }
}

/// One broken rule.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) about: About,
    pub(super) fault: Fault,
    /// The other half of a contradiction. Who has no places to point at has no use for it.
    #[cfg_attr(not(feature = "document"), expect(dead_code))]
    pub(super) other: Option<About>,
}

impl Problem {
    pub(super) fn new(about: About, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { about, fault: Fault::new(message, help), other: None }
    }

    pub(super) fn against(self, other: About) -> Self {
        Self { other: Some(other), ..self }
    }
}

/// Checks each declaration for itself. The document does this where it reads a value.
pub(super) fn check_each(
    owner: Option<&Owner>,
    links: &[LinkDeclaration],
    routes: &[RouteDeclaration],
    rest: &Rest,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut push = |about, fault| {
        problems.push(Problem { about, fault, other: None });
    };
    for (key, fault) in owner.into_iter().flat_map(values::check_owner) {
        push(About::Owner { key }, fault);
    }
    for (index, link) in links.iter().enumerate() {
        let checked = [
            ("", values::check_name(link.name)),
            ("mtu", link.mtu.map_or(Ok(()), values::check_mtu)),
            ("mac", link.mac.map_or(Ok(()), values::check_mac)),
            ("master", link.master.map_or(Ok(()), values::check_name)),
            ("match", link.matching.as_ref().map_or(Ok(()), |wanted| wanted.check())),
            ("alias", link.alias.as_deref().map_or(Ok(()), check_alias)),
            ("peer_netns", check_netns_of(link)),
        ];
        for (key, checked) in checked {
            if let Err(fault) = checked {
                push(About::link(index, key), fault);
            }
        }
        let settings = link.settings.iter().chain(&link.port).chain([&link.common]);
        for (key, fault) in settings.flat_map(values::check_settings) {
            push(About::link(index, key), fault);
        }
        for fault in check_altnames(link.altnames.as_deref().unwrap_or_default()) {
            push(About::link(index, "altnames"), fault);
        }
        for (item, address) in link.addresses.iter().flatten().enumerate() {
            for (_, fault) in check_address(address) {
                let key = "addresses";
                push(About::Link { index, key, item }, fault);
            }
        }
        for (item, own) in link.fdb.iter().flatten().enumerate() {
            for (_, fault) in check_fdb(own) {
                push(About::Link { index, key: "fdb", item }, fault);
            }
        }
        for (item, member) in link.vlans.iter().flatten().enumerate() {
            for (_, fault) in check_vlan(member) {
                push(About::Link { index, key: "vlans", item }, fault);
            }
        }
    }
    for (index, route) in routes.iter().enumerate() {
        for (key, item, fault) in check_route(route) {
            push(About::Route { index, key, item }, fault);
        }
    }
    for (index, rule) in rest.rules.iter().enumerate() {
        for (key, fault) in check_rule(rule) {
            push(About::Rule { index, key }, fault);
        }
    }
    for (index, nexthop) in rest.nexthops.iter().enumerate() {
        for (key, item, fault) in check_nexthop(nexthop) {
            push(About::Nexthop { index, key, item }, fault);
        }
    }
    for (index, neighbour) in rest.neighbours.iter().enumerate() {
        for (key, fault) in check_neighbour(neighbour) {
            push(About::Neighbour { index, key }, fault);
        }
    }
    problems
}

/// The declared state of these declarations, and what contradicts what in it. It is of use
/// only where nothing does.
pub(super) fn complete(
    owner: Option<Owner>,
    mut links: Vec<LinkDeclaration>,
    routes: Vec<RouteDeclaration>,
    rest: Rest,
) -> (Desired, Vec<Problem>) {
    let namespaces = number_namespaces(&mut links);
    let mut joint = Joint::new(owner.as_ref(), &links, &routes, &rest);
    joint.check();
    let Joint { problems, peer_of, .. } = joint;
    let protocol = owner.as_ref().map_or(PROTOCOL_DEFAULT, |owner| owner.protocol);
    let ours = |rule: Rule| Rule { protocol, ..rule.normal() };
    let desired = Desired {
        owner,
        links: complete_links(links, &peer_of),
        routes: Arc::new(routes.iter().flat_map(complete_route).collect()),
        gone: Gone::default(),
        recreates: false,
        rules: rest.rules.into_iter().map(ours).collect(),
        neighbours: rest.neighbours,
        nexthops: rest.nexthops,
        unmatched: BTreeMap::new(),
        namespaces,
    };
    (desired, problems)
}

/// Fills the defaults in and lists the peers that have no declaration of their own, save those
/// of absent links: they are gone with them.
fn complete_links(
    links: Vec<LinkDeclaration>,
    peer_of: &HashMap<LinkName, usize>,
) -> Vec<DesiredLink> {
    let names: Vec<_> = links.iter().map(|link| link.name).collect();
    let listed: HashSet<_> = names.iter().copied().collect();
    let present = links.iter().filter(|link| link.state != Some(State::Absent));
    let unlisted: Vec<_> = present
        .filter_map(|link| Some((link.settings?.peer()?, link.name)))
        .filter(|(peer, _)| !listed.contains(peer))
        .collect();
    let complete = links.into_iter().map(|link| {
        let peer_of = peer_of.get(&link.name).map(|&index| names[index]);
        let ours = link.settings.is_some() || peer_of.is_some();
        let extra = link.extra_addresses.unwrap_or(if ours {
            ExtraAddresses::Remove
        } else {
            ExtraAddresses::Keep
        });
        DesiredLink {
            name: link.name,
            matching: link.matching,
            label: None,
            common: link.common,
            settings: link.settings,
            peer_of,
            state: link.state.or(ours.then_some(State::Up)),
            mtu: link.mtu,
            mac: link.mac,
            group: link.group,
            master: link.master,
            port: link.port,
            alias: link.alias,
            altnames: link.altnames,
            remove_extra_altnames: ours,
            addresses: link.addresses,
            remove_extra_addresses: extra == ExtraAddresses::Remove,
            vlans: link.vlans,
            fdb: link.fdb,
        }
    });
    let peers = unlisted
        .into_iter()
        .map(|(name, end)| DesiredLink { peer_of: Some(end), ..DesiredLink::bare(name) });
    complete.chain(peers).collect()
}

/// The route, or each next hop of an IPv6 route that has several: the kernel holds each as a route
/// of its own. One that has but one in its list is as one without a list.
fn complete_route(route: &RouteDeclaration) -> Vec<DesiredRoute> {
    let hops: Vec<_> = route.hops().collect();
    let through = |hop: NextHop| DesiredRoute {
        to: route.to,
        via: hop.via,
        dev: hop.dev,
        metric: route.metric_filled(),
        table: route.table_filled(),
        takeover: route.takeover,
        route_type: route.route_type,
        scope: route.scope_filled(),
        source: route.source,
        onlink: hop.onlink,
        metrics: route.metrics,
        tos: route.tos,
        weight: if hops.len() > 1 { hop.weight } else { 1 },
        hops: Box::default(),
        nexthop_id: route.nexthop_id,
    };
    match hops[..] {
        [] => vec![through(NextHop::default())],
        [hop] => vec![through(hop)],
        _ if !route.to.is_ipv4() => hops.iter().copied().map(through).collect(),
        _ => {
            let weight = 1;
            let hops = hops.clone().into_boxed_slice();
            vec![DesiredRoute { hops, weight, ..through(NextHop::default()) }]
        }
    }
}
