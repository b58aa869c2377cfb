//! The route messages of changes.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
    RouteVia,
};

use super::EncodeError;
use crate::model::change::RouteChange;
use crate::model::text::LinkName;

/// A unicast route to be made or to take the place of one.
pub(super) fn put(
    route: &RouteChange,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<RouteMessage, EncodeError> {
    let mut message = message(route, resolve)?;
    // What is reached without a gateway is on the link (as iproute2 does). IPv6 has no scopes.
    if route.to.is_ipv4() && route.via.is_none() {
        message.header.scope = RouteScope::Link;
    }
    Ok(message)
}

/// A unicast route to be deleted, of any scope.
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
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;

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
    attributes.extend(route.via.map(|via| match (to.address, via) {
        // A gateway of the other family needs RTA_VIA; the kernel knows it for IPv4 routes.
        (IpAddr::V4(_), IpAddr::V6(via)) => RouteAttribute::Via(RouteVia::Inet6(via)),
        (IpAddr::V6(_), IpAddr::V4(via)) => RouteAttribute::Via(RouteVia::Inet(via)),
        _ => RouteAttribute::Gateway(of(via)),
    }));
    if let Some(dev) = route.dev {
        attributes.push(RouteAttribute::Oif(resolve(dev)?));
    }
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    Ok(message)
}

fn of(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
