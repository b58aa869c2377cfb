//! Several links as one (drivers/net/bonding, `ip link add type bond`, `type bond_slave`).

use super::{Key, Kind};

pub(super) static KIND: Kind = Kind {
    ports_join_down: true,
    ..Kind::new("bond", "several links as one; they join it with `master`", KEYS)
        .with_ports(Some(&PORT))
};

// The numbers are those of `linux/if_bonding.h` and of drivers/net/bonding/bond_options.c.
const MODES: &[(&str, u32)] = &[
    ("balance-rr", 0),
    ("active-backup", 1),
    ("balance-xor", 2),
    ("broadcast", 3),
    ("802.3ad", 4),
    ("balance-tlb", 5),
    ("balance-alb", 6),
];
const HASHES: &[(&str, u32)] = &[
    ("layer2", 0),
    ("layer3+4", 1),
    ("layer2+3", 2),
    ("encap2+3", 3),
    ("encap3+4", 4),
    ("vlan+srcmac", 5),
];
const VALIDATIONS: &[(&str, u32)] = &[
    ("none", 0),
    ("active", 1),
    ("backup", 2),
    ("all", 3),
    ("filter", 4),
    ("filter_active", 5),
    ("filter_backup", 6),
];

const KEYS: &[Key] = &[
    // The kernel changes it on a bond that is down and has no ports.
    Key::words("mode", MODES, "how the ports share the work")
        .only_at_creation()
        .default("balance-rr"),
    Key::number("miimon", 0, 0x7fff_ffff, "how often the ports' carrier is looked at; 0 is never")
        .unit("ms")
        .default("0"),
    Key::number("updelay", 0, 0x7fff_ffff, "how long a port waits after it got a carrier")
        .unit("ms")
        .default("0"),
    Key::number("downdelay", 0, 0x7fff_ffff, "how long a port waits after it lost its carrier")
        .unit("ms")
        .default("0"),
    Key::number("peer_notify_delay", 0, 300_000, "the time between announcements after a failover")
        .unit("ms")
        .default("0"),
    Key::number(
        "arp_interval",
        0,
        0x7fff_ffff,
        "how often ARP looks after the ports; not with `miimon`",
    )
    .unit("ms")
    .default("0"),
    Key::words("arp_validate", VALIDATIONS, "whose ARP counts").default("none"),
    Key::words("arp_all_targets", &[("any", 0), ("all", 1)], "how many ARP targets must answer")
        .default("any"),
    Key::words(
        "primary_reselect",
        &[("always", 0), ("better", 1), ("failure", 2)],
        "when the primary port becomes active again",
    )
    .default("always"),
    Key::words(
        "fail_over_mac",
        &[("none", 0), ("active", 1), ("follow", 2)],
        "whether the bond's hardware address is its active port's; for bonds without ports",
    )
    .only_at_creation()
    .default("none"),
    Key::words("xmit_hash_policy", HASHES, "what of a packet decides on its port")
        .default("layer2"),
    Key::number("resend_igmp", 0, 255, "how many IGMP reports follow a failover").default("1"),
    Key::number("num_grat_arp", 0, 255, "how many announcements follow a failover").default("1"),
    Key::bool("all_slaves_active", "whether inactive ports pass what they receive")
        .default("false"),
    Key::number("min_links", 0, 0x7fff_ffff, "how many ports a carrier takes").default("0"),
    Key::number("lp_interval", 1, 0x7fff_ffff, "how often switches are taught")
        .unit("s")
        .default("1"),
    Key::number("packets_per_slave", 0, 65535, "how many packets a port gets in turn").default("1"),
    Key::words("lacp_rate", &[("slow", 0), ("fast", 1)], "how often LACP asks of its partner")
        .only_when_down()
        .default("slow"),
    Key::bool("lacp_active", "whether LACP speaks first").only_when_down().default("true"),
    Key::words(
        "ad_select",
        &[("stable", 0), ("bandwidth", 1), ("count", 2)],
        "how the aggregator is chosen",
    )
    .only_when_down()
    .default("stable"),
    Key::number("ad_actor_sys_prio", 1, 65535, "the system's priority in LACP").default("65535"),
    Key::number("ad_user_port_key", 0, 1023, "the upper bits of the port key in LACP")
        .only_when_down()
        .default("0"),
    Key::bool("tlb_dynamic_lb", "whether flows move with the load; of balance-tlb and balance-alb")
        .only_when_down()
        .default("true"),
    Key::number("missed_max", 1, 255, "how many ARP answers may be missing").default("2"),
];

static PORT: Kind = Kind::new(
    "bond_slave",
    "what a link is as a port of a bond",
    &[
        Key::number("queue_id", 0, 65535, "the transmit queue that is its own; 0 is none")
            .default("0"),
        Key::number("prio", 0, 0x7fff_ffff, "its priority when an active port is chosen")
            .default("0"),
    ],
);
