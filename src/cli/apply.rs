//! `apply`: the plan, the question, the changes, and a report for each object.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::{json, plan, run, start};
use crate::applier::{Applier, ApplyError, ApplyReport};
use crate::desired::Desired;
use crate::model::change::Change;
use crate::plan::{Plan, Step};
use crate::reconcile::{Attempt, Outcome};
use crate::ring::signals::Signals;

/// Makes the network as declared, once.
pub(super) fn apply(
    desired: &Desired,
    signals: Signals,
    yes: bool,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut applier = Applier::builder().open()?;
    let plan = applier.plan(desired)?;
    if !yes && !may_go_on(&plan, out)? {
        return Ok(Exit::Cannot);
    }
    let canceller = applier.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    let (report, is_interrupted) = match applier.apply(desired) {
        Ok(report) => (report, false),
        Err(ApplyError::Cancelled(report)) => (*report, true),
        Err(error) => return Err(error.into()),
    };
    if out.json {
        out.object(&json::report(&report))?;
    } else {
        tell(&report, is_interrupted, out)?;
    }
    if verbose && !out.json {
        out.line(run::counts(&applier.counters()))?;
    }
    Ok(match (is_interrupted, report.converged) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Clean,
        (false, false) => Exit::Not,
    })
}

/// Whether the steps that take something away from someone are wanted.
fn may_go_on(plan: &Plan, out: &mut Out) -> Result<bool, Failure> {
    let grave: Vec<_> = plan.steps.iter().filter(|step| is_grave(step)).collect();
    if grave.is_empty() {
        return Ok(true);
    }
    let what = "deletions or takeovers";
    if out.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let first = grave.first().map(|step| step.to_string()).unwrap_or_default();
        let count = grave.len();
        return Err(Failure::Cannot(format!(
            "the plan has {count} {what} (the first: {first}), and there is no terminal to ask at; \
             look at it with `ringlink plan`, then add --yes. Nothing was changed."
        )));
    }
    plan::show(plan, out)?;
    print!("Go on with these {} {what}? [y/N] ", grave.len());
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let is_yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !is_yes {
        out.line("Nothing was changed.")?;
    }
    Ok(is_yes)
}

/// Deletions, and what another protocol holds.
fn is_grave(step: &Step) -> bool {
    match step.change {
        Change::DeleteLink(_) | Change::DeleteAddress { .. } | Change::DeleteRoute(_) => true,
        Change::ReplaceRoute(_) => step.differences.iter().any(|it| it.key == "protocol"),
        _ => !step.also_removes.is_empty(),
    }
}

fn tell(report: &ApplyReport, is_interrupted: bool, out: &mut Out) -> Result<(), Failure> {
    for attempt in &report.attempts {
        out.line(result_line(attempt, out))?;
    }
    let done = report.attempts.iter().filter(|it| it.outcome == Outcome::Done).count();
    if is_interrupted {
        let left = report.remaining.steps.len();
        return out.line(format_args!("interrupted: {done} changes were made, {left} are left"));
    }
    if report.converged {
        return match done {
            0 => out.line("nothing to do: the network is as declared"),
            _ => out.line(format_args!("converged: {done} changes")),
        };
    }
    for step in &report.remaining.steps {
        let mark = out.ink(Ink::Warned, "!");
        out.line(format_args!("{mark} not done: {step}"))?;
    }
    for blocked in &report.remaining.blocked {
        let mark = out.ink(Ink::Warned, "!");
        out.line(format_args!("{mark} {blocked}"))?;
    }
    out.line(format_args!("not converged: {done} changes were made, see above for the rest"))
}

/// `ok + link br0 with ...`, `failed: cannot create ...`.
pub(super) fn result_line(attempt: &Attempt, out: &Out) -> String {
    match &attempt.outcome {
        Outcome::Done => {
            let (mark, ink) = plan::mark_of(attempt.step.change.op());
            format!("{} {}", out.ink(ink, mark), attempt.step)
        }
        Outcome::Refused(refusal) => format!("{} {refusal}", out.ink(Ink::Warned, "!")),
        Outcome::Unknown => {
            let mark = out.ink(Ink::Warned, "!");
            format!("{mark} {}: no answer came; the state was read anew", attempt.step)
        }
    }
}
