//! IFLA_IPTUN_* of `linux/if_tunnel.h`; parsed in net/ipv4/ipip.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("ipip", FIELDS);

pub(super) const FIELDS: &[Field] = &[
    Field { key: "local", shape: Shape::Ipv4(2) },
    Field { key: "remote", shape: Shape::Ipv4(3) },
    Field { key: "dev", shape: Shape::Index(1) },
    Field { key: "ttl", shape: Shape::U8(4) },
    Field { key: "tos", shape: Shape::U8(5) },
    Field { key: "pmtudisc", shape: Shape::U8(10) },
    // IFLA_IPTUN_PROTO.
    Field { key: "mode", shape: Shape::U8(9) },
    Field { key: "fwmark", shape: Shape::U32(20) },
];
