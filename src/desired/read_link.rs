//! Reads one link's block: the keys of every link, and those of its kind from its key table.

use std::sync::Arc;

use super::State;
use super::builder::{ExtraAddresses, LinkDeclaration};
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::limits::{MTU_MAX, MTU_MIN};
use super::read::Place;
use super::read_address::read_addresses;
use super::read_fdb::read_fdb;
use super::read_match::read_match;
use super::read_rule::read_ports;
use super::read_vlan::read_vlans;
use super::suggest;
use super::text::{parse_address, parse_mac};
use super::tree::{Entry, Node, Value};
use super::values::{self, quoted};
use super::values_names::{alias, altname, check_altnames};
use super::values_netns::check_netns;
use crate::model::hash::HashMap;
use crate::model::identity::AltName;
use crate::model::kind::{self, Key, Kind, Settings, ValueType};
use crate::model::text::LinkName;

/// The keys of every link; the name of each kind is one too.
pub(super) const KEYS: &[&str] = &[
    "kind",
    "match",
    "state",
    "mtu",
    "mac",
    "group",
    "master",
    "port",
    "alias",
    "altnames",
    "addresses",
    "extra_addresses",
    "vlans",
    "fdb",
];

const STATES: &[(&str, State)] =
    &[("up", State::Up), ("down", State::Down), ("absent", State::Absent)];

const EXTRA: &[(&str, ExtraAddresses)] =
    &[("keep", ExtraAddresses::Keep), ("remove", ExtraAddresses::Remove)];

/// What `entry` declares of the link `name`. A value that is wrong is reported and left out.
pub(super) fn read(
    reports: &mut Reports,
    entry: &Entry,
    name: LinkName,
    kinds: &HashMap<String, &'static Kind>,
) -> Option<(LinkDeclaration, Place)> {
    let example = format!("`[link.{}]`, with the link's keys below it", quoted_bare(entry));
    let entries = fields::table(reports, entry, &example)?;
    let mut link = LinkDeclaration::new(name);
    let mut place = Place::new(entry.key_at.clone());
    let own = probable_kind(entries);
    for entry in entries {
        if let Some(key) = KEYS.iter().find(|key| **key == entry.key) {
            place.keys.push((key, entry.node.at.clone()));
            read_key(reports, entry, &mut link, &mut place);
        } else if !read_common(reports, entry, &mut link, &mut place)
            && Kind::by_name(entry.key.as_bytes()).is_none()
        {
            let hint = hint(own, &entry.key);
            let kinds = Kind::ALL.iter().map(|kind| kind.name);
            let common = Kind::LINK.keys.iter().map(|key| first_part(key.name));
            let mut known: Vec<_> = KEYS.iter().copied().chain(common).chain(kinds).collect();
            known.dedup();
            fields::unknown_key(reports, entry, Table::Link, &known, hint);
        }
    }
    let is_absent = link.state == Some(State::Absent);
    link.settings = read_kind(reports, entries, &mut place, is_absent);
    link.peer_netns = link.settings.and_then(|settings| netns_of(entries, settings.kind));
    link.port = read_port(reports, entries, kinds);
    Some((link, place))
}

/// The network namespace that is named in the table of that kind, where it can be one. What is
/// wrong with it is told where the table is read.
fn netns_of(entries: &[Entry], kind: &'static Kind) -> Option<Arc<str>> {
    let Value::Table(table) = &entries.iter().find(|entry| entry.key == kind.name)?.node.value
    else {
        return None;
    };
    let key = kind.keys.get(kind.netns_position()?)?;
    match &table.iter().find(|entry| entry.key == key.name)?.node.value {
        Value::Text(text) if check_netns(text).is_ok() => Some(text.as_str().into()),
        _ => None,
    }
}

