//! The MAC-based virtual LAN device (drivers/net/macvlan.c, `ip link add type macvlan`).

use super::{Key, Kind};

pub(super) static KIND: Kind = Kind {
    mtu_within_lower: true,
    ..Kind::new("macvlan", "a link with a hardware address of its own on top of another link", KEYS)
};

/// MACVLAN_MODE_* of `linux/if_link.h`.
const MODES: &[(&str, u32)] =
    &[("private", 1), ("vepa", 2), ("bridge", 4), ("passthru", 8), ("source", 16)];

pub(super) const KEYS: &[Key] = &[
    Key::lower("the link it stands on").required().only_at_creation(),
    Key::words("mode", MODES, "who reaches whom among the links on one device").default("vepa"),
    Key::number("bcqueuelen", 0, u32::MAX, "how many broadcasts may wait").default("1000"),
];
