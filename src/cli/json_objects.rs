//! The JSON forms of what is followed beside links, addresses and routes; keys are those of
//! `ip -j`, numbers stand beside names.

use serde_json::{Map, Value, json};

use super::json::{Names, flag_names, link_ref};
use super::watch::plain;
use crate::model::address::scope_name;
use crate::model::bridge_vlan::BridgeVlan;
use crate::model::fdb::{self, FdbEntry};
use crate::model::neighbour::{self, Neighbour};
use crate::model::netconf::{Netconf, NetconfScope, RP_FILTER_NAMES};
use crate::model::nexthop::{GROUP_TYPE_NAMES, Nexthop, RTNH_F_ONLINK};
use crate::model::nsid::Nsid;
use crate::model::object::Object;
use crate::model::route::{protocol_name, table_name};
use crate::model::rule::{FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, PortRange, Rule};
use crate::model::text::LinkName;

pub(super) fn neighbour(names: &dyn Names, it: &Neighbour) -> Value {
    json!({
        "dst": it.key.address.to_string(),
        "dev": link_ref(names, it.key.index),
        "lladdr": it.mac.map(|mac| mac.to_string()),
        "state": state_names(it.state),
        "state_number": it.state,
        "flags": flag_names(it.flags, neighbour::FLAG_NAMES),
        "flags_number": it.flags,
        "protocol": it.protocol,
        "protocol_name": protocol_name(it.protocol),
    })
}

pub(super) fn state_names(state: u16) -> Vec<&'static str> {
    let states = neighbour::STATE_NAMES.iter().filter(|(bit, _)| state & bit != 0);
    states.map(|(_, name)| *name).collect()
}

pub(super) fn nexthop(names: &dyn Names, it: &Nexthop) -> Value {
    let group: Option<Value> = (!it.group.is_empty()).then(|| {
        let members = it.group.iter();
        members.map(|member| json!({ "id": member.id, "weight": member.weight })).collect()
    });
    let group_type = GROUP_TYPE_NAMES.get(usize::from(it.group_type));
    json!({
        "id": it.id,
        "family": it.is_ipv4.map(|is_ipv4| family(!is_ipv4)),
        "gateway": it.via.map(|via| via.to_string()),
        "dev": link_ref(names, it.dev),
        "scope": scope_name(it.scope),
        "scope_number": it.scope,
        "protocol": it.protocol,
        "protocol_name": protocol_name(it.protocol),
        "blackhole": it.blackhole,
        "fdb": it.fdb,
        "type": group.as_ref().and(group_type),
        "group": group,
        "flags": flag_names(it.flags, &[(RTNH_F_ONLINK, "onlink")]),
        "flags_number": it.flags,
    })
}

pub(super) fn bridge_vlan(names: &dyn Names, it: &BridgeVlan) -> Value {
    json!({
        "vid": it.key.vid,
        "dev": link_ref(names, it.key.index),
        "pvid": it.pvid,
        "untagged": it.untagged,
    })
}

pub(super) fn fdb(names: &dyn Names, it: &FdbEntry) -> Value {
    let remote = it.remote;
    let or_null = |number: u32| (number != 0).then_some(number);
    json!({
        "mac": it.mac().to_string(),
        "dev": link_ref(names, it.dev),
        "master": link_ref(names, if it.remote.is_none() { it.key.on } else { 0 }),
        "vid": or_null(it.key.vid.into()),
        "dst": remote.map(|it| it.dst.to_string()),
        "port": remote.and_then(|it| or_null(it.port.into())),
        "vni": remote.and_then(|it| or_null(it.vni)),
        "via": link_ref(names, remote.map_or(0, |it| it.via)),
        "src_vni": or_null(it.key.source_vni),
        "state": state_names(it.state),
        "state_number": it.state,
        "flags": flag_names(it.flags, fdb::FLAG_NAMES),
        "flags_number": it.flags,
    })
}

