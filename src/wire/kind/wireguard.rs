//! Nothing but its kind; its keys go through a family of generic netlink of its own.

use super::Spelling;

pub(super) static SPELLING: Spelling = Spelling::new("wireguard", &[]);
