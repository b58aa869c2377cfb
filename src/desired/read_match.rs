//! Reads the `match` of a link's block.

use super::LinkMatch;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::text::parse_mac;
use super::tree::Entry;
use super::values::{Fault, quoted};
use crate::model::glob::Glob;

pub(super) const KEYS: &[&str] = &["name", "altname", "mac", "parent"];

/// What it says. What is wrong is reported and left out.
pub(super) fn read_match(reports: &mut Reports, entry: &Entry) -> LinkMatch {
    let mut wanted = LinkMatch::default();
    let example = "`match = { name = \"eth*\" }`";
    let Some(entries) = fields::table(reports, entry, example) else { return wanted };
    for entry in entries {
        match entry.key.as_str() {
            "name" => wanted.name = fields::parsed(reports, entry, "eth*", parse_glob),
            "altname" => wanted.altname = fields::parsed(reports, entry, "enp3s*", parse_glob),
            "mac" => wanted.mac = fields::parsed(reports, entry, "52:54:00:12:34:56", parse_mac),
            "parent" => {
                wanted.parent = fields::parsed(reports, entry, "0000:00:03.0", parse_parent);
            }
            _ => fields::unknown_key(reports, entry, Table::Match, KEYS, None),
        }
    }
    // Of what is wrong was told.
    if entries.is_empty() || wanted != LinkMatch::default() {
        fields::checked(reports, &entry.node.at, wanted.check());
    }
    wanted
}

fn parse_glob(text: &str) -> Result<Glob, Fault> {
    Glob::new(text.as_bytes()).map_err(|error| {
        let message = format!("{} is no pattern of names: {error}", quoted(text));
        Fault::new(message, "`*` is any text, `?` one byte, `[a-z]` one of these")
    })
}

fn parse_parent(text: &str) -> Result<Box<[u8]>, Fault> {
    if text.is_empty() || text.chars().any(char::is_control) {
        let message = format!("{} is no device on a bus", quoted(text));
        return Err(Fault::new(message, "write what `ip -d link` shows as `parentdev`"));
    }
    Ok(text.as_bytes().into())
}
