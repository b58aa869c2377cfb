//! As ipip (net/ipv6/sit.c).

use super::{Spelling, ipip};

pub(super) static SPELLING: Spelling = Spelling::new("sit", ipip::FIELDS);
