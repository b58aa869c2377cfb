//! The JSON forms of everything that is printed; golden files in tests/ hold them still.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::applier::ApplyReport;
use crate::host::Counters;
use crate::model::address::{self, Address};
use crate::model::kind;
use crate::model::link::{self, Link, OPER_NAMES};
use crate::model::network::Network;
use crate::model::object::{Cause, Event, Object, ObjectId, What};
use crate::model::route::{self, Route};
use crate::model::text::LinkName;
use crate::plan::{Blocked, Plan, Shown, Step};
use crate::reconcile::{Attempt, Outcome, Report};

/// Puts a name in, and its bytes where the text is not the name itself: it is not UTF-8, or was
/// escaped.
fn put_name(object: &mut Map<String, Value>, name: LinkName) {
    let text = name.to_string();
    let is_exact = text.as_bytes() == name.as_bytes();
    object.insert("name".to_owned(), text.into());
    if !is_exact {
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
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    let kind = (!link.kind.is_empty()).then(|| link.kind.to_string());
    put("kind", kind.into());
    put("admin", if link.is_up() { "up" } else { "down" }.into());
    let oper = OPER_NAMES.get(usize::from(link.oper)).map(|name| name.to_lowercase());
    put("oper", oper.into());
    put("oper_number", link.oper.into());
    put("mtu", link.mtu.into());
    put("mac", (!link.mac.as_bytes().is_empty()).then(|| link.mac.to_string()).into());
    put("master", link_ref(network, link.master));
    let lower = match link.lower_netns {
        None => link_ref(network, link.lower),
        Some(id) => json!({ "index": link.lower, "netns_id": id }),
    };
    put("lower", lower);
    put("flags", flag_names(link.flags, link::FLAG_NAMES).into());
    put("flags_number", link.flags.into());
    put("group", link.group.into());
    if let Some(settings) = &link.settings {
        let values =
            settings.iter().map(|(key, value)| (key.name.to_owned(), setting(network, key, value)));
        put(settings.kind.name, Value::Object(values.collect()));
    }
    let mut named = Map::new();
    named.insert("index".to_owned(), link.index.into());
    put_name(&mut named, link.name);
    named.extend(object);
    named.into()
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
        "scope": address::scope_name(own.scope),
        "scope_number": own.scope,
        "flags": flag_names(own.flags, address::FLAG_NAMES),
        "flags_number": own.flags,
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
        "flags_number": route.flags,
        "nexthop_id": route.nexthop_id,
        "hops": null,
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
    let (word, told) = match &event.what {
        What::New(it) => ("new", Some(it)),
        What::Deleted(it) => ("deleted", Some(it)),
        What::Changed { after, .. } => ("changed", Some(after)),
        What::Resync { .. } => ("resync", None),
    };
    let (object_type, told) = told.map(|it| object(network, it)).unzip();
    let mut value = json!({
        "v": 1, "time": now(), "netns": netns, "seq": event.seq, "event": word,
        "object": object_type, "cause": cause, "sender": event.sender,
    });
    match &event.what {
        What::Changed { before, after } => {
            let keys = changed_keys(before, after);
            let (_, old) = object(network, before);
            let before = keys.iter().map(|&key| (key.to_owned(), old[key].clone())).collect();
            value["changed"] = keys.into();
            value[object_type.unwrap_or_default()] = told.into();
            value["before"] = before;
        }
        What::Resync { dropped } => value["dropped"] = (*dropped).into(),
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
pub(super) fn report(report: &ApplyReport, is_interrupted: bool) -> Value {
    let left = report.remaining.steps.iter().filter_map(|left| {
        let (result, error) = match Leftover::of(left, report) {
            Leftover::Refused => return None,
            Leftover::Undone => ("failed", "it was made, and differs again"),
            Leftover::Untried if is_interrupted => ("skipped", "interrupted"),
            Leftover::Untried => ("skipped", "what it needs was not there"),
        };
        let mut value = step(left);
        value["result"] = result.into();
        value["error"] = error.into();
        Some(value)
    });
    let changes = report.attempts.iter().map(attempt);
    json!({
        "v": 1,
        "changes": changes.chain(left).collect::<Vec<_>>(),
        "blocked": report.remaining.blocked.iter().map(blocked).collect::<Vec<_>>(),
        "converged": report.converged,
        "interrupted": is_interrupted,
    })
}

/// Why a step is left after an `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftover {
    /// The kernel refused it, as the attempts tell.
    Refused,
    /// It was made, and someone or something undid it.
    Undone,
    /// It never came to it.
    Untried,
}

impl Leftover {
    pub(super) fn of(step: &Step, report: &ApplyReport) -> Self {
        let is_same = |it: &&Attempt| {
            it.step.change.object() == step.change.object()
                && it.step.change.op() == step.change.op()
        };
        match report.attempts.iter().rfind(is_same) {
            None => Self::Untried,
            Some(Attempt { outcome: Outcome::Done, .. }) => Self::Undone,
            Some(_) => Self::Refused,
        }
    }
}

/// One line of `run --json`; a `correction` is a change after the first convergence.
pub(super) fn run_report(report: &Report, has_converged: bool) -> Value {
    let value = match report {
        Report::Attempted(it) => {
            let mut value = attempt(it);
            value["report"] = if has_converged { "correction" } else { "change" }.into();
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
    let mut line = Map::new();
    line.insert("v".to_owned(), 1.into());
    line.insert("time".to_owned(), now().into());
    if let Value::Object(value) = value {
        line.extend(value);
    }
    line.into()
}

/// The last line of `run --json --verbose`.
pub(super) fn counters(counters: &Counters) -> Value {
    json!({
        "v": 1, "time": now(), "report": "counters", "messages": counters.messages,
        "changes": counters.changes, "dumps": counters.dumps, "overruns": counters.overruns,
        "dropped": counters.dropped, "malformed": counters.malformed,
        "truncated": counters.truncated, "forged": counters.forged,
    })
}

/// A line of the demo's own.
pub(super) fn demo(words: &str) -> Value {
    json!({ "v": 1, "time": now(), "report": "demo", "message": words })
}

fn micros(duration: std::time::Duration) -> Value {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).into()
}
