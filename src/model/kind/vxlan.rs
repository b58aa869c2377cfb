//! The virtual extensible LAN tunnel (RFC 7348, drivers/net/vxlan, `ip link add type vxlan`).

use super::{Key, Kind};

/// VXLAN_DF_* and GENEVE_DF_* of `linux/if_link.h`.
pub(super) const DF: &[(&str, u32)] = &[("unset", 0), ("set", 1), ("inherit", 2)];

pub(super) static KIND: Kind = Kind::new(
    "vxlan",
    "an Ethernet segment carried over UDP",
    &[
        Key::number("id", 0, 0x00ff_ffff, "the VXLAN network identifier (VNI)")
            .required()
            .only_at_creation(),
        Key::lower("the link that carries the tunnel").only_at_creation(),
        Key::address("local", "the source address of tunnel packets"),
        Key::address(
            "remote",
            "where frames of unknown destination go; a multicast address is joined",
        ),
        Key::number("dstport", 1, 65535, "the UDP destination port; the assigned one is 4789")
            .only_at_creation()
            .default("8472"),
        Key::ports("srcport", "the UDP source ports, one of which each flow takes")
            .only_at_creation(),
        Key::number("ttl", 0, 255, "the hop limit of tunnel packets; with 0 the kernel chooses")
            .default("0"),
        Key::bool("learning", "whether source addresses are learnt from received packets")
            .default("true"),
        Key::number("tos", 0, 255, "the TOS of tunnel packets; 1 takes that of the inner packet")
            .default("0"),
        Key::words("df", DF, "the don't-fragment bit of IPv4 tunnel packets").default("unset"),
        Key::number("flowlabel", 0, 0x000f_ffff, "the flow label of IPv6 tunnel packets")
            .default("0"),
        Key::number("ageing", 0, 100_000_000, "how long a learnt address is kept")
            .unit("s")
            .default("300"),
        Key::number("maxaddress", 0, u32::MAX, "how many addresses are learnt; 0 is any number")
            .only_at_creation()
            .default("0"),
        Key::bool("proxy", "whether ARP is answered here").only_at_creation().default("false"),
        Key::bool("rsc", "whether routed packets take the short way")
            .only_at_creation()
            .default("false"),
        Key::bool("l2miss", "whether unknown hardware addresses are told")
            .only_at_creation()
            .default("false"),
        Key::bool("l3miss", "whether unknown IP addresses are told")
            .only_at_creation()
            .default("false"),
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
)
.with_fdb();
