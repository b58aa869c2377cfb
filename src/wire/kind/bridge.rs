//! IFLA_BR_* of `linux/if_link.h`; parsed in net/bridge/br_netlink.c.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling {
    kind: "bridge",
    fields: &[
        // IFLA_BR_STP_STATE.
        Field { key: "stp_state", shape: Shape::U32(5) },
        // IFLA_BR_PRIORITY.
        Field { key: "priority", shape: Shape::U16(6) },
        // IFLA_BR_AGEING_TIME, a clock_t: hundredths of a second (USER_HZ), as is the key.
        Field { key: "ageing_time", shape: Shape::U32(4) },
        // IFLA_BR_VLAN_FILTERING.
        Field { key: "vlan_filtering", shape: Shape::U8(7) },
    ],
};
