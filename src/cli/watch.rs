//! `watch`: changes as they happen, one line each.

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::{ObjectType, json, start};
use crate::model::network::Network;
use crate::model::object::{Event, Object, What};
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
    if dump {
        print(&watcher, &batch, objects, netns, out)?;
    }
    if !is_whole {
        return Ok(Exit::Clean);
    }
    loop {
        match watcher.next(&mut batch)? {
            Wake::Events => print(&watcher, &batch, objects, netns, out)?,
            Wake::Cancelled => return Ok(Exit::Clean),
            Wake::Deadline => {}
        }
    }
}

fn print(
    watcher: &Watcher,
    batch: &Batch,
    objects: &[ObjectType],
    netns: Option<&str>,
    out: &mut Out,
) -> Result<(), Failure> {
    let network = watcher.observed();
    for event in batch.iter().filter(|event| is_wanted(event, objects)) {
        if out.json {
            out.line(json::event(network, netns, event))?;
        } else {
            out.line(line(network, event, out))?;
        }
    }
    out.flush()
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
fn line(network: &Network, event: &Event, out: &Out) -> String {
    let by = match event.sender {
        0 => String::new(),
        port => out.ink(Ink::Faint, format_args!(" by port {port}")),
    };
    match &event.what {
        What::New(object) => {
            format!("{} {}{}{by}", out.ink(Ink::Made, "+"), name(network, object), details(object))
        }
        What::Deleted(object) => {
            format!("{} {}{by}", out.ink(Ink::Gone, "-"), name(network, object))
        }
        What::Changed { before, after } => {
            let mark = out.ink(Ink::Changed, "~");
            format!("{mark} {}{}{by}", name(network, after), changes(network, before, after))
        }
        What::Resync { dropped } => {
            let mark = out.ink(Ink::Warned, "!");
            format!("{mark} resync: {dropped} notifications were lost; what differs follows")
        }
    }
}

fn name(network: &Network, object: &Object) -> String {
    match object {
        Object::Link(link) => format!("link {}", link.name),
        Object::Address(address) => network.id_of_address(address.key).to_string(),
        Object::Route(route) => network.id_of_route(route.key).to_string(),
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
fn changes(network: &Network, before: &Object, after: &Object) -> String {
    let as_json = |object: &Object| match object {
        Object::Link(it) => json::link(network, it),
        Object::Address(it) => json::address(network, it),
        Object::Route(it) => json::route(network, it),
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
