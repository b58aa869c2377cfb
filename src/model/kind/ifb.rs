//! The intermediate functional block (drivers/net/ifb.c, `ip link add type ifb`).

use super::Kind;

pub(super) static KIND: Kind = {
    let doc = "a pseudo device to which traffic control redirects packets";
    Kind { mac_only_at_creation: true, ..Kind::new("ifb", doc, &[]) }
};
