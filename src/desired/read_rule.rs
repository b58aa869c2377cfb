//! Reads one rule's table.

use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::read_route::read_table;
use super::text::parse_destination;
use super::tree::{At, Entry, Value};
use super::values::{Fault, quoted};
use super::values_rule::{ACTIONS, check_rule};
use crate::model::address::Prefix;
use crate::model::rule::{FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, PortRange, Rule};

pub(super) const KEYS: &[&str] = &[
    "priority",
    "family",
    "not",
    "from",
    "to",
    "iif",
    "oif",
    "fwmark",
    "fwmask",
    "tos",
    "ipproto",
    "sport",
    "dport",
    "l3mdev",
    "action",
    "table",
    "goto",
    "suppress_prefixlength",
];

pub(super) const FAMILIES: &[(&str, bool)] = &[("inet", false), ("inet6", true)];

pub(super) const IP_PROTOCOLS: &[(&str, u8)] =
    &[("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132)];

/// A rule, where all of it is right.
pub(super) fn read(reports: &mut Reports, entries: &[Entry], at: &At) -> Option<(Rule, Place)> {
    let mut place = Place::new(at.clone());
    let mut rule = Rule::new(false);
    let (mut family, mut action) = (None, None);
    let mut is_whole = true;
    for entry in entries {
        let Some(key) = KEYS.iter().find(|key| **key == entry.key) else {
            fields::unknown_key(reports, entry, Table::Rule, KEYS, hint(&entry.key));
            continue;
        };
        place.keys.push((key, entry.node.at.clone()));
        let read = match *key {
            "family" => {
                family = fields::word(reports, entry, FAMILIES);
                family.map(drop)
            }
            "action" => {
                action = fields::word(reports, entry, ACTIONS);
                action.map(drop)
            }
            _ => read_key(reports, entry, &mut rule),
        };
        is_whole &= read.is_some();
    }
    if !place.keys.iter().any(|(key, _)| *key == "priority") {
        let message = "the rule has no `priority`".to_owned();
        let help = "add a number from 1 to 32765; the rule of the least comes first";
        reports.push_missing(at, message, help.to_owned());
        is_whole = false;
    }
    if !is_whole {
        return None;
    }
    let prefix = rule.src.or(rule.dst);
    let Some(is_ipv6) = family.or(prefix.map(|prefix| !prefix.is_ipv4())) else {
        let message = "the rule does not say IPv4 or IPv6".to_owned();
        let help = "write `family = \"inet\"` or `family = \"inet6\"`, or give `from` or `to`";
        reports.push_missing(at, message, help.to_owned());
        return None;
    };
    rule.is_ipv6 = is_ipv6;
    let default = if rule.goto != 0 { FR_ACT_GOTO } else { FR_ACT_TO_TBL };
    rule.action = action.unwrap_or(default);
    let faults = check_rule(&rule);
    let is_sound = faults.is_empty();
    for (key, fault) in faults {
        // What it lacks may stand in a line that the parser lost.
        if !(key.is_empty() && reports.is_partial()) {
            reports.push_fault(place.of(key, None), fault, None);
        }
    }
    is_sound.then_some((rule, place))
}

/// What iproute2 and others call it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "src" => "from",
        "dst" => "to",
        "pref" | "preference" | "order" => "priority",
        "lookup" => "table",
        "type" => "action",
        "dsfield" => "tos",
        "dev" => "iif",
        "mark" => "fwmark",
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}

/// `None` where the value is wrong, which is reported then.
fn read_key(reports: &mut Reports, entry: &Entry, rule: &mut Rule) -> Option<()> {
    match entry.key.as_str() {
        "priority" => rule.priority = fields::number(reports, entry, 0, u32::MAX)?,
        "not" => rule.flags = if fields::boolean(reports, entry)? { FIB_RULE_INVERT } else { 0 },
        "from" => rule.src = read_prefix(reports, entry)?,
        "to" => rule.dst = read_prefix(reports, entry)?,
        "iif" => rule.iif = fields::link_name(reports, entry)?,
        "oif" => rule.oif = fields::link_name(reports, entry)?,
        "fwmark" => rule.fwmark = fields::number(reports, entry, 0, u32::MAX)?,
        "fwmask" => rule.fwmask = fields::number(reports, entry, 1, u32::MAX)?,
        "tos" => rule.tos = u8::try_from(fields::number(reports, entry, 0, 255)?).ok()?,
        "ipproto" => rule.ip_protocol = read_ip_protocol(reports, entry)?,
        "sport" => rule.source_ports = Some(read_ports(reports, entry)?),
        "dport" => rule.destination_ports = Some(read_ports(reports, entry)?),
        "l3mdev" => rule.l3mdev = fields::boolean(reports, entry)?,
        "table" => rule.table = read_table(reports, entry)?,
        "goto" => rule.goto = fields::number(reports, entry, 1, u32::MAX)?,
        _ => rule.suppress_prefix_len = Some(fields::number(reports, entry, 0, 128)?),
    }
    Some(())
}

fn read_prefix(reports: &mut Reports, entry: &Entry) -> Option<Option<Prefix>> {
    if matches!(&entry.node.value, Value::Text(text) if text == "all") {
        return Some(None);
    }
    fields::parsed(reports, entry, "192.0.2.0/24", parse_destination).map(Some)
}

/// By its number or one of a few names.
fn read_ip_protocol(reports: &mut Reports, entry: &Entry) -> Option<u8> {
    match entry.node.value {
        Value::Text(_) => fields::word(reports, entry, IP_PROTOCOLS),
        _ => u8::try_from(fields::number(reports, entry, 1, 255)?).ok(),
    }
}

/// A port, or `first-last`.
pub(super) fn read_ports(reports: &mut Reports, entry: &Entry) -> Option<PortRange> {
    let between = |first, last| PortRange { first, last, mask: u16::MAX };
    if let Value::Text(_) = entry.node.value {
        return fields::parsed(reports, entry, "8000-8099", |text| {
            let ends = text.split_once('-').unwrap_or((text, text));
            match (ends.0.parse(), ends.1.parse()) {
                (Ok(first), Ok(last)) => Ok(between(first, last)),
                _ => Err(Fault::new(
                    format!("{} is no range of ports", quoted(text)),
                    "write a number, or the first and the last port like `\"8000-8099\"`",
                )),
            }
        });
    }
    let port = u16::try_from(fields::number(reports, entry, 1, 65535)?).ok()?;
    Some(between(port, port))
}
