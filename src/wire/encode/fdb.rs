//! The messages of forwarding entries: RTM_NEWNEIGH and RTM_DELNEIGH of family AF_BRIDGE.

use super::super::numbers::*;
use super::attribute;
use crate::model::change::FdbChange;
use crate::model::fdb::leads_to_several;
use crate::model::neighbour::{NUD_NOARP, NUD_PERMANENT};

/// An entry of that link, and of the underlay link that it names. A tunnel takes nothing but
/// permanent ones, and to a bridge those are its own addresses.
pub(super) fn payload(change: &FdbChange, index: u32, via: Option<u32>) -> Vec<u8> {
    let is_own = change.dst.is_some();
    let (state, flags) = match is_own {
        true => (NUD_PERMANENT, NTF_SELF),
        false => (NUD_NOARP, NTF_MASTER),
    };
    let mut payload = vec![AF_BRIDGE, 0, 0, 0];
    payload.extend(index.to_ne_bytes());
    payload.extend(state.to_ne_bytes());
    payload.extend([flags, 0]);
    payload.extend(attribute(NDA_LLADDR, &change.mac));
    if change.vid != 0 {
        payload.extend(attribute(NDA_VLAN, &change.vid.to_ne_bytes()));
    }
    match change.dst {
        Some(std::net::IpAddr::V4(dst)) => payload.extend(attribute(NDA_DST, &dst.octets())),
        Some(std::net::IpAddr::V6(dst)) => payload.extend(attribute(NDA_DST, &dst.octets())),
        None => {}
    }
    if change.port != 0 {
        payload.extend(attribute(NDA_PORT, &change.port.to_be_bytes()));
    }
    if change.vni != 0 {
        payload.extend(attribute(NDA_VNI, &change.vni.to_ne_bytes()));
    }
    if let Some(via) = via {
        payload.extend(attribute(NDA_IFINDEX, &via.to_ne_bytes()));
    }
    payload
}

/// What leads to several ends is added to those that are there; else the entry takes the place
/// of the one that has the address.
pub(super) fn put_flags(change: &FdbChange) -> u16 {
    use super::super::numbers::flags::*;
    match change.dst.is_some() && leads_to_several(change.mac) {
        true => NLM_F_CREATE | NLM_F_APPEND,
        false => NLM_F_CREATE | NLM_F_REPLACE,
    }
}
