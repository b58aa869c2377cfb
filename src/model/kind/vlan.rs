//! The VLAN of another link (IEEE 802.1Q, net/8021q, `ip link add type vlan`).

use super::{Key, Kind};

/// Of the tag, by ETH_P_* number.
pub(super) const PROTOCOLS: &[(&str, u32)] = &[("802.1Q", 0x8100), ("802.1ad", 0x88a8)];

pub(super) static KIND: Kind = Kind {
    mtu_within_lower: true,
    ..Kind::new(
        "vlan",
        "one VLAN of another link",
        &[
            Key::lower("the link whose VLAN it is").required().only_at_creation(),
            Key::number("id", 0, 4094, "the VLAN's number").required().only_at_creation(),
            Key::words("protocol", PROTOCOLS, "the tag").only_at_creation().default("802.1Q"),
            Key::bool("reorder_hdr", "whether packets are shown without their tag").default("true"),
            Key::bool("gvrp", "whether it is registered by GVRP").default("false"),
            Key::bool("mvrp", "whether it is registered by MVRP").default("false"),
            Key::bool("loose_binding", "whether it is up without its link").default("false"),
            Key::bool("bridge_binding", "whether it has the carrier of its bridge's ports")
                .default("false"),
        ],
    )
};
