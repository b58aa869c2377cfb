//! A device that sends nothing anywhere (drivers/net/dummy.c, `ip link add type dummy`).

use super::Kind;

pub(super) static KIND: Kind =
    Kind::new("dummy", "a device without a wire, for addresses that must always be up", &[]);
