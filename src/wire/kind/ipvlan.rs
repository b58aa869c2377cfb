//! IFLA_IPVLAN_* of `linux/if_link.h`; parsed in drivers/net/ipvlan/ipvlan_main.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("ipvlan", FIELDS);

const FIELDS: &[Field] = &[
    Field { key: "dev", shape: Shape::LinkBelow },
    // IFLA_IPVLAN_MODE.
    Field { key: "mode", shape: Shape::U16(1) },
    // IFLA_IPVLAN_FLAGS.
    Field { key: "flags", shape: Shape::U16(2) },
];
