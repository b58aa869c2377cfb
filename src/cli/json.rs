//! The JSON forms of everything that is printed; golden files in tests/ hold them still.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::applier::ApplyReport;
use crate::model::address::{self, Address};
use crate::model::kind;
use crate::model::link::{self, Link, OPER_NAMES};
use crate::model::network::Network;
use crate::model::object::{Cause, Event, Object, ObjectId, What};
use crate::model::route::{self, Route};
use crate::model::text::LinkName;
use crate::plan::{Blocked, Plan, Shown, Step};
use crate::reconcile::{Attempt, Outcome, Report};

/// Puts a name in, and its bytes where it is not UTF-8.
fn put_name(object: &mut Map<String, Value>, name: LinkName) {
    object.insert("name".to_owned(), name.to_string().into());
    if name.as_str().is_none() {
        let hex: String = name.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        object.insert("name_hex".to_owned(), hex.into());
    }
}

/// `{"index":2,"name":"v0"}`, or null for none.
fn link_ref(network: &Network, index: u32) -> Value {
    if index == 0 {
        return Value::Null;
    }
    let mut object = Map::new();
    object.insert("index".to_owned(), index.into());
    if let Some(name) = network.name_of(index) {
        put_name(&mut object, name);
    }
    object.into()
}

fn flag_names(flags: u32, names: &[(u32, &'static str)]) -> Vec<&'static str> {
    names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
}

pub(super) fn link(network: &Network, link: &Link) -> Value {
    let mut object = Map::new();
    object.insert("index".to_owned(), link.index.into());
    put_name(&mut object, link.name);
    let kind = (!link.kind.is_empty()).then(|| link.kind.to_string());
    object.insert("kind".to_owned(), kind.clone().into());
    let admin = if link.is_up() { "up" } else { "down" };
    object.insert("admin".to_owned(), admin.into());
    let oper = OPER_NAMES.get(usize::from(link.oper)).map(|name| name.to_lowercase());
    object.insert("oper".to_owned(), oper.into());
    object.insert("mtu".to_owned(), link.mtu.into());
    let mac = (!link.mac.as_bytes().is_empty()).then(|| link.mac.to_string());
    object.insert("mac".to_owned(), mac.into());
    object.insert("master".to_owned(), link_ref(network, link.master));
    let lower = match link.lower_netns {
        None => link_ref(network, link.lower),
        Some(id) => json!({ "index": link.lower, "netns_id": id }),
    };
    object.insert("lower".to_owned(), lower);
    object.insert("flags".to_owned(), flag_names(link.flags, link::FLAG_NAMES).into());
    object.insert("group".to_owned(), link.group.into());
    if let (Some(kind), Some(settings)) = (kind, &link.settings) {
        let values =
            settings.iter().map(|(key, value)| (key.name.to_owned(), setting(network, key, value)));
        object.insert(kind, Value::Object(values.collect()));
    }
    object.into()
}

fn setting(network: &Network, key: &kind::Key, value: kind::Value) -> Value {
    match value {
        kind::Value::Bool(value) => value.into(),
        kind::Value::Number(number) => number.into(),
        kind::Value::Word(number) => key.word(number).map_or(number.into(), Value::from),
        kind::Value::Address(address) => address.to_string().into(),
        kind::Value::Link(name) => name.to_string().into(),
        kind::Value::Index(index) => link_ref(network, index),
    }
}

pub(super) fn address(network: &Network, own: &Address) -> Value {
    json!({
        "link": link_ref(network, own.key.index),
        "address": own.key.prefix.to_string(),
        "peer": own.key.peer.map(|peer| peer.to_string()),
        "scope": address::scope_name(own.scope).map_or(own.scope.into(), Value::from),
        "flags": flag_names(own.flags, address::FLAG_NAMES),
        "protocol": own.protocol,
    })
}

pub(super) fn route(network: &Network, route: &Route) -> Value {
    let slot = route.key.slot;
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
    let mut value = json!({
        "to": slot.to.to_string(),
        "via": text(route.key.via),
        "dev": link_ref(network, route.key.dev),
        "metric": slot.metric,
        "table": slot.table,
        "protocol": route.protocol,
        "protocol_name": route::protocol_name(route.protocol),
        "type": route::type_name(route.key.route_type),
        "source": text(route.source),
    });
    if !route.hops.is_empty() {
        let hops = route.hops.iter().map(|hop| {
            json!({ "via": text(hop.via), "dev": link_ref(network, hop.dev), "weight": hop.weight })
        });
        value["hops"] = hops.collect();
    }
    value
}

fn object(network: &Network, object: &Object) -> (&'static str, Value) {
    match object {
        Object::Link(it) => ("link", link(network, it)),
        Object::Address(it) => ("address", address(network, it)),
        Object::Route(it) => ("route", route(network, it)),
    }
}

/// One line of `watch --json`.
pub(super) fn event(network: &Network, netns: Option<&str>, event: &Event) -> Value {
    let cause = match event.cause {
        Cause::Notification => "notification",
        Cause::Dump => "dump",
        Cause::Derived => "derived",
    };
    let mut value = json!({
        "v": 1, "time": now(), "netns": netns, "seq": event.seq, "cause": cause,
        "sender": event.sender,
    });
    match &event.what {
        What::New(it) => put_object(&mut value, "new", object(network, it)),
        What::Deleted(it) => put_object(&mut value, "deleted", object(network, it)),
        What::Changed { before, after } => {
            let keys = changed_keys(before, after);
            let (_, old) = object(network, before);
            put_object(&mut value, "changed", object(network, after));
            value["before"] = keys.iter().map(|&key| (key.to_owned(), old[key].clone())).collect();
            value["changed"] = keys.into();
        }
        What::Resync { dropped } => {
            value["event"] = "resync".into();
            value["dropped"] = (*dropped).into();
        }
    }
    value
}

fn put_object(value: &mut Value, event: &str, (name, object): (&str, Value)) {
    value["event"] = event.into();
    value["object"] = name.into();
    value[name] = object;
}

/// The keys of the fields that differ.
pub(super) fn changed_keys(before: &Object, after: &Object) -> Vec<&'static str> {
    let mut keys = Vec::new();
    match (before, after) {
        (Object::Link(before), Object::Link(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Address(before), Object::Address(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        (Object::Route(before), Object::Route(after)) => {
            after.changed_keys(before, |key| keys.push(key));
        }
        _ => {}
    }
    keys
}

/// RFC 3339, in UTC.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn shown(value: Option<Shown>) -> Value {
    match value {
        None => Value::Null,
        Some(Shown::Number(number)) => number.into(),
        Some(Shown::Bool(value)) => value.into(),
        Some(other) => other.to_string().into(),
    }
}

/// An object's name without the word for its type.
fn name_of(id: &ObjectId) -> String {
    let text = id.to_string();
    text.strip_prefix(id.type_name()).map_or(text.clone(), |rest| rest.trim_start().to_owned())
}

fn step(step: &Step) -> Value {
    let object = step.change.object();
    let set = step.differences.iter().map(|difference| {
        let values = json!({ "from": shown(difference.from), "to": shown(difference.to) });
        (difference.key.to_owned(), values)
    });
    json!({
        "op": step.change.op().name(),
        "object": object.type_name(),
        "name": name_of(&object),
        "set": set.collect::<Map<_, _>>(),
        "also_removes": step.also_removes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn blocked(blocked: &Blocked) -> Value {
    json!({
        "object": blocked.object.type_name(),
        "name": name_of(&blocked.object),
        "reason": blocked.reason.to_string(),
        "waiting": blocked.reason.is_waiting(),
    })
}

pub(super) fn plan(plan: &Plan) -> Value {
    json!({
        "v": 1,
        "changes": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "blocked": plan.blocked.iter().map(blocked).collect::<Vec<_>>(),
    })
}

pub(super) fn check(it: &Plan) -> Value {
    let mut value = plan(it);
    value["matches"] = it.is_empty().into();
    value
}

fn attempt(attempt: &Attempt) -> Value {
    let mut value = step(&attempt.step);
    let (result, error) = match &attempt.outcome {
        Outcome::Done => ("ok", None),
        Outcome::Refused(refusal) => ("failed", Some(refusal.to_string())),
        Outcome::Unknown => ("unknown", Some("no answer came in time".to_owned())),
    };
    value["result"] = result.into();
    value["error"] = error.into();
    if let Outcome::Refused(refusal) = &attempt.outcome {
        value["errno"] = refusal.errno.into();
    }
    value
}

/// What `apply --json` prints.
pub(super) fn report(report: &ApplyReport) -> Value {
    let skipped = report.remaining.steps.iter().map(|left| {
        let mut value = step(left);
        value["result"] = "skipped".into();
        value["error"] = "what it needs was not there".into();
        value
    });
    let was_tried = |value: &Value| {
        report.attempts.iter().any(|it| name_of(&it.step.change.object()) == value["name"])
    };
    let changes = report.attempts.iter().map(attempt);
    json!({
        "v": 1,
        "changes": changes.chain(skipped.filter(|left| !was_tried(left))).collect::<Vec<_>>(),
        "blocked": report.remaining.blocked.iter().map(blocked).collect::<Vec<_>>(),
        "converged": report.converged,
    })
}

/// One line of `run --json`.
pub(super) fn run_report(report: &Report) -> Value {
    let mut value = match report {
        Report::Attempted(it) => {
            let mut value = attempt(it);
            value["report"] = if it.is_revert { "correction" } else { "change" }.into();
            value["sender"] = it.sender.into();
            value["took_us"] = micros(it.took);
            value["retry_in_us"] = it.retry_in.map_or(Value::Null, micros);
            value
        }
        Report::WithoutEffect { step: it, retry_in } => {
            let mut value = step(it);
            value["report"] = "without_effect".into();
            value["retry_in_us"] = micros(*retry_in);
            value
        }
        Report::Conflict { object, sender, retry_in } => json!({
            "report": "conflict", "object": object.type_name(), "name": name_of(object),
            "sender": sender, "retry_in_us": micros(*retry_in),
        }),
        Report::Blocked(it) => {
            let mut value = blocked(it);
            value["report"] = "blocked".into();
            value
        }
        Report::Converged => json!({ "report": "converged" }),
        Report::Resync { dropped } => json!({ "report": "resync", "dropped": dropped }),
        Report::Missed(count) => json!({ "report": "missed", "count": count }),
    };
    value["v"] = 1.into();
    value["time"] = now().into();
    value
}

fn micros(duration: std::time::Duration) -> Value {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).into()
}
