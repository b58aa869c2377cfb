//! The neighbour messages of changes.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;

use crate::model::text::Mac;

/// A permanent neighbour.
pub(super) fn put(index: u32, address: IpAddr, mac: Mac, protocol: u8) -> NeighbourMessage {
    let mut message = message(index, address);
    message.header.state = NeighbourState::Permanent;
    message.attributes.extend([
        NeighbourAttribute::LinkLayerAddress(mac.as_bytes().to_vec()),
        NeighbourAttribute::Protocol(RouteProtocol::from(protocol)),
    ]);
    message
}

/// A neighbour by its link and address.
pub(super) fn message(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    message
}
