//! RTM_NEWVLAN and RTM_DELVLAN: the VLANs of a port of a bridge, or of the bridge itself.

use super::super::numbers::*;
use super::super::view::{Attribute, Malformed, attributes, u16_at, u32_at};
use super::{Decoded, index};
use crate::model::bridge_vlan::{BridgeVlan, BridgeVlanKey};
use crate::model::object::Object;

// `struct br_vlan_msg` (`linux/if_bridge.h`): u8 family, u8 reserved, u16 reserved, u32 index.
const HEADER_BYTES: usize = 8;
const INDEX_OFFSET: usize = 4;

/// A message has an entry for each range.
pub(super) fn decode<'a>(
    payload: &[u8],
    deleted: bool,
    sink: &mut impl FnMut(Decoded<'a>),
) -> Result<(), Malformed> {
    const SHORT: Malformed = Malformed("a VLAN message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let index = u32_at(payload, INDEX_OFFSET)
        .and_then(index)
        .ok_or(Malformed("a VLAN message has no index"))?;
    let mut says_nothing = true;
    let entries = attributes(body).filter(|attribute| attribute.kind == BRIDGE_VLANDB_ENTRY);
    for member in entries.filter_map(|it| entry(&it)).flat_map(|range| range.of_link(index)) {
        says_nothing = false;
        sink(Decoded::Object { object: Object::BridgeVlan(member), deleted });
    }
    if says_nothing {
        // Such as the options of a VLAN of the whole bridge.
        sink(Decoded::Ignored);
    }
    Ok(())
}

/// `struct bridge_vlan_info`, u16 flags and u16 vid, and the last one of its range.
struct Range {
    flags: u16,
    first: u16,
    last: u16,
}

impl Range {
    fn of_link(self, index: u32) -> impl Iterator<Item = BridgeVlan> {
        (self.first..=self.last).map(move |vid| BridgeVlan {
            key: BridgeVlanKey { index, vid },
            pvid: self.flags & BRIDGE_VLAN_INFO_PVID != 0,
            untagged: self.flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
        })
    }
}

fn entry(attribute: &Attribute<'_>) -> Option<Range> {
    let (mut info, mut last) = (None, None);
    for attribute in attributes(attribute.value) {
        match attribute.kind {
            BRIDGE_VLANDB_ENTRY_INFO => {
                info = u16_at(attribute.value, 0).zip(u16_at(attribute.value, 2));
            }
            BRIDGE_VLANDB_ENTRY_RANGE => last = attribute.u16(),
            _ => {}
        }
    }
    let (flags, first) = info?;
    let last = last.unwrap_or(first);
    let is_sound = (1..=VLAN_VID_MAX).contains(&first) && last <= VLAN_VID_MAX;
    is_sound.then_some(Range { flags, first, last })
}
