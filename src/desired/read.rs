//! Reads declarations from the tree, and remembers where each was written.
//!
//! Every rule of a single value is in `values.rs`, every joint one in `checks.rs`.

use super::builder::LinkDeclaration;
use super::builder_route::RouteDeclaration;
use super::checks::{self, About, Rest};
use super::diagnostic::Reports;
use super::fields::{self, Table};
use super::read_link;
use super::read_neighbour;
use super::read_nexthop;
use super::read_route;
use super::read_rule;
use super::tree::{At, Entry, Node, Value};
use super::values;
use super::{Desired, Owner};
use crate::model::hash::HashMap;
use crate::model::kind::Kind;
use crate::model::text::LinkName;

/// The version of the document that this program reads.
pub(super) const VERSION: i128 = 1;

pub(super) const TOP_KEYS: &[&str] =
    &["version", "owner", "link", "route", "rule", "neighbour", "nexthop"];
pub(super) const OWNER_KEYS: &[&str] = &["name", "group", "protocol", "prune"];

/// Where a declaration is written.
#[derive(Debug)]
pub(super) struct Place {
    /// The declaration itself.
    pub(super) at: At,
    /// The values of its keys.
    pub(super) keys: Vec<(&'static str, At)>,
    /// The items of its array, where it has one.
    pub(super) items: Vec<At>,
    /// The items of its array of VLANs.
    pub(super) vlans: Vec<At>,
    /// The items of its array of forwarding entries.
    pub(super) fdb: Vec<At>,
}

impl Place {
    pub(super) fn new(at: At) -> Self {
        Self { at, keys: Vec::new(), items: Vec::new(), vlans: Vec::new(), fdb: Vec::new() }
    }

    pub(super) fn of(&self, key: &str, item: Option<usize>) -> &At {
        let items = match key {
            "addresses" | "nexthops" | "group" => &self.items[..],
            "vlans" => &self.vlans,
            "fdb" => &self.fdb,
            _ => &[],
        };
        let named = self.keys.iter().find(|(name, _)| *name == key);
        item.and_then(|item| items.get(item)).or(named.map(|(_, at)| at)).unwrap_or(&self.at)
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
        names: HashMap::default(),
        routes: Vec::new(),
        route_places: Vec::new(),
        rest: Rest::default(),
        rule_places: Vec::new(),
        neighbour_places: Vec::new(),
        nexthop_places: Vec::new(),
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
    rest: Rest,
    rule_places: Vec<Place>,
    neighbour_places: Vec<Place>,
    nexthop_places: Vec<Place>,
    /// The kinds of the declared links, which decide what their ports' blocks may say.
    kinds: HashMap<String, &'static Kind>,
}

impl Reader<'_> {
    fn finish(self) -> Option<Desired> {
        if self.reports.is_partial() {
            return None;
        }
        let (links, routes) = (&self.link_places, &self.route_places);
        let (rules, neighbours) = (&self.rule_places, &self.neighbour_places);
        let (owner, nexthops) = (self.owner_place.as_ref(), &self.nexthop_places);
        let locate = |about: About| match about {
            About::Owner { key } => owner.map(|place| place.of(key, None)),
            About::Link { index, key, item } => {
                links.get(index).map(|place| place.of(key, Some(item)))
            }
            About::Route { index, key, item } => {
                routes.get(index).map(|place| place.of(key, Some(item)))
            }
            About::Rule { index, key } => rules.get(index).map(|place| place.of(key, None)),
            About::Neighbour { index, key } => {
                neighbours.get(index).map(|place| place.of(key, None))
            }
            About::Nexthop { index, key, item } => {
                nexthops.get(index).map(|place| place.of(key, Some(item)))
            }
        };
        let (desired, problems) = checks::complete(self.owner, self.links, self.routes, self.rest);
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
                "rule" => self.read_rules(entry),
                "neighbour" => self.read_neighbours(entry),
                "nexthop" => self.read_nexthops(entry),
                key => {
                    let of_link = matches!(key, "fdb" | "bridge_vlan" | "vlans");
                    let hint = of_link.then(|| {
                        "it is a list in a link's block: `fdb = [...]`, `vlans = [...]`".to_owned()
                    });
                    fields::unknown_key(self.reports, entry, Table::Top, TOP_KEYS, hint);
                }
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
        // They are large: growing would copy them again and again.
        self.links.reserve(entries.len());
        self.link_places.reserve(entries.len());
        self.names.reserve(entries.len());
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
        for (entries, at) in fields::tables(self.reports, entry) {
            if let Some((route, place)) = read_route::read(self.reports, entries, at) {
                self.routes.push(route);
                self.route_places.push(place);
            }
        }
    }

    fn read_rules(&mut self, entry: &Entry) {
        for (entries, at) in fields::tables(self.reports, entry) {
            if let Some((rule, place)) = read_rule::read(self.reports, entries, at) {
                self.rest.rules.push(rule);
                self.rule_places.push(place);
            }
        }
    }

    fn read_nexthops(&mut self, entry: &Entry) {
        for (entries, at) in fields::tables(self.reports, entry) {
            if let Some((nexthop, place)) = read_nexthop::read(self.reports, entries, at) {
                self.rest.nexthops.push(nexthop);
                self.nexthop_places.push(place);
            }
        }
    }

    fn read_neighbours(&mut self, entry: &Entry) {
        for (entries, at) in fields::tables(self.reports, entry) {
            if let Some((neighbour, place)) = read_neighbour::read(self.reports, entries, at) {
                self.rest.neighbours.push(neighbour);
                self.neighbour_places.push(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{read_address, read_fdb, read_match, read_vlan};

    #[test]
    fn the_page_of_objects_lists_every_key() {
        let page = include_str!("../../docs/objects.md");
        let keys = [
            read_address::KEYS,
            read_vlan::KEYS,
            read_fdb::KEYS,
            read_route::KEYS,
            read_route::HOP_KEYS,
            read_rule::KEYS,
            read_neighbour::KEYS,
            read_nexthop::KEYS,
            read_match::KEYS,
        ];
        for key in keys.into_iter().flatten() {
            assert!(page.contains(&format!("`{key}`")), "docs/objects.md lacks `{key}`");
        }
    }
}
