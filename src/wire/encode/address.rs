//! The address messages of changes.

use std::net::IpAddr;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};

use super::super::numbers::IFA_LABEL;
use crate::model::address::{Prefix, SCOPE_HOST};
use crate::model::change::AddressAttributes;

/// An address to be put on a link. One without lifetimes is there for ever: the kernel takes a
/// message without IFA_CACHEINFO so, and gives an address with a lifetime an endless one where the
/// message replaces it.
pub(super) fn put(
    index: u32,
    prefix: Prefix,
    peer: Option<IpAddr>,
    protocol: u8,
    with: &AddressAttributes,
) -> AddressMessage {
    let mut message = message(index, prefix, peer);
    let host = prefix.address.is_loopback().then_some(SCOPE_HOST);
    if let Some(scope) = with.scope.or(host) {
        message.header.scope = AddressScope::from(scope);
    }
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Protocol(protocol.into()));
    if let Some(label) = with.label {
        // `AddressAttribute::Label` holds a `String`; labels are bytes.
        let bytes = [label.as_bytes(), &[0]].concat();
        attributes.push(AddressAttribute::Other(DefaultNla::new(IFA_LABEL, bytes)));
    }
    if with.flags != 0 {
        attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(with.flags)));
    }
    if with.valid_lft.is_some() || with.preferred_lft.is_some() {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_valid = with.valid_lft.unwrap_or(u32::MAX);
        lifetimes.ifa_preferred = with.preferred_lft.unwrap_or(lifetimes.ifa_valid);
        attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
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
