//! The intermediate functional block (drivers/net/ifb.c, `ip link add type ifb`).

use super::Kind;

pub(super) static KIND: Kind = Kind {
    name: "ifb",
    doc: "a pseudo device to which traffic control redirects packets",
    mac_only_at_creation: true,
    can_have_ports: false,
    keys: &[],
};
