//! Reads one route's table.

use std::net::IpAddr;

use super::builder_route::RouteDeclaration;
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::limits::{ADVMSS_MAX, MTU_MIN, ROUTE_MTU_MAX};
use super::read::Place;
use super::text;
use super::tree::{At, Entry, Value};
use super::values_route::{self, TYPES, check_route};
use crate::model::address::{Prefix, scope_name};
use crate::model::change::NextHop;
use crate::model::route::table_name;

pub(super) const KEYS: &[&str] = &[
    "to", "via", "dev", "metric", "table", "takeover", "type", "scope", "source", "onlink", "mtu",
    "advmss", "tos", "nexthops", "nhid",
];

pub(super) const HOP_KEYS: &[&str] = &["via", "dev", "weight", "onlink"];

/// A route, where enough of it is right for the joint checks to make sense.
pub(super) fn read(
    reports: &mut Reports,
    entries: &[Entry],
    at: &At,
) -> Option<(RouteDeclaration, Place)> {
    let mut place = Place::new(at.clone());
    let unspecified = Prefix { address: IpAddr::from([0; 4]), len: 0 };
    let mut draft =
        Draft { to: None, is_default: false, route: RouteDeclaration::new(unspecified) };
    let mut is_whole = true;
    for entry in entries {
        if let Some(key) = KEYS.iter().find(|key| **key == entry.key) {
            place.keys.push((key, entry.node.at.clone()));
            is_whole &= draft.read_key(reports, entry, &mut place).is_some();
        } else {
            fields::unknown_key(reports, entry, Table::Route, KEYS, hint(&entry.key));
        }
    }
    if !place.keys.iter().any(|(key, _)| *key == "to") {
        let message = "the route has no `to`".to_owned();
        let help = "add its destination: `to = \"198.51.100.0/24\"`, or `to = \"default\"`";
        reports.push_missing(at, message, help.to_owned());
    }
    if !is_whole {
        return None;
    }
    if draft.is_default && draft.gateway().is_none() {
        let message = "`to = \"default\"` without `via` does not say IPv4 or IPv6".to_owned();
        let help = "write `to = \"0.0.0.0/0\"` or `to = \"::/0\"`, or give `via`";
        reports.push_missing(place.of("to", None), message, help.to_owned());
    }
    let route = draft.complete()?;
    for (key, item, fault) in check_route(&route) {
        // What a route without `via` lacks may stand in a line that the parser lost.
        if !(key.is_empty() && reports.is_partial()) {
            reports.push_fault(place.of(key, Some(item)), fault, None);
        }
    }
    Some((route, place))
}

/// What iproute2 and others call it.
fn hint(key: &str) -> Option<String> {
    let own = match key {
        "src" | "prefsrc" => "source",
        "multipath" | "nexthop" => "nexthops",
        "gateway" | "next_hop" => "via",
        "priority" | "preference" => "metric",
        "nexthop_id" => "nhid",
        _ => return None,
    };
    Some(format!("it is called `{own}` here"))
}

/// A route's keys as far as they are read.
struct Draft {
    to: Option<Prefix>,
    is_default: bool,
    route: RouteDeclaration,
}

impl Draft {
    /// `None` where the value is wrong, which is reported then.
    fn read_key(&mut self, reports: &mut Reports, entry: &Entry, place: &mut Place) -> Option<()> {
        let route = &mut self.route;
        match entry.key.as_str() {
            "to" => {
                let example = "198.51.100.0/24";
                self.is_default = fields::text(reports, entry, example)? == "default";
                if !self.is_default {
                    self.to = Some(fields::parsed(reports, entry, example, |text| {
                        let to = text::parse_destination(text)?;
                        values_route::check_destination(to).map(|()| to)
                    })?);
                }
            }
            "via" => {
                let parse = text::parse_address;
                route.via = Some(fields::parsed(reports, entry, "192.0.2.254", parse)?);
            }
            "dev" => route.dev = Some(fields::link_name(reports, entry)?),
            "metric" => route.metric = Some(fields::number(reports, entry, 0, u32::MAX)?),
            "table" => route.table = Some(read_table(reports, entry)?),
            "type" => route.route_type = fields::word(reports, entry, TYPES)?,
            "scope" => route.scope = Some(read_scope(reports, entry)?),
            "source" => {
                let parse = text::parse_address;
                route.source = Some(fields::parsed(reports, entry, "192.0.2.1", parse)?);
            }
            "onlink" => route.onlink = fields::boolean(reports, entry)?,
            "mtu" => route.metrics.mtu = fields::number(reports, entry, MTU_MIN, ROUTE_MTU_MAX)?,
            "advmss" => route.metrics.advmss = fields::number(reports, entry, 1, ADVMSS_MAX)?,
            "tos" => route.tos = u8::try_from(fields::number(reports, entry, 0, 255)?).ok()?,
            "nhid" => route.nexthop_id = fields::number(reports, entry, 1, u32::MAX)?,
            "nexthops" => route.nexthops = read_hops(reports, entry, place)?,
            _ => route.takeover = fields::boolean(reports, entry)?,
        }
        Some(())
    }

