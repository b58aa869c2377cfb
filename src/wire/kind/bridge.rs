//! IFLA_BR_* and IFLA_BRPORT_* of `linux/if_link.h`; parsed in net/bridge/br_netlink.c. Times are a
//! clock_t: hundredths of a second (USER_HZ), as are the keys.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("bridge", FIELDS).with_port(PORT_FIELDS);

/// IFLA_BR_MULTI_BOOLOPT.
const MULTI_BOOLOPT: u16 = 46;

const FIELDS: &[Field] = &[
    Field { key: "stp_state", shape: Shape::U32(5) },
    Field { key: "priority", shape: Shape::U16(6) },
    Field { key: "ageing_time", shape: Shape::U32(4) },
    Field { key: "vlan_filtering", shape: Shape::U8(7) },
    Field { key: "forward_delay", shape: Shape::U32(1) },
    Field { key: "hello_time", shape: Shape::U32(2) },
    Field { key: "max_age", shape: Shape::U32(3) },
    Field { key: "vlan_protocol", shape: Shape::U16BigEndian(8) },
    Field { key: "vlan_default_pvid", shape: Shape::U16(39) },
    Field { key: "vlan_stats_enabled", shape: Shape::U8(41) },
    Field { key: "vlan_stats_per_port", shape: Shape::U8(45) },
    Field { key: "group_fwd_mask", shape: Shape::U16(9) },
    Field { key: "no_linklocal_learn", shape: Shape::Flag { attribute: MULTI_BOOLOPT, bit: 1 } },
    Field { key: "fdb_max_learned", shape: Shape::U32(49) },
    Field { key: "mcast_snooping", shape: Shape::U8(23) },
    Field { key: "mcast_router", shape: Shape::U8(22) },
    Field { key: "mcast_query_use_ifaddr", shape: Shape::U8(24) },
    Field { key: "mcast_querier", shape: Shape::U8(25) },
    Field { key: "mcast_hash_max", shape: Shape::U32(27) },
    Field { key: "mcast_last_member_count", shape: Shape::U32(28) },
    Field { key: "mcast_startup_query_count", shape: Shape::U32(29) },
    Field { key: "mcast_last_member_interval", shape: Shape::U64(30) },
    Field { key: "mcast_membership_interval", shape: Shape::U64(31) },
    Field { key: "mcast_querier_interval", shape: Shape::U64(32) },
    Field { key: "mcast_query_interval", shape: Shape::U64(33) },
    Field { key: "mcast_query_response_interval", shape: Shape::U64(34) },
    Field { key: "mcast_startup_query_interval", shape: Shape::U64(35) },
    Field { key: "mcast_stats_enabled", shape: Shape::U8(42) },
    Field { key: "mcast_igmp_version", shape: Shape::U8(43) },
    Field { key: "mcast_mld_version", shape: Shape::U8(44) },
    Field { key: "nf_call_iptables", shape: Shape::U8(36) },
    Field { key: "nf_call_ip6tables", shape: Shape::U8(37) },
    Field { key: "nf_call_arptables", shape: Shape::U8(38) },
];

/// IFLA_BRPORT_*.
const PORT_FIELDS: &[Field] = &[
    Field { key: "priority", shape: Shape::U16(2) },
    Field { key: "cost", shape: Shape::U32(3) },
    // IFLA_BRPORT_MODE.
    Field { key: "hairpin", shape: Shape::U8(4) },
    Field { key: "guard", shape: Shape::U8(5) },
    // IFLA_BRPORT_PROTECT.
    Field { key: "root_block", shape: Shape::U8(6) },
    Field { key: "fastleave", shape: Shape::U8(7) },
    Field { key: "learning", shape: Shape::U8(8) },
    // IFLA_BRPORT_UNICAST_FLOOD.
    Field { key: "flood", shape: Shape::U8(9) },
    Field { key: "proxy_arp", shape: Shape::U8(10) },
    Field { key: "proxy_arp_wifi", shape: Shape::U8(12) },
    Field { key: "mcast_router", shape: Shape::U8(25) },
    Field { key: "mcast_flood", shape: Shape::U8(27) },
    Field { key: "bcast_flood", shape: Shape::U8(30) },
    Field { key: "mcast_to_unicast", shape: Shape::U8(28) },
    Field { key: "group_fwd_mask", shape: Shape::U16(31) },
    Field { key: "neigh_suppress", shape: Shape::U8(32) },
    Field { key: "vlan_tunnel", shape: Shape::U8(29) },
    Field { key: "isolated", shape: Shape::U8(33) },
    Field { key: "locked", shape: Shape::U8(39) },
];
