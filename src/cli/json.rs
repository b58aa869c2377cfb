//! The JSON forms of the network and its events; golden files in tests/ hold them still.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::json_objects;
use crate::model::address::{self, Address};
use crate::model::kind;
use crate::model::link::{self, Link, OPER_NAMES};
use crate::model::network::Network;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::object::{Cause, Event, Object, What};
use crate::model::route::{self, Route};
use crate::model::text::{InlineBytes, LinkName, write_escaped};

/// What a link of an index was called when something was told of it.
pub(super) trait Names {
    fn name_of(&self, index: u32) -> Option<LinkName>;

    /// The name as a terminal can show it, or the number with a mark.
    fn text_of(&self, index: u32) -> String {
        self.name_of(index).map_or(format!("#{index}"), |name| name.to_string())
    }
}

impl Names for Network {
    fn name_of(&self, index: u32) -> Option<LinkName> {
        self.name_of(index)
    }
}

impl Names for HashMap<u32, LinkName> {
    fn name_of(&self, index: u32) -> Option<LinkName> {
        self.get(&index).copied()
    }
}

/// Puts a name in, and its bytes where the text is not the name itself: it is not UTF-8, or was
/// escaped.
fn put_name(object: &mut Map<String, Value>, name: LinkName) {
    let text = name.to_string();
    let is_exact = text.as_bytes() == name.as_bytes();
    object.insert("name".to_owned(), text.into());
    if !is_exact {
        object.insert("name_hex".to_owned(), hexadecimal(name.as_bytes()).into());
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_escaped(&mut text, bytes);
    text
}

/// Whether the text is the bytes themselves: they are UTF-8, and nothing of them is escaped.
fn is_exact(bytes: &[u8]) -> bool {
    escaped(bytes).as_bytes() == bytes
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `{"index":2,"name":"v0"}`, or null for none.
pub(super) fn link_ref(names: &dyn Names, index: u32) -> Value {
    if index == 0 {
        return Value::Null;
    }
    let mut object = Map::new();
    object.insert("index".to_owned(), index.into());
    if let Some(name) = names.name_of(index) {
        put_name(&mut object, name);
    }
    object.into()
}

pub(super) fn flag_names(flags: u32, names: &[(u32, &'static str)]) -> Vec<&'static str> {
    names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
}

pub(super) fn link(names: &dyn Names, link: &Link) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    let kind = (!link.kind.is_empty()).then(|| link.kind.to_string());
    put("kind", kind.into());
    put("admin", if link.is_up() { "up" } else { "down" }.into());
    let oper = OPER_NAMES.get(usize::from(link.oper)).map(|name| name.to_lowercase());
    put("oper", oper.into());
    put("oper_number", link.oper.into());
    put("mtu", link.mtu.into());
    put("mac", (!link.mac.as_bytes().is_empty()).then(|| link.mac.to_string()).into());
    put("master", link_ref(names, link.master));
    let lower = match link.lower_netns {
        None => link_ref(names, link.lower),
        Some(id) => json!({ "index": link.lower, "netns_id": id }),
    };
    put("lower", lower);
    put("flags", flag_names(link.flags, link::FLAG_NAMES).into());
    put("flags_number", link.flags.into());
    put("group", link.group.into());
    let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| escaped(bytes));
    put("alias", text(link.alias()).into());
    if !is_exact(link.alias()) {
        put("alias_hex", hexadecimal(link.alias()).into());
    }
    let altnames = || link.altnames().iter().map(InlineBytes::as_bytes);
    put("altnames", altnames().map(escaped).collect());
    if !altnames().all(is_exact) {
        put("altnames_hex", altnames().map(hexadecimal).collect());
    }
    put("permaddr", link.permanent_mac().map(|mac| mac.to_string()).into());
    put("parentdev", text(link.parent()).into());
    for (key, value) in link.common.widened().iter() {
        let value = setting(names, key, value);
        match key.name.split_once('.') {
            None => drop(object.insert(key.name.to_owned(), value)),
            Some((table, own)) => {
                let table = object.entry(table).or_insert_with(|| json!({}));
                table[own] = value;
            }
        }
    }
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if let Some(settings) = &link.settings {
        let values =
            settings.iter().map(|(key, value)| (key.name.to_owned(), setting(names, key, value)));
        put(settings.kind.name, Value::Object(values.collect()));
    }
    if let Some(port) = link.port.map(|port| port.widened()) {
        let values =
            port.iter().map(|(key, value)| (key.name.to_owned(), setting(names, key, value)));
        put("port", Value::Object(values.collect()));
    }
    let mut named = Map::new();
    named.insert("index".to_owned(), link.index.into());
    put_name(&mut named, link.name);
    named.extend(object);
    named.into()
}

fn setting(names: &dyn Names, key: &kind::Key, value: kind::Value) -> Value {
    match value {
        kind::Value::Bool(value) => value.into(),
        kind::Value::Number(number) => number.into(),
        kind::Value::Word(number) => key.word(number).map_or(number.into(), Value::from),
        kind::Value::Address(address) => address.to_string().into(),
        kind::Value::Ports(ports) => ports.to_string().into(),
        kind::Value::Link(name) => name.to_string().into(),
        kind::Value::Index(index) => link_ref(names, index),
        kind::Value::Netns(number) => number.into(),
    }
}

pub(super) fn address(names: &dyn Names, own: &Address) -> Value {
    json!({
        "link": link_ref(names, own.key.index),
        "address": own.key.prefix.to_string(),
        "peer": own.key.peer.map(|peer| peer.to_string()),
        "scope": address::scope_name(own.scope),
        "scope_number": own.scope,
        "flags": flag_names(own.flags, address::FLAG_NAMES),
        "flags_number": own.flags,
        "protocol": own.protocol,
        "label": (!own.label.is_empty()).then(|| own.label.to_string()),
    })
}

pub(super) fn route(names: &dyn Names, route: &Route) -> Value {
    let slot = route.key.slot;
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
    let mut value = json!({
        "to": slot.to.to_string(),
        "via": text(route.key.via),
        "dev": link_ref(names, route.key.dev),
        "metric": slot.metric,
        "tos": slot.tos,
        "table": slot.table,
        "table_name": route::table_name(slot.table),
        "protocol": route.protocol,
        "protocol_name": route::protocol_name(route.protocol),
        "type": route::type_name(route.key.route_type),
        "type_number": route.key.route_type,
        "scope": address::scope_name(route.scope),
        "scope_number": route.scope,
        "source": text(route.source),
        "onlink": route.flags & RTNH_F_ONLINK != 0,
        "flags_number": route.flags,
        "nexthop_id": route.nexthop_id,
        "mtu": (route.metrics.mtu != 0).then_some(route.metrics.mtu),
        "advmss": (route.metrics.advmss != 0).then_some(route.metrics.advmss),
        "hops": null,
    });
    if !route.hops.is_empty() {
        let hops = route.hops.iter().map(|hop| {
            let dev = link_ref(names, hop.dev);
            let (via, weight, onlink) = (text(hop.via), hop.weight, hop.onlink);
            json!({ "via": via, "dev": dev, "weight": weight, "onlink": onlink })
        });
        value["hops"] = hops.collect();
    }
    value
}

/// The word for what it is, and its form.
pub(super) fn object(names: &dyn Names, object: &Object) -> (&'static str, Value) {
    match object {
        Object::Link(it) => ("link", link(names, it)),
        Object::Address(it) => ("address", address(names, it)),
        Object::Route(it) => ("route", route(names, it)),
        Object::Nexthop(it) => ("nexthop", json_objects::nexthop(names, it)),
        Object::Neighbour(it) => ("neighbour", json_objects::neighbour(names, it)),
        Object::BridgeVlan(it) => ("bridge_vlan", json_objects::bridge_vlan(names, it)),
        Object::Fdb(it) => ("fdb", json_objects::fdb(names, it)),
        Object::Rule(it) => ("rule", json_objects::rule(it)),
        Object::Netconf(it) => ("netconf", json_objects::netconf(names, it)),
        Object::Nsid(it) => ("nsid", json_objects::nsid(*it)),
    }
}

/// One line of `watch --json`.
pub(super) fn event(names: &dyn Names, netns: Option<&str>, event: &Event) -> Value {
    let cause = match event.cause {
        Cause::Notification => "notification",
        Cause::Dump => "dump",
        Cause::Derived => "derived",
        Cause::Filter => "filter",
    };
    let (word, told) = match &event.what {
        What::New(it) => ("new", Some(it)),
        What::Deleted(it) => ("deleted", Some(it)),
        What::Changed { after, .. } => ("changed", Some(after)),
        What::Resync { .. } => ("resync", None),
        What::NetnsAdded { .. } => ("new", None),
        What::NetnsRemoved => ("deleted", None),
        What::Raw(_) => ("raw", None),
    };
    let (object_type, told) = told.map(|it| object(names, it)).unzip();
    let is_netns = matches!(event.what, What::NetnsAdded { .. } | What::NetnsRemoved);
    let object_type = object_type.or(is_netns.then_some("netns"));
    let mut value = json!({
        "v": 1, "time": now(), "netns": netns, "seq": event.seq, "event": word,
        "object": object_type, "cause": cause, "sender": event.sender,
    });
    match &event.what {
        What::Changed { before, after } => {
            let keys = changed_keys(before, after);
            let (_, old) = object(names, before);
            let before = keys.iter().map(|&key| (key.to_owned(), old[key].clone())).collect();
            value["changed"] = keys.into();
            value[object_type.unwrap_or_default()] = told.into();
            value["before"] = before;
        }
        What::Resync { dropped } => value["dropped"] = (*dropped).into(),
        What::NetnsAdded { .. } | What::NetnsRemoved => {}
        What::Raw(raw) => {
            value["type"] = raw.message_type.into();
            value["flags"] = raw.flags.into();
            value["payload"] = hexadecimal(&raw.payload).into();
        }
        _ => value[object_type.unwrap_or_default()] = told.into(),
    }
    value
}

/// The keys of the fields that differ, as the JSON forms spell them.
pub(super) fn changed_keys(before: &Object, after: &Object) -> Vec<&'static str> {
    let mut keys = Vec::new();
    match (before, after) {
        (Object::Link(before), Object::Link(after)) => {
            let kind = after.settings.or(before.settings).map(|settings| settings.kind.name);
            after.changed_keys(before, |key| {
                // The settings are under the name of their kind.
                keys.push(kind.filter(|_| key == "settings").unwrap_or(key));
            });
        }
        (Object::Address(before), Object::Address(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Route(before), Object::Route(after)) => {
            after.changed_keys(before, |key| {
                // Route flags have no names here.
                keys.push(if key == "flags" { "flags_number" } else { key });
            });
        }
        (Object::Nexthop(before), Object::Nexthop(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Neighbour(before), Object::Neighbour(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::BridgeVlan(before), Object::BridgeVlan(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Fdb(before), Object::Fdb(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Netconf(before), Object::Netconf(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        _ => {}
    }
    keys
}

/// RFC 3339, in UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
