//! The address messages of changes.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};

use crate::model::address::{Prefix, SCOPE_HOST};

/// An address that is there for ever: the kernel takes a message without IFA_CACHEINFO so, and
/// gives an address with a lifetime an endless one where the message replaces it.
pub(super) fn put(index: u32, prefix: Prefix, protocol: u8) -> AddressMessage {
    let mut message = message(index, prefix, None);
    if prefix.address.is_loopback() {
        message.header.scope = AddressScope::from(SCOPE_HOST);
    }
    let protocol = AddressAttribute::Protocol(protocol.into());
    message.attributes.push(protocol);
    message
}

/// The kernel compares the prefix length only where IFA_ADDRESS is there too.
pub(super) fn delete(index: u32, prefix: Prefix, peer: Option<IpAddr>) -> AddressMessage {
    message(index, prefix, peer)
}

fn message(index: u32, prefix: Prefix, peer: Option<IpAddr>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match prefix.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix.len;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(prefix.address),
        AddressAttribute::Address(peer.unwrap_or(prefix.address)),
    ];
    message
}
