//! `apply`: the plan, the question, the changes, and a report for each object.

use std::cell::OnceCell;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::json_plan::{self, Leftover};
use super::out::{Ink, Out};
use super::progress::{self, Bar};
use super::{plan, run, session, start};
use crate::applier::{Applier, ApplyError, ApplyReport};
use crate::desired::Desired;
use crate::model::change::Change;
use crate::plan::{Plan, Session, Step};
use crate::reconcile::{Attempt, Outcome};
use crate::ring::signals::Signals;

/// How far to go without a question, and what is said at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Whether deletions and takeovers need no question.
    pub(super) yes: bool,
    /// Whether the session that it is typed in may be cut.
    pub(super) cut_session: bool,
    /// For how long to wait for what is not there yet.
    pub(super) wait: Option<Duration>,
    /// What shows the plan and makes nothing of it.
    pub(super) look: &'static str,
    pub(super) nothing: &'static str,
    pub(super) done: &'static str,
}

/// `apply`.
pub(super) const APPLY: How = How {
    yes: false,
    cut_session: false,
    wait: None,
    look: "ringlink plan",
    nothing: "nothing to do: the network is as declared",
    done: "converged",
};
/// `destroy`.
pub(super) const DESTROY: How = How {
    look: "ringlink plan --destroy",
    nothing: "nothing to do: there is nothing of this owner",
    done: "destroyed",
    ..APPLY
};

/// What came while a question was open.
pub(super) enum Answer {
    Line(String),
    Signal,
    /// The guard of a `try` has ended, with that status.
    Guard(Option<i32>),
}

/// Makes the network as declared, once.
pub(super) fn apply(
    applier: Applier,
    desired: &Desired,
    how: &How,
    signals: Signals,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut work = Work::begin(applier, desired, how, signals)?;
    let end = work.apply_and_wait(out);
    if matches!(end, Ok(false)) && work.start.is_none() {
        out.line("nothing was changed")?;
        return Ok(Exit::Not);
    }
    let report = &work.report;
    if report.attempts.is_empty() {
        end?;
    } else if let Err(failure) = end {
        let is_interrupted = matches!(failure, Failure::Interrupted);
        work.tell(is_interrupted, verbose, out)?;
        return if is_interrupted { Ok(Exit::Interrupted) } else { Err(failure) };
    }
    work.tell(false, verbose, out)?;
    Ok(if work.report.converged { Exit::Clean } else { Exit::Not })
}

/// An apply under way.
pub(super) struct Work<'a> {
    desired: &'a Desired,
    how: &'a How,
    /// The sessions that must not be cut, looked for when there is a step that might.
    sessions: OnceCell<Vec<Session>>,
    applier: Applier,
    pub(super) answer: Sender<Answer>,
    pub(super) answers: Receiver<Answer>,
    /// What was done so far, and what is left.
    pub(super) report: ApplyReport,
    /// When it began, after the first question.
    start: Option<Instant>,
    has_told_waiting: bool,
}

impl<'a> Work<'a> {
    pub(super) fn begin(
        applier: Applier,
        desired: &'a Desired,
        how: &'a How,
        signals: Signals,
    ) -> Result<Self, Failure> {
        let (answer, answers) = mpsc::channel();
        let (canceller, interrupt) = (applier.canceller(), answer.clone());
        start::on_signal(signals, move || {
            canceller.cancel();
            // Where no question is open, no one listens.
            let _ = interrupt.send(Answer::Signal);
        })?;
        let (report, start) = (ApplyReport::default(), None);
        let has_told_waiting = false;
        Ok(Self {
            desired,
            how,
            sessions: OnceCell::new(),
            applier,
            answer,
            answers,
            report,
            start,
            has_told_waiting,
        })
    }

    /// Applies, as often as something comes that is waited for; `false` where it was told not to
    /// go on.
    fn apply_and_wait(&mut self, out: &mut Out) -> Result<bool, Failure> {
        loop {
            if !self.apply(out)? {
                return Ok(false);
            }
            if !self.wait(out)? {
                return Ok(true);
            }
        }
    }

