//! The MAC-based virtual LAN device (drivers/net/macvlan.c, `ip link add type macvlan`).

use super::{Key, Kind, ValueType};

/// MACVLAN_MODE_* of `linux/if_link.h`.
const MODES: &[(&str, u32)] =
    &[("private", 1), ("vepa", 2), ("bridge", 4), ("passthru", 8), ("source", 16)];

pub(super) static KIND: Kind = Kind {
    name: "macvlan",
    doc: "a link with a hardware address of its own on top of another link",
    mac_only_at_creation: false,
    can_have_ports: false,
    keys: &[
        Key {
            name: "dev",
            value: ValueType::Lower,
            required: true,
            only_at_creation: true,
            rounding: 0,
            doc: "the link it stands on",
        },
        Key {
            name: "mode",
            value: ValueType::Word(MODES),
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "who reaches whom among the links on one device; the kernel's default is vepa",
        },
    ],
};
