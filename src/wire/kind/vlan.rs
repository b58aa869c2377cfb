//! IFLA_VLAN_* and VLAN_FLAG_* of `linux/if_link.h` and `linux/if_vlan.h`; parsed in
//! net/8021q/vlan_netlink.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("vlan", FIELDS);

/// IFLA_VLAN_FLAGS.
const FLAGS: u16 = 2;

const FIELDS: &[Field] = &[
    Field { key: "dev", shape: Shape::LinkBelow },
    // IFLA_VLAN_ID.
    Field { key: "id", shape: Shape::U16(1) },
    // IFLA_VLAN_PROTOCOL.
    Field { key: "protocol", shape: Shape::U16BigEndian(5) },
    Field { key: "reorder_hdr", shape: Shape::SparseFlag { attribute: FLAGS, bit: 1 } },
    Field { key: "gvrp", shape: Shape::SparseFlag { attribute: FLAGS, bit: 2 } },
    Field { key: "mvrp", shape: Shape::SparseFlag { attribute: FLAGS, bit: 8 } },
    Field { key: "loose_binding", shape: Shape::SparseFlag { attribute: FLAGS, bit: 4 } },
    Field { key: "bridge_binding", shape: Shape::SparseFlag { attribute: FLAGS, bit: 16 } },
];
