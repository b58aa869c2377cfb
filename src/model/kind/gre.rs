//! Generic routing encapsulation of IP in IPv4 (RFC 2784, net/ipv4/ip_gre.c,
//! `ip link add type gre`).

use super::{Key, Kind, Shorthand};

pub(super) static KIND: Kind = Kind {
    replaces_all: true,
    outlives_lower: true,
    shorthands: SHORTHANDS,
    ..Kind::new("gre", "IP packets carried over IPv4, with a key or without", KEYS)
};

pub(super) const SHORTHANDS: &[Shorthand] =
    &[("key", &["ikey", "okey"]), ("csum", &["icsum", "ocsum"]), ("seq", &["iseq", "oseq"])];

pub(super) const KEYS: &[Key] = &[
    LOCAL,
    REMOTE,
    DEV,
    TTL,
    TOS,
    PMTUDISC,
    Key::number("ikey", 1, u32::MAX, "the key that received packets must have"),
    Key::number("okey", 1, u32::MAX, "the key of sent packets"),
    Key::bool("icsum", "whether received packets must have a checksum").default("false"),
    Key::bool("ocsum", "whether sent packets have a checksum").default("false"),
    Key::bool("iseq", "whether received packets must be in order").default("false"),
    Key::bool("oseq", "whether sent packets are numbered").default("false"),
    Key::bool(
        "ignore_df",
        "whether packets are split although they forbid it; not with `pmtudisc`",
    )
    .default("false"),
    FWMARK,
];

// What all tunnels over IPv4 have (net/ipv4/ip_tunnel.c). An address of 0.0.0.0 is none.
pub(super) const LOCAL: Key = Key::ipv4_address("local", "the source address of tunnel packets");
pub(super) const REMOTE: Key = Key::ipv4_address("remote", "the other end");
pub(super) const DEV: Key = Key::lower("the link that carries the tunnel");
pub(super) const TTL: Key =
    Key::number("ttl", 0, 255, "the hop limit of tunnel packets; 0 takes the inner packet's")
        .default("0");
/// What a tunnel of several protocols carries, by IPPROTO_* number. A change of it is acknowledged
/// and ignored (`ip_tunnel_update`).
pub(super) const fn mode(modes: &'static [(&'static str, u32)], default: &'static str) -> Key {
    Key::words("mode", modes, "what it carries").only_at_creation().default(default)
}
pub(super) const TOS: Key =
    Key::number("tos", 0, 255, "the TOS of tunnel packets; 1 takes that of the inner packet")
        .default("0");
pub(super) const PMTUDISC: Key =
    Key::bool("pmtudisc", "whether tunnel packets forbid being split").default("true");
pub(super) const FWMARK: Key =
    Key::number("fwmark", 0, u32::MAX, "the mark that tunnel packets are routed by").default("0");
