//! What can be set of a link of any kind, or of none (ip-link(8), net/core/rtnetlink.c), as a
//! key table like those of the kinds.

use super::{Key, Kind};

pub(super) static TABLE: Kind = Kind::new("link", "what can be set of every link", KEYS);

/// The key that turns IPv6 off on a link, which takes all of it away.
pub(crate) const DISABLE_IPV6: &str = "ipv6.disable";

/// IN6_ADDR_GEN_MODE_* of `linux/if_link.h`.
const ADDR_GEN_MODES: &[(&str, u32)] =
    &[("eui64", 0), ("none", 1), ("stable_secret", 2), ("random", 3)];

/// The most that a packet can be put together to (GSO_MAX_SIZE, GRO_MAX_SIZE).
const OFFLOAD_BYTES_MAX: u32 = 8 * 65535;

/// The defaults are those of Ethernet devices, where they have one at all.
///
/// The kernel does not announce that a limit of GSO or GRO changed (`do_setlink` lacks a
/// DO_SETLINK_NOTIFY there), nor that most settings of IPv4 and IPv6 did by their files under
/// /proc/sys: a keeper reads them again from time to time.
const KEYS: &[Key] = &[
    Key::number("txqueuelen", 0, 0x7fff_ffff, "how many packets may wait to be sent"),
    Key::bool("arp", "whether neighbours are asked for by ARP and ND").default("true"),
    Key::bool("promisc", "whether all packets are received, whoever they are for").default("false"),
    Key::bool("allmulticast", "whether all multicast packets are received").default("false"),
    Key::bool("multicast", "whether it can multicast").default("true"),
    Key::number("gso_max_size", 1, OFFLOAD_BYTES_MAX, "the most that is sent as one packet")
        .unit("bytes")
        .default("65536")
        .unannounced(),
    Key::number("gso_max_segs", 1, 65535, "the most segments that are sent as one packet")
        .default("65535")
        .unannounced(),
    Key::number("gro_max_size", 1, OFFLOAD_BYTES_MAX, "the most that is received as one packet")
        .unit("bytes")
        .default("65536")
        .unannounced(),
    // As under /proc/sys/net/ipv4/conf, which net.ipv4.ip_forward writes too.
    Key::bool("ipv4.forwarding", "whether IPv4 packets are passed on").netconf(),
    Key::number("ipv4.rp_filter", 0, 2, "whether sources are validated: 1 strictly, 2 loosely")
        .netconf(),
    Key::bool("ipv4.accept_local", "whether packets from own addresses are accepted").unannounced(),
    Key::bool("ipv4.accept_redirects", "whether ICMP redirects are obeyed").unannounced(),
    Key::bool("ipv4.send_redirects", "whether ICMP redirects are sent").unannounced(),
    Key::bool("ipv4.route_localnet", "whether 127.0.0.0/8 is routed").unannounced(),
    Key::bool("ipv4.proxy_arp", "whether ARP is answered for other hosts").netconf(),
    Key::bool("ipv4.arp_filter", "whether ARP is answered only where the answer would leave")
        .unannounced(),
    Key::number("ipv4.arp_announce", 0, 2, "which own address asks by ARP").unannounced(),
    Key::number("ipv4.arp_ignore", 0, 8, "which ARP questions are left alone").unannounced(),
    Key::words("ipv6.addr_gen_mode", ADDR_GEN_MODES, "how the link-local address is made")
        .unannounced(),
    // As under /proc/sys/net/ipv6/conf, where alone they are set; its name for `disable` is
    // disable_ipv6. What a loopback device lacks has the kernel's own default here.
    Key::bool(DISABLE_IPV6, "whether there is no IPv6 on it; turning it off takes it all away")
        .by_file(),
    Key::bool("ipv6.forwarding", "whether IPv6 packets are passed on, which turns RA off")
        .by_file()
        .netconf(),
    Key::number("ipv6.accept_ra", 0, 2, "whether RA is obeyed: 1 if not forwarding, 2 always")
        .by_file(),
    Key::bool("ipv6.accept_ra_defrtr", "whether RA gives a default router").by_file(),
    Key::bool("ipv6.accept_ra_pinfo", "whether RA gives prefixes").by_file(),
    Key::bool("ipv6.accept_redirects", "whether ICMPv6 redirects are obeyed").by_file(),
    Key::bool("ipv6.autoconf", "whether prefixes of RA give addresses").by_file(),
    Key::number("ipv6.accept_dad", 0, 2, "whether DAD is done; 2: its failure turns IPv6 off")
        .default("1")
        .by_file(),
    Key::number("ipv6.dad_transmits", 0, 255, "how often DAD asks for an address; 0: never")
        .by_file(),
    Key::number("ipv6.use_tempaddr", 0, 2, "privacy addresses: 1 made, 2 made and preferred")
        .default("0")
        .by_file(),
    Key::bool("ipv6.keep_addr_on_down", "whether static addresses stay when it goes down")
        .by_file(),
    Key::bool("ipv6.proxy_ndp", "whether ND is answered for neighbour proxies").by_file().netconf(),
    Key::number("ipv6.hop_limit", 1, 255, "the hop limit of what is sent").by_file(),
];
