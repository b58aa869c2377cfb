//! `try`, `confirm` and `revert`: a change that goes back by itself unless it is wanted.
//!
//! A guard, a process in a session of its own, knows the way back before anything is changed. It
//! takes it when the time is up, when it is told to, and when the one that it guards is gone,
//! however that ended.

use std::io;
use std::time::{Duration, Instant};

use super::apply::{self, Answer, How, Work};
use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use super::{Common, run, start};
use crate::applier::Applier;
use crate::desired::Desired;
use crate::plan::Undo;
use crate::ring::guard::{self, Guard, Order, Post, Started};
use crate::ring::signals::Signals;

/// What a guard says when it knows the way back.
const READY: &str = "ready";

/// How a guard ends.
const KEPT: u8 = 0;
const REVERTED: u8 = 1;
const FAILED: u8 = 2;

/// Applies, and goes back unless it is confirmed in time.
pub(super) fn run(
    desired: &Desired,
    timeout: Duration,
    signals: Signals,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // What it holds would be written by both processes.
    out.flush()?;
    let mut guard = match guard::start() {
        Ok(Started::Guard(mut post)) => guard::leave(stand(desired, timeout, &mut post)),
        Ok(Started::First(guard)) => guard,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            return Err(Failure::Cannot(
                "another `try` is under way in this network namespace; end it with `ringlink \
                 confirm` or `ringlink revert`. Nothing was changed."
                    .to_owned(),
            ));
        }
        Err(error) => return Err(no_guard(&error)),
    };
    match guard.first_line() {
        Ok(line) if line == READY => {}
        Ok(line) => return Err(Failure::Cannot(format!("{line}. Nothing was changed."))),
        Err(error) => return Err(no_guard(&error)),
    }
    let how = How { yes: true, cut_session: true, ..apply::APPLY };
    let mut work = Work::begin(Applier::builder().open()?, desired, &how, signals)?;
    let (answer, end) = (work.answer.clone(), guard.end());
    start::on_thread("ringlink-guard", move || {
        let _ = answer.send(Answer::Guard(end()));
    })?;
    let applied = work.apply(out);
    let is_interrupted = applied.is_err();
    let is_told = work.tell(is_interrupted, verbose, out);
    if let Err(failure) = applied.map(|_| ()).and(is_told) {
        return go_back(&mut guard, &work, failure, out);
    }
    if work.report.attempts.is_empty() && work.report.converged {
        let _ = guard.tell(Order::Keep);
        return Ok(Exit::Clean);
    }
    match decide(&mut guard, &work, timeout, out) {
        Ok(exit) => Ok(exit),
        Err(failure) => go_back(&mut guard, &work, failure, out),
    }
}

/// Waits for Enter, a signal, or what the guard was told by others.
fn decide(
    guard: &mut Guard,
    work: &Work<'_>,
    timeout: Duration,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // One that ended meanwhile is heard of below.
    let _ = guard.tell(Order::Applied);
    if !out.json {
        let timeout = run::human(timeout);
        out.line(format_args!(
            "Press Enter to keep it, or `ringlink confirm` from elsewhere; it goes back in {timeout}, \
             at Ctrl-C, or by `ringlink revert`."
        ))?;
    }
    out.flush()?;
    let answer = work.answer.clone();
    start::on_thread("ringlink-answer", move || {
        let _ = answer.send(Answer::Line(apply::read_line()));
    })?;
    let kept = if work.report.converged { Exit::Clean } else { Exit::Not };
    loop {
        match work.answers.recv() {
            Ok(Answer::Line(line)) if line.ends_with('\n') => {
                guard.tell(Order::Keep).map_err(|error| no_guard(&error))?;
            }
            // The end of what is read from, as of a script without a terminal, is no answer.
            Ok(Answer::Line(_)) => {}
            Ok(Answer::Guard(Some(status))) if status == i32::from(KEPT) => {
                tell("kept", "kept: the network stays as it is now", out)?;
                return Ok(kept);
            }
            Ok(Answer::Guard(status)) => return reverted(status, Exit::Not, out),
            Ok(Answer::Signal) | Err(_) => return Err(Failure::Interrupted),
        }
    }
}

