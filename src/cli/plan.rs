//! `plan` and `check`, and how a plan is shown.

use super::exit::{Exit, Failure};
use super::json;
use super::out::{Ink, Out};
use crate::applier::Applier;
use crate::desired::Desired;
use crate::model::change::Op;
use crate::plan::{Plan, Step};

/// Shows what `apply` would change.
pub(super) fn plan(desired: &Desired, out: &mut Out) -> Result<Exit, Failure> {
    let plan = make(desired)?;
    if out.json {
        out.object(&json::plan(&plan))?;
    } else {
        show(&plan, out)?;
        out.line(summary(&plan, "to do"))?;
    }
    Ok(Exit::Clean)
}

/// Tells whether the network is as declared.
pub(super) fn check(desired: &Desired, out: &mut Out) -> Result<Exit, Failure> {
    let plan = make(desired)?;
    if out.json {
        out.object(&json::check(&plan))?;
    } else if plan.is_empty() {
        out.line("as declared")?;
    } else {
        show(&plan, out)?;
        out.line(summary(&plan, "different"))?;
    }
    Ok(if plan.is_empty() { Exit::Clean } else { Exit::Not })
}

fn make(desired: &Desired) -> Result<Plan, Failure> {
    Ok(Applier::builder().open()?.plan(desired)?)
}

/// The steps with what differs and what goes along, then what is blocked.
pub(super) fn show(plan: &Plan, out: &mut Out) -> Result<(), Failure> {
    for step in &plan.steps {
        out.line(heading(step, out))?;
        for difference in &step.differences {
            out.line(format_args!("    {difference}"))?;
        }
        for object in &step.also_removes {
            let along = out.ink(Ink::Gone, format_args!("also removes {object}"));
            out.line(format_args!("    {along}"))?;
        }
    }
    for blocked in &plan.blocked {
        let mark = out.ink(Ink::Warned, "!");
        out.line(format_args!("{mark} {blocked}"))?;
    }
    Ok(())
}

/// `+ link br0`, `~ link br0`, `- address 192.0.2.1/24 dev br0`.
pub(super) fn heading(step: &Step, out: &Out) -> String {
    let object = step.change.object();
    let (mark, ink) = mark_of(step.change.op());
    format!("{} {object}", out.ink(ink, mark))
}

pub(super) fn mark_of(op: Op) -> (&'static str, Ink) {
    match op {
        Op::Create => ("+", Ink::Made),
        Op::Set => ("~", Ink::Changed),
        Op::Delete => ("-", Ink::Gone),
    }
}

fn summary(plan: &Plan, what: &str) -> String {
    if plan.is_empty() {
        return "nothing to do: the network is as declared".to_owned();
    }
    let count = |op| plan.steps.iter().filter(|step| step.change.op() == op).count();
    let (create, set, delete) = (count(Op::Create), count(Op::Set), count(Op::Delete));
    let blocked = match plan.blocked.len() {
        0 => String::new(),
        number => format!(", {number} blocked"),
    };
    format!("{what}: {create} to create, {set} to set, {delete} to delete{blocked}")
}
