//! Nothing but its kind (drivers/net/ifb.c).

use super::Spelling;

pub(super) static SPELLING: Spelling = Spelling::new("ifb", &[]);
