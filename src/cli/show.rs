//! `show`: the network as it is, as tables or as JSON.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::out::Out;
use super::{ObjectType, json, json_objects, show_objects, start};
use crate::model::address::{self, Address};
use crate::model::link::{Link, OPER_NAMES};
use crate::model::network::Network;
use crate::model::route::{self, Route, TABLE_LOCAL};
use crate::ring::signals::Signals;
use crate::watcher::{Batch, Watcher};

/// Reads the network once and prints it.
pub(super) fn show(
    objects: &[ObjectType],
    signals: Signals,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut watcher = Watcher::builder().tables(ObjectType::tables(objects)).open()?;
    let canceller = watcher.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    if !watcher.sync(&mut Batch::default())? {
        return Err(Failure::Interrupted);
    }
    let network = watcher.observed();
    if out.json {
        write_json(network, objects, out)?;
        return Ok(Exit::Clean);
    }
    let tables = [
        (ObjectType::Link, links as fn(&Network) -> Table),
        (ObjectType::Address, addresses),
        (ObjectType::Route, routes),
        (ObjectType::Nexthop, show_objects::nexthops),
        (ObjectType::Neighbour, show_objects::neighbours),
        (ObjectType::BridgeVlan, show_objects::vlans),
        (ObjectType::Fdb, show_objects::fdb),
        (ObjectType::Rule, show_objects::rules),
        (ObjectType::Netconf, show_objects::netconf),
        (ObjectType::Nsid, show_objects::nsids),
    ];
    let wanted = tables.into_iter().filter(|(object, _)| object.is_wanted(objects));
    for (at, (_, make)) in wanted.enumerate() {
        if at > 0 {
            out.line("")?;
        }
        let mut table = make(network);
        match out.is_coloured {
            true => table.enforce_styling(),
            false => table.force_no_tty(),
        };
        for line in table.lines() {
            out.line(line.trim_end())?;
        }
    }
    Ok(Exit::Clean)
}

/// `{"v":1,"links":[...],"addresses":[...],"routes":[...]}`, and `nexthops`, `neighbours`, `bridge_vlans`, `fdb`, `rules`,
/// `netconf` and `nsids` where they are asked for, one object at a time: a router has a million
/// routes.
fn write_json(network: &Network, objects: &[ObjectType], out: &mut Out) -> Result<(), Failure> {
    out.text("{\"v\":1")?;
    if ObjectType::Link.is_wanted(objects) {
        write_list("links", network.links().map(|it| json::link(network, it)), out)?;
    }
    if ObjectType::Address.is_wanted(objects) {
        write_list("addresses", network.addresses().map(|it| json::address(network, it)), out)?;
    }
    if ObjectType::Route.is_wanted(objects) {
        write_list("routes", network.routes().map(|it| json::route(network, it)), out)?;
    }
    if ObjectType::Nexthop.is_wanted(objects) {
        let nexthops = network.nexthops().map(|it| json_objects::nexthop(network, it));
        write_list("nexthops", nexthops, out)?;
    }
    if ObjectType::Neighbour.is_wanted(objects) {
        let neighbours = network.neighbours().map(|it| json_objects::neighbour(network, it));
        write_list("neighbours", neighbours, out)?;
    }
    if ObjectType::BridgeVlan.is_wanted(objects) {
        let vlans = network.bridge_vlans().map(|it| json_objects::bridge_vlan(network, it));
        write_list("bridge_vlans", vlans, out)?;
    }
    if ObjectType::Fdb.is_wanted(objects) {
        write_list("fdb", network.fdb().map(|it| json_objects::fdb(network, it)), out)?;
    }
    if ObjectType::Rule.is_wanted(objects) {
        write_list("rules", network.rules().map(json_objects::rule), out)?;
    }
    if ObjectType::Netconf.is_wanted(objects) {
        let netconf = network.netconf().map(|it| json_objects::netconf(network, it));
        write_list("netconf", netconf, out)?;
    }
    if ObjectType::Nsid.is_wanted(objects) {
        write_list("nsids", network.nsids().map(|it| json_objects::nsid(*it)), out)?;
    }
    out.line("}")
}

