//! As gre (net/ipv4/ip_gre.c).

use super::{Spelling, gre};

pub(super) static SPELLING: Spelling = Spelling::new("gretap", gre::FIELDS);
