//! IPv6 in IPv4 (RFC 4213, net/ipv6/sit.c, `ip link add type sit`).

use super::gre::{DEV, FWMARK, LOCAL, PMTUDISC, REMOTE, TOS, TTL, mode};
use super::{Key, Kind};

/// By IPPROTO_* number; 0 is any.
const MODES: &[(&str, u32)] = &[("ip6ip", 41), ("ipip", 4), ("mplsip", 137), ("any", 0)];

pub(super) static KIND: Kind = Kind {
    replaces_all: true,
    outlives_lower: true,
    ..Kind::new(
        "sit",
        "IPv6 packets carried over IPv4",
        &[
            LOCAL,
            REMOTE,
            DEV,
            Key { default: Some("64"), ..TTL },
            TOS,
            PMTUDISC,
            mode(MODES, "ip6ip"),
            FWMARK,
        ],
    )
};
