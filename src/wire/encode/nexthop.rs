//! The messages of next hop objects, which no crate spells: RTM_NEWNEXTHOP and RTM_DELNEXTHOP.

use std::net::IpAddr;

use super::super::numbers::*;
use super::attribute;
use crate::model::change::NexthopChange;
use crate::model::nexthop::RTNH_F_ONLINK;

/// A next hop object; `dev` is the index of its link.
pub(super) fn payload(change: &NexthopChange, dev: Option<u32>) -> Vec<u8> {
    let members = &change.members[..];
    let family = match (members, change.is_ipv6) {
        ([], true) => AF_INET6,
        ([], false) => AF_INET,
        _ => AF_UNSPEC,
    };
    let flags = if change.onlink { RTNH_F_ONLINK } else { 0 };
    // `struct nhmsg` (`linux/nexthop.h`): u8 family, u8 scope, u8 protocol, u8 reserved, u32 flags.
    let mut payload = vec![family, 0, change.protocol, 0];
    payload.extend(flags.to_ne_bytes());
    payload.extend(attribute(NHA_ID, &change.id.to_ne_bytes()));
    if !members.is_empty() {
        // `struct nexthop_grp`: u32 id, u8 weight less one, u8 its high bits, u16 reserved.
        let group = members.iter().flat_map(|member| {
            let weight = u8::try_from(member.weight.saturating_sub(1)).unwrap_or(u8::MAX);
            let [a, b, c, d] = member.id.to_ne_bytes();
            [a, b, c, d, weight, 0, 0, 0]
        });
        payload.extend(attribute(NHA_GROUP, &group.collect::<Vec<_>>()));
    }
    if change.blackhole {
        payload.extend(attribute(NHA_BLACKHOLE, &[]));
    }
    if let Some(dev) = dev {
        payload.extend(attribute(NHA_OIF, &dev.to_ne_bytes()));
    }
    match change.via {
        Some(IpAddr::V4(via)) => payload.extend(attribute(NHA_GATEWAY, &via.octets())),
        Some(IpAddr::V6(via)) => payload.extend(attribute(NHA_GATEWAY, &via.octets())),
        None => {}
    }
    payload
}

/// The one of that id.
pub(super) fn deletion(id: u32) -> Vec<u8> {
    let mut payload = vec![AF_UNSPEC; 8];
    payload.extend(attribute(NHA_ID, &id.to_ne_bytes()));
    payload
}
