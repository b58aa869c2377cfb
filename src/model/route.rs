//! A route as the kernel shows it in RTM_NEWROUTE.

use std::net::IpAddr;

use super::address::Prefix;

/// RT_TABLE_MAIN (`linux/rtnetlink.h`).
pub const TABLE_MAIN: u32 = 254;
/// RT_TABLE_LOCAL.
pub const TABLE_LOCAL: u32 = 255;
/// RTN_UNICAST.
pub const RTN_UNICAST: u8 = 1;
/// RTN_LOCAL.
pub const RTN_LOCAL: u8 = 2;
/// RTN_BROADCAST.
pub const RTN_BROADCAST: u8 = 3;
/// RTN_ANYCAST.
pub const RTN_ANYCAST: u8 = 4;
/// RTN_MULTICAST.
pub const RTN_MULTICAST: u8 = 5;
/// RTN_BLACKHOLE: dropped in silence.
pub const RTN_BLACKHOLE: u8 = 6;
/// RTN_UNREACHABLE: refused as unreachable.
pub const RTN_UNREACHABLE: u8 = 7;
/// RTN_PROHIBIT: refused as prohibited.
pub const RTN_PROHIBIT: u8 = 8;
/// RTN_THROW: looked up in the next table.
pub const RTN_THROW: u8 = 9;
/// RTPROT_UNSPEC: in a deletion, any protocol.
pub const PROTOCOL_UNSPEC: u8 = 0;
/// RTPROT_KERNEL: the kernel made it.
pub const PROTOCOL_KERNEL: u8 = 2;
/// RTPROT_RA: a router advertised it.
pub const PROTOCOL_RA: u8 = 9;
/// RTPROT_BOOT: what `ip route` uses.
pub const PROTOCOL_BOOT: u8 = 3;
/// The metric that the kernel gives an IPv6 route without one (IP6_RT_PRIO_USER).
pub const METRIC_IPV6_DEFAULT: u32 = 1024;

/// The names of route protocols, by RTPROT_* number.
pub const PROTOCOL_NAMES: &[(u8, &str)] = &[
    (PROTOCOL_UNSPEC, "unspec"),
    (1, "redirect"),
    (PROTOCOL_KERNEL, "kernel"),
    (PROTOCOL_BOOT, "boot"),
    (4, "static"),
    (8, "gated"),
    (PROTOCOL_RA, "ra"),
    (10, "mrt"),
    (11, "zebra"),
    (12, "bird"),
    (13, "dnrouted"),
    (14, "xorp"),
    (15, "ntk"),
    (16, "dhcp"),
    (18, "keepalived"),
    (42, "babel"),
    (186, "bgp"),
    (187, "isis"),
    (188, "ospf"),
    (189, "rip"),
    (192, "eigrp"),
];

/// The names of route types, by RTN_* number.
pub const TYPE_NAMES: [&str; 12] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];

/// Whether routes of that protocol belong to a daemon that would fight for them: redirects,
/// DHCP, router advertisements and the routing daemons.
pub fn is_daemon_protocol(protocol: u8) -> bool {
    matches!(protocol, 1 | 8..=16 | 18 | 42 | 99 | 186..=192)
}

/// Whether routes of that type lead nowhere: without a gateway and a link.
pub fn is_dead_end(route_type: u8) -> bool {
    matches!(route_type, RTN_BLACKHOLE | RTN_UNREACHABLE | RTN_PROHIBIT | RTN_THROW)
}

/// What tells one route from another in the kernel's tables.
///
/// The order of the fields makes the entries of one [`RouteSlot`] neighbours in a sorted map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// What the kernel allows one IPv4 route for, and several IPv6 ones.
    pub slot: RouteSlot,
    /// The gateway of the (first) next hop.
    pub via: Option<IpAddr>,
    /// The index of the link of the (first) next hop; 0 for none.
    pub dev: u32,
    /// The RTN_* number.
    pub route_type: u8,
}

/// The identity that routes compete for: table, destination, TOS and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteSlot {
    /// The routing table.
    pub table: u32,
    /// The destination, its bits past the length zero.
    pub to: Prefix,
    /// The IPv4 type of service; 0 on IPv6.
    pub tos: u8,
    /// RTA_PRIORITY; lower is preferred.
    pub metric: u32,
}

/// One route; of an IPv6 multipath route, one next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which one it is.
    pub key: RouteKey,
    /// The RTPROT_* number: who added it.
    pub protocol: u8,
    /// The RT_SCOPE_* number.
    pub scope: u8,
    /// RTNH_F_* and RTM_F_* flags.
    pub flags: u32,
    /// RTA_PREFSRC: the source address of what is sent along it.
    pub source: Option<IpAddr>,
    /// RTA_NH_ID: the next hop object it uses; 0 for none.
    pub nexthop_id: u32,
    /// RTA_METRICS; of several IPv6 next hops, those of the first.
    pub metrics: Metrics,
    /// The hops of an IPv4 multipath route; empty for one hop.
    pub hops: Box<[Hop]>,
    /// Whether it came by a replacement (NLM_F_REPLACE) of another route of the same slot.
    pub replaced: bool,
}

/// One next hop of a multipath route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The index of the link; 0 for none.
    pub dev: u32,
    /// The weight, 1 and up.
    pub weight: u16,
    /// RTNH_F_ONLINK.
    pub onlink: bool,
}

/// The metrics of a route that are followed (RTA_METRICS); 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// RTAX_MTU in bytes.
    pub mtu: u32,
    /// RTAX_ADVMSS in bytes: the greatest TCP segment that is offered.
    pub advmss: u32,
}

impl Route {
    /// One with nothing but its key and who added it.
    #[cfg(test)]
    pub(crate) fn plain(key: RouteKey, protocol: u8) -> Self {
        Self {
            key,
            protocol,
            scope: 0,
            flags: 0,
            source: None,
            nexthop_id: 0,
            metrics: Metrics::default(),
            hops: Box::default(),
            replaced: false,
        }
    }

    /// Whether any of its next hops leaves through the link of that index.
    pub fn uses(&self, index: u32) -> bool {
        self.key.dev == index || self.hops.iter().any(|hop| hop.dev == index)
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.key.slot.to.is_ipv4()
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.protocol != before.protocol, "protocol"),
            (self.scope != before.scope, "scope"),
            (self.flags != before.flags, "flags"),
            (self.source != before.source, "source"),
            (self.nexthop_id != before.nexthop_id, "nexthop_id"),
            (self.metrics.mtu != before.metrics.mtu, "mtu"),
            (self.metrics.advmss != before.metrics.advmss, "advmss"),
            (self.hops != before.hops, "hops"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}

/// The name of a protocol, where it has one.
pub fn protocol_name(protocol: u8) -> Option<&'static str> {
    PROTOCOL_NAMES.iter().find(|(number, _)| *number == protocol).map(|(_, name)| *name)
}

/// The name of a route type, where it has one.
pub fn type_name(route_type: u8) -> Option<&'static str> {
    TYPE_NAMES.get(usize::from(route_type)).copied()
}

/// The name of a routing table, where the kernel gives it one.
pub fn table_name(table: u32) -> Option<&'static str> {
    Some(match table {
        253 => "default",
        TABLE_MAIN => "main",
        TABLE_LOCAL => "local",
        _ => return None,
    })
}
