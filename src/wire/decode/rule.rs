//! RTM_NEWRULE and RTM_DELRULE of IPv4 and IPv6.

use super::super::numbers::*;
use super::super::view::{Attribute, Malformed, attributes, u16_at, u32_at};
use super::{Decoded, take};
use crate::model::address::Prefix;
use crate::model::object::Object;
use crate::model::rule::{PortRange, Rule};

// `struct fib_rule_hdr` (`linux/fib_rules.h`): u8 family, u8 dst_len, u8 src_len, u8 tos,
// u8 table, u8 reserved, u8 reserved, u8 action, u32 flags.
const HEADER_BYTES: usize = 12;
const FLAGS_OFFSET: usize = 8;

/// FIB_RULE_UNRESOLVED, _IIF_DETACHED and _OIF_DETACHED: whether the target, or a link, exists.
/// They change in silence as links come and go.
const VOLATILE_FLAGS: u32 = 0x04 | 0x08 | 0x10;
/// What FRA_SUPPRESS_PREFIXLEN and FRA_SUPPRESS_IFGROUP are where nothing is suppressed.
const SUPPRESS_NONE: u32 = u32::MAX;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("a rule message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let &[family, dst_len, src_len, tos, table, _, _, action, ..] = payload else {
        return Err(SHORT);
    };
    let len_max = match family {
        AF_INET => 32,
        AF_INET6 => 128,
        // Those of multicast routing (RTNL_FAMILY_IPMR) are another table.
        _ => return Ok(Decoded::Ignored),
    };
    if dst_len > len_max || src_len > len_max {
        return Err(Malformed("a rule has a longer prefix than its family"));
    }
    let mut rule = Rule::new(family == AF_INET6);
    rule.tos = tos;
    rule.table = u32::from(table);
    rule.action = action;
    rule.flags = u32_at(payload, FLAGS_OFFSET).ok_or(SHORT)? & !VOLATILE_FLAGS;
    for attribute in attributes(body) {
        let prefix = |len| {
            let address = attribute.address();
            let address = address.filter(|address| address.is_ipv4() == (family == AF_INET));
            address.map(|address| Prefix { address, len })
        };
        match attribute.kind {
            FRA_DST => rule.dst = prefix(dst_len),
            FRA_SRC => rule.src = prefix(src_len),
            _ => take_rest(&mut rule, &attribute),
        }
    }
    for attribute in attributes(body) {
        take_mask(&mut rule, &attribute);
    }
    let has_all = (dst_len == 0 || rule.dst.is_some()) && (src_len == 0 || rule.src.is_some());
    if !has_all {
        return Err(Malformed("a rule message has no prefix of the length that it says"));
    }
    Ok(Decoded::Object { object: Object::Rule(rule), deleted })
}

fn take_rest(rule: &mut Rule, attribute: &Attribute<'_>) {
    let unless_none = |value: Option<u32>| value.filter(|&value| value != SUPPRESS_NONE);
    match attribute.kind {
        FRA_IIFNAME => take(&mut rule.iif, attribute.inline_text()),
        FRA_OIFNAME => take(&mut rule.oif, attribute.inline_text()),
        FRA_GOTO => take(&mut rule.goto, attribute.u32()),
        FRA_PRIORITY => take(&mut rule.priority, attribute.u32()),
        FRA_FWMARK => take(&mut rule.fwmark, attribute.u32()),
        FRA_FWMASK => take(&mut rule.fwmask, attribute.u32()),
        FRA_FLOW => take(&mut rule.realms, attribute.u32()),
        FRA_TUN_ID => take(&mut rule.tunnel_id, attribute.u64_big_endian()),
        FRA_SUPPRESS_IFGROUP => rule.suppress_group = unless_none(attribute.u32()),
        FRA_SUPPRESS_PREFIXLEN => rule.suppress_prefix_len = unless_none(attribute.u32()),
        FRA_TABLE => take(&mut rule.table, attribute.u32()),
        FRA_L3MDEV => rule.l3mdev = attribute.u8().is_some_and(|it| it != 0),
        FRA_UID_RANGE => rule.uids = u32_at(attribute.value, 0).zip(u32_at(attribute.value, 4)),
        FRA_PROTOCOL => take(&mut rule.protocol, attribute.u8()),
        FRA_IP_PROTO => take(&mut rule.ip_protocol, attribute.u8()),
        FRA_SPORT_RANGE => rule.source_ports = ports(attribute.value),
        FRA_DPORT_RANGE => rule.destination_ports = ports(attribute.value),
        FRA_DSCP => rule.dscp = attribute.u8(),
        _ => {}
    }
}

/// A mask may stand on either side of the ports that it is of.
fn take_mask(rule: &mut Rule, attribute: &Attribute<'_>) {
    let ports = match attribute.kind {
        FRA_SPORT_MASK => &mut rule.source_ports,
        FRA_DPORT_MASK => &mut rule.destination_ports,
        _ => return,
    };
    if let Some(ports) = ports {
        take(&mut ports.mask, attribute.u16());
    }
}

/// `struct fib_rule_port_range` (`linux/fib_rules.h`): u16 first, u16 last.
fn ports(bytes: &[u8]) -> Option<PortRange> {
    Some(PortRange { first: u16_at(bytes, 0)?, last: u16_at(bytes, 2)?, mask: 0xffff })
}
