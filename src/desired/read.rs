//! Reads declarations from the tree, and remembers where each was written.
//!
//! Every rule of a single value is in `values.rs`, every joint one in `checks.rs`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::builder::{LinkDeclaration, RouteDeclaration};
use super::checks::{self, About};
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read_link;
use super::text;
use super::tree::{At, Entry, Node, Value};
use super::values;
use super::{Desired, Owner};
use crate::model::address::Prefix;
use crate::model::kind::Kind;
use crate::model::route::{TABLE_MAIN, table_name};
use crate::model::text::LinkName;

/// The version of the document that this program reads.
const VERSION: i128 = 1;

const TOP_KEYS: &[&str] = &["version", "owner", "link", "route"];
const OWNER_KEYS: &[&str] = &["name", "group", "protocol", "prune"];
const ROUTE_KEYS: &[&str] = &["to", "via", "dev", "metric", "table", "takeover"];

/// Where a declaration is written.
#[derive(Debug)]
pub(super) struct Place {
    /// The declaration itself.
    pub(super) at: At,
    /// The values of its keys.
    pub(super) keys: Vec<(&'static str, At)>,
    /// The items of its array, where it has one.
    pub(super) items: Vec<At>,
}

impl Place {
    pub(super) fn new(at: At) -> Self {
        Self { at, keys: Vec::new(), items: Vec::new() }
    }

    fn of(&self, key: &str, item: Option<usize>) -> &At {
        let item = item.filter(|_| key == "addresses");
        let named = self.keys.iter().find(|(name, _)| *name == key);
        item.and_then(|item| self.items.get(item)).or(named.map(|(_, at)| at)).unwrap_or(&self.at)
    }
}

/// The declared state of these trees, or reports of why there is none.
pub(super) fn read(trees: &[Node], reports: &mut Reports) -> Option<Desired> {
    let mut reader = Reader {
        reports,
        version_at: None,
        owner: None,
        owner_place: None,
        links: Vec::new(),
        link_places: Vec::new(),
        names: HashMap::new(),
        routes: Vec::new(),
        route_places: Vec::new(),
        kinds: read_link::probable_kinds(trees),
    };
    for tree in trees {
        reader.read_tree(tree);
    }
    if let (None, Some(first)) = (&reader.version_at, trees.first()) {
        let message = "the document does not say its version".to_owned();
        let help = "begin it with `version = 1`".to_owned();
        reader.reports.push_missing(&first.at, message, help);
    }
    reader.finish()
}

struct Reader<'r> {
    reports: &'r mut Reports,
    version_at: Option<At>,
    owner: Option<Owner>,
    owner_place: Option<Place>,
    links: Vec<LinkDeclaration>,
    link_places: Vec<Place>,
    names: HashMap<LinkName, usize>,
    routes: Vec<RouteDeclaration>,
    route_places: Vec<Place>,
    /// The kinds of the declared links, which decide what their ports' blocks may say.
    kinds: HashMap<String, &'static Kind>,
}

