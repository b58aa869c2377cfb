//! A next hop object as the kernel shows it in RTM_NEWNEXTHOP: what routes of several
//! destinations share by its id.

use std::net::IpAddr;

/// The names of the types of a group (NEXTHOP_GRP_TYPE_*, `linux/nexthop.h`), by number, as `ip`
/// prints them.
pub const GROUP_TYPE_NAMES: &[&str] = &["mpath", "resilient"];

/// RTNH_F_ONLINK (`linux/rtnetlink.h`): the gateway is on the link, whatever the routes say.
pub const RTNH_F_ONLINK: u32 = 4;

/// One next hop object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nexthop {
    /// NHA_ID.
    pub id: u32,
    /// Whether it is of IPv4, or of IPv6; a group is of neither.
    pub is_ipv4: Option<bool>,
    /// NHA_OIF; 0 for none.
    pub dev: u32,
    /// NHA_GATEWAY.
    pub via: Option<IpAddr>,
    /// The RT_SCOPE_* number.
    pub scope: u8,
    /// The RTPROT_* number: who added it.
    pub protocol: u8,
    /// RTNH_F_* flags, without those that change in silence.
    pub flags: u32,
    /// NHA_BLACKHOLE: drops what is sent to it.
    pub blackhole: bool,
    /// NHA_FDB: for the forwarding entries of links, not for routes.
    pub fdb: bool,
    /// NHA_GROUP; empty for a single next hop.
    pub group: Box<[Member]>,
    /// NHA_GROUP_TYPE of a group.
    pub group_type: u16,
}

/// A next hop in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Member {
    /// The id of the next hop.
    pub id: u32,
    /// Its weight, 1 and up.
    pub weight: u16,
}

impl Nexthop {
    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.dev != before.dev, "dev"),
            (self.via != before.via, "gateway"),
            (self.scope != before.scope, "scope"),
            (self.protocol != before.protocol, "protocol"),
            (self.flags != before.flags, "flags_number"),
            (self.blackhole != before.blackhole, "blackhole"),
            (self.fdb != before.fdb, "fdb"),
            (self.group != before.group, "group"),
            (self.group_type != before.group_type, "type"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}
