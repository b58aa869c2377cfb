//! RTM_NEWNEXTHOP and RTM_DELNEXTHOP.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes, u16_at, u32_at};
use super::route::VOLATILE_FLAGS;
use super::{Decoded, take};
use crate::model::nexthop::{Member, Nexthop};
use crate::model::object::Object;

// `struct nhmsg` (`linux/nexthop.h`): u8 family, u8 scope, u8 protocol, u8 reserved, u32 flags.
const HEADER_BYTES: usize = 8;
const FLAGS_OFFSET: usize = 4;

// `struct nexthop_grp` (`linux/nexthop.h`): u32 id, u8 weight less one, u8 its high bits since
// 6.12 (0 before), u16 reserved.
const MEMBER_BYTES: usize = 8;
const MEMBER_WEIGHT_OFFSET: usize = 4;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("a next hop message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let &[family, scope, protocol, ..] = payload else {
        return Err(SHORT);
    };
    let flags = u32_at(payload, FLAGS_OFFSET).ok_or(SHORT)?;
    let mut nexthop = Nexthop {
        id: 0,
        is_ipv4: None,
        dev: 0,
        via: None,
        scope,
        protocol,
        flags: flags & !VOLATILE_FLAGS,
        blackhole: false,
        fdb: false,
        group: Box::default(),
        group_type: 0,
    };
    for attribute in attributes(body) {
        match attribute.kind {
            NHA_ID => take(&mut nexthop.id, attribute.u32()),
            NHA_GROUP => nexthop.group = members(attribute.value),
            NHA_GROUP_TYPE => take(&mut nexthop.group_type, attribute.u16()),
            NHA_BLACKHOLE => nexthop.blackhole = true,
            NHA_OIF => take(&mut nexthop.dev, attribute.u32()),
            NHA_GATEWAY => nexthop.via = attribute.address(),
            NHA_FDB => nexthop.fdb = true,
            _ => {}
        }
    }
    if nexthop.id == 0 {
        return Err(Malformed("a next hop message has no id"));
    }
    if nexthop.group.is_empty() && matches!(family, AF_INET | AF_INET6) {
        nexthop.is_ipv4 = Some(family == AF_INET);
    }
    Ok(Decoded::Object { object: Object::Nexthop(nexthop), deleted })
}

/// The members of a group; a rest that is none is passed over.
fn members(bytes: &[u8]) -> Box<[Member]> {
    let member = |bytes: &[u8]| {
        let weight = u16_at(bytes, MEMBER_WEIGHT_OFFSET).map(u16::from_le)?;
        Some(Member { id: u32_at(bytes, 0)?, weight: weight.saturating_add(1) })
    };
    bytes.chunks_exact(MEMBER_BYTES).filter_map(member).collect()
}