impl Reader<'_> {
    fn finish(self) -> Option<Desired> {
        if self.reports.is_partial() {
            return None;
        }
        let (links, routes) = (&self.link_places, &self.route_places);
        let owner = self.owner_place.as_ref();
        let locate = |about: About| match about {
            About::Owner { key } => owner.map(|place| place.of(key, None)),
            About::Link { index, key, item } => {
                links.get(index).map(|place| place.of(key, Some(item)))
            }
            About::Route { index, key } => routes.get(index).map(|place| place.of(key, None)),
        };
        let (desired, problems) = checks::complete(self.owner, self.links, self.routes);
        for problem in problems {
            let at = locate(problem.about).cloned().unwrap_or(At::File(0));
            let other = problem.other.and_then(locate).cloned();
            self.reports.push_fault(&at, problem.fault, other);
        }
        self.reports.is_empty().then_some(desired)
    }

    fn read_tree(&mut self, tree: &Node) {
        let Value::Table(entries) = &tree.value else {
            let message = format!("a document is a table, not {}", tree.value.describe());
            let help = "write `{\"version\": 1, \"link\": {...}}`";
            self.version_at = Some(tree.at.clone());
            return self.reports.push(&tree.at, message, help);
        };
        let version = entries.iter().find(|entry| entry.key == "version");
        if version.is_some_and(|entry| !self.read_version(entry)) {
            return;
        }
        for entry in entries {
            match entry.key.as_str() {
                "version" => {}
                "owner" => self.read_owner(entry),
                "link" => self.read_links(entry),
                "route" => self.read_routes(entry),
                _ => fields::unknown_key(self.reports, entry, Table::Top, TOP_KEYS, None),
            }
        }
    }

    /// Whether the rest can be understood. Each file of a document may say the version.
    fn read_version(&mut self, entry: &Entry) -> bool {
        self.version_at = Some(entry.node.at.clone());
        let version = match entry.node.value {
            Value::Integer(Some(VERSION)) => return true,
            Value::Integer(Some(version)) => version,
            _ => {
                fields::wrong_type(self.reports, entry, "a whole number", "`version = 1`");
                return true;
            }
        };
        self.reports.push(
            &entry.node.at,
            format!("version {version} of the document is not supported"),
            "this program reads version 1: write `version = 1`, or use a newer ringlink",
        );
        false
    }

    fn read_owner(&mut self, entry: &Entry) {
        let example = "`[owner]` and `name = \"host\"` in it";
        let Some(entries) = fields::table(self.reports, entry, example) else {
            return;
        };
        if let Some(first) = &self.owner_place {
            let message = "`owner` is declared twice";
            let fault = values::Fault::new(message, "a document has one owner");
            return self.reports.push_fault(&entry.key_at, fault, Some(first.at.clone()));
        }
        let mut place = Place::new(entry.key_at.clone());
        let (mut name, mut group, mut protocol, mut prune) = (None, None, None, None);
        let mut has_name = false;
        for entry in entries {
            let reports = &mut *self.reports;
            let at = &entry.node.at;
            match entry.key.as_str() {
                "name" => {
                    has_name = true;
                    place.keys.push(("name", at.clone()));
                    name = fields::parsed(reports, entry, "host", |name| {
                        values::check_owner_name(name).map(|()| name.to_owned())
                    });
                }
                "group" => {
                    let number = fields::number(reports, entry, 1, u32::MAX - 1);
                    group = number.and_then(|number| {
                        fields::checked(reports, at, values::check_group(number)).map(|()| number)
                    });
                }
                "protocol" => {
                    let number = fields::number(reports, entry, 1, 255);
                    protocol = number.and_then(|number| u8::try_from(number).ok());
                    if let Some(number) = protocol {
                        fields::checked(reports, at, values::check_protocol(number));
                    }
                }
                "prune" => prune = fields::boolean(reports, entry),
                _ => fields::unknown_key(reports, entry, Table::Owner, OWNER_KEYS, None),
            }
        }
        if !has_name {
            let message = "the owner has no `name`".to_owned();
            let help = "add one that no other document for this host has: `name = \"host\"`";
            self.reports.push_missing(&place.at, message, help.to_owned());
        }
        self.owner = name.map(|name| {
            let derived = Owner::new(name);
            Owner {
                group: group.unwrap_or(derived.group),
                protocol: protocol.unwrap_or(derived.protocol),
                prune: prune.unwrap_or(derived.prune),
                ..derived
            }
        });
        self.owner_place = Some(place);
    }

    fn read_links(&mut self, entry: &Entry) {
        let example = "`[link.eth0]`, with the link's keys below it";
        let Some(entries) = fields::table(self.reports, entry, example) else {
            return;
        };
        for entry in entries {
            let name = fields::valid_name(self.reports, &entry.key_at, &entry.key);
            let read = read_link::read(self.reports, entry, name.unwrap_or_default(), &self.kinds);
            let (Some(name), Some((link, place))) = (name, read) else {
                continue;
            };
            if let Some(first) = self.names.get(&name) {
                let first = self.link_places.get(*first).map(|place| place.at.clone());
                let message = format!("link `{name}` is declared twice");
                let fault = values::Fault::new(message, "keep one of the two");
                self.reports.push_fault(&entry.key_at, fault, first);
                continue;
            }
            self.names.insert(name, self.links.len());
            self.links.push(link);
            self.link_places.push(place);
        }
    }

    fn read_routes(&mut self, entry: &Entry) {
        let Value::Array(items) = &entry.node.value else {
            let example = "`[[route]]`, with two brackets, once for each route";
            return fields::wrong_type(self.reports, entry, "an array of tables", example);
        };
        for item in items {
            let Value::Table(entries) = &item.value else {
                let example = "`[[route]]`, with the route's keys below it";
                fields::wrong_node(self.reports, "route", item, "an array of tables", example);
                continue;
            };
            if let Some((route, place)) = read_route(self.reports, entries, &item.at) {
                self.routes.push(route);
                self.route_places.push(place);
            }
        }
    }
}

