//! The one place that writes: standard output for results, standard error for complaints.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::Color;
use super::exit::{Exit, Failure};
use crate::desired::{DocumentError, Location};

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
    is_coloured: bool,
    /// Whether results are JSON.
    pub(super) json: bool,
}

impl Out {
    pub(super) fn new(color: Color, json: bool) -> Self {
        let is_coloured = match color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org
            Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self { is_coloured: is_coloured && !json, json }
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")?;
        // Someone may follow it through a pipe, where nothing else would flush.
        Ok(stdout.flush()?)
    }

    /// One object, on one line.
    pub(super) fn object(&mut self, object: &Value) -> Result<(), Failure> {
        self.line(object)
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
        let exit = failure.exit();
        if exit == Exit::Clean {
            return exit;
        }
        if self.json {
            // Where even this cannot be written, the status is all that is left to tell.
            let _ = self.object(&failure_json(failure));
        } else {
            eprintln!("ringlink: {failure}");
        }
        exit
    }
}

fn failure_json(failure: &Failure) -> Value {
    let Failure::Document(error) = failure else {
        return json!({ "v": 1, "error": failure.to_string() });
    };
    let diagnostics: Vec<_> = diagnostics_json(error).collect();
    json!({ "v": 1, "error": "the document has errors", "diagnostics": diagnostics,
        "omitted": error.omitted() })
}

fn diagnostics_json(error: &DocumentError) -> impl Iterator<Item = Value> {
    error.diagnostics().iter().map(|diagnostic| {
        let file = error.sources().get(diagnostic.source).map(|source| source.name());
        let (line, column, path) = match &diagnostic.location {
            Location::Text { line, column, .. } => (Some(*line), Some(*column), None),
            Location::Path(path) => (None, None, Some(path.as_str())),
            _ => (None, None, None),
        };
        json!({ "file": file, "line": line, "column": column, "path": path,
            "message": diagnostic.message, "help": diagnostic.help })
    })
}
