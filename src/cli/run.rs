//! `run`: keeps the network, and prints one line a correction.
//!
//! The engine works on its own thread, which never writes; this one sleeps until there is a
//! report.

use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::ports::{self, Holder};
use super::{apply, demo, json_plan, plan, start};
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
    let counters = keeper.status().counters;
    keeper.join()?;
    if !with_demo {
        teller.conclude(out)?;
    }
    if verbose {
        out.line(if out.json { json_plan::counters(&counters) } else { counts(&counters).into() })?;
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
    /// The changes told until the first convergence.
    changes: usize,
    /// The corrections told since, and the slowest.
    pub(super) corrections: usize,
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
        if out.json {
            out.line(json_plan::run_report(report, self.has_converged))?;
        } else if let Some(line) = self.line(report, out) {
            out.line(line)?;
        }
        self.count(report);
        out.flush()
    }

    /// The last line of a run that a signal has ended.
    fn conclude(&self, out: &mut Out) -> Result<(), Failure> {
        if out.json {
            return Ok(());
        }
        let (changes, corrections) = (plan::changes(self.changes), self.corrections);
        let plural = if corrections == 1 { "" } else { "s" };
        out.line(format_args!(
            "stopped: {changes} and {corrections} correction{plural} made; the network stays as it is"
        ))
    }

    fn count(&mut self, report: &Report) {
        match report {
            Report::Attempted(attempt) if attempt.outcome == Outcome::Done => {
                if self.has_converged {
                    self.corrections += 1;
                    self.slowest = self.slowest.max(attempt.took);
                } else {
                    self.changes += 1;
                }
            }
            Report::Converged => self.has_converged = true,
            _ => {}
        }
    }

    fn line(&self, report: &Report, out: &Out) -> Option<String> {
        let warn = |text: String| format!("{} {text}", out.ink(Ink::Warned, "!"));
        Some(match report {
            Report::Attempted(attempt) => return self.attempt_line(attempt, out),
            Report::Converged if self.has_converged => return None,
            Report::Converged => {
                let took = human(self.start.elapsed());
                format!("converged: {} in {took}; keeping it so", plan::changes(self.changes))
            }
            Report::Blocked(blocked) => warn(blocked.to_string()),
            Report::Conflict { object, sender, retry_in } => {
                let (by, retry) = (by_process(*sender), human(*retry_in));
                warn(format!(
                    "conflict: {object} is changed{by} as often as it is put right; next attempt in \
                     {retry}"
                ))
            }
            Report::ConflictOver { object } => {
                format!("conflict over: {object} has been left alone for a minute")
            }
            Report::WithoutEffect { step, retry_in } => warn(format!(
                "{step}: the kernel acknowledges it and nothing changes; next attempt in {}",
                human(*retry_in)
            )),
            Report::Resync { dropped } => {
                format!("resync: {dropped} notifications were lost; the tables are read anew")
            }
            // A keeper that corrects reports neither.
            Report::Differs(_) | Report::AsDeclared { .. } => return None,
            Report::Missed(count) => warn(format!(
                "{count} reports are not printed: they came faster than they were read"
            )),
        })
    }

    fn attempt_line(&self, attempt: &Attempt, out: &Out) -> Option<String> {
        let line = apply::result_line(attempt, out);
        if attempt.outcome != Outcome::Done {
            return Some(match attempt.retry_in {
                Some(retry) => format!("{line}; next attempt in {}", human(retry)),
                None => line,
            });
        }
        if !self.has_converged {
            return self.verbose.then_some(line);
        }
        let took = human(attempt.took);
        let end = match attempt.sender {
            0 => format!("(after {took})"),
            port => format!("({took} after port {port} changed it)"),
        };
        Some(format!("{line} {}", out.ink(Ink::Faint, end)))
    }
}

/// ` by port 1234`, where the kernel told whose it was.
pub(super) fn by_port(sender: u32) -> String {
    if sender == 0 { String::new() } else { format!(" by port {sender}") }
}

/// ` by port 1234 (process 99, `name`)`, as far as that can be told.
fn by_process(sender: u32) -> String {
    let holder = (sender != 0).then(|| ports::holder(sender)).flatten();
    let process = holder.map(|Holder { pid, name }| format!(" (process {pid}, `{name}`)"));
    by_port(sender) + &process.unwrap_or_default()
}

/// A duration in the unit that suits it.
pub(super) fn human(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1_000 => format!("{micros} us"),
        micros @ 1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        micros => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_suits_them() {
        for (micros, text) in [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1.0 ms"),
            (12_345, "12.3 ms"),
            (999_999, "999.9 ms"),
            (30_000_000, "30.0 s"),
        ] {
            assert_eq!(human(Duration::from_micros(micros)), text);
        }
    }
}
