//! IFLA_VXLAN_* of `linux/if_link.h`; parsed in drivers/net/vxlan/vxlan_core.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling {
    kind: "vxlan",
    fields: &[
        // IFLA_VXLAN_ID.
        Field { key: "id", shape: Shape::U32(1) },
        // IFLA_VXLAN_LINK.
        Field { key: "dev", shape: Shape::Index(3) },
        // IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6.
        Field { key: "local", shape: Shape::Address { v4: 4, v6: 17 } },
        // IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6.
        Field { key: "remote", shape: Shape::Address { v4: 2, v6: 16 } },
        // IFLA_VXLAN_PORT; not IFLA_VXLAN_PORT_RANGE, which is of source ports.
        Field { key: "dstport", shape: Shape::U16BigEndian(15) },
        // IFLA_VXLAN_TTL.
        Field { key: "ttl", shape: Shape::U8(5) },
        // IFLA_VXLAN_LEARNING.
        Field { key: "learning", shape: Shape::U8(7) },
    ],
};
