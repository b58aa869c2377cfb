//! `run`: keeps the network, and prints one line a correction.
//!
//! The engine works on its own thread, which never writes; this one sleeps until there is a
//! report.

use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::{apply, demo, json, plan, start};
use crate::desired::Desired;
use crate::host::Counters;
use crate::keeper::Keeper;
use crate::reconcile::{Attempt, Outcome, Report};
use crate::ring::signals::Signals;

/// Converges, then keeps, until a signal comes or the demo is over.
pub(super) fn run(
    desired: Desired,
    signals: Signals,
    with_demo: bool,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut keeper = Keeper::spawn(Keeper::builder(desired.clone()))?;
    let stopper = keeper.stopper();
    start::on_signal(signals, move || stopper.stop())?;
    let mut teller = Teller::new(verbose);
    let exit = if with_demo {
        demo::demo(&desired, &mut keeper, &mut teller, out)?
    } else {
        while let Some(report) = keeper.next_report(None) {
            teller.tell(&report, out)?;
        }
        Exit::Clean
    };
    keeper.stop();
    let status = keeper.status();
    keeper.join()?;
    if verbose && !out.json {
        out.line(counts(&status.counters))?;
    }
    Ok(exit)
}

/// The counts of a run, for `--verbose`.
pub(super) fn counts(counters: &Counters) -> String {
    let Counters { messages, changes, dumps, overruns, dropped, .. } = counters;
    let Counters { forged, malformed, truncated, .. } = counters;
    format!(
        "{messages} messages read, {changes} changes sent, {dumps} dumps, {overruns} overruns \
         ({dropped} datagrams dropped), {malformed} malformed, {truncated} truncated, {forged} forged"
    )
}

/// Turns reports into lines.
#[derive(Debug)]
pub(super) struct Teller {
    verbose: bool,
    start: Instant,
    has_converged: bool,
    changes: u64,
    /// The corrections told so far, and the slowest.
    pub(super) corrections: u64,
    pub(super) slowest: Duration,
}

impl Teller {
    pub(super) fn new(verbose: bool) -> Self {
        Self {
            verbose,
            start: Instant::now(),
            has_converged: false,
            changes: 0,
            corrections: 0,
            slowest: Duration::ZERO,
        }
    }

    /// Prints what a report says, where it says something.
    pub(super) fn tell(&mut self, report: &Report, out: &mut Out) -> Result<(), Failure> {
        let is_first_convergence = *report == Report::Converged && !self.has_converged;
        self.count(report);
        if out.json {
            return out.object(&json::run_report(report));
        }
        match self.line(report, is_first_convergence, out) {
            Some(line) => out.line(line),
            None => Ok(()),
        }
    }

    fn count(&mut self, report: &Report) {
        match report {
            Report::Attempted(attempt) if attempt.outcome == Outcome::Done => {
                self.changes += 1;
                if attempt.is_revert {
                    self.corrections += 1;
                    self.slowest = self.slowest.max(attempt.took);
                }
            }
            Report::Converged => self.has_converged = true,
            _ => {}
        }
    }

    fn line(&self, report: &Report, is_first: bool, out: &Out) -> Option<String> {
        let warn = |text: String| format!("{} {text}", out.ink(Ink::Warned, "!"));
        Some(match report {
            Report::Attempted(attempt) => return self.attempt_line(attempt, out),
            Report::Converged if is_first => {
                let took = human(self.start.elapsed());
                format!("converged: {} changes in {took}; keeping it so", self.changes)
            }
            Report::Blocked(blocked) => warn(blocked.to_string()),
            Report::Conflict { object, sender, retry_in } => {
                let (by, retry) = (by_port(*sender), human(*retry_in));
                warn(format!(
                    "conflict: {object} is changed{by} as often as it is put right; next attempt in \
                     {retry}"
                ))
            }
            Report::WithoutEffect { step, retry_in } => warn(format!(
                "{step}: the kernel acknowledges it and nothing changes; next attempt in {}",
                human(*retry_in)
            )),
            Report::Resync { dropped } => {
                format!("resync: {dropped} notifications were lost; the tables are read anew")
            }
            Report::Missed(count) => warn(format!("{count} reports were not printed: too many")),
            Report::Converged => return None,
        })
    }

    fn attempt_line(&self, attempt: &Attempt, out: &Out) -> Option<String> {
        if attempt.outcome != Outcome::Done {
            let line = apply::result_line(attempt, out);
            return Some(match attempt.retry_in {
                Some(retry) => format!("{line}; next attempt in {}", human(retry)),
                None => line,
            });
        }
        if !attempt.is_revert && self.has_converged {
            // A consequence of a correction, or what was waited for.
            return Some(apply::result_line(attempt, out));
        }
        if !attempt.is_revert {
            return self.verbose.then(|| apply::result_line(attempt, out));
        }
        let (mark, ink) = plan::mark_of(attempt.step.change.op());
        let mark = out.ink(ink, mark);
        let end = format!("{} (after {})", by_port(attempt.sender), human(attempt.took));
        Some(format!("{mark} {}{}", attempt.step, out.ink(Ink::Faint, end)))
    }
}

/// ` by port 1234`, where the kernel told whose it was.
fn by_port(sender: u32) -> String {
    if sender == 0 { String::new() } else { format!(", changed by port {sender}") }
}

/// A duration in the unit that suits it.
pub(super) fn human(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1_000 => format!("{micros} us"),
        micros @ 1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        micros => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}