fn write_list(
    key: &str,
    values: impl Iterator<Item = Value>,
    out: &mut Out,
) -> Result<(), Failure> {
    out.text(format_args!(",\"{key}\":["))?;
    for (at, value) in values.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        out.text(format_args!("{comma}{value}"))?;
    }
    out.text("]")
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|word| Cell::new(word).add_attribute(Attribute::Bold)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

fn state(word: &str) -> Cell {
    let cell = Cell::new(word);
    match word {
        "up" => cell.fg(Color::Green),
        "down" => cell.fg(Color::Red),
        _ => cell,
    }
}

pub(super) fn name_or_dash(network: &Network, index: u32) -> String {
    match network.name_of(index) {
        Some(name) => name.to_string(),
        None if index == 0 => "-".to_owned(),
        None => format!("#{index}"),
    }
}

fn links(network: &Network) -> Table {
    let mut table = table(&["LINK", "KIND", "ADMIN", "OPER", "MTU", "MAC", "MASTER", "LOWER"]);
    for link in network.links() {
        table.add_row(link_row(network, link));
    }
    table
}

fn link_row(network: &Network, link: &Link) -> Vec<Cell> {
    let dash = |text: String| Cell::new(if text.is_empty() { "-" } else { &text });
    let oper = OPER_NAMES.get(usize::from(link.oper)).map(|name| name.to_lowercase());
    let lower = match link.lower_netns {
        None => name_or_dash(network, link.lower),
        Some(id) => format!("#{} in netns {id}", link.lower),
    };
    vec![
        Cell::new(link.name),
        dash(link.kind.to_string()),
        state(if link.is_up() { "up" } else { "down" }),
        state(&oper.unwrap_or_else(|| link.oper.to_string())),
        Cell::new(link.mtu),
        dash(link.mac.to_string()),
        Cell::new(name_or_dash(network, link.master)),
        Cell::new(lower),
    ]
}

fn addresses(network: &Network) -> Table {
    let mut table = table(&["ADDRESS", "LINK", "SCOPE", "FLAGS"]);
    for own in network.addresses() {
        table.add_row(address_row(network, own));
    }
    table
}

fn address_row(network: &Network, own: &Address) -> Vec<String> {
    let flags = address::FLAG_NAMES.iter().filter(|(bit, _)| own.flags & bit != 0);
    let flags: Vec<_> = flags.map(|(_, name)| *name).collect();
    vec![
        own.key.prefix.to_string(),
        name_or_dash(network, own.key.index),
        address::scope_name(own.scope).map_or(own.scope.to_string(), str::to_owned),
        flags.join(" "),
    ]
}

/// Without the kernel's own local table, which says nothing that the addresses do not; the JSON
/// form has it.
fn routes(network: &Network) -> Table {
    let mut table = table(&["ROUTE", "VIA", "DEV", "METRIC", "TABLE", "PROTOCOL", "TYPE"]);
    for route in network.routes().filter(|route| route.key.slot.table != TABLE_LOCAL) {
        table.add_row(route_row(network, route));
    }
    table
}

fn route_row(network: &Network, it: &Route) -> Vec<String> {
    let slot = it.key.slot;
    let number = |name: Option<&str>, number: u32| name.map_or(number.to_string(), str::to_owned);
    let via = match it.hops.len() {
        0 => it.key.via.map_or("-".to_owned(), |via| via.to_string()),
        hops => format!("{hops} hops"),
    };
    let to = match slot.to.len {
        0 if slot.to.is_ipv4() => "default".to_owned(),
        _ => slot.to.to_string(),
    };
    vec![
        to,
        via,
        name_or_dash(network, it.key.dev),
        slot.metric.to_string(),
        number(route::table_name(slot.table), slot.table),
        number(route::protocol_name(it.protocol), it.protocol.into()),
        number(route::type_name(it.key.route_type), it.key.route_type.into()),
    ]
}
