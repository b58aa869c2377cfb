//! IFLA_MACVLAN_* of `linux/if_link.h`; parsed in drivers/net/macvlan.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("macvlan", FIELDS);

pub(super) const FIELDS: &[Field] = &[
    Field { key: "dev", shape: Shape::LinkBelow },
    // IFLA_MACVLAN_MODE.
    Field { key: "mode", shape: Shape::U32(1) },
    // IFLA_MACVLAN_BC_QUEUE_LEN.
    Field { key: "bcqueuelen", shape: Shape::U32(7) },
];
