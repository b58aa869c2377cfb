//! The one place that writes: standard output for results, standard error for complaints.
//!
//! Lines are collected and written when a verb says [`Out::flush`], so that a table of ten thousand
//! links is not ten thousand system calls. Nothing here panics where a reader has gone.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use serde_json::{Value, json};

use super::Color;
use super::diagnostics;
use super::exit::{Exit, Failure};

/// How a word is to stand out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Made,
    Changed,
    Gone,
    Warned,
    Faint,
}

/// Where results go, and how.
#[derive(Debug)]
pub(super) struct Out {
    stdout: BufWriter<Stdout>,
    /// Whether results are coloured.
    pub(super) is_coloured: bool,
    /// Whether complaints are.
    pub(super) has_coloured_errors: bool,
    /// Whether results and complaints are JSON.
    pub(super) json: bool,
}

impl Out {
    pub(super) fn new(color: Color, json: bool) -> Self {
        let wanted = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set and not empty
            Color::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self {
            stdout: BufWriter::new(io::stdout()),
            is_coloured: !json && wanted(io::stdout().is_terminal()),
            has_coloured_errors: !json && wanted(io::stderr().is_terminal()),
            json,
        }
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.stdout, "{line}")?)
    }

    /// Text without an end of line.
    pub(super) fn text(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(write!(self.stdout, "{text}")?)
    }

    /// Writes what was collected; someone may follow it through a pipe.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// The text, coloured where colours are wanted.
    pub(super) fn ink(&self, ink: Ink, text: impl Display) -> String {
        let code = match ink {
            Ink::Made => 32,
            Ink::Changed => 33,
            Ink::Gone | Ink::Warned => 31,
            Ink::Faint => 2,
        };
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Says why it ends so, and gives the exit status.
    pub(super) fn fail(&mut self, failure: &Failure) -> Exit {
        // What was found out before it failed comes first; where that cannot be written, the
        // status is all that is left to tell.
        let _ = self.flush();
        let exit = failure.exit();
        match failure {
            Failure::Closed => {}
            _ if self.json => complain(failure_json(failure)),
            Failure::Document(error) => {
                complain(diagnostics::render(error, self.has_coloured_errors).trim_end());
            }
            _ => complain(format_args!("ringlink: {failure}")),
        }
        exit
    }
}

/// One line on standard error. Where that is closed there is no one to tell.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn failure_json(failure: &Failure) -> Value {
    match failure {
        Failure::Document(error) => diagnostics::as_json(error),
        _ => json!({ "v": 1, "error": failure.to_string() }),
    }
}
