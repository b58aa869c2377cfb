//! RTM_NEWNSID and RTM_DELNSID.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes};
use super::Decoded;
use crate::model::nsid::Nsid;
use crate::model::object::Object;

// `struct rtgenmsg` (`linux/rtnetlink.h`): u8 family, and the padding to the attributes.
const HEADER_BYTES: usize = 4;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    let id = number(payload).ok_or(Malformed("a namespace message has no number"))?;
    Ok(Decoded::Object { object: Object::Nsid(Nsid { id }), deleted })
}

/// The number of the namespace that a message is about; `None` where it has none.
pub(super) fn number(payload: &[u8]) -> Option<i32> {
    let body = payload.get(HEADER_BYTES..).unwrap_or_default();
    let numbers = attributes(body).filter(|attribute| attribute.kind == NETNSA_NSID);
    // NETNSA_NSID_NOT_ASSIGNED is -1.
    numbers.filter_map(|attribute| attribute.i32()).find(|id| *id >= 0)
}
