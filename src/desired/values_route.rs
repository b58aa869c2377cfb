//! What a route must be by itself, whatever it is read from.

use std::net::IpAddr;

use super::builder_route::RouteDeclaration;
use super::limits::{ADVMSS_MAX, MTU_MIN, ROUTE_MTU_MAX};
use super::values::{Fault, check_name, check_prefix_len};
use crate::limits::NEXTHOPS_MAX;
use crate::model::address::{Prefix, SCOPE_LINK};
use crate::model::change::NextHop;
use crate::model::route::{
    RTN_ANYCAST, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST, is_dead_end, type_name,
};
use crate::model::text::LinkName;

/// The types that can be declared, by the names of `ip route`.
#[cfg(feature = "document")]
pub(super) const TYPES: &[(&str, u8)] = &[
    ("unicast", RTN_UNICAST),
    ("blackhole", crate::model::route::RTN_BLACKHOLE),
    ("unreachable", crate::model::route::RTN_UNREACHABLE),
    ("prohibit", crate::model::route::RTN_PROHIBIT),
    ("throw", crate::model::route::RTN_THROW),
    ("local", crate::model::route::RTN_LOCAL),
    ("broadcast", RTN_BROADCAST),
    ("multicast", RTN_MULTICAST),
    ("anycast", RTN_ANYCAST),
];

/// A fault of one of a route's keys (the empty one is the route), or of an item of its array.
pub(super) type RouteFault = (&'static str, usize, Fault);

/// All that is wrong with a route by itself.
pub(super) fn check_route(route: &RouteDeclaration) -> Vec<RouteFault> {
    let names = route.hops().filter_map(|hop| hop.dev);
    let names = names.map(|name| ("dev", check_name(name)));
    let table = match route.table {
        Some(0) => Err(Fault::new("there is no table 0", "the main table is 254")),
        _ => Ok(()),
    };
    let checked = [
        ("to", check_destination(route.to)),
        ("type", check_type(route)),
        ("scope", check_scope(route)),
        ("source", route.source.map_or(Ok(()), |source| check_source(route.to, source))),
        ("tos", check_tos(route)),
        ("mtu", check_size(route.metrics.mtu, MTU_MIN, ROUTE_MTU_MAX, "an MTU")),
        ("advmss", check_size(route.metrics.advmss, 1, ADVMSS_MAX, "a segment size")),
        ("table", table),
    ];
    let mut faults: Vec<_> = checked
        .into_iter()
        .chain(names)
        .filter_map(|(key, checked)| Some((key, 0, checked.err()?)))
        .collect();
    if !faults.iter().any(|(key, ..)| *key == "type") {
        faults.extend(check_ways(route));
    }
    faults
}

/// Of a route's destination.
pub(super) fn check_destination(to: Prefix) -> Result<(), Fault> {
    check_prefix_len(to)?;
    if to.network() == to {
        return Ok(());
    }
    Err(Fault::new(
        format!("{to} has bits set past its prefix length"),
        format!("write {}", to.network()),
    ))
}

fn check_type(route: &RouteDeclaration) -> Result<(), Fault> {
    let Some(name) = type_name(route.route_type).filter(|_| (1..=9).contains(&route.route_type))
    else {
        let message = format!("there is no type {} of routes", route.route_type);
        return Err(Fault::new(message, "a usual one is unicast, RTN_UNICAST"));
    };
    let is_of_ipv4_alone = matches!(route.route_type, RTN_BROADCAST | RTN_MULTICAST | RTN_ANYCAST);
    if is_of_ipv4_alone && !route.to.is_ipv4() {
        let message = format!("a {name} route of IPv6 is the kernel's own to make");
        return Err(Fault::new(message, "take the route out"));
    }
    if is_dead_end(route.route_type) {
        let given = [
            ("via", route.via.is_some()),
            ("dev", route.dev.is_some()),
            ("nexthops", !route.nexthops.is_empty()),
            ("onlink", route.onlink),
            ("nhid", route.nexthop_id != 0),
        ];
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
            let message = format!("a {name} route leads nowhere, so it cannot have `{key}`");
            return Err(Fault::new(message, format!("take `{key}` out, or `type`")));
        }
    } else if route.route_type != RTN_UNICAST {
        if route.dev.is_none() {
            let message = format!("a {name} route needs `dev`, the link that has it");
            return Err(Fault::new(message, "for addresses of this host that is often `lo`"));
        }
        if route.via.is_some() || !route.nexthops.is_empty() || route.nexthop_id != 0 {
            let message = format!("a {name} route has no gateway");
            return Err(Fault::new(message, "take the gateway out, or `type`"));
        }
    }
    Ok(())
}