pub(super) fn rule(it: &Rule) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("family", family(it.is_ipv6).into());
    put("priority", it.priority.into());
    put("not", (it.flags & FIB_RULE_INVERT != 0).into());
    put("src", it.src.map_or("all".to_owned(), |src| src.to_string()).into());
    put("dst", it.dst.map_or("all".to_owned(), |dst| dst.to_string()).into());
    let name = |name: LinkName| (!name.is_empty()).then(|| name.to_string());
    put("iif", name(it.iif).into());
    put("oif", name(it.oif).into());
    let is_marked = it.fwmark != 0 || it.fwmask != 0;
    put("fwmark", is_marked.then_some(it.fwmark).into());
    put("fwmask", is_marked.then_some(it.fwmask).into());
    put("tos", it.tos.into());
    put("dscp", it.dscp.into());
    put("ipproto", (it.ip_protocol != 0).then_some(it.ip_protocol).into());
    let ports = |ports: Option<PortRange>| ports.map(|ports| ports.to_string());
    put("sport", ports(it.source_ports).into());
    put("dport", ports(it.destination_ports).into());
    put("uid_start", it.uids.map(|uids| uids.0).into());
    put("uid_end", it.uids.map(|uids| uids.1).into());
    put("tun_id", (it.tunnel_id != 0).then_some(it.tunnel_id).into());
    put("l3mdev", it.l3mdev.into());
    put("action", it.action_name().into());
    put("action_number", it.action.into());
    let has_table = it.action == FR_ACT_TO_TBL && it.table != 0;
    put("table", has_table.then_some(it.table).into());
    put("table_name", table_name(it.table).filter(|_| has_table).into());
    put("goto", (it.action == FR_ACT_GOTO).then_some(it.goto).into());
    put("suppress_prefixlen", it.suppress_prefix_len.into());
    put("suppress_ifgroup", it.suppress_group.into());
    put("realms_number", it.realms.into());
    put("flags_number", it.flags.into());
    put("protocol", it.protocol.into());
    put("protocol_name", protocol_name(it.protocol).into());
    object.into()
}

pub(super) fn netconf(names: &dyn Names, it: &Netconf) -> Value {
    let index = match it.key.scope {
        NetconfScope::Link(index) => Some(index),
        NetconfScope::All | NetconfScope::Default => None,
    };
    let switch = |value: Option<i32>| value.map(|value| value != 0);
    let rp_filter = it.rp_filter.and_then(|value| usize::try_from(value).ok());
    json!({
        "family": family(it.key.is_ipv6),
        // The kernel tells of a new link's settings before it tells of the link.
        "interface": match index.map(|index| names.name_of(index)) {
            Some(None) => None,
            _ => Some(interface(names, it.key.scope)),
        },
        "index": index,
        "forwarding": switch(it.forwarding),
        "rp_filter": rp_filter.and_then(|value| RP_FILTER_NAMES.get(value)),
        "mc_forwarding": switch(it.mc_forwarding),
        "proxy_neigh": switch(it.proxy_neigh),
        "ignore_routes_with_linkdown": switch(it.ignore_routes_with_linkdown),
        "bc_forwarding": switch(it.bc_forwarding),
    })
}

pub(super) fn nsid(it: Nsid) -> Value {
    json!({ "nsid": it.id })
}

pub(super) fn family(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "inet6" } else { "inet" }
}

/// `all`, `default`, or the name of the link.
pub(super) fn interface(names: &dyn Names, scope: NetconfScope) -> String {
    match scope {
        NetconfScope::All => "all".to_owned(),
        NetconfScope::Default => "default".to_owned(),
        NetconfScope::Link(index) => names.text_of(index),
    }
}

/// ` lladdr 02:00:00:00:00:09 state PERMANENT`: what its form says and its name does not.
pub(super) fn words(names: &dyn Names, object: &Object) -> String {
    let (_, form) = super::json::object(names, object);
    let is_telling = |key: &str, value: &Value| {
        let is_named = match object {
            Object::Neighbour(_) => matches!(key, "dst" | "dev"),
            Object::BridgeVlan(_) => matches!(key, "vid" | "dev"),
            Object::Fdb(_) => matches!(key, "mac" | "dev" | "vid" | "dst"),
            _ => matches!(key, "id" | "family" | "interface" | "index"),
        };
        let is_empty = matches!(value, Value::Null | Value::Bool(false))
            || value.as_array().is_some_and(Vec::is_empty)
            || (key == "protocol_name" && value == "unspec");
        let has_name = matches!(key, "protocol" | "scope");
        let is_number = key.ends_with("_number") || has_name;
        !(is_named || is_empty || is_number)
    };
    let fields = form.as_object().into_iter().flatten();
    let telling = fields.filter(|(key, value)| is_telling(key.as_str(), value));
    telling
        .map(|(key, value)| match value {
            Value::Bool(_) => format!(" {key}"),
            _ => format!(" {} {}", key.trim_end_matches("_name"), plain(value)),
        })
        .collect()
}
