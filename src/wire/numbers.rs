//! The numbers of netlink and rtnetlink that this room reads or writes, under the names they
//! have in the kernel's headers. Those of the link kinds stand in `kind/`.

use crate::model::network::{Table, Tables};

/// The flags of a message (`linux/netlink.h`). The same bit means different things in requests,
/// in dumps and in notifications; the groups say where each belongs.
pub(crate) mod flags {
    // Of requests.
    pub(crate) use netlink_packet_core::{
        NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST,
    };
    // Of requests, and of notifications: the object came in the place of another one.
    pub(crate) use netlink_packet_core::NLM_F_REPLACE;
    // Of the messages of a dump.
    pub(crate) use netlink_packet_core::{NLM_F_DUMP_INTR, NLM_F_MULTIPART as NLM_F_MULTI};
    // Of NLMSG_ERROR.
    pub(crate) use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED};
}

// Message types below NLMSG_MIN_TYPE (`linux/netlink.h`).
pub(super) const NLMSG_NOOP: u16 = 1;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const NLMSG_OVERRUN: u16 = 4;

// Attributes of an acknowledgement (`linux/netlink.h`, enum nlmsgerr_attrs).
pub(super) const NLMSGERR_ATTR_MSG: u16 = 1;
pub(super) const NLMSGERR_ATTR_OFFS: u16 = 2;

// Message types (`linux/rtnetlink.h`).
pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_NEWNEIGH: u16 = 28;
pub(super) const RTM_DELNEIGH: u16 = 29;
pub(super) const RTM_NEWRULE: u16 = 32;
pub(super) const RTM_DELRULE: u16 = 33;
pub(super) const RTM_NEWVLAN: u16 = 112;
pub(super) const RTM_DELVLAN: u16 = 113;
pub(super) const RTM_NEWNETCONF: u16 = 80;
pub(super) const RTM_DELNETCONF: u16 = 81;
pub(super) const RTM_NEWNSID: u16 = 88;
pub(super) const RTM_DELNSID: u16 = 89;
pub(super) const RTM_GETNSID: u16 = 90;
pub(super) const RTM_NEWNEXTHOP: u16 = 104;
pub(super) const RTM_DELNEXTHOP: u16 = 105;

// Address families (`linux/socket.h`).
pub(super) const AF_UNSPEC: u8 = 0;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_BRIDGE: u8 = 7;
pub(super) const AF_INET6: u8 = 10;

// Attributes of a link (`linux/if_link.h`).
pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_LINK: u16 = 5;
pub(super) const IFLA_MASTER: u16 = 10;
pub(super) const IFLA_PROTINFO: u16 = 12;
pub(super) const IFLA_WIRELESS: u16 = 11;
pub(super) const IFLA_TXQLEN: u16 = 13;
pub(super) const IFLA_OPERSTATE: u16 = 16;
pub(super) const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_AF_SPEC: u16 = 26;
pub(super) const IFLA_GROUP: u16 = 27;
pub(super) const IFLA_EXT_MASK: u16 = 29;
/// In [`IFLA_EXT_MASK`]: no counters of IPv6 (`inet6_fill_ifla6_attrs`).
pub(super) const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
pub(super) const IFLA_GSO_MAX_SEGS: u16 = 40;
pub(super) const IFLA_GSO_MAX_SIZE: u16 = 41;
pub(super) const IFLA_GRO_MAX_SIZE: u16 = 58;
pub(super) const IFLA_PROP_LIST: u16 = 52;
pub(super) const IFLA_PERM_ADDRESS: u16 = 54;
pub(super) const IFLA_PARENT_DEV_NAME: u16 = 56;
// Within IFLA_PROP_LIST.
pub(super) const IFLA_ALT_IFNAME: u16 = 53;
// Within IFLA_AF_SPEC: attributes by address family, and what stands in theirs.
pub(super) const AF_INET_SPEC: u16 = 2;
pub(super) const AF_INET6_SPEC: u16 = 10;
pub(super) const IFLA_INET_CONF: u16 = 1;
pub(super) const IFLA_INET6_CONF: u16 = 2;
pub(super) const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
pub(super) const IFLA_LINK_NETNSID: u16 = 37;
pub(super) const IFLA_NEW_NETNSID: u16 = 45;
pub(super) const IFLA_NEW_IFINDEX: u16 = 49;
// Within IFLA_LINKINFO.
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub(super) const IFLA_INFO_SLAVE_DATA: u16 = 5;

