//! Reads the addresses of a link: each a string, or a table that says more of it.

use super::DesiredAddress;
use super::builder::LinkDeclaration;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::read_route::read_scope;
use super::text::{parse_address, parse_prefix};
use super::tree::{At, Entry, Node, Value};
use super::values::{Fault, quoted};
use super::values_address::{FLAGS, check_address};
use crate::model::text::LinkName;

const EXAMPLE: &str = "`addresses = [\"192.0.2.1/24\"]`";
const WANTED: &str = "an array of strings or tables";

pub(super) const KEYS: &[&str] = &[
    "address",
    "peer",
    "label",
    "scope",
    "valid_lft",
    "preferred_lft",
    "noprefixroute",
    "nodad",
    "home",
    "mngtmpaddr",
];

pub(super) fn read_addresses(
    reports: &mut Reports,
    entry: &Entry,
    link: &mut LinkDeclaration,
    place: &mut Place,
) {
    // Given, if wrongly: what is said of a link without addresses does not hold.
    link.addresses = Some(Vec::new());
    let Value::Array(items) = &entry.node.value else {
        return fields::wrong_type(reports, entry, WANTED, EXAMPLE);
    };
    let mut addresses = Vec::with_capacity(items.len());
    for item in items {
        if let Some(address) = read_address(reports, &entry.key, item) {
            addresses.push(address);
            place.items.push(item.at.clone());
        }
    }
    link.addresses = Some(addresses);
}

fn read_address(reports: &mut Reports, key: &str, item: &Node) -> Option<DesiredAddress> {
    let mut places = Vec::new();
    let address = match &item.value {
        Value::Text(text) => {
            DesiredAddress::new(fields::checked(reports, &item.at, parse_prefix(text))?)
        }
        Value::Table(entries) => read_table(reports, entries, &item.at, &mut places)?,
        _ => {
            fields::wrong_node(reports, key, item, WANTED, EXAMPLE);
            return None;
        }
    };
    let faults = check_address(&address);
    let is_sound = faults.is_empty();
    for (key, fault) in faults {
        let at = places.iter().find(|(name, _)| *name == key).map_or(&item.at, |(_, at)| at);
        reports.push_fault(at, fault, None);
    }
    is_sound.then_some(address)
}

fn read_table(
    reports: &mut Reports,
    entries: &[Entry],
    at: &At,
    places: &mut Vec<(&'static str, At)>,
) -> Option<DesiredAddress> {
    let own = entries.iter().find(|entry| entry.key == "address");
    let Some(own) = own else {
        let help = "add it: `{ address = \"192.0.2.1/24\", ... }`";
        reports.push_missing(at, "this has no `address`".to_owned(), help.to_owned());
        return None;
    };
    let prefix = fields::parsed(reports, own, "192.0.2.1/24", parse_prefix);
    let mut address = prefix.map(DesiredAddress::new);
    for entry in entries {
        let Some(key) = KEYS.iter().find(|key| **key == entry.key) else {
            fields::unknown_key(reports, entry, Table::Address, KEYS, hint(&entry.key));
            continue;
        };
        places.push((key, entry.node.at.clone()));
        // The rest is read all the same, for its own mistakes.
        let mut scratch = DesiredAddress::new(crate::model::address::Prefix {
            address: std::net::IpAddr::from([0; 4]),
            len: 0,
        });
        let into = address.as_mut().unwrap_or(&mut scratch);
        if read_key(reports, entry, into).is_none() {
            address = None;
        }
    }
    address
}

fn hint(key: &str) -> Option<String> {
    let own = match key {
        "local" | "addr" => "address",
        "remote" => "peer",
        "lifetime" => "valid_lft",
        "metric" => return Some("give the route to its subnet a metric of its own".to_owned()),
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}

/// `None` where the value is wrong, which is reported then.
fn read_key(reports: &mut Reports, entry: &Entry, address: &mut DesiredAddress) -> Option<()> {
    match entry.key.as_str() {
        "address" => {}
        "peer" => address.peer = Some(fields::parsed(reports, entry, "192.0.2.2", parse_address)?),
        "label" => address.label = Some(fields::parsed(reports, entry, "eth0:1", parse_label)?),
        "scope" => address.scope = Some(read_scope(reports, entry)?),
        "valid_lft" => address.valid_lft = read_lifetime(reports, entry)?,
        "preferred_lft" => address.preferred_lft = read_lifetime(reports, entry)?,
        key => {
            let flag = FLAGS.iter().find(|(name, _)| *name == key).map_or(0, |(_, flag)| *flag);
            match fields::boolean(reports, entry)? {
                true => address.flags |= flag,
                false => address.flags_off |= flag,
            }
        }
    }
    Some(())
}

fn parse_label(text: &str) -> Result<LinkName, Fault> {
    LinkName::new(text.as_bytes()).ok_or_else(|| {
        let message = format!("the label {} is too long", quoted(text));
        Fault::new(message, "a label has at most 15 bytes")
    })
}

/// In seconds, or for ever.
fn read_lifetime(reports: &mut Reports, entry: &Entry) -> Option<Option<u32>> {
    if let Value::Text(_) = entry.node.value {
        return fields::word(reports, entry, &[("forever", None)]);
    }
    // The greatest number is the kernel's "for ever".
    fields::number(reports, entry, 0, u32::MAX - 1).map(Some)
}