/// Reads a key of [`Kind::LINK`], or a table of such keys; whether it is one.
fn read_common(
    reports: &mut Reports,
    entry: &Entry,
    link: &mut LinkDeclaration,
    place: &mut Place,
) -> bool {
    let keys = Kind::LINK.keys;
    if let Some(position) = Kind::LINK.position(&entry.key).filter(|_| !entry.key.contains('.')) {
        place.keys.push((keys[position].name, entry.node.at.clone()));
        link.common.set(position, read_setting(reports, &keys[position], entry));
        return true;
    }
    let within = |key: &Key| key.name.split_once('.').filter(|(table, _)| *table == entry.key);
    if !keys.iter().any(|key| within(key).is_some()) {
        return false;
    }
    let example = format!("`{} = {{ ... }}`", entry.key);
    for inner in fields::table(reports, entry, &example).unwrap_or_default() {
        let own = |key: &Key| within(key).is_some_and(|(_, own)| own == inner.key);
        let Some(position) = keys.iter().position(own) else {
            let known: Vec<_> = keys.iter().filter_map(|key| Some(within(key)?.1)).collect();
            fields::unknown_key(reports, inner, Table::Within, &known, None);
            continue;
        };
        place.keys.push((keys[position].name, inner.node.at.clone()));
        link.common.set(position, read_setting(reports, &keys[position], inner));
    }
    true
}

/// The key that a document has at the top of a link's block.
fn first_part(key: &'static str) -> &'static str {
    key.split_once('.').map_or(key, |(table, _)| table)
}

fn quoted_bare(entry: &Entry) -> String {
    quoted(&entry.key).trim_matches('`').to_owned()
}

/// The kinds of all links, as far as one can tell before anything is checked.
pub(super) fn probable_kinds(trees: &[Node]) -> HashMap<String, &'static Kind> {
    fn table(node: &Value) -> &[Entry] {
        match node {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }
    let tops = trees.iter().flat_map(|tree| table(&tree.value));
    let links = tops.filter(|top| top.key == "link").flat_map(|top| table(&top.node.value));
    links
        .filter_map(|link| Some((link.key.clone(), probable_kind(table(&link.node.value))?)))
        .collect()
}

/// What the link is as a port, by the key table of its master's kind.
fn read_port(
    reports: &mut Reports,
    entries: &[Entry],
    kinds: &HashMap<String, &'static Kind>,
) -> Option<Settings> {
    let entry = entries.iter().find(|entry| entry.key == "port")?;
    let table = fields::table(reports, entry, "`port = { ... }`")?;
    let master = entries.iter().find(|entry| entry.key == "master");
    let Some(master) = master else {
        let message = "`port` says what the link is to its master, and there is none".to_owned();
        let help = "add `master = \"br0\"`, or take `port` out".to_owned();
        reports.push_missing(&entry.key_at, message, help);
        return None;
    };
    // What else a name can be is reported where it is read.
    let Value::Text(name) = &master.node.value else { return None };
    let Some(kind) = kinds.get(name) else {
        let message = format!("what `port` takes depends on the kind of {}", quoted(name));
        let help = "declare that link with its `kind`".to_owned();
        reports.push_missing(&entry.key_at, message, help);
        return None;
    };
    let Some(port) = kind.port else {
        // That it cannot have ports at all is said of `master`.
        if kind.can_have_ports {
            let message = format!("a port of a {} has no settings", kind.name);
            reports.push(&entry.key_at, message, "take `port` out");
        }
        return None;
    };
    let mut settings = Settings::new(port);
    for entry in table {
        let Some(position) = port.position(&entry.key) else {
            let known: Vec<_> = port.keys.iter().map(|key| key.name).collect();
            fields::unknown_key(reports, entry, Table::Port, &known, None);
            continue;
        };
        settings.set(position, read_setting(reports, &port.keys[position], entry));
    }
    Some(settings)
}

/// One of [`KEYS`], save `kind` and `port`.
fn read_key(reports: &mut Reports, entry: &Entry, link: &mut LinkDeclaration, place: &mut Place) {
    match entry.key.as_str() {
        "state" => link.state = fields::word(reports, entry, STATES),
        "mtu" => link.mtu = fields::number(reports, entry, MTU_MIN, MTU_MAX),
        "mac" => link.mac = fields::parsed(reports, entry, "02:00:00:00:00:01", parse_mac),
        "group" => link.group = read_group(reports, entry),
        "master" => link.master = fields::link_name(reports, entry),
        "match" => link.matching = Some(Arc::new(read_match(reports, entry))),
        "alias" => {
            let parse = |text: &str| alias(text.as_bytes());
            link.alias = fields::parsed(reports, entry, "to the lab", parse).map(Box::new);
        }
        "altnames" => link.altnames = read_altnames(reports, entry),
        "addresses" => read_addresses(reports, entry, link, place),
        "vlans" => read_vlans(reports, entry, link, place),
        "fdb" => read_fdb(reports, entry, link, place),
        "extra_addresses" => link.extra_addresses = fields::word(reports, entry, EXTRA),
        _ => {}
    }
}

fn read_altnames(reports: &mut Reports, entry: &Entry) -> Option<Vec<AltName>> {
    const WANTED: &str = "an array of strings";
    const EXAMPLE: &str = "`altnames = [\"uplink\"]`";
    let Value::Array(items) = &entry.node.value else {
        fields::wrong_type(reports, entry, WANTED, EXAMPLE);
        return None;
    };
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        match &item.value {
            Value::Text(text) => {
                names.extend(fields::checked(reports, &item.at, altname(text.as_bytes())));
            }
            _ => fields::wrong_node(reports, &entry.key, item, WANTED, EXAMPLE),
        }
    }
    for fault in check_altnames(&names) {
        reports.push_fault(&entry.node.at, fault, None);
    }
    Some(names)
}

