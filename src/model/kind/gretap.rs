//! Ethernet over GRE (net/ipv4/ip_gre.c, `ip link add type gretap`).

use super::{Kind, gre};

pub(super) static KIND: Kind = Kind {
    replaces_all: true,
    outlives_lower: true,
    shorthands: gre::SHORTHANDS,
    ..Kind::new("gretap", "an Ethernet segment carried over GRE and IPv4", gre::KEYS)
};
