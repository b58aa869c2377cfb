//! The tables of `show` for what is followed beside links, addresses and routes.

use comfy_table::Table;

use super::json_objects::{family, interface, state_names};
use super::show::{name_or_dash, table};
use crate::model::neighbour;
use crate::model::netconf::RP_FILTER_NAMES;
use crate::model::network::Network;
use crate::model::nexthop::Nexthop;
use crate::model::route::protocol_name;

pub(super) fn neighbours(network: &Network) -> Table {
    let mut table = table(&["NEIGHBOUR", "DEV", "LLADDR", "STATE", "FLAGS"]);
    for it in network.neighbours() {
        let flags = neighbour::FLAG_NAMES.iter().filter(|(bit, _)| it.flags & bit != 0);
        table.add_row([
            it.key.address.to_string(),
            name_or_dash(network, it.key.index),
            it.mac.map_or("-".to_owned(), |mac| mac.to_string()),
            state_names(it.state).join(" "),
            flags.map(|(_, name)| *name).collect::<Vec<_>>().join(" "),
        ]);
    }
    table
}

pub(super) fn nexthops(network: &Network) -> Table {
    let mut table = table(&["NEXTHOP", "VIA", "DEV", "PROTOCOL", "TYPE"]);
    for it in network.nexthops() {
        let protocol = protocol_name(it.protocol).map(str::to_owned);
        table.add_row([
            it.id.to_string(),
            it.via.map_or("-".to_owned(), |via| via.to_string()),
            name_or_dash(network, it.dev),
            protocol.unwrap_or_else(|| it.protocol.to_string()),
            nexthop_type(it),
        ]);
    }
    table
}

/// `group 5 6:3`, where a weight is not 1.
fn nexthop_type(it: &Nexthop) -> String {
    let members = it.group.iter().map(|member| match member.weight {
        1 => format!(" {}", member.id),
        weight => format!(" {}:{weight}", member.id),
    });
    match it {
        _ if !it.group.is_empty() => format!("group{}", members.collect::<String>()),
        _ if it.blackhole => "blackhole".to_owned(),
        _ if it.fdb => "fdb".to_owned(),
        _ => "unicast".to_owned(),
    }
}

pub(super) fn vlans(network: &Network) -> Table {
    let mut table = table(&["BRIDGE_VLAN", "DEV", "PVID", "UNTAGGED"]);
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    for it in network.bridge_vlans() {
        table.add_row([
            &it.key.vid.to_string(),
            &name_or_dash(network, it.key.index),
            yes_or_no(it.pvid),
            yes_or_no(it.untagged),
        ]);
    }
    table
}

pub(super) fn fdb(network: &Network) -> Table {
    let mut table = table(&["FDB", "DEV", "MASTER", "VID", "DST", "STATE"]);
    for it in network.fdb() {
        let master = it.remote.map_or(it.key.on, |_| 0);
        table.add_row([
            it.mac().to_string(),
            name_or_dash(network, it.dev),
            name_or_dash(network, master),
            if it.key.vid == 0 { "-".to_owned() } else { it.key.vid.to_string() },
            it.remote.map_or("-".to_owned(), |remote| remote.dst.to_string()),
            state_names(it.state).join(" "),
        ]);
    }
    table
}

pub(super) fn rules(network: &Network) -> Table {
    let mut table = table(&["FAMILY", "PRIORITY", "RULE"]);
    for it in network.rules() {
        let text = it.to_string();
        let text = text.rsplit_once(" pref ").map_or(text.as_str(), |(text, _)| text);
        table.add_row([family(it.is_ipv6), &it.priority.to_string(), text]);
    }
    table
}

pub(super) fn netconf(network: &Network) -> Table {
    let mut table = table(&[
        "NETCONF",
        "FAMILY",
        "FORWARDING",
        "RP_FILTER",
        "MC_FORWARDING",
        "PROXY_NEIGH",
        "IGNORE_LINKDOWN",
    ]);
    let switch = |value: Option<i32>| match value {
        None => "-",
        Some(0) => "off",
        Some(_) => "on",
    };
    for it in network.netconf() {
        let rp_filter = it.rp_filter.and_then(|value| usize::try_from(value).ok());
        let rp_filter = rp_filter.and_then(|value| RP_FILTER_NAMES.get(value));
        table.add_row([
            &interface(network, it.key.scope),
            family(it.key.is_ipv6),
            switch(it.forwarding),
            rp_filter.unwrap_or(&"-"),
            switch(it.mc_forwarding),
            switch(it.proxy_neigh),
            switch(it.ignore_routes_with_linkdown),
        ]);
    }
    table
}

pub(super) fn nsids(network: &Network) -> Table {
    let mut table = table(&["NSID"]);
    for it in network.nsids() {
        table.add_row([it.id.to_string()]);
    }
    table
}
