//! IFLA_VXLAN_* of `linux/if_link.h`; parsed in drivers/net/vxlan/vxlan_core.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("vxlan", FIELDS);

const FIELDS: &[Field] = &[
    Field { key: "id", shape: Shape::U32(1) },
    // IFLA_VXLAN_LINK.
    Field { key: "dev", shape: Shape::Index(3) },
    // IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6.
    Field { key: "local", shape: Shape::Address { v4: 4, v6: 17 } },
    // IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6.
    Field { key: "remote", shape: Shape::Address { v4: 2, v6: 16 } },
    // IFLA_VXLAN_PORT; not IFLA_VXLAN_PORT_RANGE, which is of source ports.
    Field { key: "dstport", shape: Shape::U16BigEndian(15) },
    // IFLA_VXLAN_PORT_RANGE.
    Field { key: "srcport", shape: Shape::Ports(10) },
    Field { key: "ttl", shape: Shape::U8(5) },
    Field { key: "learning", shape: Shape::U8(7) },
    Field { key: "tos", shape: Shape::U8(6) },
    Field { key: "df", shape: Shape::U8(29) },
    Field { key: "flowlabel", shape: Shape::U32BigEndian(26) },
    Field { key: "ageing", shape: Shape::U32(8) },
    // IFLA_VXLAN_LIMIT.
    Field { key: "maxaddress", shape: Shape::U32(9) },
    Field { key: "proxy", shape: Shape::U8(11) },
    Field { key: "rsc", shape: Shape::U8(12) },
    Field { key: "l2miss", shape: Shape::U8(13) },
    Field { key: "l3miss", shape: Shape::U8(14) },
    Field { key: "udpcsum", shape: Shape::U8(18) },
    Field { key: "udp6zerocsumtx", shape: Shape::U8(19) },
    Field { key: "udp6zerocsumrx", shape: Shape::U8(20) },
];