    pub(super) fn apply(&mut self, out: &mut Out) -> Result<bool, Failure> {
        let mut bar = None;
        let shows_progress = progress::is_wanted(out);
        if !self.how.yes || shows_progress || !self.sessions().is_empty() {
            let plan = self.applier.plan(self.desired)?;
            if plan.is_empty() {
                // An apply would compare all once more, and find nothing either.
                self.start.get_or_insert_with(Instant::now);
                (self.report.remaining, self.report.converged) = (plan, true);
                return Ok(true);
            }
            let closing = match self.report.attempts.is_empty() {
                true => session::NOTHING_CHANGED,
                false => "What was made before stays.",
            };
            session::refuse_cuts(&plan, self.applier.observed(), self.sessions(), closing)?;
            let (answer, answers) = (self.answer.clone(), &self.answers);
            if !self.how.yes && !may_go_on(&plan, self.how.look, answer, answers, closing, out)? {
                return Ok(false);
            }
            if shows_progress && !plan.steps.is_empty() {
                bar = Some(Bar::start(self.applier.progress(), plan.steps.len())?);
            }
        }
        self.start.get_or_insert_with(Instant::now);
        let applied = self.applier.apply(self.desired);
        drop(bar);
        let (report, is_interrupted) = match applied {
            Ok(report) => (report, false),
            Err(ApplyError::Cancelled(report)) => (*report, true),
            Err(error) => return Err(error.into()),
        };
        // One that had not begun has nothing to tell of.
        if report != ApplyReport::default() {
            let ApplyReport { attempts, remaining, converged } = report;
            self.report.attempts.extend(attempts);
            (self.report.remaining, self.report.converged) = (remaining, converged);
        }
        if is_interrupted { Err(Failure::Interrupted) } else { Ok(true) }
    }

    fn sessions(&self) -> &[Session] {
        self.sessions.get_or_init(|| session::to_guard(self.how.cut_session))
    }

    /// Waits for what is not there yet, as far as that is wanted; whether something came.
    fn wait(&mut self, out: &mut Out) -> Result<bool, Failure> {
        let Some(wait) = self.how.wait else { return Ok(false) };
        let remaining = &self.report.remaining;
        if let Some(first) = remaining.waiting().next().filter(|_| !self.has_told_waiting) {
            self.has_told_waiting = true;
            let more = match remaining.waiting().count() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            if !out.json {
                out.line(format_args!("{first}{more}; up to {}", run::human(wait)))?;
                out.flush()?;
            }
        }
        let left = wait.saturating_sub(self.took());
        Ok(self.applier.wait(self.desired, remaining, left)?)
    }

    fn took(&self) -> Duration {
        self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }

    pub(super) fn tell(
        &self,
        is_interrupted: bool,
        verbose: bool,
        out: &mut Out,
    ) -> Result<(), Failure> {
        if out.json {
            return out.line(json_plan::report(&self.report, is_interrupted));
        }
        tell(&self.report, self.how, is_interrupted, self.took(), out)?;
        if verbose {
            out.line(run::counts(&self.applier.counters()))?;
        }
        Ok(())
    }
}

/// Whether the steps that take something away from someone are wanted.
fn may_go_on(
    plan: &Plan,
    look: &str,
    answer: Sender<Answer>,
    answers: &Receiver<Answer>,
    closing: &str,
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
             it with `{look}`, then add --yes. {closing}"
        )));
    }
    plan::show(plan, out)?;
    out.text(format_args!("The plan has {what}. Go on? [y/N] "))?;
    out.flush()?;
    start::on_thread("ringlink-answer", move || {
        let _ = answer.send(Answer::Line(read_line()));
    })?;
    match answers.recv() {
        Ok(Answer::Line(line)) => Ok(matches!(line.trim(), "y" | "Y" | "yes")),
        Ok(Answer::Signal | Answer::Guard(_)) | Err(mpsc::RecvError) => {
            out.line("")?;
            Err(Failure::Interrupted)
        }
    }
}

/// A line of the terminal, on a thread of its own, since nothing ends that read but the line. What
/// cannot be read is empty: neither a yes nor Enter.
pub(super) fn read_line() -> String {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_or(String::new(), |_| line)
}

/// Deletions, what goes along with a step, and what another protocol holds.
fn is_grave(step: &Step) -> bool {
    match step.change {
        Change::DeleteLink(_) | Change::DeleteAddress { .. } | Change::DeleteRoute(_) => true,
        Change::DeleteRule(_) | Change::DeleteNeighbour { .. } | Change::DeleteVlans { .. } => true,
        Change::DeleteFdb(_) | Change::DeleteNexthop(_) => true,
        Change::PutNexthop { .. } => step.differences.iter().any(|it| it.key == "protocol"),
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
