//! As a macvlan (drivers/net/macvtap.c).

use super::{Spelling, macvlan};

pub(super) static SPELLING: Spelling = Spelling::new("macvtap", macvlan::FIELDS);