// Attributes of an address (`linux/if_addr.h`).
pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
pub(super) const IFA_LABEL: u16 = 3;
pub(super) const IFA_FLAGS: u16 = 8;
pub(super) const IFA_PROTO: u16 = 11;

// Attributes of a route (`linux/rtnetlink.h`).
pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
pub(super) const RTA_GATEWAY: u16 = 5;
pub(super) const RTA_PRIORITY: u16 = 6;
pub(super) const RTA_PREFSRC: u16 = 7;
pub(super) const RTA_METRICS: u16 = 8;
pub(super) const RTA_MULTIPATH: u16 = 9;
pub(super) const RTA_TABLE: u16 = 15;
pub(super) const RTA_VIA: u16 = 18;
pub(super) const RTA_NH_ID: u16 = 30;
// Within RTA_METRICS.
pub(super) const RTAX_MTU: u16 = 2;
pub(super) const RTAX_ADVMSS: u16 = 8;

/// `rtm_flags`: a cached clone of a route, not a route (`linux/rtnetlink.h`).
pub(super) const RTM_F_CLONED: u32 = 0x200;

// Attributes of a neighbour (`linux/neighbour.h`).
pub(super) const NDA_DST: u16 = 1;
pub(super) const NDA_LLADDR: u16 = 2;
pub(super) const NDA_VLAN: u16 = 5;
pub(super) const NDA_PORT: u16 = 6;
pub(super) const NDA_VNI: u16 = 7;
pub(super) const NDA_IFINDEX: u16 = 8;
pub(super) const NDA_MASTER: u16 = 9;
pub(super) const NDA_SRC_VNI: u16 = 11;
pub(super) const NDA_PROTOCOL: u16 = 12;
pub(super) const NDA_FLAGS_EXT: u16 = 15;
/// `ndm_flags`: the address is answered for, not asked for.
pub(super) const NTF_PROXY: u8 = 0x08;
/// `ndm_flags`: the entry is the link's own, or that of its master.
pub(super) const NTF_SELF: u8 = 0x02;
pub(super) const NTF_MASTER: u8 = 0x04;

// Attributes of a rule (`linux/fib_rules.h`).
pub(super) const FRA_DST: u16 = 1;
pub(super) const FRA_SRC: u16 = 2;
pub(super) const FRA_IIFNAME: u16 = 3;
pub(super) const FRA_GOTO: u16 = 4;
pub(super) const FRA_PRIORITY: u16 = 6;
pub(super) const FRA_FWMARK: u16 = 10;
pub(super) const FRA_FLOW: u16 = 11;
pub(super) const FRA_TUN_ID: u16 = 12;
pub(super) const FRA_SUPPRESS_IFGROUP: u16 = 13;
pub(super) const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
pub(super) const FRA_TABLE: u16 = 15;
pub(super) const FRA_FWMASK: u16 = 16;
pub(super) const FRA_OIFNAME: u16 = 17;
pub(super) const FRA_L3MDEV: u16 = 19;
pub(super) const FRA_UID_RANGE: u16 = 20;
pub(super) const FRA_PROTOCOL: u16 = 21;
pub(super) const FRA_IP_PROTO: u16 = 22;
pub(super) const FRA_SPORT_RANGE: u16 = 23;
pub(super) const FRA_DPORT_RANGE: u16 = 24;
pub(super) const FRA_DSCP: u16 = 25;
pub(super) const FRA_SPORT_MASK: u16 = 28;
pub(super) const FRA_DPORT_MASK: u16 = 29;

