//! `watch`: changes as they happen, one line each.

use std::collections::HashMap;

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::json::Names;
use super::out::{Ink, Out};
use super::{ObjectType, json, json_objects, start};
use crate::model::filter::Filter;
use crate::model::neighbour::Neighbour;
use crate::model::netconf::Netconf;
use crate::model::object::{Event, NetnsId, Object, ObjectId, What};
use crate::model::text::LinkName;
use crate::ring::signals::Signals;
use crate::watcher::{Batch, Wake, Watcher};

/// What is to be watched.
pub(super) struct Wish<'a> {
    pub(super) objects: &'a [ObjectType],
    /// Of routes, only those of these protocols and tables; all where there are none.
    pub(super) protocols: &'a [u8],
    pub(super) tables: &'a [u32],
    /// Starts with what is there.
    pub(super) dump: bool,
    /// Every named namespace too.
    pub(super) all_netns: bool,
    pub(super) raw_groups: &'a [u32],
}

impl Wish<'_> {
    /// What the kernel need not send.
    fn filter(&self) -> Filter {
        let mut filter = Filter::everything();
        if !self.objects.is_empty() {
            filter = filter.objects(ObjectType::tables(self.objects).iter());
        }
        if !self.protocols.is_empty() {
            filter = filter.protocols(self.protocols.iter().copied());
        }
        if !self.tables.is_empty() {
            filter = filter.tables(self.tables.iter().copied());
        }
        filter
    }
}

/// Prints changes until a signal comes. `netns` is how the namespace that it works in was named.
pub(super) fn watch(
    wish: &Wish<'_>,
    netns: Option<&str>,
    signals: Signals,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let builder = Watcher::builder().tables(ObjectType::tables(wish.objects));
    let mut builder = builder.filter(wish.filter()).raw_groups(wish.raw_groups);
    if wish.all_netns {
        builder = builder.all_netns();
    }
    let mut watcher = builder.open()?;
    let canceller = watcher.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    let mut batch = Batch::default();
    let is_whole = watcher.sync(&mut batch)?;
    let mut printer = Printer::new(wish, netns);
    // A link of a dump may name one that comes later in it.
    for (id, network) in watcher.networks() {
        let links = network.links().map(|link| (link.index, link.name));
        printer.links.entry(id).or_default().extend(links);
    }
    printer.is_quiet = !wish.dump;
    printer.print(&batch, out)?;
    printer.is_quiet = false;
    if !is_whole {
        return Ok(Exit::Clean);
    }
    loop {
        match watcher.next(&mut batch)? {
            Wake::Events => printer.print(&batch, out)?,
            Wake::Cancelled => return Ok(Exit::Clean),
            Wake::Deadline => {}
        }
    }
}

/// Prints events with the names that links had at that time: the network as it is when a batch is
/// printed has lost those that were deleted in it.
struct Printer<'a> {
    objects: &'a [ObjectType],
    /// Whether it only learns the names.
    is_quiet: bool,
    /// What the namespaces are called.
    netns: HashMap<NetnsId, String>,
    links: HashMap<NetnsId, HashMap<u32, LinkName>>,
}

impl<'a> Printer<'a> {
    fn new(wish: &Wish<'a>, netns: Option<&str>) -> Self {
        let netns = netns.map(|name| (NetnsId::HOME, name.to_owned())).into_iter().collect();
        Self { objects: wish.objects, is_quiet: false, netns, links: HashMap::new() }
    }

    fn print(&mut self, batch: &Batch, out: &mut Out) -> Result<(), Failure> {
        for event in batch {
            if let What::NetnsAdded { name } = &event.what {
                self.netns.insert(event.netns, name.clone());
            }
            let names = self.links.entry(event.netns).or_default();
            if !self.is_quiet && is_wanted(event, self.objects) {
                let netns = self.netns.get(&event.netns).map(String::as_str);
                if out.json {
                    out.line(json::event(names, netns, event))?;
                } else {
                    let line = line(names, event, out);
                    match netns.filter(|_| event.netns != NetnsId::HOME) {
                        Some(netns) => out.line(format_args!("[{netns}] {line}"))?,
                        None => out.line(line)?,
                    }
                }
            }
            match &event.what {
                What::New(Object::Link(link)) | What::Changed { after: Object::Link(link), .. } => {
                    names.insert(link.index, link.name);
                }
                What::Deleted(Object::Link(link)) => {
                    names.remove(&link.index);
                }
                What::NetnsRemoved => {
                    self.links.remove(&event.netns);
                    self.netns.remove(&event.netns);
                }
                _ => {}
            }
        }
        out.flush()
    }
}

fn is_wanted(event: &Event, objects: &[ObjectType]) -> bool {
    let object = match &event.what {
        What::New(object) | What::Deleted(object) => object,
        What::Changed { after, .. } => after,
        // These concern every reader.
        What::Resync { .. } | What::Raw(_) | What::NetnsAdded { .. } | What::NetnsRemoved => {
            return true;
        }
    };
    ObjectType::of(object.table()).is_wanted(objects)
}

