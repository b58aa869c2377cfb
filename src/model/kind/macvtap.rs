//! A macvlan whose packets a program reads (drivers/net/macvtap.c, `ip link add type macvtap`).

use super::{Kind, macvlan};

pub(super) static KIND: Kind = Kind {
    mtu_within_lower: true,
    ..Kind::new(
        "macvtap",
        "a macvlan with a character device, for a virtual machine",
        macvlan::KEYS,
    )
};