// Attributes of the settings of a link (`linux/netconf.h`).
pub(super) const NETCONFA_IFINDEX: u16 = 1;
pub(super) const NETCONFA_FORWARDING: u16 = 2;
pub(super) const NETCONFA_RP_FILTER: u16 = 3;
pub(super) const NETCONFA_MC_FORWARDING: u16 = 4;
pub(super) const NETCONFA_PROXY_NEIGH: u16 = 5;
pub(super) const NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN: u16 = 6;
pub(super) const NETCONFA_BC_FORWARDING: u16 = 8;
pub(super) const NETCONFA_IFINDEX_ALL: i32 = -1;
pub(super) const NETCONFA_IFINDEX_DEFAULT: i32 = -2;

// Attributes of a namespace's number (`linux/net_namespace.h`).
pub(super) const NETNSA_NSID: u16 = 1;
pub(super) const NETNSA_FD: u16 = 3;

// Attributes of a next hop object (`linux/nexthop.h`).
pub(super) const NHA_ID: u16 = 1;
pub(super) const NHA_GROUP: u16 = 2;
pub(super) const NHA_GROUP_TYPE: u16 = 3;
pub(super) const NHA_BLACKHOLE: u16 = 4;
pub(super) const NHA_OIF: u16 = 5;
pub(super) const NHA_GATEWAY: u16 = 6;
pub(super) const NHA_FDB: u16 = 11;

// VLANs of bridges (`linux/if_bridge.h`).
pub(super) const BRIDGE_VLANDB_ENTRY: u16 = 1;
pub(super) const BRIDGE_VLANDB_ENTRY_INFO: u16 = 1;
pub(super) const BRIDGE_VLANDB_ENTRY_RANGE: u16 = 2;
pub(super) const BRIDGE_VLAN_INFO_PVID: u16 = 2;
pub(super) const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 4;
/// The greatest VLAN; 4095 is reserved (VLAN_VID_MASK less one).
pub(super) const VLAN_VID_MAX: u16 = 4094;
/// The bit of an attribute's type that says that others are in it (`linux/netlink.h`).
pub(super) const NLA_F_NESTED: u16 = 0x8000;

/// How a table is asked for and announced.
pub(super) struct TableNumbers {
    /// The RTM_GET* message.
    pub(super) get: u16,
    /// The family that is asked for, the header's first byte.
    pub(super) family: u8,
    /// The bytes of the header that the request carries, with padding.
    pub(super) header_bytes: usize,
    /// The groups of its notifications (RTNLGRP_* of `linux/rtnetlink.h`).
    pub(super) groups: &'static [u32],
}

/// The numbers of a table.
pub(super) const fn of_table(table: Table) -> TableNumbers {
    let (get, header_bytes, groups): (u16, usize, &[u32]) = match table {
        Table::Links => (18, 16, &[1]),
        Table::Addresses => (22, 8, &[5, 9]),
        // Nothing else tells that the routes of a deleted next hop object are gone (NEXTHOP).
        Table::Routes => (26, 12, &[7, 11, 32]),
        Table::Neighbours => (30, 12, &[3]),
        Table::Rules => (34, 12, &[8, 19]),
        Table::Netconf => (82, 4, &[24, 25]),
        Table::Nsids => (90, 4, &[28]),
        Table::Nexthops => (106, 8, &[32]),
        Table::BridgeVlans => (114, 8, &[33]),
        Table::Fdb => (30, 12, &[3]),
    };
    let family = match table {
        Table::BridgeVlans | Table::Fdb => AF_BRIDGE,
        _ => AF_UNSPEC,
    };
    TableNumbers { get, family, header_bytes, groups }
}

/// The groups whose notifications keep these tables true, each once.
pub(crate) fn groups(tables: Tables) -> Vec<u32> {
    let mut groups: Vec<_> =
        tables.iter().flat_map(|table| of_table(table).groups).copied().collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
