//! What can be set of a link of any kind, or of none (ip-link(8), net/core/rtnetlink.c), as a
//! key table like those of the kinds.

use super::{Key, Kind};

pub(super) static TABLE: Kind = Kind::new("link", "what can be set of every link", KEYS);

/// IN6_ADDR_GEN_MODE_* of `linux/if_link.h`.
const ADDR_GEN_MODES: &[(&str, u32)] =
    &[("eui64", 0), ("none", 1), ("stable_secret", 2), ("random", 3)];

/// The most that a packet can be put together to (GSO_MAX_SIZE, GRO_MAX_SIZE).
const OFFLOAD_BYTES_MAX: u32 = 8 * 65535;

/// The defaults are those of Ethernet devices, where they have one at all.
///
/// The kernel does not announce that a limit of GSO or GRO changed (`do_setlink` lacks a
/// DO_SETLINK_NOTIFY there), nor that a setting of IPv4 did by its file under /proc/sys: that is
/// seen with the next news of the link, or by the next `check`.
const KEYS: &[Key] = &[
    Key::number("txqueuelen", 0, 0x7fff_ffff, "how many packets may wait to be sent"),
    Key::bool("arp", "whether neighbours are asked for by ARP and ND").default("true"),
    Key::bool("promisc", "whether all packets are received, whoever they are for").default("false"),
    Key::bool("allmulticast", "whether all multicast packets are received").default("false"),
    Key::bool("multicast", "whether it can multicast").default("true"),
    Key::number("gso_max_size", 1, OFFLOAD_BYTES_MAX, "the most that is sent as one packet")
        .unit("bytes")
        .default("65536"),
    Key::number("gso_max_segs", 1, 65535, "the most segments that are sent as one packet")
        .default("65535"),
    Key::number("gro_max_size", 1, OFFLOAD_BYTES_MAX, "the most that is received as one packet")
        .unit("bytes")
        .default("65536"),
    // As under /proc/sys/net/ipv4/conf, which net.ipv4.ip_forward writes too.
    Key::bool("ipv4.forwarding", "whether IPv4 packets are passed on"),
    Key::number("ipv4.rp_filter", 0, 2, "whether sources are validated: 1 strictly, 2 loosely"),
    Key::bool("ipv4.accept_local", "whether packets from own addresses are accepted"),
    Key::bool("ipv4.accept_redirects", "whether ICMP redirects are obeyed"),
    Key::bool("ipv4.send_redirects", "whether ICMP redirects are sent"),
    Key::bool("ipv4.route_localnet", "whether 127.0.0.0/8 is routed"),
    Key::bool("ipv4.proxy_arp", "whether ARP is answered for other hosts"),
    Key::bool("ipv4.arp_filter", "whether ARP is answered only where the answer would leave"),
    Key::number("ipv4.arp_announce", 0, 2, "which own address asks by ARP"),
    Key::number("ipv4.arp_ignore", 0, 8, "which ARP questions are left alone"),
    Key::words("ipv6.addr_gen_mode", ADDR_GEN_MODES, "how the link-local address is made"),
];
