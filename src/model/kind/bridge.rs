//! The software bridge (net/bridge, `ip link add type bridge`, `type bridge_slave`).

use super::vlan::PROTOCOLS;
use super::{Key, Kind};

pub(super) static KIND: Kind = Kind {
    mtu_follows_ports: true,
    ..Kind::new("bridge", "a software switch; links join it with `master`", KEYS)
        .with_ports(Some(&PORT))
        .with_vlans()
};

const KEYS: &[Key] = &[
    Key::bool("stp_state", "whether the spanning tree protocol runs").default("false"),
    Key::number("priority", 0, 65535, "the bridge's priority in the spanning tree")
        .default("32768"),
    Key::number("ageing_time", 0, 100_000_000, "how long a learnt address is kept")
        .clock()
        .default("30000"),
    Key::bool("vlan_filtering", "whether ports obey VLAN membership").default("false"),
    Key::number("forward_delay", 200, 3000, "how long a port listens, and how long it learns")
        .clock()
        .default("1500"),
    Key::number("hello_time", 100, 1000, "how often the root bridge speaks").clock().default("200"),
    Key::number("max_age", 600, 4000, "how long the root bridge may be silent")
        .clock()
        .default("2000"),
    Key::words("vlan_protocol", PROTOCOLS, "the tag of its VLANs").default("802.1Q"),
    Key::number(
        "vlan_default_pvid",
        0,
        4094,
        "the VLAN of untagged frames on new ports; 0 is none",
    )
    .default("1"),
    Key::bool("vlan_stats_enabled", "whether traffic is counted by VLAN").default("false"),
    Key::bool(
        "vlan_stats_per_port",
        "whether it is counted by port and VLAN; changed only while no port has a VLAN",
    )
    .default("false"),
    Key::number(
        "group_fwd_mask",
        0,
        65528,
        "which link-local groups are forwarded, a bit each; the first three cannot be",
    )
    .default("0"),
    Key::bool("no_linklocal_learn", "whether link-local frames teach nothing").default("false"),
    Key::number("fdb_max_learned", 0, u32::MAX, "how many addresses are learnt; 0 is any number")
        .default("0"),
    Key::bool("mcast_snooping", "whether IGMP and MLD are listened to").default("true"),
    Key::number("mcast_router", 0, 2, "whether it is a multicast router: 0 no, 1 found out, 2 yes")
        .default("1"),
    Key::bool("mcast_query_use_ifaddr", "whether queries carry its own address").default("false"),
    Key::bool("mcast_querier", "whether it sends queries").default("false"),
    Key::number("mcast_hash_max", 1, u32::MAX, "how many groups are kept").default("4096"),
    Key::number("mcast_last_member_count", 0, u32::MAX, "how many queries follow a leave")
        .default("2"),
    Key::number("mcast_startup_query_count", 0, u32::MAX, "how many queries it begins with")
        .default("2"),
    Key::number("mcast_last_member_interval", 0, 100_000_000, "the time between those of a leave")
        .clock()
        .default("100"),
    Key::number("mcast_membership_interval", 0, 100_000_000, "how long a member is kept")
        .clock()
        .default("26000"),
    Key::number("mcast_querier_interval", 0, 100_000_000, "how long a querier may be silent")
        .clock()
        .default("25500"),
    Key::number("mcast_query_interval", 100, 100_000_000, "the time between queries")
        .clock()
        .default("12500"),
    Key::number("mcast_query_response_interval", 0, 100_000_000, "how long answers may take")
        .clock()
        .default("1000"),
    Key::number("mcast_startup_query_interval", 100, 100_000_000, "the time between the first")
        .clock()
        .default("3125"),
    Key::bool("mcast_stats_enabled", "whether IGMP and MLD are counted").default("false"),
    Key::number("mcast_igmp_version", 2, 3, "the version of IGMP that it speaks").default("2"),
    Key::number("mcast_mld_version", 1, 2, "the version of MLD that it speaks").default("1"),
    Key::bool("nf_call_iptables", "whether IPv4 frames pass iptables").default("false"),
    Key::bool("nf_call_ip6tables", "whether IPv6 frames pass ip6tables").default("false"),
    Key::bool("nf_call_arptables", "whether ARP frames pass arptables").default("false"),
];

/// iproute2 has two words for the same setting, `mcast_fast_leave` and `fastleave`.
static PORT: Kind = Kind::new("bridge_slave", "what a link is as a port of a bridge", PORT_KEYS);

const PORT_KEYS: &[Key] = &[
    Key::number("priority", 0, 63, "the port's priority in the spanning tree").default("32"),
    Key::number("cost", 1, 65535, "the path's cost in the spanning tree; by default by speed"),
    Key::bool("hairpin", "whether a frame may leave where it came in").default("false"),
    Key::bool("guard", "whether the spanning tree of another bridge is kept out").default("false"),
    Key::bool("root_block", "whether it may not become the root's port").default("false"),
    Key::bool("fastleave", "whether a group is left without asking").default("false"),
    Key::bool("learning", "whether source addresses are learnt").default("true"),
    Key::bool("flood", "whether it gets frames of unknown destination").default("true"),
    Key::bool("proxy_arp", "whether the bridge answers ARP for known hosts").default("false"),
    Key::bool("proxy_arp_wifi", "the same as IEEE 802.11 wants it").default("false"),
    Key::number(
        "mcast_router",
        0,
        3,
        "whether a multicast router is there: 0 no, 1 found out, 2 yes, 3 for a while",
    )
    .default("1"),
    Key::bool("mcast_flood", "whether it gets multicast that nobody asked for").default("true"),
    Key::bool("bcast_flood", "whether it gets broadcasts").default("true"),
    Key::bool("mcast_to_unicast", "whether each member gets a copy of its own").default("false"),
    Key::number("group_fwd_mask", 0, 65535, "the bridge's, for this port").default("0"),
    Key::bool("neigh_suppress", "whether ARP and ND of known hosts stay here").default("false"),
    Key::bool("vlan_tunnel", "whether VLANs are mapped to tunnels").default("false"),
    Key::bool("isolated", "whether it reaches only ports that are not").default("false"),
    Key::bool("locked", "whether only hosts that were let in may speak").default("false"),
];
