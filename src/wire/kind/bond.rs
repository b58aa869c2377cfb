//! IFLA_BOND_* and IFLA_BOND_SLAVE_* of `linux/if_link.h`; parsed in
//! drivers/net/bonding/bond_netlink.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("bond", FIELDS).with_port(PORT_FIELDS);

const FIELDS: &[Field] = &[
    Field { key: "mode", shape: Shape::U8(1) },
    Field { key: "miimon", shape: Shape::U32(3) },
    Field { key: "updelay", shape: Shape::U32(4) },
    Field { key: "downdelay", shape: Shape::U32(5) },
    Field { key: "peer_notify_delay", shape: Shape::U32(28) },
    Field { key: "arp_interval", shape: Shape::U32(7) },
    Field { key: "arp_validate", shape: Shape::U32(9) },
    Field { key: "arp_all_targets", shape: Shape::U32(10) },
    Field { key: "primary_reselect", shape: Shape::U8(12) },
    Field { key: "fail_over_mac", shape: Shape::U8(13) },
    Field { key: "xmit_hash_policy", shape: Shape::U8(14) },
    Field { key: "resend_igmp", shape: Shape::U32(15) },
    // IFLA_BOND_NUM_PEER_NOTIF.
    Field { key: "num_grat_arp", shape: Shape::U8(16) },
    Field { key: "all_slaves_active", shape: Shape::U8(17) },
    Field { key: "min_links", shape: Shape::U32(18) },
    Field { key: "lp_interval", shape: Shape::U32(19) },
    Field { key: "packets_per_slave", shape: Shape::U32(20) },
    Field { key: "lacp_rate", shape: Shape::U8(21) },
    Field { key: "lacp_active", shape: Shape::U8(29) },
    Field { key: "ad_select", shape: Shape::U8(22) },
    Field { key: "ad_actor_sys_prio", shape: Shape::U16(24) },
    Field { key: "ad_user_port_key", shape: Shape::U16(25) },
    Field { key: "tlb_dynamic_lb", shape: Shape::U8(27) },
    Field { key: "missed_max", shape: Shape::U8(30) },
];

/// IFLA_BOND_SLAVE_*.
const PORT_FIELDS: &[Field] =
    &[Field { key: "queue_id", shape: Shape::U16(5) }, Field { key: "prio", shape: Shape::U32(9) }];