fn check_scope(route: &RouteDeclaration) -> Result<(), Fault> {
    if route.scope.is_none() {
        return Ok(());
    }
    if !route.to.is_ipv4() {
        return Err(Fault::new("routes of IPv6 have no scope", "take `scope` out"));
    }
    let has_gateway = route.hops().any(|hop| hop.via.is_some());
    if has_gateway && route.scope_filled() >= SCOPE_LINK {
        return Err(Fault::new(
            "what is reached by a gateway is farther than its link",
            "leave `scope` out, or the gateway",
        ));
    }
    let least = RouteDeclaration { scope: None, ..route.clone() }.scope_filled();
    let is_direct = route.route_type == RTN_UNICAST || is_dead_end(route.route_type);
    if route.scope_filled() < least && !is_direct {
        let name = type_name(route.route_type).unwrap_or_default();
        return Err(Fault::new(
            format!("a {name} route cannot have a scope as wide as that"),
            "leave `scope` out: it is what the type needs",
        ));
    }
    Ok(())
}

fn check_source(to: Prefix, source: IpAddr) -> Result<(), Fault> {
    if source.is_ipv4() != to.is_ipv4() {
        let message = format!("the source {source} is of another family than {to}");
        return Err(Fault::new(message, "give an address of this host of the route's family"));
    }
    if source.is_unspecified() || source.is_multicast() {
        let message = format!("{source} cannot be a source address");
        return Err(Fault::new(message, "give an address of this host"));
    }
    Ok(())
}

/// The kernel refuses the bits that are not of the type of service (INET_DSCP_MASK).
fn check_tos(route: &RouteDeclaration) -> Result<(), Fault> {
    match route.tos {
        0 => Ok(()),
        _ if !route.to.is_ipv4() => Err(Fault::new("routes of IPv6 have no tos", "take `tos` out")),
        tos if tos % 4 != 0 => Err(Fault::new(
            format!("a tos of {tos} has bits of congestion notification set"),
            format!("write a multiple of 4, such as {}", tos & !3),
        )),
        _ => Ok(()),
    }
}

fn check_size(size: u32, min: u32, max: u32, what: &str) -> Result<(), Fault> {
    if size == 0 || (min..=max).contains(&size) {
        return Ok(());
    }
    Err(Fault::new(
        format!("{what} of {size} bytes is impossible: it is {min} to {max}"),
        "leave it out: the link has one",
    ))
}