/// A route, where enough of it is right for the joint checks to make sense.
fn read_route(
    reports: &mut Reports,
    entries: &[Entry],
    at: &At,
) -> Option<(RouteDeclaration, Place)> {
    let mut place = Place::new(at.clone());
    let mut draft = RouteDraft::default();
    let mut is_whole = true;
    for entry in entries {
        if let Some(key) = ROUTE_KEYS.iter().find(|key| **key == entry.key) {
            place.keys.push((key, entry.node.at.clone()));
            is_whole &= draft.read_key(reports, entry).is_some();
        } else {
            fields::unknown_key(reports, entry, Table::Route, ROUTE_KEYS, None);
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
    if draft.is_default && draft.via.is_none() {
        let message = "`to = \"default\"` without `via` does not say IPv4 or IPv6".to_owned();
        let help = "write `to = \"0.0.0.0/0\"` or `to = \"::/0\"`, or give `via`";
        reports.push_missing(place.of("to", None), message, help.to_owned());
    }
    let route = draft.complete()?;
    let key = if route.via.is_some() { "via" } else { "" };
    let sound = values::check_via(route.to, route.via, route.dev);
    // What a route without `via` lacks may stand in a line that the parser lost.
    if sound.is_err() && !(reports.is_partial() && route.via.is_none()) {
        fields::checked(reports, place.of(key, None), sound);
    }
    Some((route, place))
}

/// A route's keys as far as they are read.
#[derive(Default)]
struct RouteDraft {
    to: Option<Prefix>,
    is_default: bool,
    via: Option<IpAddr>,
    dev: Option<LinkName>,
    metric: Option<u32>,
    table: Option<u32>,
    takeover: bool,
}

impl RouteDraft {
    /// `None` where the value is wrong, which is reported then.
    fn read_key(&mut self, reports: &mut Reports, entry: &Entry) -> Option<()> {
        match entry.key.as_str() {
            "to" => {
                let example = "198.51.100.0/24";
                self.is_default = fields::text(reports, entry, example)? == "default";
                if !self.is_default {
                    self.to = Some(fields::parsed(reports, entry, example, |text| {
                        let to = text::parse_destination(text)?;
                        values::check_destination(to).map(|()| to)
                    })?);
                }
            }
            "via" => {
                let parse = text::parse_address;
                self.via = Some(fields::parsed(reports, entry, "192.0.2.254", parse)?);
            }
            "dev" => self.dev = Some(fields::link_name(reports, entry)?),
            "metric" => self.metric = Some(fields::number(reports, entry, 0, u32::MAX)?),
            "table" => self.table = Some(read_table(reports, entry)?),
            _ => self.takeover = fields::boolean(reports, entry)?,
        }
        Some(())
    }

    fn complete(self) -> Option<RouteDeclaration> {
        let default = self.via.filter(|_| self.is_default);
        Some(RouteDeclaration {
            to: self.to.or(default.map(text::default_of))?,
            via: self.via,
            dev: self.dev,
            metric: self.metric,
            table: self.table.unwrap_or(TABLE_MAIN),
            takeover: self.takeover,
        })
    }
}

/// A routing table by its number or one of the kernel's names.
fn read_table(reports: &mut Reports, entry: &Entry) -> Option<u32> {
    if let Value::Text(_) = entry.node.value {
        let named = (1..=255).filter_map(|table| Some((table_name(table)?, table)));
        let named: Vec<_> = named.collect();
        return fields::word(reports, entry, &named);
    }
    fields::number(reports, entry, 1, u32::MAX)
}
