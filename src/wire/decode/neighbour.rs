//! RTM_NEWNEIGH and RTM_DELNEIGH of IPv4 and IPv6.
//!
//! Proxies are passed over, for the kernel announces none; so is what is of another
//! family.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes, u16_at, u32_at};
use super::{Decoded, index};
use crate::model::neighbour::{Neighbour, NeighbourKey};
use crate::model::object::Object;
use crate::model::text::Mac;

// `struct ndmsg` (`linux/neighbour.h`): u8 family, u8 pad, u16 pad, i32 index, u16 state,
// u8 flags, u8 type.
pub(super) const HEADER_BYTES: usize = 12;
pub(super) const INDEX_OFFSET: usize = 4;
pub(super) const STATE_OFFSET: usize = 8;
pub(super) const FLAGS_OFFSET: usize = 10;

/// How far the bits of NDA_FLAGS_EXT stand above those of `ndm_flags` (NTF_EXT_SHIFT in
/// include/net/neighbour.h).
pub(super) const FLAGS_EXT_SHIFT: u32 = 8;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("a neighbour message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let family = payload.first().copied().ok_or(SHORT)?;
    let state = u16_at(payload, STATE_OFFSET).ok_or(SHORT)?;
    let flags = payload.get(FLAGS_OFFSET).copied().ok_or(SHORT)?;
    if !matches!(family, AF_INET | AF_INET6) || flags & NTF_PROXY != 0 {
        return Ok(Decoded::Ignored);
    }
    let index = u32_at(payload, INDEX_OFFSET)
        .and_then(index)
        .ok_or(Malformed("a neighbour message has no index"))?;

    let (mut address, mut mac, mut flags_ext, mut protocol) = (None, None, 0, 0);
    for attribute in attributes(body) {
        match attribute.kind {
            NDA_DST => address = attribute.address(),
            NDA_LLADDR => mac = Mac::new(attribute.value),
            NDA_PROTOCOL => protocol = attribute.u8().unwrap_or(0),
            NDA_FLAGS_EXT => flags_ext = attribute.u32().unwrap_or(0),
            _ => {}
        }
    }
    let address = address
        .filter(|address| address.is_ipv4() == (family == AF_INET))
        .ok_or(Malformed("a neighbour message has no address"))?;
    let neighbour = Neighbour {
        key: NeighbourKey { index, address },
        mac,
        state,
        flags: u32::from(flags) | flags_ext << FLAGS_EXT_SHIFT,
        protocol,
    };
    Ok(Decoded::Object { object: Object::Neighbour(neighbour), deleted })
}
