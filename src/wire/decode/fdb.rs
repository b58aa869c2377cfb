//! RTM_NEWNEIGH and RTM_DELNEIGH of family AF_BRIDGE: entries of forwarding databases.
//!
//! Of a link that is neither a bridge's port nor a tunnel, an entry is an address that its driver
//! lets in. The kernel announces few of those, so they are passed over.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes, u16_at, u32_at};
use super::neighbour::{FLAGS_EXT_SHIFT, FLAGS_OFFSET, HEADER_BYTES, INDEX_OFFSET, STATE_OFFSET};
use super::{Decoded, index};
use crate::model::fdb::{FdbEntry, FdbKey, Remote, leads_to_several};
use crate::model::object::Object;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("an fdb message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let state = u16_at(payload, STATE_OFFSET).ok_or(SHORT)?;
    let flags = payload.get(FLAGS_OFFSET).copied().ok_or(SHORT)?;
    let dev = u32_at(payload, INDEX_OFFSET)
        .and_then(index)
        .ok_or(Malformed("an fdb message has no index"))?;
    let (mut mac, mut master, mut vid, mut flags_ext, mut source_vni) = (None, None, 0, 0, 0);
    let (mut dst, mut port, mut vni, mut via) = (None, 0, 0, 0);
    for attribute in attributes(body) {
        match attribute.kind {
            NDA_LLADDR => mac = attribute.value.try_into().ok(),
            NDA_MASTER => master = attribute.u32().and_then(index),
            NDA_VLAN => vid = attribute.u16().unwrap_or(0),
            NDA_FLAGS_EXT => flags_ext = attribute.u32().unwrap_or(0),
            NDA_SRC_VNI => source_vni = attribute.u32().unwrap_or(0),
            NDA_DST => dst = attribute.address(),
            NDA_PORT => port = attribute.u16_big_endian().unwrap_or(0),
            NDA_VNI => vni = attribute.u32().unwrap_or(0),
            NDA_IFINDEX => via = attribute.u32().unwrap_or(0),
            _ => {}
        }
    }
    let remote = dst.map(|dst| Remote { dst, port, vni, via });
    // A tunnel that is a port is in both databases: its own entries name no bridge.
    let (Some(mac), Some(on)) = (mac, master.or(remote.map(|_| dev))) else {
        return Ok(Decoded::Ignored);
    };
    let own = remote.filter(|_| leads_to_several(mac));
    let entry = FdbEntry {
        key: FdbKey { on, mac, vid, source_vni, remote: own },
        dev,
        remote,
        state,
        flags: u32::from(flags) | flags_ext << FLAGS_EXT_SHIFT,
    };
    Ok(Decoded::Object { object: Object::Fdb(entry), deleted })
}
