//! The route messages of changes.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};

use super::EncodeError;
use crate::model::change::{NextHop, RouteChange};
use crate::model::route::Metrics;
use crate::model::text::LinkName;

/// A route to be made or to take the place of one.
pub(super) fn put(
    route: &RouteChange,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<RouteMessage, EncodeError> {
    let mut message = message(route, resolve)?;
    message.header.scope = RouteScope::from(route.scope);
    message.header.flags.set(RouteFlags::Onlink, route.onlink && route.nexthop_id == 0);
    let Metrics { mtu, advmss } = route.metrics;
    let mut metrics = Vec::new();
    metrics.extend((mtu != 0).then_some(RouteMetric::Mtu(mtu)));
    metrics.extend((advmss != 0).then_some(RouteMetric::Advmss(advmss)));
    let attributes = &mut message.attributes;
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(of(source))));
    attributes.extend((!metrics.is_empty()).then_some(RouteAttribute::Metrics(metrics)));
    Ok(message)
}

/// A route to be deleted, of any scope.
///
/// The kernel cannot be asked for metric 0: to a deletion it means any metric, and the first
/// route that agrees in all else goes.
pub(super) fn delete(
    route: &RouteChange,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<RouteMessage, EncodeError> {
    let mut message = message(route, resolve)?;
    message.header.scope = RouteScope::NoWhere;
    Ok(message)
}

fn message(
    route: &RouteChange,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<RouteMessage, EncodeError> {
    let to = route.to.network();
    let mut message = RouteMessage::default();
    message.header.address_family = match to.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = to.len;
    message.header.tos = route.tos;
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::from(route.route_type);

    let attributes = &mut message.attributes;
    if to.len > 0 {
        attributes.push(RouteAttribute::Destination(of(to.address)));
    }
    // `rtm_table` has eight bits.
    match u8::try_from(route.table) {
        Ok(table) => message.header.table = table,
        Err(_) => {
            message.header.table = RouteHeader::RT_TABLE_UNSPEC;
            attributes.push(RouteAttribute::Table(route.table));
        }
    }
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    if route.nexthop_id != 0 {
        attributes.push(RouteAttribute::NhId(route.nexthop_id));
        return Ok(message);
    }
    let RouteChange { via, dev, weight, onlink, .. } = *route;
    let only = NextHop { via, dev, weight, onlink };
    // Only among several has a next hop a weight; one that joins them later comes as a list of one.
    let hops = if weight > 1 { std::slice::from_ref(&only) } else { &route.hops };
    if hops.is_empty() {
        attributes.extend(via.map(|via| gateway(to.address, via)));
        if let Some(dev) = dev {
            attributes.push(RouteAttribute::Oif(resolve(dev)?));
        }
        return Ok(message);
    }
    let hops = hops.iter().map(|hop| next_hop(to.address, hop, &resolve));
    attributes.push(RouteAttribute::MultiPath(hops.collect::<Result<_, _>>()?));
    Ok(message)
}

fn next_hop(
    to: IpAddr,
    hop: &NextHop,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<RouteNextHop, EncodeError> {
    let mut message = RouteNextHop::default();
    message.interface_index = hop.dev.map(resolve).transpose()?.unwrap_or(0);
    message.flags.set(RouteNextHopFlags::Onlink, hop.onlink);
    // `rtnh_hops` is the weight less one.
    message.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    message.attributes.extend(hop.via.map(|via| gateway(to, via)));
    Ok(message)
}

/// A gateway of the other family needs RTA_VIA; the kernel knows it for IPv4 routes.
fn gateway(to: IpAddr, via: IpAddr) -> RouteAttribute {
    match (to, via) {
        (IpAddr::V4(_), IpAddr::V6(via)) => RouteAttribute::Via(RouteVia::Inet6(via)),
        (IpAddr::V6(_), IpAddr::V4(via)) => RouteAttribute::Via(RouteVia::Inet(via)),
        _ => RouteAttribute::Gateway(of(via)),
    }
}

fn of(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
