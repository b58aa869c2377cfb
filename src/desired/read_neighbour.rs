//! Reads one neighbour's table.

use super::DesiredNeighbour;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::text::{parse_address, parse_mac};
use super::tree::{At, Entry};
use super::values_rule::check_neighbour;

pub(super) const KEYS: &[&str] = &["dev", "address", "mac"];

/// A neighbour, where all of it is there.
pub(super) fn read(
    reports: &mut Reports,
    entries: &[Entry],
    at: &At,
) -> Option<(DesiredNeighbour, Place)> {
    let mut place = Place::new(at.clone());
    let (mut dev, mut address, mut mac) = (None, None, None);
    for entry in entries {
        let Some(key) = KEYS.iter().find(|key| **key == entry.key) else {
            fields::unknown_key(reports, entry, Table::Neighbour, KEYS, hint(&entry.key));
            continue;
        };
        place.keys.push((key, entry.node.at.clone()));
        match *key {
            "dev" => dev = fields::link_name(reports, entry),
            "address" => address = fields::parsed(reports, entry, "192.0.2.2", parse_address),
            _ => mac = fields::parsed(reports, entry, "02:00:00:00:00:02", parse_mac),
        }
    }
    for key in KEYS.iter().filter(|key| !place.keys.iter().any(|(given, _)| given == *key)) {
        let message = format!("the neighbour has no `{key}`");
        let help = "it needs `dev`, `address` and `mac`";
        reports.push_missing(at, message, help.to_owned());
    }
    let neighbour = DesiredNeighbour { dev: dev?, address: address?, mac: mac? };
    let faults = check_neighbour(&neighbour);
    let is_sound = faults.is_empty();
    for (key, fault) in faults {
        reports.push_fault(place.of(key, None), fault, None);
    }
    is_sound.then_some((neighbour, place))
}

/// What iproute2 calls it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "lladdr" => "mac",
        "to" | "dst" => "address",
        "state" | "nud" => {
            return Some("a declared neighbour is permanent: take it out".to_owned());
        }
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}