    /// The gateway that tells which default is meant.
    fn gateway(&self) -> Option<IpAddr> {
        self.route.via.or_else(|| self.route.nexthops.iter().find_map(|hop| hop.via))
    }

    fn complete(self) -> Option<RouteDeclaration> {
        let default = self.gateway().filter(|_| self.is_default);
        let to = self.to.or(default.map(text::default_of))?;
        Some(RouteDeclaration { to, ..self.route })
    }
}

fn read_hops(reports: &mut Reports, entry: &Entry, place: &mut Place) -> Option<Vec<NextHop>> {
    const EXAMPLE: &str = "`nexthops = [{ via = \"192.0.2.1\", weight = 2 }]`";
    let Value::Array(items) = &entry.node.value else {
        fields::wrong_type(reports, entry, "an array of tables", EXAMPLE);
        return None;
    };
    if items.is_empty() {
        let help = format!("write it like {EXAMPLE}, or take it out");
        reports.push(&entry.node.at, "`nexthops` is empty", help);
        return None;
    }
    let mut is_whole = true;
    let mut hops = Vec::with_capacity(items.len());
    for item in items {
        let Value::Table(entries) = &item.value else {
            fields::wrong_node(reports, &entry.key, item, "an array of tables", EXAMPLE);
            is_whole = false;
            continue;
        };
        let mut hop = NextHop { weight: 1, ..NextHop::default() };
        for entry in entries {
            if HOP_KEYS.contains(&entry.key.as_str()) {
                is_whole &= read_hop_key(reports, entry, &mut hop).is_some();
            } else {
                let hint = KEYS
                    .contains(&entry.key.as_str())
                    .then(|| "it is a key of the route: write it outside `nexthops`".to_owned());
                fields::unknown_key(reports, entry, Table::NextHop, HOP_KEYS, hint);
            }
        }
        hops.push(hop);
        place.items.push(item.at.clone());
    }
    is_whole.then_some(hops)
}

fn read_hop_key(reports: &mut Reports, entry: &Entry, hop: &mut NextHop) -> Option<()> {
    match entry.key.as_str() {
        "via" => {
            let parse = text::parse_address;
            hop.via = Some(fields::parsed(reports, entry, "192.0.2.254", parse)?);
        }
        "dev" => hop.dev = Some(fields::link_name(reports, entry)?),
        "weight" => hop.weight = u16::try_from(fields::number(reports, entry, 1, 256)?).ok()?,
        _ => hop.onlink = fields::boolean(reports, entry)?,
    }
    Some(())
}

/// A routing table by its number or one of the kernel's names.
pub(super) fn read_table(reports: &mut Reports, entry: &Entry) -> Option<u32> {
    if let Value::Text(_) = entry.node.value {
        let named = (1..=255).filter_map(|table| Some((table_name(table)?, table)));
        let named: Vec<_> = named.collect();
        return fields::word(reports, entry, &named);
    }
    fields::number(reports, entry, 1, u32::MAX)
}

/// A scope by its number or one of the kernel's names.
pub(super) fn read_scope(reports: &mut Reports, entry: &Entry) -> Option<u8> {
    if let Value::Text(_) = entry.node.value {
        let named = (0..=254).filter_map(|scope| Some((scope_name(scope)?, scope)));
        let named: Vec<_> = named.collect();
        return fields::word(reports, entry, &named);
    }
    fields::number(reports, entry, 0, 254).and_then(|scope| u8::try_from(scope).ok())
}
