//! `show`: the network as it is, as tables or as JSON.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::out::Out;
use super::{ObjectType, json};
use crate::model::address::{self, Address};
use crate::model::link::{Link, OPER_NAMES};
use crate::model::network::Network;
use crate::model::route::{self, Route, TABLE_LOCAL};
use crate::watcher::{Batch, Watcher};

/// Reads the network once and prints it.
pub(super) fn show(objects: &[ObjectType], out: &mut Out) -> Result<Exit, Failure> {
    let mut watcher = Watcher::builder().open()?;
    watcher.sync(&mut Batch::default())?;
    let network = watcher.observed();
    if out.json {
        out.object(&as_json(network, objects))?;
        return Ok(Exit::Clean);
    }
    let mut tables = Vec::new();
    if ObjectType::Link.is_wanted(objects) {
        tables.push(links(network));
    }
    if ObjectType::Address.is_wanted(objects) {
        tables.push(addresses(network));
    }
    if ObjectType::Route.is_wanted(objects) {
        tables.push(routes(network));
    }
    for (at, table) in tables.iter().enumerate() {
        if at > 0 {
            out.line("")?;
        }
        for line in table.lines() {
            out.line(line.trim_end())?;
        }
    }
    Ok(Exit::Clean)
}

fn as_json(network: &Network, objects: &[ObjectType]) -> Value {
    let mut value = json!({ "v": 1 });
    if ObjectType::Link.is_wanted(objects) {
        value["links"] = network.links().map(|link| json::link(network, link)).collect();
    }
    if ObjectType::Address.is_wanted(objects) {
        value["addresses"] = network.addresses().map(|own| json::address(network, own)).collect();
    }
    if ObjectType::Route.is_wanted(objects) {
        value["routes"] = network.routes().map(|route| json::route(network, route)).collect();
    }
    value
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn name_or_dash(network: &Network, index: u32) -> String {
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

fn link_row(network: &Network, link: &Link) -> Vec<String> {
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let oper = OPER_NAMES.get(usize::from(link.oper)).map(|name| name.to_lowercase());
    let lower = match link.lower_netns {
        None => name_or_dash(network, link.lower),
        Some(id) => format!("#{} in netns {id}", link.lower),
    };
    vec![
        link.name.to_string(),
        dash(link.kind.to_string()),
        if link.is_up() { "up" } else { "down" }.to_owned(),
        oper.unwrap_or_else(|| link.oper.to_string()),
        link.mtu.to_string(),
        dash(link.mac.to_string()),
        name_or_dash(network, link.master),
        lower,
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
    vec![
        slot.to.to_string(),
        via,
        name_or_dash(network, it.key.dev),
        slot.metric.to_string(),
        number(route::table_name(slot.table), slot.table),
        number(route::protocol_name(it.protocol), it.protocol.into()),
        number(route::type_name(it.key.route_type), it.key.route_type.into()),
    ]
}
