//! Nothing but its kind (drivers/net/dummy.c).

use super::Spelling;

pub(super) static SPELLING: Spelling = Spelling::new("dummy", &[]);
