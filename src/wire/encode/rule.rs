//! The rule messages of changes.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::super::numbers::*;
use crate::model::rule::{FR_ACT_GOTO, PortRange, Rule};
use crate::model::text::LinkName;

/// A rule with all that it says: that makes it, and names it and no other to a deletion.
///
/// `RuleAttribute` lacks some attributes and has strings for names, which are bytes; so all are
/// written by their numbers.
pub(super) fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = if rule.is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    header.dst_len = rule.dst.map_or(0, |dst| dst.len);
    header.src_len = rule.src.map_or(0, |src| src.len);
    header.tos = rule.tos;
    // `table` of the header has eight bits.
    header.table = u8::try_from(rule.table).unwrap_or(0);
    header.action = RuleAction::from(rule.action);
    header.flags = RuleFlags::from_bits_retain(rule.flags);

    let attributes = &mut message.attributes;
    attributes.extend(rule.src.map(|src| RuleAttribute::Source(src.address)));
    attributes.extend(rule.dst.map(|dst| RuleAttribute::Destination(dst.address)));
    let numbers = [
        (FRA_PRIORITY, Some(rule.priority)),
        (FRA_TABLE, (rule.table != 0).then_some(rule.table)),
        (FRA_GOTO, (rule.action == FR_ACT_GOTO).then_some(rule.goto)),
        (FRA_FWMARK, (rule.fwmark != 0 || rule.fwmask != 0).then_some(rule.fwmark)),
        (FRA_FWMASK, (rule.fwmask != 0).then_some(rule.fwmask)),
        (FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefix_len),
        (FRA_SUPPRESS_IFGROUP, rule.suppress_group),
        (FRA_FLOW, (rule.realms != 0).then_some(rule.realms)),
    ];
    for (kind, number) in numbers {
        attributes.extend(number.map(|number| raw(kind, &number.to_ne_bytes())));
    }
    let bytes = [
        (FRA_PROTOCOL, Some(rule.protocol)),
        (FRA_IP_PROTO, (rule.ip_protocol != 0).then_some(rule.ip_protocol)),
        (FRA_L3MDEV, rule.l3mdev.then_some(1)),
        (FRA_DSCP, rule.dscp),
    ];
    for (kind, byte) in bytes {
        attributes.extend(byte.map(|byte| raw(kind, &[byte])));
    }
    for (kind, name) in [(FRA_IIFNAME, rule.iif), (FRA_OIFNAME, rule.oif)] {
        attributes.extend((!name.is_empty()).then(|| text(kind, name)));
    }
    let ports = [(FRA_SPORT_RANGE, rule.source_ports), (FRA_DPORT_RANGE, rule.destination_ports)];
    for (kind, ports) in ports {
        attributes.extend(ports.map(|ports| range(kind, ports)));
    }
    if let Some((first, last)) = rule.uids {
        let bytes = [first.to_ne_bytes(), last.to_ne_bytes()].concat();
        attributes.push(raw(FRA_UID_RANGE, &bytes));
    }
    message
}

fn range(kind: u16, ports: PortRange) -> RuleAttribute {
    raw(kind, &[ports.first.to_ne_bytes(), ports.last.to_ne_bytes()].concat())
}

fn text(kind: u16, name: LinkName) -> RuleAttribute {
    raw(kind, &[name.as_bytes(), &[0]].concat())
}

fn raw(kind: u16, value: &[u8]) -> RuleAttribute {
    RuleAttribute::Other(DefaultNla::new(kind, value.to_vec()))
}
