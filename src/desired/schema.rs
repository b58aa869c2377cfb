//! What a document can say, as a JSON Schema, for editors and other programs.
//!
//! The keys of kinds and ports come from their tables. Those of the fixed tables are spelled
//! here, and the tests hold them to the readers' own lists. What a schema cannot say, such as what
//! two keys mean together, only the checks say.

use serde_json::{Map, Value, json};

use super::limits::{
    ADVMSS_MAX, ALTNAMES_MAX, MTU_MAX, MTU_MIN, NETNS_NAME_BYTES_MAX, NETNS_PATH_BYTES_MAX,
    OWNER_NAME_BYTES_MAX, ROUTE_MTU_MAX,
};
use super::read::VERSION;
use super::values_vlan::VID_MAX;
use super::{values_address, values_route, values_rule};
use crate::model::address::scope_name;
use crate::model::identity::{ALIAS_BYTES_MAX, ALTNAME_BYTES_MAX};
use crate::model::kind::{Key, Kind, ValueType};
use crate::model::route::table_name;

/// A JSON Schema (draft 2020-12) of the document, as indented text.
///
/// It describes the JSON form, which a TOML document has too once it is read.
pub fn json_schema() -> String {
    format!("{:#}", schema())
}

/// Keys and what each takes.
type Keys = Vec<(&'static str, Value)>;

fn schema() -> Value {
    let links = json!({
        "type": "object",
        "description": "the links, by name",
        "propertyNames": reference("link_name"),
        "additionalProperties": reference("link"),
    });
    let keys = vec![
        ("version", json!({ "const": VERSION })),
        ("owner", table(owner(), &["name"])),
        ("link", links),
        ("route", json!({ "type": "array", "items": reference("route") })),
        ("rule", json!({ "type": "array", "items": reference("rule") })),
        ("nexthop", json!({ "type": "array", "items": reference("nexthop_object") })),
        ("neighbour", json!({ "type": "array", "items": reference("neighbour") })),
    ];
    let mut all = Map::new();
    all.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    all.insert("title".to_owned(), "a network, as ringlink declares it".into());
    if let Value::Object(top) = table(keys, &["version"]) {
        all.extend(top);
    }
    all.insert("$defs".to_owned(), definitions());
    all.into()
}

fn definitions() -> Value {
    json!({
        "link_name": { "type": "string", "minLength": 1, "maxLength": 15,
            "pattern": "^[^/:%\\s]+$" },
        "address": { "type": "string", "pattern": "^[0-9A-Fa-f.:]+$" },
        "prefix": { "type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$" },
        "mac": { "type": "string", "pattern": "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$" },
        "table": named_number((1..=255).filter_map(table_name), 1, u32::MAX),
        "scope": named_number((0..=254).filter_map(scope_name), 0, 254),
        "lifetime": named_number(["forever"], 0, u32::MAX - 1),
        "ports": { "anyOf": [number(1, 65535),
            { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" }] },
        "link": table(link(), &[]),
        "match": matching(),
        "link_address": { "anyOf": [reference("prefix"), table(address(), &["address"])] },
        "vid": { "anyOf": [number(1, VID_MAX.into()),
            { "type": "string", "pattern": "^[0-9]{1,4}(-[0-9]{1,4})?$" }] },
        "link_vlan": { "anyOf": [reference("vid"), table(member(), &["vid"])] },
        "link_fdb": table(fdb(), &["mac"]),
        "route": table(route(), &["to"]),
        "nexthop": table(nexthop(), &[]),
        "nexthop_object": table(nexthop_object(), &["id"]),
        "nexthop_member": { "anyOf": [number(1, u32::MAX), table(group_member(), &["id"])] },
        "rule": table(rule(), &["priority"]),
        "neighbour": table(neighbour(), &["dev", "address", "mac"]),
    })
}

fn owner() -> Keys {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": OWNER_NAME_BYTES_MAX });
    vec![
        ("name", name),
        ("group", number(1, u32::MAX - 1)),
        ("protocol", number(1, 255)),
        ("prune", boolean()),
    ]
}

fn link() -> Keys {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name).collect();
    let ports: Vec<_> = Kind::ALL.iter().filter_map(|kind| kind.port).map(of_kind).collect();
    let addresses = json!({ "type": "array", "items": reference("link_address") });
    let altname = json!({ "type": "string", "minLength": 1, "maxLength": ALTNAME_BYTES_MAX,
        "pattern": "^[^/\\s]+$" });
    let altnames = json!({ "type": "array", "items": altname, "maxItems": ALTNAMES_MAX,
        "uniqueItems": true });
    let mut keys = vec![
        ("kind", json!({ "enum": kinds })),
        ("match", reference("match")),
        ("state", json!({ "enum": ["up", "down", "absent"] })),
        ("mtu", number(MTU_MIN, MTU_MAX)),
        ("mac", reference("mac")),
        ("group", named_number(["default"], 0, u32::MAX)),
        ("master", reference("link_name")),
        ("port", json!({ "anyOf": ports })),
        ("alias", json!({ "type": "string", "maxLength": ALIAS_BYTES_MAX })),
        ("altnames", altnames),
        ("addresses", addresses),
        ("extra_addresses", json!({ "enum": ["keep", "remove"] })),
        ("vlans", json!({ "type": "array", "items": reference("link_vlan") })),
        ("fdb", json!({ "type": "array", "items": reference("link_fdb") })),
    ];
    for key in Kind::LINK.keys {
        let Some((outer, _)) = key.name.split_once('.') else {
            keys.push((key.name, setting(key)));
            continue;
        };
        if !keys.iter().any(|(known, _)| *known == outer) {
            let within = |key: &'static Key| {
                let (table, own) = key.name.split_once('.')?;
                (table == outer).then(|| (own, setting(key)))
            };
            let inner = Kind::LINK.keys.iter().filter_map(within).collect();
            keys.push((outer, table(inner, &[])));
        }
    }
    keys.extend(Kind::ALL.iter().map(|kind| (kind.name, of_kind(kind))));
    keys
}

/// The table of a kind's settings, or of a port's.
fn of_kind(kind: &'static Kind) -> Value {
    let mut keys: Keys = kind.keys.iter().map(|key| (key.name, setting(key))).collect();
    for (word, together) in kind.shorthands {
        let first = together.first().and_then(|key| kind.keys.get(kind.position(key)?));
        let mut value = first.map_or(json!({}), setting);
        value["description"] = format!("{} at once", together.join(" and ")).into();
        keys.push((word, value));
    }
    let required: Vec<_> = kind.keys.iter().filter(|key| key.required).map(|it| it.name).collect();
    let mut value = table(keys, &required);
    value["description"] = kind.doc.into();
    value
}

fn setting(key: &'static Key) -> Value {
    let mut value = match key.value {
        ValueType::Bool => boolean(),
        ValueType::Number { min, max } => number(min, max),
        ValueType::Word(words) => {
            json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
        }
        ValueType::Address => json!({ "type": "string", "anyOf": [{ "format": "ipv4" },
            { "format": "ipv6" }], "pattern": "^[0-9A-Fa-f.:]+$" }),
        ValueType::Ports => reference("ports"),
        ValueType::Ipv4Address => {
            json!({ "type": "string", "format": "ipv4", "pattern": "^[0-9.]+$" })
        }
        ValueType::Lower | ValueType::Peer => reference("link_name"),
        ValueType::Netns => {
            let name = json!({ "pattern": "^[^/]+$", "maxLength": NETNS_NAME_BYTES_MAX });
            let path = json!({ "pattern": "^(/|\\./).*[^/]$", "maxLength": NETNS_PATH_BYTES_MAX });
            json!({ "type": "string", "anyOf": [name, path] })
        }
    };
    let unit = key.unit.map(|unit| format!(", in {unit}")).unwrap_or_default();
    let when = if key.only_at_creation { "; set at creation only" } else { "" };
    value["description"] = format!("{}{unit}{when}", key.doc).into();
    let default = key.default.and_then(|text| match key.value {
        ValueType::Bool => text.parse::<bool>().ok().map(Value::from),
        ValueType::Number { .. } => text.parse::<u32>().ok().map(Value::from),
        _ => Some(text.into()),
    });
    if let Some(default) = default {
        value["default"] = default;
    }
    value
}

fn matching() -> Value {
    let mut value = table(match_keys(), &[]);
    value["minProperties"] = 1.into();
    value
}

fn match_keys() -> Keys {
    let pattern = json!({ "type": "string", "minLength": 1, "maxLength": ALTNAME_BYTES_MAX,
        "pattern": "^[^/\\s]+$" });
    let parent = json!({ "type": "string", "minLength": 1 });
    vec![
        ("name", pattern.clone()),
        ("altname", pattern),
        ("mac", reference("mac")),
        ("parent", parent),
    ]
}

fn address() -> Keys {
    let mut keys = vec![
        ("address", reference("prefix")),
        ("peer", reference("address")),
        ("label", json!({ "type": "string", "maxLength": 15 })),
        ("scope", reference("scope")),
        ("valid_lft", reference("lifetime")),
        ("preferred_lft", reference("lifetime")),
    ];
    keys.extend(values_address::FLAGS.iter().map(|(name, _)| (*name, boolean())));
    keys
}

fn member() -> Keys {
    vec![("vid", reference("vid")), ("pvid", boolean()), ("untagged", boolean())]
}

fn fdb() -> Keys {
    vec![
        ("mac", reference("mac")),
        ("vid", number(1, VID_MAX.into())),
        ("dst", reference("address")),
        ("port", number(1, 65535)),
        ("vni", number(1, 0x00ff_ffff)),
        ("via", reference("link_name")),
    ]
}

fn route() -> Keys {
    let nexthops = json!({ "type": "array", "minItems": 1, "items": reference("nexthop") });
    vec![
        ("to", json!({ "anyOf": [{ "const": "default" }, reference("prefix")] })),
        ("via", reference("address")),
        ("dev", reference("link_name")),
        ("metric", number(0, u32::MAX)),
        ("table", reference("table")),
        ("takeover", boolean()),
        ("type", words(values_route::TYPES)),
        ("scope", reference("scope")),
        ("source", reference("address")),
        ("onlink", boolean()),
        ("mtu", number(MTU_MIN, ROUTE_MTU_MAX)),
        ("advmss", number(1, ADVMSS_MAX)),
        ("tos", number(0, 255)),
        ("nexthops", nexthops),
        ("nhid", number(1, u32::MAX)),
    ]
}

fn nexthop_object() -> Keys {
    let group = json!({ "type": "array", "minItems": 1, "items": reference("nexthop_member") });
    vec![
        ("id", number(1, u32::MAX)),
        ("via", reference("address")),
        ("dev", reference("link_name")),
        ("onlink", boolean()),
        ("blackhole", boolean()),
        ("family", words(super::read_rule::FAMILIES)),
        ("group", group),
        ("takeover", boolean()),
    ]
}

fn group_member() -> Keys {
    vec![("id", number(1, u32::MAX)), ("weight", number(1, 256))]
}

fn nexthop() -> Keys {
    vec![
        ("via", reference("address")),
        ("dev", reference("link_name")),
        ("weight", number(1, 256)),
        ("onlink", boolean()),
    ]
}

fn rule() -> Keys {
    let prefix = json!({ "anyOf": [{ "const": "all" }, reference("prefix")] });
    let protocols = super::read_rule::IP_PROTOCOLS.iter().map(|(name, _)| *name);
    vec![
        ("priority", number(1, u32::MAX)),
        ("family", words(super::read_rule::FAMILIES)),
        ("not", boolean()),
        ("from", prefix.clone()),
        ("to", prefix),
        ("iif", reference("link_name")),
        ("oif", reference("link_name")),
        ("fwmark", number(0, u32::MAX)),
        ("fwmask", number(1, u32::MAX)),
        ("tos", number(0, 255)),
        ("ipproto", named_number(protocols, 1, 255)),
        ("sport", reference("ports")),
        ("dport", reference("ports")),
        ("l3mdev", boolean()),
        ("action", words(values_rule::ACTIONS)),
        ("table", reference("table")),
        ("goto", number(1, u32::MAX)),
        ("suppress_prefixlength", number(0, 128)),
    ]
}

fn neighbour() -> Keys {
    vec![
        ("dev", reference("link_name")),
        ("address", reference("address")),
        ("mac", reference("mac")),
    ]
}

fn table(keys: Keys, required: &[&str]) -> Value {
    let properties: Map<_, _> = keys.into_iter().map(|(key, it)| (key.to_owned(), it)).collect();
    let mut value = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        value["required"] = json!(required);
    }
    value["additionalProperties"] = false.into();
    value
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn number(min: u32, max: u32) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

fn words<T>(words: &[(&'static str, T)]) -> Value {
    json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

/// A number, or one of a few names.
fn named_number(names: impl IntoIterator<Item = &'static str>, min: u32, max: u32) -> Value {
    let names: Vec<_> = names.into_iter().collect();
    json!({ "anyOf": [number(min, max), { "enum": names }] })
}

#[cfg(test)]
mod tests {
    use super::super::{
        read, read_address, read_fdb, read_link, read_neighbour, read_nexthop, read_route,
        read_rule, read_vlan,
    };
    use super::*;

    fn assert_same(table: &str, keys: &Keys, known: &[&str]) {
        let mut keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        let mut known = known.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "the schema and the reader of {table} differ");
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read_and_no_others() {
        assert_same("the owner", &owner(), read::OWNER_KEYS);
        assert_same("a match", &match_keys(), super::super::read_match::KEYS);
        assert_same("an address", &address(), read_address::KEYS);
        assert_same("a VLAN", &member(), read_vlan::KEYS);
        assert_same("a forwarding entry", &fdb(), read_fdb::KEYS);
        assert_same("a route", &route(), read_route::KEYS);
        assert_same("a next hop", &nexthop(), read_route::HOP_KEYS);
        assert_same("a next hop object", &nexthop_object(), read_nexthop::KEYS);
        assert_same("a member", &group_member(), read_nexthop::MEMBER_KEYS);
        assert_same("a rule", &rule(), read_rule::KEYS);
        assert_same("a neighbour", &neighbour(), read_neighbour::KEYS);
        let mut all = read_link::KEYS.to_vec();
        all.extend(Kind::ALL.iter().map(|kind| kind.name));
        all.extend(Kind::LINK.keys.iter().map(|key| key.name.split('.').next().expect("a part")));
        all.sort_unstable();
        all.dedup();
        assert_same("a link", &link(), &all);
        let schema = schema();
        let top = schema["properties"].as_object().expect("an object").keys();
        let mut top: Vec<_> = top.map(String::as_str).collect();
        let mut known = read::TOP_KEYS.to_vec();
        top.sort_unstable();
        known.sort_unstable();
        assert_eq!(top, known);
    }
}
