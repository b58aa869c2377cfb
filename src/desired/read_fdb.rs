//! Reads the forwarding entries of a link, each a table.

use super::DesiredFdb;
use super::builder::LinkDeclaration;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read::Place;
use super::text::parse_address;
use super::tree::{At, Entry, Value};
use super::values::{Fault, quoted};
use super::values_fdb::check_fdb;
use super::values_vlan::VID_MAX;
use crate::model::fdb::EthernetAddress;
use crate::model::text::Mac;

const EXAMPLE: &str = "`fdb = [{ mac = \"02:00:00:00:00:09\", dst = \"198.51.100.2\" }]`";
const WANTED: &str = "an array of tables";

pub(super) const KEYS: &[&str] = &["mac", "vid", "dst", "port", "vni", "via"];

pub(super) fn read_fdb(
    reports: &mut Reports,
    entry: &Entry,
    link: &mut LinkDeclaration,
    place: &mut Place,
) {
    // Given, if wrongly.
    link.fdb = Some(Vec::new());
    let Value::Array(items) = &entry.node.value else {
        return fields::wrong_type(reports, entry, WANTED, EXAMPLE);
    };
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        let Value::Table(entries) = &item.value else {
            fields::wrong_node(reports, &entry.key, item, WANTED, EXAMPLE);
            continue;
        };
        let Some(own) = read_table(reports, entries, &item.at) else { continue };
        let faults = check_fdb(&own);
        if faults.is_empty() {
            all.push(own);
            place.fdb.push(item.at.clone());
        }
        for (_, fault) in faults {
            reports.push_fault(&item.at, fault, None);
        }
    }
    link.fdb = Some(all);
}

fn read_table(reports: &mut Reports, entries: &[Entry], at: &At) -> Option<DesiredFdb> {
    let mut own = DesiredFdb::new([0; 6]);
    let mut is_whole = true;
    for entry in entries {
        match KEYS.contains(&entry.key.as_str()) {
            true => is_whole &= read_key(reports, entry, &mut own).is_some(),
            false => fields::unknown_key(reports, entry, Table::Fdb, KEYS, hint(&entry.key)),
        }
    }
    if !entries.iter().any(|entry| entry.key == "mac") {
        let help = "add it: `mac = \"02:00:00:00:00:09\"`, or all zero for what is not known";
        reports.push_missing(at, "this has no `mac`".to_owned(), help.to_owned());
        is_whole = false;
    }
    is_whole.then_some(own)
}

/// `None` where the value is wrong, which is reported then.
fn read_key(reports: &mut Reports, entry: &Entry, own: &mut DesiredFdb) -> Option<()> {
    match entry.key.as_str() {
        "mac" => own.mac = fields::parsed(reports, entry, "02:00:00:00:00:09", parse_ethernet)?,
        "dst" => own.dst = Some(fields::parsed(reports, entry, "198.51.100.2", parse_address)?),
        "via" => own.via = Some(fields::link_name(reports, entry)?),
        "vni" => own.vni = fields::number(reports, entry, 1, 0x00ff_ffff)?,
        "port" => own.port = u16::try_from(fields::number(reports, entry, 1, 65535)?).ok()?,
        _ => own.vid = u16::try_from(fields::number(reports, entry, 1, VID_MAX.into())?).ok()?,
    }
    Some(())
}

fn parse_ethernet(text: &str) -> Result<EthernetAddress, Fault> {
    let mac = Mac::parse_ethernet(text);
    mac.and_then(|mac| mac.as_bytes().try_into().ok()).ok_or_else(|| {
        let message = format!("{} is no hardware address", quoted(text));
        Fault::new(message, "write six pairs of hexadecimal digits: `02:00:00:00:00:09`")
    })
}

/// What iproute2 and others call it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "lladdr" | "address" => "mac",
        "remote" | "vtep" => "dst",
        "dev" => return Some("it is the link that the entry stands in: take it out".to_owned()),
        "self" | "master" => {
            let help = "an entry with `dst` is the tunnel's own, another one that of the master";
            return Some(help.to_owned());
        }
        "static" | "permanent" | "state" => {
            return Some("a declared entry stays: take it out".to_owned());
        }
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}
