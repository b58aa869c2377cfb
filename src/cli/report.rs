//! `run --report-only`: what differs from the document is told, and nothing is corrected.

use std::collections::HashSet;

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::run::{by_port, counts, human};
use super::{json_plan, start};
use crate::desired::Desired;
use crate::keeper::Keeper;
use crate::model::change::Op;
use crate::model::object::ObjectId;
use crate::plan::{Difference, Step};
use crate::reconcile::Report;
use crate::ring::signals::Signals;

/// Tells, until a signal comes.
pub(super) fn run(
    desired: Desired,
    signals: Signals,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut keeper = Keeper::spawn(Keeper::builder(desired).report_only(true))?;
    let stopper = keeper.stopper();
    start::on_signal(signals, move || stopper.stop())?;
    let mut teller = Teller::default();
    while let Some(report) = keeper.next_report(None) {
        teller.tell(&report, out)?;
    }
    let counters = keeper.status().counters;
    keeper.join()?;
    if !out.json {
        out.line(teller.conclusion())?;
    }
    if verbose {
        out.line(if out.json { json_plan::counters(&counters) } else { counts(&counters).into() })?;
    }
    Ok(Exit::Clean)
}

/// Turns reports into lines, and knows what differs now.
#[derive(Debug, Default)]
struct Teller {
    differing: HashSet<ObjectId>,
    told: usize,
}

impl Teller {
    fn tell(&mut self, report: &Report, out: &mut Out) -> Result<(), Failure> {
        match report {
            Report::Differs(finding) => {
                self.told += 1;
                self.differing.insert(finding.step.change.object());
            }
            Report::Blocked(blocked) => {
                self.told += 1;
                self.differing.insert(blocked.object);
            }
            Report::AsDeclared { object, .. } => {
                self.differing.remove(object);
            }
            _ => {}
        }
        if out.json {
            out.line(json_plan::run_report(report, false))?;
        } else if let Some(line) = line(report, out) {
            out.line(line)?;
        }
        out.flush()
    }

    fn conclusion(&self) -> String {
        let (told, left) = (self.told, self.differing.len());
        let plural = if told == 1 { "" } else { "s" };
        format!("stopped: {told} difference{plural} told, {left} left; nothing was changed")
    }
}

fn line(report: &Report, out: &Out) -> Option<String> {
    Some(match report {
        Report::Differs(finding) => {
            let by = by_port(finding.sender);
            format!("{}{}", difference(&finding.step, out), out.ink(Ink::Faint, by))
        }
        Report::AsDeclared { object, sender, took } => {
            let (word, by) = (out.ink(Ink::Made, "as declared again"), by_port(*sender));
            let after = out.ink(Ink::Faint, format_args!("(after {}{by})", human(*took)));
            format!("{word}: {object} {after}")
        }
        Report::Converged => "all is as declared; nothing is corrected".to_owned(),
        Report::Blocked(blocked) => format!("{} {blocked}", out.ink(Ink::Warned, "!")),
        Report::Resync { dropped } => {
            format!("resync: {dropped} notifications were lost; the tables are read anew")
        }
        Report::Missed(count) => {
            format!("{count} reports are not printed: they came faster than they were read")
        }
        // Nothing is sent.
        Report::Attempted(_)
        | Report::WithoutEffect { .. }
        | Report::Conflict { .. }
        | Report::ConflictOver { .. } => return None,
    })
}

/// `missing: link br0`, `not declared: address ...`, `differs: link br0: mtu 1300, not 1400`.
fn difference(step: &Step, out: &Out) -> String {
    let object = step.change.object();
    let (word, ink) = match step.change.op() {
        Op::Create => ("missing", Ink::Gone),
        _ if step.is_recreation() => ("of another make", Ink::Changed),
        Op::Delete => ("not declared", Ink::Made),
        Op::Set => ("differs", Ink::Changed),
    };
    let mut line = format!("{}: {object}", out.ink(ink, word));
    if step.change.op() == Op::Set {
        let mut separator = ": ";
        for Difference { key, from, to } in &step.differences {
            let is = from.as_ref().map_or_else(|| "none".to_owned(), |it| it.to_string());
            let wanted = to.as_ref().map_or_else(|| "none".to_owned(), |it| it.to_string());
            line.push_str(&format!("{separator}{key} {is}, not {wanted}"));
            separator = "; ";
        }
    }
    line
}
