//! Virtual routing and forwarding (drivers/net/vrf.c, `ip link add type vrf`).

use super::{Key, Kind};

pub(super) static KIND: Kind = Kind::new(
    "vrf",
    "a routing table of its own for the links that join it with `master`",
    &[Key::number("table", 1, u32::MAX, "the number of the routing table")
        .required()
        .only_at_creation()],
)
.with_ports(None);
