//! Reads one value of an expected type, and says what is wrong with another.

use super::diagnostic::Reports;
use super::suggest;
use super::tree::{At, Entry, Node, Value};
use super::values::{Fault, quoted};
use crate::model::text::LinkName;

/// What a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Top,
    Owner,
    Link,
    Kind,
    Match,
    Port,
    Within,
    Route,
    NextHop,
    Nexthop,
    Address,
    BridgeVlan,
    Fdb,
    Rule,
    Neighbour,
}

impl Table {
    fn describe(self) -> &'static str {
        match self {
            Self::Top => "at the top of a document",
            Self::Owner => "of `[owner]`",
            Self::Link => "of a link",
            Self::Kind => "of this kind",
            Self::Match => "of `match`",
            Self::Within => "of this table of a link",
            Self::Port => "of a port of that master",
            Self::Route => "of a route",
            Self::NextHop => "of a next hop",
            Self::Nexthop => "of a next hop object",
            Self::Address => "of an address",
            Self::BridgeVlan => "of a VLAN",
            Self::Fdb => "of a forwarding entry",
            Self::Rule => "of a rule",
            Self::Neighbour => "of a neighbour",
        }
    }
}

/// Reports a key that is not one of `known`. `hint` is tried before the nearest of them.
pub(super) fn unknown_key(
    reports: &mut Reports,
    entry: &Entry,
    table: Table,
    known: &[&str],
    hint: Option<String>,
) {
    if reports.is_full() {
        return reports.count_omitted();
    }
    // The header of the table that it stands in may be what is broken.
    if table == Table::Top && reports.has_syntax() {
        return;
    }
    let key = quoted(&entry.key);
    let message = format!("{key} is not a key {}", table.describe());
    let near = suggest::nearest(&entry.key, known.iter().copied());
    let help = match (hint, near) {
        (Some(hint), None) => hint,
        _ if known.is_empty() => "it has none".to_owned(),
        _ => suggest::help(&entry.key, "its keys are", known),
    };
    reports.push(&entry.key_at, message, help);
}

/// Reports a value of another type than the key takes.
pub(super) fn wrong_type(reports: &mut Reports, entry: &Entry, wanted: &str, example: &str) {
    wrong_node(reports, &entry.key, &entry.node, wanted, example);
}

/// The same for an item of an array.
pub(super) fn wrong_node(
    reports: &mut Reports,
    key: &str,
    node: &Node,
    wanted: &str,
    example: &str,
) {
    let key = quoted(key);
    let message = format!("{key} must be {wanted}, not {}", node.value.describe());
    let help = match node.value {
        Value::Null => "leave the key out where nothing is wanted".to_owned(),
        _ => format!("write it like {example}"),
    };
    reports.push(&node.at, message, help);
}

pub(super) fn text<'e>(reports: &mut Reports, entry: &'e Entry, example: &str) -> Option<&'e str> {
    if let Value::Text(text) = &entry.node.value {
        return Some(text);
    }
    let example = format!("`{} = \"{example}\"`", escaped_key(entry));
    wrong_type(reports, entry, "a string", &example);
    None
}

pub(super) fn boolean(reports: &mut Reports, entry: &Entry) -> Option<bool> {
    if let Value::Bool(value) = entry.node.value {
        return Some(value);
    }
    let example = format!("`{} = true`, without quotes", escaped_key(entry));
    wrong_type(reports, entry, "`true` or `false`", &example);
    None
}

/// A whole number between two bounds, both included.
pub(super) fn number(reports: &mut Reports, entry: &Entry, min: u32, max: u32) -> Option<u32> {
    let Value::Integer(value) = entry.node.value else {
        let digits = match &entry.node.value {
            Value::Text(text) => text.parse::<u32>().ok(),
            _ => None,
        };
        let example = match digits {
            Some(digits) => format!("`{} = {digits}`, without quotes", escaped_key(entry)),
            None => format!("`{} = N`, with N from {min} to {max}", escaped_key(entry)),
        };
        wrong_type(reports, entry, "a whole number", &example);
        return None;
    };
    let fitting = value.and_then(|value| u32::try_from(value).ok());
    let fitting = fitting.filter(|value| (min..=max).contains(value));
    if fitting.is_none() {
        let given = value.map_or("a number that large".to_owned(), |value| value.to_string());
        reports.push(
            &entry.node.at,
            format!("{} cannot be {given}", quoted(&entry.key)),
            format!("it is a number from {min} to {max}"),
        );
    }
    fitting
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    reports: &mut Reports,
    entry: &Entry,
    words: &[(&'static str, T)],
) -> Option<T> {
    let example = words.first().map_or("", |(word, _)| word);
    let text = text(reports, entry, example)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        reports.push(
            &entry.node.at,
            format!("{} cannot be {}", quoted(&entry.key), quoted(text)),
            suggest::help(text, "it is one of", &names),
        );
    }
    found.map(|(_, value)| *value)
}

/// The name of another link.
pub(super) fn link_name(reports: &mut Reports, entry: &Entry) -> Option<LinkName> {
    let text = text(reports, entry, "eth0")?;
    valid_name(reports, &entry.node.at, text)
}

/// Of a name that the kernel would take for a new link.
pub(super) fn valid_name(reports: &mut Reports, at: &At, text: &str) -> Option<LinkName> {
    match LinkName::valid(text.as_bytes()) {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("{} cannot be a link: {error}", quoted(text));
            reports.push(at, message, "name a link as `ip link` shows it, such as `eth0`");
            None
        }
    }
}

/// A string that `parse` makes something of.
pub(super) fn parsed<T>(
    reports: &mut Reports,
    entry: &Entry,
    example: &str,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Option<T> {
    let text = text(reports, entry, example)?;
    checked(reports, &entry.node.at, parse(text))
}

/// The value, or its fault reported.
pub(super) fn checked<T>(reports: &mut Reports, at: &At, result: Result<T, Fault>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(fault) => {
            reports.push_fault(at, fault, None);
            None
        }
    }
}

/// The entries of a table.
pub(super) fn table<'e>(
    reports: &mut Reports,
    entry: &'e Entry,
    example: &str,
) -> Option<&'e [Entry]> {
    if let Value::Table(entries) = &entry.node.value {
        return Some(entries);
    }
    wrong_type(reports, entry, "a table", example);
    None
}

fn escaped_key(entry: &Entry) -> String {
    quoted(&entry.key).trim_matches('`').to_owned()
}

/// The tables of an array of them, each with its place.
pub(super) fn tables<'e>(reports: &mut Reports, entry: &'e Entry) -> Vec<(&'e [Entry], &'e At)> {
    let key = escaped_key(entry);
    let Value::Array(items) = &entry.node.value else {
        let example = format!("`[[{key}]]`, with two brackets, once for each {key}");
        wrong_type(reports, entry, "an array of tables", &example);
        return Vec::new();
    };
    let mut tables = Vec::with_capacity(items.len());
    for item in items {
        match &item.value {
            Value::Table(entries) => tables.push((&entries[..], &item.at)),
            _ => {
                let example = format!("`[[{key}]]`, with the {key}'s keys below it");
                wrong_node(reports, &key, item, "an array of tables", &example);
            }
        }
    }
    tables
}
