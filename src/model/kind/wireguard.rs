//! The WireGuard tunnel (drivers/net/wireguard, `ip link add type wireguard`), which gets its keys
//! and peers from `wg`.

use super::Kind;

pub(super) static KIND: Kind =
    Kind::new("wireguard", "an encrypted tunnel; its keys and peers are given by `wg`", &[]);
