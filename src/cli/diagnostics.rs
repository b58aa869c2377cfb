//! What is wrong with a document, drawn for a person, or as JSON.
//!
//! Every text is inert by the time it is drawn: the document's own is shown with `?` for what a
//! terminal would obey, and a line that is too long to read is cut around the place.

use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic as Drawable, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use crate::desired::{Diagnostic, DocumentError, Location, Source};
use crate::model::text::write_escaped;

/// The columns of a drawing.
const WIDTH: usize = 100;
/// The most characters of a line that are shown on either side of the place.
const REACH: usize = 60;

/// All of them, one drawing below the other.
pub(super) fn render(error: &DocumentError, is_coloured: bool) -> String {
    let theme = match is_coloured {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_context_lines(1)
        .with_links(false);
    let mut text = String::new();
    for diagnostic in error.diagnostics() {
        let Some(source) = error.sources().get(diagnostic.source) else { continue };
        // Writing to a `String` cannot fail.
        let _ = handler.render_report(&mut text, &Drawing::new(source, diagnostic));
        text.push('\n');
    }
    let count = error.diagnostics().len() + error.omitted();
    let errors = if count == 1 { "error" } else { "errors" };
    let omitted = match error.omitted() {
        0 => String::new(),
        omitted => format!(", of which {omitted} are not shown"),
    };
    text.push_str(&format!(
        "ringlink: {count} {errors} in the document{omitted}; nothing was done"
    ));
    text
}

/// `{"v":1,"error":...,"diagnostics":[...],"omitted":0}`.
pub(super) fn as_json(error: &DocumentError) -> Value {
    let list = error.diagnostics().iter().map(|diagnostic| {
        let file = error.sources().get(diagnostic.source).map(|source| escaped(source.name()));
        let (line, column, path) = match &diagnostic.location {
            Location::Text { line, column, .. } => (Some(*line), Some(*column), None),
            Location::Path(path) => (None, None, Some(path.as_str())),
            Location::File => (None, None, None),
        };
        json!({ "file": file, "line": line, "column": column, "path": path,
            "message": diagnostic.message, "help": diagnostic.help })
    });
    json!({ "v": 1, "error": "the document has errors", "diagnostics": list.collect::<Vec<_>>(),
        "omitted": error.omitted() })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a `String` cannot fail.
    let _ = write_escaped(&mut escaped, text.as_bytes());
    escaped
}

/// One diagnostic as miette takes it.
#[derive(Debug)]
struct Drawing {
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

impl Drawing {
    fn new(source: &Source, diagnostic: &Diagnostic) -> Self {
        let Diagnostic { location, message, help, .. } = diagnostic;
        let name = escaped(source.name());
        let (message, excerpt) = match location {
            Location::File => (format!("{name}: {message}"), None),
            Location::Path(path) => (format!("{name}: {path}: {message}"), None),
            Location::Text { line, column, span } => {
                (message.clone(), Some(Excerpt::new(source, name, *line, *column, span)))
            }
        };
        Self { message, help: help.clone(), excerpt }
    }
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawing {}

impl Drawable for Drawing {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.excerpt.as_ref()?.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

/// The line of the place and its neighbours, cut to a readable length. It knows where in the
/// file it comes from, which a text of its own would not.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    /// The place, in bytes of `text`.
    span: Range<usize>,
    /// The line of the file that `text` begins with, from 0.
    first_line: usize,
    /// Where the place is in the file, from 0.
    line: usize,
    column: usize,
}

impl Excerpt {
    fn new(source: &Source, name: String, line: usize, column: usize, span: &Range<usize>) -> Self {
        let inert = source.inert_text();
        let start = inert[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = inert[span.start..].find('\n').map_or(inert.len(), |at| span.start + at);
        let mut text = String::new();
        let before = inert[..start].strip_suffix('\n').map(last_line);
        if let Some(before) = before {
            text.push_str(head(before));
            text.push('\n');
        }
        let lead = tail(&inert[start..span.start]);
        if lead.len() < span.start - start {
            text.push_str("...");
        }
        text.push_str(lead);
        let from = text.len();
        // A place of several lines is shown by its first.
        text.push_str(head(&inert[span.start..span.end.clamp(span.start, end)]));
        if text.len() == from && span.start == end {
            // The end of a line: something must be there to be pointed at.
            text.push(' ');
        }
        let span_in_text = from..text.len();
        text.push_str(head(&inert[span.end.clamp(span.start, end)..end]));
        if let Some(after) = inert[end..].strip_prefix('\n').and_then(|text| text.lines().next()) {
            text.push('\n');
            text.push_str(head(after));
        }
        let line = line.saturating_sub(1);
        let first_line = line - usize::from(before.is_some()).min(line);
        Self { name, text, span: span_in_text, first_line, line, column: column.saturating_sub(1) }
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.as_str().read_span(span, lines_before, lines_after)?;
        // Without context it is asked for the place itself, to name it above the drawing.
        let (line, column) = match lines_before {
            0 => (self.line, self.column),
            _ => (self.first_line + contents.line(), contents.column()),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            line,
            column,
            contents.line_count(),
        )))
    }
}

fn last_line(text: &str) -> &str {
    text.rfind('\n').map_or(text, |at| &text[at + 1..])
}

fn head(text: &str) -> &str {
    text.char_indices().nth(REACH).map_or(text, |(at, _)| &text[..at])
}

fn tail(text: &str) -> &str {
    text.char_indices().rev().nth(REACH - 1).map_or(text, |(at, _)| &text[at..])
}
