//! The numbers of netlink and rtnetlink that this room reads or writes, under the names they
//! have in the kernel's headers. Those of the link kinds stand in `kind/`.

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
pub(super) const IFLA_WIRELESS: u16 = 11;
pub(super) const IFLA_OPERSTATE: u16 = 16;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_GROUP: u16 = 27;
pub(super) const IFLA_LINK_NETNSID: u16 = 37;
pub(super) const IFLA_NEW_NETNSID: u16 = 45;
pub(super) const IFLA_NEW_IFINDEX: u16 = 49;
// Within IFLA_LINKINFO.
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;

// Attributes of an address (`linux/if_addr.h`).
pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
pub(super) const IFA_FLAGS: u16 = 8;
pub(super) const IFA_PROTO: u16 = 11;

// Attributes of a route (`linux/rtnetlink.h`).
pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
pub(super) const RTA_GATEWAY: u16 = 5;
pub(super) const RTA_PRIORITY: u16 = 6;
pub(super) const RTA_PREFSRC: u16 = 7;
pub(super) const RTA_MULTIPATH: u16 = 9;
pub(super) const RTA_TABLE: u16 = 15;
pub(super) const RTA_VIA: u16 = 18;
pub(super) const RTA_NH_ID: u16 = 30;

/// `rtm_flags`: a cached clone of a route, not a route (`linux/rtnetlink.h`).
pub(super) const RTM_F_CLONED: u32 = 0x200;

/// The groups whose notifications fill the mirror (RTNLGRP_* of `linux/rtnetlink.h`): LINK,
/// IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR and IPV6_ROUTE.
pub(crate) const GROUPS: &[u32] = &[1, 5, 7, 9, 11];
