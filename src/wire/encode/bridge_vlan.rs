//! The messages of VLANs of bridges, which no crate spells: RTM_NEWVLAN and RTM_DELVLAN.

use super::super::numbers::*;
use super::attribute;

/// Members of these VLANs. The range has an end of its own, so one alone has none.
pub(super) fn payload(index: u32, first: u16, last: u16, pvid: bool, untagged: bool) -> Vec<u8> {
    let mut flags = 0;
    if pvid {
        flags |= BRIDGE_VLAN_INFO_PVID;
    }
    if untagged {
        flags |= BRIDGE_VLAN_INFO_UNTAGGED;
    }
    let info = [flags.to_ne_bytes(), first.to_ne_bytes()].concat();
    let mut entry = attribute(BRIDGE_VLANDB_ENTRY_INFO, &info);
    if last > first {
        entry.extend(attribute(BRIDGE_VLANDB_ENTRY_RANGE, &last.to_ne_bytes()));
    }
    let mut payload = vec![AF_BRIDGE, 0, 0, 0];
    payload.extend(index.to_ne_bytes());
    payload.extend(attribute(BRIDGE_VLANDB_ENTRY | NLA_F_NESTED, &entry));
    payload
}
