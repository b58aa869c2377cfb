//! What is compared: the mirror with the simulated kernel, and the events with the mirror.
//!
//! All sides are spelled as sentences, so that a difference reads as one.

use std::collections::BTreeSet;

use super::kernel::{Kernel, SimRoute, SimSlot, shown};
use crate::model::address::{IFA_F_SECONDARY, IFA_F_TENTATIVE, Prefix};
use crate::model::filter::Filter;
use crate::model::network::Network;
use crate::model::object::{Event, Object, What};

/// What one side has and the other has not; empty where they agree.
/// Of the kernel's, what `filter` wants.
pub(super) fn differences(kernel: &Kernel, mirror: &Network, filter: &Filter) -> Vec<String> {
    let (kernel, mirror) = (lines_of_kernel(kernel, filter), lines_of_network(mirror));
    let lacking = kernel.difference(&mirror).map(|line| format!("it lacks {line}"));
    let stale = mirror.difference(&kernel).map(|line| format!("it invents {line}"));
    lacking.chain(stale).collect()
}

/// Applies an event to the network that the earlier ones made, which must be as it says.
pub(super) fn fold(network: &mut Network, event: &Event) {
    let (stood, told) = match &event.what {
        What::New(object) => (network.put(object.clone()), None),
        What::Changed { before, after } => (network.put(after.clone()), Some(before)),
        What::Deleted(object) => (network.remove(&object.key()), Some(object)),
        _ => return,
    };
    assert_eq!(stood.as_ref(), told, "it does not fit what was told before: {event:?}");
}

/// The index of the link that an object is, or is on.
pub(super) fn link_of(object: &Object) -> u32 {
    match object {
        Object::Link(link) => link.index,
        Object::Address(address) => address.key.index,
        Object::Route(route) => route.key.dev,
        other => panic!("the simulated kernel has none of these: {other:?}"),
    }
}

fn lines_of_kernel(kernel: &Kernel, filter: &Filter) -> BTreeSet<String> {
    let links = kernel.links.iter().map(|(index, link)| {
        let mac: Vec<_> = link.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, kind, up, mtu) = (&link.name, link.kind, link.up, link.mtu);
        let (mac, group, master) = (mac.join(":"), link.group, link.master);
        let peer = if kind == "macvlan" { link.lower } else { link.peer };
        format!("link {index} {name} {kind} {up} {mtu} {mac} {group} {master} {peer}")
    });
    let addresses = kernel.addresses.iter().map(|((index, address, len), own)| {
        let (permanent, secondary) = (own.permanent, own.secondary);
        format!("address {index} {address}/{len} {permanent} {secondary} {}", own.tentative)
    });
    let routes = kernel.routes.iter();
    let routes = routes.flat_map(|(slot, routes)| lines_of_slot(slot, routes, filter));
    links.chain(addresses).chain(routes).collect()
}

fn lines_of_slot(slot: &SimSlot, routes: &[SimRoute], filter: &Filter) -> Vec<String> {
    let (table, to, len, metric) = slot;
    // Siblings of IPv6 are shown by the protocol of the first.
    let first = routes.iter().find(|route| route.via.is_some());
    let is_declared = filter.destinations.contains(&Prefix { address: *to, len: *len });
    let protocols = filter.protocols.as_ref();
    let line = |route: &SimRoute| {
        let is_sibling = to.is_ipv6() && route.via.is_some();
        let shown = first.filter(|_| is_sibling).unwrap_or(route);
        if !is_declared && protocols.is_some_and(|wanted| !wanted.contains(&shown.protocol)) {
            return None;
        }
        let hops: Vec<_> = route.hops.iter().map(|hop| (hop.via, hop.dev)).collect();
        let SimRoute { via, dev, scope, .. } = route;
        let (protocol, source) = (shown.protocol, shown.source);
        Some(format!(
            "route {table} {to}/{len} {metric} {via:?} {dev} {protocol} {scope} {source:?} {hops:?}"
        ))
    };
    shown(*slot, routes).into_iter().flatten().filter_map(line).collect()
}

fn lines_of_network(network: &Network) -> BTreeSet<String> {
    let links = network.links().map(|link| {
        let (index, name, kind, up, mtu) =
            (link.index, link.name, link.kind, link.is_up(), link.mtu);
        let (mac, group, master, peer) = (link.mac, link.group, link.master, link.lower);
        format!("link {index} {name} {kind} {up} {mtu} {mac} {group} {master} {peer}")
    });
    let addresses = network.addresses().map(|own| {
        let has = |flag| own.flags & flag != 0;
        let (index, prefix, permanent) = (own.key.index, own.key.prefix, own.is_permanent());
        let (secondary, tentative) = (has(IFA_F_SECONDARY), has(IFA_F_TENTATIVE));
        format!("address {index} {prefix} {permanent} {secondary} {tentative}")
    });
    let routes = network.routes().map(|route| {
        let (slot, via, dev) = (route.key.slot, route.key.via, route.key.dev);
        let (table, to, metric, protocol) = (slot.table, slot.to, slot.metric, route.protocol);
        let (scope, source) = (route.scope, route.source);
        let hops: Vec<_> = route.hops.iter().map(|hop| (hop.via, hop.dev)).collect();
        format!("route {table} {to} {metric} {via:?} {dev} {protocol} {scope} {source:?} {hops:?}")
    });
    links.chain(addresses).chain(routes).collect()
}
