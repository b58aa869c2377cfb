//! `plan` and `check`, and how a plan and its steps are shown.

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::{json_plan, start};
use crate::applier::Applier;
use crate::desired::Desired;
use crate::model::change::{Change, Op};
use crate::model::object::ObjectId;
use crate::model::text::LinkName;
use crate::plan::{Matched, Plan, Step};
use crate::ring::signals::Signals;

/// Shows what `apply` would change.
pub(super) fn plan(plan: &Plan, out: &mut Out) -> Result<Exit, Failure> {
    if out.json {
        out.line(json_plan::plan(plan))?;
    } else {
        show(plan, out)?;
        out.line(match plan.is_empty() {
            true => "nothing to do: the network is as declared".to_owned(),
            false => count(plan),
        })?;
    }
    Ok(Exit::Clean)
}

/// Tells whether the network is as declared.
pub(super) fn check(plan: &Plan, out: &mut Out) -> Result<Exit, Failure> {
    if out.json {
        out.line(json_plan::check(plan))?;
    } else {
        show(plan, out)?;
        out.line(match plan.is_empty() {
            true => "the network is as declared".to_owned(),
            false => format!("not as declared: {}", count(plan)),
        })?;
    }
    Ok(if plan.is_empty() { Exit::Clean } else { Exit::Not })
}

/// What would have to change.
pub(super) fn make(
    mut applier: Applier,
    desired: &Desired,
    signals: Signals,
) -> Result<Plan, Failure> {
    let canceller = applier.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    Ok(applier.plan(desired)?)
}

/// The steps with what differs and what goes along, then what is blocked.
pub(super) fn show(plan: &Plan, out: &mut Out) -> Result<(), Failure> {
    let mut shown = None;
    for step in &plan.steps {
        let id = (step.change.object(), step.change.op());
        // What follows on the same object belongs under its heading.
        if shown.replace(id) != Some(id) {
            let label = label_of(step.change.object(), plan);
            out.line(format_args!("{}{label}", heading(step, out)))?;
        }
        for difference in step.differences.iter().filter(|it| !is_in_heading(step, it.key)) {
            out.line(format_args!("    {difference}"))?;
        }
        for object in &step.also_removes {
            let along = out.ink(Ink::Gone, format_args!("also removes {object}"));
            out.line(format_args!("    {along}"))?;
        }
        for object in &step.interrupts {
            let stopped = out.ink(Ink::Warned, format_args!("interrupts {object}"));
            out.line(format_args!("    {stopped}"))?;
        }
    }
    for blocked in &plan.blocked {
        let mark = out.ink(Ink::Warned, "!");
        out.line(format_args!("{mark} {blocked}"))?;
    }
    let is_told =
        |link: LinkName| plan.steps.iter().any(|step| step.change.object() == ObjectId::Link(link));
    for taken in plan.matched.iter().filter(|taken| !is_told(taken.link)) {
        let link = ObjectId::Link(taken.link);
        out.line(format_args!("= {link}{}", label_of(link, plan)))?;
    }
    for object in &plan.suspended {
        out.line(format_args!("= {object}: suspended, for its link is declared down"))?;
    }
    Ok(())
}

/// ` (by match of uplink)` of a link that was taken so.
fn label_of(object: ObjectId, plan: &Plan) -> String {
    let is_it = |taken: &&Matched| ObjectId::Link(taken.link) == object;
    let taken = plan.matched.iter().find(is_it);
    taken.map_or(String::new(), |taken| format!(" (by match of {})", taken.label))
}

/// `+ link br0 (bridge)`, `~ link br0`, `- address 192.0.2.1/24 dev br0`.
fn heading(step: &Step, out: &Out) -> String {
    let object = step.change.object();
    let (mark, ink) = match step.change.op() {
        Op::Create => ("+", Ink::Made),
        Op::Set => ("~", Ink::Changed),
        Op::Delete => ("-", Ink::Gone),
    };
    let mark = out.ink(ink, mark);
    match &step.change {
        Change::CreateLink(new) => format!("{mark} {object} ({})", new.settings.kind.name),
        _ if step.is_recreation() => format!("{mark} {object}, to make it anew"),
        _ => format!("{mark} {object}"),
    }
}

fn is_in_heading(step: &Step, key: &str) -> bool {
    matches!(step.change, Change::CreateLink(_)) && key == "kind"
}

/// `set link br0: mtu 1500 -> 1400`, the verb coloured.
pub(super) fn sentence(step: &Step, out: &Out) -> String {
    let op = step.change.op();
    let ink = match op {
        Op::Create => Ink::Made,
        Op::Set => Ink::Changed,
        Op::Delete => Ink::Gone,
    };
    let text = step.to_string();
    match text.strip_prefix(op.name()) {
        Some(rest) => format!("{}{rest}", out.ink(ink, op.name())),
        None => text,
    }
}

/// `23 changes: 19 to create, 4 to set; 1 blocked`.
fn count(plan: &Plan) -> String {
    let mut parts = Vec::new();
    for (op, words) in [(Op::Create, "to create"), (Op::Set, "to set"), (Op::Delete, "to delete")] {
        match plan.steps.iter().filter(|step| step.change.op() == op).count() {
            0 => {}
            count => parts.push(format!("{count} {words}")),
        }
    }
    let changes = match plan.steps.len() {
        0 => "no change can be made now".to_owned(),
        count => format!("{}: {}", changes(count), parts.join(", ")),
    };
    match plan.blocked.len() {
        0 => changes,
        blocked => format!("{changes}; {blocked} blocked"),
    }
}

/// `1 change`, `2 changes`.
pub(super) fn changes(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} change{plural}")
}