/// A number, or the one name that every host has.
fn read_group(reports: &mut Reports, entry: &Entry) -> Option<u32> {
    match &entry.node.value {
        Value::Text(name) if name.parse::<u32>().is_err() => {
            fields::word(reports, entry, &[("default", 0)])
        }
        _ => fields::number(reports, entry, 0, u32::MAX),
    }
}

fn probable_kind(entries: &[Entry]) -> Option<&'static Kind> {
    entries.iter().find_map(|entry| match &entry.node.value {
        Value::Text(name) if entry.key == "kind" => Kind::by_name(name.as_bytes()),
        _ => Kind::by_name(entry.key.as_bytes()),
    })
}

/// A key of a kind that stands beside the kind's table belongs in it.
fn hint(own: Option<&'static Kind>, key: &str) -> Option<String> {
    let holds = |kind: &&&'static Kind| kind.position(key).is_some();
    let kind = own.as_ref().filter(holds).or_else(|| Kind::ALL.iter().find(holds))?;
    let name = kind.name;
    Some(format!("it belongs in the kind's table: `{name} = {{ {key} = ... }}`"))
}

/// The kind, from `kind` and from the table with a kind's name, and its settings.
fn read_kind(
    reports: &mut Reports,
    entries: &[Entry],
    place: &mut Place,
    is_absent: bool,
) -> Option<Settings> {
    let named = entries.iter().find(|entry| entry.key == "kind");
    let name = named.and_then(|entry| fields::text(reports, entry, Kind::ALL[0].name));
    let by_key = name.and_then(|name| Kind::by_name(name.as_bytes()));
    if let (Some(entry), Some(name), None) = (named, name, by_key) {
        let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name).collect();
        let message = format!("{} is not a kind of link that can be declared", quoted(name));
        let near = suggest::nearest(name, kinds.iter().copied());
        let near = near.map(|near| format!("did you mean `{near}`? "));
        let help = near.unwrap_or_default() + "the kinds are: " + &kinds.join(", ");
        reports.push(&entry.node.at, message, help);
    }
    let mut tables =
        entries.iter().filter_map(|entry| Some((Kind::by_name(entry.key.as_bytes())?, entry)));
    let first = tables.next();
    if let (Some((one, _)), Some((two, entry))) = (first, tables.next()) {
        let message = format!("a link has one kind, not both `{}` and `{}`", one.name, two.name);
        reports.push(&entry.key_at, message, "keep the table of its kind");
    }
    if let (Some(by_key), Some((by_table, entry))) = (by_key, first) {
        if by_key != by_table {
            let message = format!(
                "`kind` is `{}`, but these are settings of kind `{}`",
                by_key.name, by_table.name
            );
            reports.push(&entry.key_at, message, "keep the one that is meant");
        }
    }
    let kind = first.map(|(kind, _)| kind).or(by_key)?;
    if first.is_some() {
        let at = first.map_or(&place.at, |(_, entry)| &entry.key_at).clone();
        place.keys.push(("kind", at));
    }
    let table = match first {
        None => &[][..],
        Some((_, entry)) => {
            let example = format!("`kind = \"{0}\"`, or `{0} = {{ ... }}`", kind.name);
            fields::table(reports, entry, &example)?
        }
    };
    let settings = read_settings(reports, kind, table, place);
    for key in kind.keys.iter().filter(|key| key.required && !is_absent) {
        if !table.iter().any(|entry| entry.key == key.name) {
            let at = place.at.clone();
            let at = first.map_or(&at, |(_, entry)| &entry.key_at);
            let message = format!("a {} needs `{}`, {}", kind.name, key.name, key.doc);
            let help = format!("add `{} = {{ {} = ... }}`", kind.name, key.name);
            reports.push_missing(at, message, help);
        }
    }
    Some(settings)
}