/// Of the ways that a route takes, where its type has any.
fn check_ways(route: &RouteDeclaration) -> Vec<RouteFault> {
    if is_dead_end(route.route_type) {
        return Vec::new();
    }
    if route.nexthop_id != 0 {
        let given = [
            ("via", route.via.is_some()),
            ("dev", route.dev.is_some()),
            ("onlink", route.onlink),
            ("nexthops", !route.nexthops.is_empty()),
        ];
        let fault = |(key, _): (&'static str, bool)| {
            let message = format!("a route with `nhid` cannot have `{key}` beside it");
            (key, 0, Fault::new(message, "the next hop object says where it leads: keep one"))
        };
        return given.into_iter().filter(|(_, given)| *given).map(fault).collect();
    }
    if route.nexthops.is_empty() {
        let key = if route.via.is_some() { "via" } else { "" };
        let way = NextHop { via: route.via, dev: route.dev, weight: 1, onlink: route.onlink };
        return check_way(route.to, &way).err().map(|fault| (key, 0, fault)).into_iter().collect();
    }
    let mut faults = Vec::new();
    let given =
        [("via", route.via.is_some()), ("dev", route.dev.is_some()), ("onlink", route.onlink)];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        let message = format!("a route with `nexthops` cannot have `{key}` beside them");
        faults.push((key, 0, Fault::new(message, format!("write `{key}` in each next hop"))));
    }
    if route.nexthops.len() > NEXTHOPS_MAX {
        let message = format!("the route has {} next hops", route.nexthops.len());
        let help = format!("it can have {NEXTHOPS_MAX}");
        faults.push(("nexthops", NEXTHOPS_MAX, Fault::new(message, help)));
    }
    for (at, hop) in route.nexthops.iter().enumerate() {
        let is_same = |it: &NextHop| {
            it.via == hop.via && (it.dev == hop.dev || it.dev.is_none() || hop.dev.is_none())
        };
        let is_twice = route.nexthops[..at].iter().any(is_same);
        if is_twice {
            let message = format!("the next hop {} is there twice", described(hop));
            let help = "keep one of the two, and give it the weight of both";
            faults.push(("nexthops", at, Fault::new(message, help)));
        }
        let checked = check_way(route.to, hop).and_then(|()| check_weight(hop.weight));
        faults.extend(checked.err().map(|fault| ("nexthops", at, fault)));
    }
    faults
}

fn described(hop: &NextHop) -> String {
    let via = hop.via.map(|via| format!("via {via}"));
    let dev = hop.dev.map(|dev| format!("dev {dev}"));
    via.into_iter().chain(dev).collect::<Vec<_>>().join(" ")
}

fn check_weight(weight: u16) -> Result<(), Fault> {
    if (1..=256).contains(&weight) {
        return Ok(());
    }
    Err(Fault::new(format!("a weight of {weight} is impossible"), "it is a number from 1 to 256"))
}

/// Of one way: its gateway, its link, and what they go with.
pub(super) fn check_way(to: Prefix, hop: &NextHop) -> Result<(), Fault> {
    if hop.onlink && (hop.via.is_none() || hop.dev.is_none()) {
        return Err(Fault::new(
            "`onlink` says that `via` is on `dev`, and one of these is missing",
            "give both, or take `onlink` out",
        ));
    }
    check_via(to, hop.via, hop.dev)
}

fn check_via(to: Prefix, via: Option<IpAddr>, dev: Option<LinkName>) -> Result<(), Fault> {
    let Some(via) = via else {
        return if dev.is_some() {
            Ok(())
        } else {
            Err(Fault::new(
                format!("the route to {to} goes nowhere"),
                "give `via` (the gateway) or `dev` (the outgoing link), or both",
            ))
        };
    };
    if via.is_ipv4() && !to.is_ipv4() {
        return Err(Fault::new(
            format!("the gateway {via} is of IPv4, but {to} is of IPv6"),
            "give an IPv6 gateway; the other way round it would do",
        ));
    }
    if via.is_unspecified() || via.is_multicast() {
        return Err(Fault::new(
            format!("{via} cannot be a gateway"),
            "give the address of the next router",
        ));
    }
    match via {
        IpAddr::V6(gateway) if gateway.is_unicast_link_local() && dev.is_none() => Err(Fault::new(
            format!("the gateway {via} is link-local, and so on every link"),
            "say which one with `dev`",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, len: u8) -> Prefix {
        Prefix { address: address.parse().unwrap(), len }
    }

    #[test]
    fn destinations_have_no_bits_past_their_length() {
        assert!(check_destination(prefix("224.0.0.0", 4)).is_ok());
        assert!(check_destination(prefix("192.0.2.1", 24)).is_err());
    }

    #[test]
    fn a_gateway_of_ipv6_leads_to_ipv4_and_not_the_other_way_round() {
        let hop = |via: &str| NextHop { via: via.parse().ok(), weight: 1, ..NextHop::default() };
        assert!(check_way(prefix("192.0.2.0", 24), &hop("2001:db8::1")).is_ok());
        assert!(check_way(prefix("2001:db8::", 32), &hop("192.0.2.1")).is_err());
    }
}
