//! IFLA_GENEVE_* of `linux/if_link.h`; parsed in drivers/net/geneve.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("geneve", FIELDS);

const FIELDS: &[Field] = &[
    Field { key: "id", shape: Shape::U32(1) },
    // IFLA_GENEVE_REMOTE, IFLA_GENEVE_REMOTE6.
    Field { key: "remote", shape: Shape::Address { v4: 2, v6: 7 } },
    Field { key: "dstport", shape: Shape::U16BigEndian(5) },
    Field { key: "ttl", shape: Shape::U8(3) },
    Field { key: "tos", shape: Shape::U8(4) },
    Field { key: "df", shape: Shape::U8(13) },
    Field { key: "flowlabel", shape: Shape::U32BigEndian(11) },
    Field { key: "udpcsum", shape: Shape::U8(8) },
    Field { key: "udp6zerocsumtx", shape: Shape::U8(9) },
    Field { key: "udp6zerocsumrx", shape: Shape::U8(10) },
];
