//! `watch`: changes as they happen, one line each.

use std::collections::HashMap;

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::json::Names;
use super::out::{Ink, Out};
use super::{ObjectType, json, start};
use crate::model::object::{Event, Object, ObjectId, What};
use crate::model::text::LinkName;
use crate::ring::signals::Signals;
use crate::watcher::{Batch, Wake, Watcher};

/// Prints changes until a signal comes. `dump` starts with what is there.
pub(super) fn watch(
    objects: &[ObjectType],
    dump: bool,
    netns: Option<&str>,
    signals: Signals,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut watcher = Watcher::builder().open()?;
    let canceller = watcher.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    let mut batch = Batch::default();
    let is_whole = watcher.sync(&mut batch)?;
    // A link of a dump may name one that comes later in it.
    let names = watcher.observed().links().map(|link| (link.index, link.name)).collect();
    let mut printer = Printer { objects, netns, names };
    if dump {
        printer.print(&batch, out)?;
    }
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
    netns: Option<&'a str>,
    names: HashMap<u32, LinkName>,
}

impl Printer<'_> {
    fn print(&mut self, batch: &Batch, out: &mut Out) -> Result<(), Failure> {
        for event in batch {
            if is_wanted(event, self.objects) {
                if out.json {
                    out.line(json::event(&self.names, self.netns, event))?;
                } else {
                    out.line(line(&self.names, event, out))?;
                }
            }
            match &event.what {
                What::New(Object::Link(link)) | What::Changed { after: Object::Link(link), .. } => {
                    self.names.insert(link.index, link.name);
                }
                What::Deleted(Object::Link(link)) => {
                    self.names.remove(&link.index);
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
        // That something was lost concerns every reader.
        What::Resync { .. } => return true,
    };
    let object_type = match object {
        Object::Link(_) => ObjectType::Link,
        Object::Address(_) => ObjectType::Address,
        Object::Route(_) => ObjectType::Route,
    };
    object_type.is_wanted(objects)
}

/// `+ link v0 mtu 1500 up`, `~ link v0 mtu 1500 -> 1400`, `- address 192.0.2.1/24 dev v0`.
fn line(names: &dyn Names, event: &Event, out: &Out) -> String {
    let by = match event.sender {
        0 => String::new(),
        port => out.ink(Ink::Faint, format_args!(" by port {port}")),
    };
    match &event.what {
        What::New(object) => {
            format!("{} {}{}{by}", out.ink(Ink::Made, "+"), name(names, object), details(object))
        }
        What::Deleted(object) => {
            format!("{} {}{by}", out.ink(Ink::Gone, "-"), name(names, object))
        }
        What::Changed { before, after } => {
            let mark = out.ink(Ink::Changed, "~");
            format!("{mark} {}{}{by}", name(names, after), changes(names, before, after))
        }
        What::Resync { dropped } => {
            let mark = out.ink(Ink::Warned, "!");
            format!("{mark} resync: {dropped} notifications were lost; what differs follows")
        }
    }
}

fn name(names: &dyn Names, object: &Object) -> ObjectId {
    match object {
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
        },
    }
}

fn details(object: &Object) -> String {
    match object {
        Object::Link(link) => {
            let admin = if link.is_up() { "up" } else { "down" };
            let kind = if link.kind.is_empty() { String::new() } else { format!(" {}", link.kind) };
            format!("{kind} mtu {} {admin}", link.mtu)
        }
        _ => String::new(),
    }
}

/// ` mtu 1500 -> 1400, admin up -> down`, from the JSON forms, so that both tell the same.
fn changes(names: &dyn Names, before: &Object, after: &Object) -> String {
    let as_json = |object: &Object| match object {
        Object::Link(it) => json::link(names, it),
        Object::Address(it) => json::address(names, it),
        Object::Route(it) => json::route(names, it),
    };
    let (old, new) = (as_json(before), as_json(after));
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

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(words) => {
            let words: Vec<_> = words.iter().filter_map(|word| word.as_str()).collect();
            words.join(",")
        }
        Value::Object(link) => {
            link.get("name").and_then(|name| name.as_str()).unwrap_or("?").to_owned()
        }
        other => other.to_string(),
    }
}
