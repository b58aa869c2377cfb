//! The IP-based virtual LAN device (drivers/net/ipvlan, `ip link add type ipvlan`).

use super::{Key, Kind};

/// IPVLAN_MODE_* of `linux/if_link.h`.
const MODES: &[(&str, u32)] = &[("l2", 0), ("l3", 1), ("l3s", 2)];

/// IPVLAN_F_*; iproute2 takes the words without a key.
const FLAGS: &[(&str, u32)] = &[("bridge", 0), ("private", 1), ("vepa", 2)];

pub(super) static KIND: Kind = Kind::new(
    "ipvlan",
    "a link that shares the hardware address of the one below",
    &[
        Key::lower("the link it stands on").required().only_at_creation(),
        Key::words("mode", MODES, "the layer that packets are passed on; one for all on a device")
            .default("l3"),
        Key::words("flags", FLAGS, "who reaches whom among the links on one device")
            .default("bridge"),
    ],
);
