//! Reads the VLANs of a link: each a number, a range as a string, or a table that says more.

use super::DesiredVlan;
use super::builder::LinkDeclaration;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::tree::{At, Entry, Node, Value};
use super::values::{Fault, quoted};
use super::values_vlan::{VID_MAX, check_vlan};

const EXAMPLE: &str = "`vlans = [{ vid = 10, pvid = true, untagged = true }, 20, \"30-39\"]`";
const WANTED: &str = "an array of numbers, ranges and tables";

pub(super) const KEYS: &[&str] = &["vid", "pvid", "untagged"];

pub(super) fn read_vlans(
    reports: &mut Reports,
    entry: &Entry,
    link: &mut LinkDeclaration,
    place: &mut Place,
) {
    // Given, if wrongly.
    link.vlans = Some(Vec::new());
    let Value::Array(items) = &entry.node.value else {
        return fields::wrong_type(reports, entry, WANTED, EXAMPLE);
    };
    let mut vlans = Vec::with_capacity(items.len());
    for item in items {
        let Some(member) = read_vlan(reports, &entry.key, item) else { continue };
        let faults = check_vlan(&member);
        if faults.is_empty() {
            vlans.push(member);
            place.vlans.push(item.at.clone());
        }
        for (_, fault) in faults {
            reports.push_fault(&item.at, fault, None);
        }
    }
    link.vlans = Some(vlans);
}

fn read_vlan(reports: &mut Reports, key: &str, item: &Node) -> Option<DesiredVlan> {
    match &item.value {
        Value::Table(entries) => read_table(reports, entries, &item.at),
        Value::Integer(_) | Value::Text(_) => read_vid(reports, item),
        _ => {
            fields::wrong_node(reports, key, item, WANTED, EXAMPLE);
            None
        }
    }
}

fn read_table(reports: &mut Reports, entries: &[Entry], at: &At) -> Option<DesiredVlan> {
    let (mut member, mut pvid, mut untagged) = (None, Some(false), Some(false));
    for entry in entries {
        match entry.key.as_str() {
            "vid" => member = read_vid(reports, &entry.node),
            "pvid" => pvid = fields::boolean(reports, entry),
            "untagged" => untagged = fields::boolean(reports, entry),
            _ => fields::unknown_key(reports, entry, Table::BridgeVlan, KEYS, hint(&entry.key)),
        }
    }
    if !entries.iter().any(|entry| entry.key == "vid") {
        let help = "add it: `{ vid = 10 }`".to_owned();
        reports.push_missing(at, "this has no `vid`".to_owned(), help);
    }
    Some(DesiredVlan { pvid: pvid?, untagged: untagged?, ..member? })
}

/// What iproute2 and others call it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "id" | "vlans" => "vid",
        "native" => "pvid",
        "tagged" => return Some("a VLAN is tagged unless it has `untagged = true`".to_owned()),
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}

/// A number, or `first-last`.
fn read_vid(reports: &mut Reports, node: &Node) -> Option<DesiredVlan> {
    let parsed = match &node.value {
        Value::Integer(number) => {
            let vid = number.and_then(|number| u16::try_from(number).ok());
            vid.map(DesiredVlan::new).ok_or("that number".to_owned())
        }
        Value::Text(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let ends = first.trim().parse().ok().zip(last.trim().parse().ok());
            ends.map(|(first, last)| DesiredVlan::range(first, last)).ok_or(quoted(text))
        }
        _ => Err(node.value.describe().to_owned()),
    };
    let fault = |what: String| {
        let help = format!("write a number from 1 to {VID_MAX}, or a range like `\"20-29\"`");
        Fault::new(format!("{what} is no VLAN"), help)
    };
    fields::checked(reports, &node.at, parsed.map_err(fault))
}
