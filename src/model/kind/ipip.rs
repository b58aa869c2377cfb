//! IP in IPv4 (RFC 2003, net/ipv4/ipip.c, `ip link add type ipip`).

use super::Kind;
use super::gre::{DEV, FWMARK, LOCAL, PMTUDISC, REMOTE, TOS, TTL, mode};

/// By IPPROTO_* number; 0 is any.
const MODES: &[(&str, u32)] = &[("ipip", 4), ("mplsip", 137), ("any", 0)];

pub(super) static KIND: Kind = Kind {
    replaces_all: true,
    outlives_lower: true,
    ..Kind::new(
        "ipip",
        "IPv4 packets carried over IPv4",
        &[LOCAL, REMOTE, DEV, TTL, TOS, PMTUDISC, mode(MODES, "ipip"), FWMARK],
    )
};