fn read_settings(
    reports: &mut Reports,
    kind: &'static Kind,
    entries: &[Entry],
    place: &mut Place,
) -> Settings {
    let mut settings = Settings::new(kind);
    for entry in entries {
        if let Some((_, keys)) = kind.shorthands.iter().find(|(word, _)| *word == entry.key) {
            let positions = keys.iter().filter_map(|key| kind.position(key));
            set_all(reports, entry, positions.collect(), &mut settings, place);
            continue;
        }
        let Some(position) = kind.position(&entry.key) else {
            let words = kind.shorthands.iter().map(|(word, _)| *word);
            let known: Vec<_> = kind.keys.iter().map(|key| key.name).chain(words).collect();
            let hint = KEYS
                .contains(&entry.key.as_str())
                .then(|| "it is a key of every link: write it outside the kind's table".to_owned());
            fields::unknown_key(reports, entry, Table::Kind, &known, hint);
            continue;
        };
        set_all(reports, entry, vec![position], &mut settings, place);
    }
    if let Some((key, fault)) = values::check_families(&settings) {
        let entry = entries.iter().find(|entry| entry.key == key);
        let at = entry.map_or(&place.at, |entry| &entry.node.at);
        reports.push_fault(at, fault, None);
    }
    settings
}

/// Sets the keys at these positions, which are of one type, to what `entry` says.
fn set_all(
    reports: &mut Reports,
    entry: &Entry,
    positions: Vec<usize>,
    settings: &mut Settings,
    place: &mut Place,
) {
    let keys = settings.kind.keys;
    let Some(first) = positions.first().and_then(|&position| keys.get(position)) else { return };
    let value = read_setting(reports, first, entry);
    for position in positions {
        let name = keys[position].name;
        if settings.get(position).is_some() {
            let message = format!("`{name}` is given twice, once by a word for several keys");
            reports.push(&entry.key_at, message, "keep one of the two");
        }
        place.keys.push((name, entry.node.at.clone()));
        settings.set(position, value);
    }
}

fn read_setting(reports: &mut Reports, key: &Key, entry: &Entry) -> Option<kind::Value> {
    Some(match key.value {
        ValueType::Bool => kind::Value::Bool(fields::boolean(reports, entry)?),
        ValueType::Number { min, max } => {
            kind::Value::Number(fields::number(reports, entry, min, max)?)
        }
        ValueType::Word(words) => kind::Value::Word(fields::word(reports, entry, words)?),
        ValueType::Address => {
            let example = "192.0.2.1";
            kind::Value::Address(fields::parsed(reports, entry, example, parse_address)?)
        }
        ValueType::Ports => {
            let ports = values::check_ports(read_ports(reports, entry)?);
            kind::Value::Ports(fields::checked(reports, &entry.node.at, ports)?)
        }
        ValueType::Ipv4Address => {
            let parse = |text: &str| parse_address(text).and_then(values::check_ipv4);
            kind::Value::Address(fields::parsed(reports, entry, "192.0.2.1", parse)?)
        }
        ValueType::Lower | ValueType::Peer => kind::Value::Link(fields::link_name(reports, entry)?),
        // It has a number once all that are named are known.
        ValueType::Netns => return fields::parsed(reports, entry, "blue", check_netns).and(None),
    })
}
