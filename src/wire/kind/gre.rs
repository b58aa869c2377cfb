//! IFLA_GRE_* and GRE_* of `linux/if_tunnel.h`; parsed in net/ipv4/ip_gre.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("gre", FIELDS);

// IFLA_GRE_IFLAGS, IFLA_GRE_OFLAGS.
const IFLAGS: u16 = 2;
const OFLAGS: u16 = 3;
const CSUM: u16 = 0x8000;
const SEQ: u16 = 0x1000;

pub(super) const FIELDS: &[Field] = &[
    Field { key: "local", shape: Shape::Ipv4(6) },
    Field { key: "remote", shape: Shape::Ipv4(7) },
    Field { key: "dev", shape: Shape::Index(1) },
    Field { key: "ttl", shape: Shape::U8(8) },
    Field { key: "tos", shape: Shape::U8(9) },
    Field { key: "pmtudisc", shape: Shape::U8(10) },
    Field { key: "ikey", shape: Shape::GreKey { attribute: 4, flags: IFLAGS } },
    Field { key: "okey", shape: Shape::GreKey { attribute: 5, flags: OFLAGS } },
    Field { key: "icsum", shape: Shape::Bit16BigEndian { attribute: IFLAGS, bit: CSUM } },
    Field { key: "ocsum", shape: Shape::Bit16BigEndian { attribute: OFLAGS, bit: CSUM } },
    Field { key: "iseq", shape: Shape::Bit16BigEndian { attribute: IFLAGS, bit: SEQ } },
    Field { key: "oseq", shape: Shape::Bit16BigEndian { attribute: OFLAGS, bit: SEQ } },
    Field { key: "ignore_df", shape: Shape::U8(19) },
    Field { key: "fwmark", shape: Shape::U32(20) },
];
