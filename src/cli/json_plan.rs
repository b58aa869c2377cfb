//! The JSON forms of plans, and of what was done; golden files in tests/ hold them still.

use serde_json::{Map, Value, json};

use super::json::now;
use super::ports;
use crate::applier::ApplyReport;
use crate::host::Counters;
use crate::model::object::ObjectId;
use crate::plan::{Blocked, Matched, Plan, Shown, Step};
use crate::reconcile::{Attempt, Outcome, Report};

fn shown(value: Option<&Shown>) -> Value {
    match value {
        None => Value::Null,
        Some(Shown::Number(number)) => (*number).into(),
        Some(Shown::Bool(value)) => (*value).into(),
        Some(other) => other.to_string().into(),
    }
}

/// An object's name without the word for its type.
fn name_of(id: &ObjectId) -> String {
    let text = id.to_string();
    let words = id.type_name().replace('_', " ");
    text.strip_prefix(&words).map_or(text.clone(), |rest| rest.trim_start().to_owned())
}

fn step(step: &Step) -> Value {
    let object = step.change.object();
    let set = step.differences.iter().map(|difference| {
        let values =
            json!({ "from": shown(difference.from.as_ref()), "to": shown(difference.to.as_ref()) });
        (difference.key.to_owned(), values)
    });
    let mut value = json!({
        "op": step.change.op().name(),
        "object": object.type_name(),
        "name": name_of(&object),
        "set": set.collect::<Map<_, _>>(),
        "also_removes": step.also_removes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "interrupts": step.interrupts.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if step.is_recreation() {
        value["recreate"] = true.into();
    }
    value
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
        "suspended": plan.suspended.iter().map(suspended).collect::<Vec<_>>(),
        "matched": plan.matched.iter().map(matched).collect::<Vec<_>>(),
    })
}

fn matched(it: &Matched) -> Value {
    json!({ "link": it.link.to_string(), "label": it.label.to_string() })
}

fn suspended(object: &ObjectId) -> Value {
    json!({ "object": object.type_name(), "name": name_of(object) })
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
            "sender": sender, "process": process(*sender), "retry_in_us": micros(*retry_in),
        }),
        Report::ConflictOver { object } => json!({
            "report": "conflict_over", "object": object.type_name(), "name": name_of(object),
        }),
        Report::Differs(it) => {
            let mut value = step(&it.step);
            value["report"] = "differs".into();
            value["sender"] = it.sender.into();
            value
        }
        Report::AsDeclared { object, sender, took } => json!({
            "report": "as_declared", "object": object.type_name(), "name": name_of(object),
            "sender": sender, "took_us": micros(*took),
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

/// Whose a netlink port is, where that can be told.
fn process(port: u32) -> Value {
    let holder = (port != 0).then(|| ports::holder(port)).flatten();
    holder.map_or(Value::Null, |it| json!({ "pid": it.pid, "name": it.name }))
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
