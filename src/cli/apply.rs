//! `apply`: the plan, the question, the changes, and a report for each object.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::json_plan::{self, Leftover};
use super::out::{Ink, Out};
use super::{plan, run, session, start};
use crate::applier::{Applier, ApplyError, ApplyReport};
use crate::desired::Desired;
use crate::model::change::Change;
use crate::plan::{Plan, Step};
use crate::reconcile::{Attempt, Outcome};
use crate::ring::signals::Signals;

/// How far to go without a question, and what is said at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Whether deletions and takeovers need no question.
    pub(super) yes: bool,
    /// Whether the session that it is typed in may be cut.
    pub(super) cut_session: bool,
    pub(super) nothing: &'static str,
    pub(super) done: &'static str,
}

/// `apply`.
pub(super) const APPLY: How = How {
    yes: false,
    cut_session: false,
    nothing: "nothing to do: the network is as declared",
    done: "converged",
};
/// `destroy`.
pub(super) const DESTROY: How =
    How { nothing: "nothing to do: there is nothing of this owner", done: "destroyed", ..APPLY };

/// What came while a question was open.
enum Answer {
    Line(String),
    Signal,
}

/// Makes the network as declared, once.
pub(super) fn apply(
    desired: &Desired,
    how: &How,
    signals: Signals,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut applier = Applier::builder().open()?;
    let (answer, answers) = mpsc::channel();
    let (canceller, interrupt) = (applier.canceller(), answer.clone());
    start::on_signal(signals, move || {
        canceller.cancel();
        // Where no question is open, no one listens.
        let _ = interrupt.send(Answer::Signal);
    })?;
    let sessions = session::to_guard(how.cut_session);
    if !how.yes || !sessions.is_empty() {
        let plan = applier.plan(desired)?;
        session::refuse_cuts(&plan, applier.observed(), &sessions)?;
        if !how.yes && !may_go_on(&plan, answer, &answers, out)? {
            out.line("nothing was changed")?;
            return Ok(Exit::Not);
        }
    }
    let start = Instant::now();
    let (report, is_interrupted) = match applier.apply(desired) {
        Ok(report) => (report, false),
        // It had not begun, so there is nothing to tell of.
        Err(ApplyError::Cancelled(report)) if *report == ApplyReport::default() => {
            return Err(Failure::Interrupted);
        }
        Err(ApplyError::Cancelled(report)) => (*report, true),
        Err(error) => return Err(error.into()),
    };
    if out.json {
        out.line(json_plan::report(&report, is_interrupted))?;
    } else {
        tell(&report, how, is_interrupted, start.elapsed(), out)?;
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
fn may_go_on(
    plan: &Plan,
    answer: Sender<Answer>,
    answers: &Receiver<Answer>,
    out: &mut Out,
) -> Result<bool, Failure> {
    let grave: Vec<_> = plan.steps.iter().filter(|step| is_grave(step)).collect();
    let Some(first) = grave.first() else { return Ok(true) };
    let count = grave.len();
    let what = match count {
        1 => "1 step that deletes or takes over something".to_owned(),
        _ => format!("{count} steps that delete or take over something"),
    };
    if out.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::Cannot(format!(
            "the plan has {what} (the first: {first}), and there is no terminal to ask at; look at \
             it with `ringlink plan`, then add --yes. Nothing was changed."
        )));
    }
    plan::show(plan, out)?;
    out.text(format_args!("The plan has {what}. Go on? [y/N] "))?;
    out.flush()?;
    // On a thread of its own, since nothing ends the read of a terminal but its line.
    let read = move || {
        let mut line = String::new();
        let result = io::stdin().lock().read_line(&mut line);
        // What cannot be read is no yes.
        let line = result.map_or(String::new(), |_| line);
        let _ = answer.send(Answer::Line(line));
    };
    let thread = std::thread::Builder::new().name("ringlink-answer".to_owned()).spawn(read);
    thread.map_err(|error| Failure::Cannot(format!("cannot start a thread: {error}")))?;
    match answers.recv() {
        Ok(Answer::Line(line)) => Ok(matches!(line.trim(), "y" | "Y" | "yes")),
        Ok(Answer::Signal) | Err(mpsc::RecvError) => {
            out.line("")?;
            Err(Failure::Interrupted)
        }
    }
}

/// Deletions, what goes along with a step, and what another protocol holds.
fn is_grave(step: &Step) -> bool {
    match step.change {
        Change::DeleteLink(_) | Change::DeleteAddress { .. } | Change::DeleteRoute(_) => true,
        Change::DeleteRule(_) | Change::DeleteNeighbour { .. } => true,
        Change::ReplaceRoute(_) => step.differences.iter().any(|it| it.key == "protocol"),
        _ => !step.also_removes.is_empty(),
    }
}

fn tell(
    report: &ApplyReport,
    how: &How,
    is_interrupted: bool,
    took: Duration,
    out: &mut Out,
) -> Result<(), Failure> {
    for attempt in &report.attempts {
        out.line(result_line(attempt, out))?;
    }
    let done = report.attempts.iter().filter(|it| it.outcome == Outcome::Done).count();
    let (changes, took) = (plan::changes(done), run::human(took));
    if report.converged {
        return out.line(match done {
            0 => how.nothing.to_owned(),
            _ => format!("{}: {changes} in {took}", how.done),
        });
    }
    for step in &report.remaining.steps {
        let (word, reason) = match Leftover::of(step, report) {
            Leftover::Refused => continue,
            Leftover::Undone => ("failed", "it was made, and differs again"),
            Leftover::Untried if is_interrupted => ("skipped", "interrupted"),
            Leftover::Untried => ("skipped", "what it needs was not there"),
        };
        let word = out.ink(Ink::Warned, word);
        out.line(format_args!("{word}: {step}: {reason}"))?;
    }
    for blocked in &report.remaining.blocked {
        out.line(format_args!("{} {blocked}", out.ink(Ink::Warned, "!")))?;
    }
    let left = report.remaining.steps.len() + report.remaining.blocked.len();
    let why = if is_interrupted { "interrupted" } else { "not converged" };
    out.line(format_args!("{why}: {changes} made in {took}, {left} left"))
}

/// `create link br0 with ...`, `failed: cannot create ...`.
pub(super) fn result_line(attempt: &Attempt, out: &Out) -> String {
    match &attempt.outcome {
        Outcome::Done => plan::sentence(&attempt.step, out),
        Outcome::Refused(refusal) => format!("{}: {refusal}", out.ink(Ink::Warned, "failed")),
        Outcome::Unknown => {
            let word = out.ink(Ink::Warned, "unknown");
            format!("{word}: {}: no answer came; the state is read anew", attempt.step)
        }
    }
}