/// Has the guard go back, and tells of it before the failure that was the reason.
fn go_back(
    guard: &mut Guard,
    work: &Work<'_>,
    failure: Failure,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // One that has gone back already cannot be told.
    let _ = guard.tell(Order::Revert);
    let status = loop {
        match work.answers.recv() {
            Ok(Answer::Guard(status)) => break status,
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    let is_interrupted = matches!(failure, Failure::Interrupted);
    let exit = reverted(status, Exit::Interrupted, out)?;
    if is_interrupted { Ok(exit) } else { Err(failure) }
}

fn reverted(status: Option<i32>, exit: Exit, out: &mut Out) -> Result<Exit, Failure> {
    match status {
        Some(status) if status == i32::from(REVERTED) => {
            tell("reverted", "reverted: the network is as it was before", out)?;
            Ok(exit)
        }
        Some(status) if status == i32::from(KEPT) => {
            tell("kept", "kept: it had been confirmed", out)?;
            Ok(exit)
        }
        _ => Err(Failure::Cannot(
            "the way back could not be gone to its end; what is not as before is told above. \
             `ringlink export` shows what is there now"
                .to_owned(),
        )),
    }
}

fn tell(word: &str, sentence: &str, out: &mut Out) -> Result<(), Failure> {
    match out.json {
        true => out.line(serde_json::json!({ "v": 1, "try": word })),
        false => out.line(out.ink(Ink::Changed, sentence).to_string()),
    }
}

/// `confirm` and `revert`.
pub(super) fn order(order: Order, common: &Common, out: &mut Out) -> Result<Exit, Failure> {
    start::enter(common)?;
    match guard::order(order) {
        Ok(Some(said)) if !said.is_empty() => {
            out.line(said.trim_end())?;
            let is_done = said.starts_with("kept") || said.starts_with("reverted");
            Ok(if is_done { Exit::Clean } else { Exit::Not })
        }
        Ok(Some(_)) => {
            let message =
                "the `try` ended before it answered; `ringlink plan` tells where it ended";
            Err(Failure::Cannot(message.to_owned()))
        }
        Ok(None) => {
            out.line("no `try` is under way in this network namespace")?;
            Ok(Exit::Not)
        }
        Err(error) => Err(Failure::Cannot(format!("cannot reach the `try`: {error}"))),
    }
}

fn no_guard(error: &io::Error) -> Failure {
    Failure::Cannot(format!(
        "cannot start the process that would go back: {error}; nothing was changed"
    ))
}

/// The guard's whole life; returns its exit status.
fn stand(desired: &Desired, timeout: Duration, post: &mut Post) -> u8 {
    let undo = match way_back(desired) {
        Ok(undo) => undo,
        Err(reason) => {
            post.say(&reason);
            return FAILED;
        }
    };
    post.say(READY);
    let mut deadline: Option<Instant> = None;
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match post.wait(left) {
            Some(Order::Applied) => deadline = Some(Instant::now() + timeout),
            Some(Order::Keep) => {
                post.answer("kept: the network stays as it is now\n");
                return KEPT;
            }
            Some(Order::Revert) => break,
            None if left == Some(Duration::ZERO) => break,
            None => {}
        }
    }
    let result = Applier::builder().open().and_then(|mut applier| applier.undo(&undo));
    let (said, status) = match result {
        Ok(true) => ("reverted: the network is as it was before\n".to_owned(), REVERTED),
        Ok(false) => ("not all could be put back\n".to_owned(), FAILED),
        Err(error) => (format!("the way back ended: {error}\n"), FAILED),
    };
    if status == FAILED {
        eprint!("ringlink: {said}");
    }
    post.answer(&said);
    status
}

/// The way back from what the document would make of the network as it is.
fn way_back(desired: &Desired) -> Result<Undo, String> {
    let mut applier = Applier::builder().open().map_err(|error| error.to_string())?;
    let way = applier.way_back(desired).map_err(|error| error.to_string())?;
    way.map_err(|lost| {
        let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
        format!("this could not be undone: {}; use `apply` if that is wanted", lost.join("; "))
    })
}
