//! Reads one next hop object's table.

use super::DesiredNexthop;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::read_rule::FAMILIES;
use super::text::parse_address;
use super::tree::{At, Entry, Value};
use super::values_nexthop::check_nexthop;
use crate::model::nexthop::Member;

pub(super) const KEYS: &[&str] =
    &["id", "via", "dev", "onlink", "blackhole", "family", "group", "takeover"];

pub(super) const MEMBER_KEYS: &[&str] = &["id", "weight"];

/// A next hop, where all of it is right.
pub(super) fn read(
    reports: &mut Reports,
    entries: &[Entry],
    at: &At,
) -> Option<(DesiredNexthop, Place)> {
    let mut place = Place::new(at.clone());
    let mut nexthop = DesiredNexthop::new(0);
    let mut family = None;
    let mut is_whole = true;
    for entry in entries {
        let Some(key) = KEYS.iter().find(|key| **key == entry.key) else {
            fields::unknown_key(reports, entry, Table::Nexthop, KEYS, hint(&entry.key));
            continue;
        };
        place.keys.push((key, entry.node.at.clone()));
        let read = match *key {
            "family" => {
                family = fields::word(reports, entry, FAMILIES);
                family.map(drop)
            }
            _ => read_key(reports, entry, &mut nexthop, &mut place),
        };
        is_whole &= read.is_some();
    }
    if !place.keys.iter().any(|(key, _)| *key == "id") {
        let help = "add the number that routes name it by with `nhid`: `id = 5`";
        reports.push_missing(at, "the next hop has no `id`".to_owned(), help.to_owned());
        is_whole = false;
    }
    if !is_whole {
        return None;
    }
    nexthop.is_ipv6 = family.unwrap_or(nexthop.via.is_some_and(|via| via.is_ipv6()));
    let faults = check_nexthop(&nexthop);
    let is_sound = faults.is_empty();
    for (key, item, fault) in faults {
        // What it lacks may stand in a line that the parser lost.
        if !(key.is_empty() && reports.is_partial()) {
            reports.push_fault(place.of(key, Some(item)), fault, None);
        }
    }
    is_sound.then_some((nexthop, place))
}

/// What iproute2 and others call it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "nhid" => "id",
        "gateway" | "next_hop" => "via",
        "nexthops" | "members" => "group",
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}

/// `None` where the value is wrong, which is reported then.
fn read_key(
    reports: &mut Reports,
    entry: &Entry,
    nexthop: &mut DesiredNexthop,
    place: &mut Place,
) -> Option<()> {
    match entry.key.as_str() {
        "id" => nexthop.id = fields::number(reports, entry, 1, u32::MAX)?,
        "via" => {
            nexthop.via = Some(fields::parsed(reports, entry, "192.0.2.254", parse_address)?);
        }
        "dev" => nexthop.dev = Some(fields::link_name(reports, entry)?),
        "onlink" => nexthop.onlink = fields::boolean(reports, entry)?,
        "blackhole" => nexthop.blackhole = fields::boolean(reports, entry)?,
        "group" => nexthop.group = read_group(reports, entry, place)?,
        _ => nexthop.takeover = fields::boolean(reports, entry)?,
    }
    Some(())
}

/// Each a number, or a table that has a weight too.
fn read_group(reports: &mut Reports, entry: &Entry, place: &mut Place) -> Option<Vec<Member>> {
    const EXAMPLE: &str = "`group = [5, { id = 6, weight = 3 }]`";
    const WANTED: &str = "an array of numbers and tables";
    let Value::Array(items) = &entry.node.value else {
        fields::wrong_type(reports, entry, WANTED, EXAMPLE);
        return None;
    };
    if items.is_empty() {
        let help = format!("write it like {EXAMPLE}, or take it out");
        reports.push(&entry.node.at, "`group` is empty", help);
        return None;
    }
    let mut group = Vec::with_capacity(items.len());
    for item in items {
        let mut member = Member { id: 0, weight: 1 };
        match &item.value {
            Value::Integer(Some(id)) => member.id = u32::try_from(*id).unwrap_or(0),
            Value::Table(entries) => {
                for entry in entries {
                    match entry.key.as_str() {
                        "id" => member.id = fields::number(reports, entry, 1, u32::MAX)?,
                        "weight" => {
                            let weight = fields::number(reports, entry, 1, 256)?;
                            member.weight = u16::try_from(weight).ok()?;
                        }
                        _ => {
                            let known = MEMBER_KEYS;
                            fields::unknown_key(reports, entry, Table::NextHop, known, None);
                        }
                    }
                }
            }
            _ => {
                fields::wrong_node(reports, &entry.key, item, WANTED, EXAMPLE);
                return None;
            }
        }
        place.items.push(item.at.clone());
        group.push(member);
    }
    Some(group)
}
