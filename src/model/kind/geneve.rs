//! Generic network virtualization encapsulation (RFC 8926, drivers/net/geneve.c,
//! `ip link add type geneve`).

use super::vxlan::DF;
use super::{Key, Kind};

pub(super) static KIND: Kind = Kind::new(
    "geneve",
    "an Ethernet segment carried over UDP to one other end",
    &[
        Key::number("id", 0, 0x00ff_ffff, "the virtual network identifier (VNI)")
            .required()
            .only_at_creation(),
        Key::address("remote", "the other end").required(),
        Key::number("dstport", 1, 65535, "the UDP destination port")
            .only_at_creation()
            .default("6081"),
        Key::number("ttl", 0, 255, "the hop limit of tunnel packets; with 0 the kernel chooses")
            .default("0"),
        Key::number("tos", 0, 255, "the TOS of tunnel packets; 1 takes that of the inner packet")
            .default("0"),
        Key::words("df", DF, "the don't-fragment bit of IPv4 tunnel packets").default("unset"),
        Key::number("flowlabel", 0, 0x000f_ffff, "the flow label of IPv6 tunnel packets")
            .default("0"),
        Key::bool("udpcsum", "whether IPv4 tunnel packets have a UDP checksum")
            .only_at_creation()
            .default("true"),
        Key::bool("udp6zerocsumtx", "whether IPv6 tunnel packets go without one")
            .only_at_creation()
            .default("false"),
        Key::bool("udp6zerocsumrx", "whether IPv6 tunnel packets may come without one")
            .only_at_creation()
            .default("false"),
    ],
);
