//! A VLAN that a port of a bridge, or the bridge itself, is a member of, as RTM_NEWVLAN shows it.

/// What tells one membership from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeVlanKey {
    /// The index of the port, or of the bridge.
    pub index: u32,
    /// The VLAN, 1 to 4094.
    pub vid: u16,
}

/// One membership. The kernel tells of ranges; here each VLAN is an object of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeVlan {
    /// Which one it is.
    pub key: BridgeVlanKey,
    /// BRIDGE_VLAN_INFO_PVID: what comes in untagged is in it. At most one of a link is.
    pub pvid: bool,
    /// BRIDGE_VLAN_INFO_UNTAGGED: it leaves untagged.
    pub untagged: bool,
}

impl BridgeVlan {
    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs =
            [(self.pvid != before.pvid, "pvid"), (self.untagged != before.untagged, "untagged")];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}