/// `+ link v0 mtu 1500 up`, `~ link v0 mtu 1500 -> 1400`, `- address 192.0.2.1/24 dev v0`.
fn line(names: &dyn Names, event: &Event, out: &Out) -> String {
    let by = match event.sender {
        0 => String::new(),
        port => out.ink(Ink::Faint, format_args!(" by port {port}")),
    };
    match &event.what {
        What::New(object) => {
            format!(
                "{} {}{}{by}",
                out.ink(Ink::Made, "+"),
                name(names, object),
                details(names, object)
            )
        }
        What::Deleted(object) => {
            format!("{} {}{by}", out.ink(Ink::Gone, "-"), name(names, object))
        }
        What::Changed { before, after } => {
            let mark = out.ink(Ink::Changed, "~");
            format!("{mark} {}{}{by}", name(names, after), changes(names, before, after))
        }
        What::NetnsAdded { .. } => format!("{} network namespace", out.ink(Ink::Made, "+")),
        What::NetnsRemoved => format!("{} network namespace", out.ink(Ink::Gone, "-")),
        What::Resync { dropped } => {
            let mark = out.ink(Ink::Warned, "!");
            format!("{mark} resync: {dropped} notifications were lost; what differs follows")
        }
        What::Raw(raw) => {
            let bytes = json::hexadecimal(&raw.payload);
            format!("? message of type {}: {bytes}{by}", raw.message_type)
        }
    }
}

/// As one would say it to `ip`.
fn name(names: &dyn Names, object: &Object) -> String {
    let id = match object {
        Object::Link(link) => ObjectId::Link(link.name),
        Object::Address(address) => ObjectId::Address {
            link: names.name_of(address.key.index).unwrap_or_default(),
            prefix: address.key.prefix,
        },
        Object::Route(route) => ObjectId::Route {
            to: route.key.slot.to,
            via: route.key.via,
            dev: names.name_of(route.key.dev),
            metric: route.key.slot.metric,
            table: route.key.slot.table,
            tos: route.key.slot.tos,
        },
        Object::Nexthop(nexthop) => return format!("nexthop id {}", nexthop.id),
        Object::Neighbour(Neighbour { key, .. }) => {
            return format!("neighbour {} dev {}", key.address, names.text_of(key.index));
        }
        Object::BridgeVlan(member) => {
            let link = names.name_of(member.key.index).unwrap_or_default();
            ObjectId::BridgeVlan { link, first: member.key.vid, last: member.key.vid }
        }
        Object::Fdb(entry) => ObjectId::Fdb {
            link: names.name_of(entry.dev).unwrap_or_default(),
            mac: entry.key.mac,
            vid: entry.key.vid,
            dst: entry.remote.map(|it| it.dst),
        },
        Object::Rule(rule) => {
            let family = if rule.is_ipv6 { " inet6" } else { "" };
            return format!("rule{family} {rule}");
        }
        Object::Netconf(Netconf { key, .. }) => {
            let link = json_objects::interface(names, key.scope);
            return format!("netconf {} dev {link}", json_objects::family(key.is_ipv6));
        }
        Object::Nsid(nsid) => return format!("nsid {}", nsid.id),
    };
    id.to_string()
}

fn details(names: &dyn Names, object: &Object) -> String {
    match object {
        Object::Link(link) => {
            let admin = if link.is_up() { "up" } else { "down" };
            let kind = if link.kind.is_empty() { String::new() } else { format!(" {}", link.kind) };
            format!("{kind} mtu {} {admin}", link.mtu)
        }
        Object::Neighbour(_)
        | Object::BridgeVlan(_)
        | Object::Fdb(_)
        | Object::Nexthop(_)
        | Object::Netconf(_) => json_objects::words(names, object),
        _ => String::new(),
    }
}

/// ` mtu 1500 -> 1400, admin up -> down`, from the JSON forms, so that both tell the same.
fn changes(names: &dyn Names, before: &Object, after: &Object) -> String {
    let (_, old) = json::object(names, before);
    let (_, new) = json::object(names, after);
    let mut parts = Vec::new();
    for key in json::changed_keys(before, after) {
        match (&old[key], &new[key]) {
            (Value::Object(old), Value::Object(new)) if !new.contains_key("index") => {
                // The settings of a kind: those that differ.
                let differing = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
                parts.extend(differing.map(|(name, value)| {
                    let old = old.get(name).map_or("none".to_owned(), plain);
                    format!("{name} {old} -> {}", plain(value))
                }));
            }
            (old, new) => parts.push(format!("{key} {} -> {}", plain(old), plain(new))),
        }
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!(" {}", parts.join(", ")),
    }
}

pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(words) if words.is_empty() => "none".to_owned(),
        Value::Array(words) => {
            let words: Vec<_> = words.iter().map(plain).collect();
            words.join(",")
        }
        // A member of a group, or a link.
        Value::Object(object) => match (object.get("id"), object.get("weight")) {
            (Some(id), Some(weight)) => format!("{id}:{weight}"),
            _ => object.get("name").and_then(|name| name.as_str()).unwrap_or("?").to_owned(),
        },
        other => other.to_string(),
    }
}
