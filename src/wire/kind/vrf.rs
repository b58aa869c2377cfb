//! IFLA_VRF_* of `linux/if_link.h`; parsed in drivers/net/vrf.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("vrf", FIELDS);

const FIELDS: &[Field] = &[
    // IFLA_VRF_TABLE.
    Field { key: "table", shape: Shape::U32(1) },
];
