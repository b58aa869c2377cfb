//! What is wrong with a document, and where.
//!
//! Texts from the document are escaped where a message quotes them, so no terminal obeys them.
//! The program draws these with its own renderer; `Display` here needs none.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::limits::{DIAGNOSTICS_MAX, EXCERPT_CHARS_MAX};
use super::tree::At;
use super::values::Fault;
use crate::model::hash::HashSet;
use crate::model::text::write_escaped;

/// A file of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

/// Without the text, which may be of megabytes: this is what a program shows that unwraps an error.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Its path, or the name that the caller gave it. Not escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text as it is, which a terminal might obey; empty where it could not be read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its text with `?` for each byte of what a terminal might obey, so that byte spans hold.
    pub fn inert_text(&self) -> Cow<'_, str> {
        if self.text.chars().all(is_shown) {
            return Cow::Borrowed(&self.text);
        }
        let mut inert = String::with_capacity(self.text.len());
        for character in self.text.chars() {
            if is_shown(character) {
                inert.push(character);
            } else {
                inert.extend(std::iter::repeat_n('?', character.len_utf8()));
            }
        }
        Cow::Owned(inert)
    }
}

fn is_shown(character: char) -> bool {
    match character {
        '\n' | '\t' | '\\' | ' '..='~' => true,
        _ if character.is_ascii() => false,
        _ => {
            let escaped = escape(character.encode_utf8(&mut [0; 4]));
            escaped.chars().eq([character])
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a `String` cannot fail.
    let _ = write_escaped(&mut escaped, text.as_bytes());
    escaped
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// The file as a whole.
    File,
    /// Bytes of its text.
    Text {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// In bytes; it may be empty, at the end of the text for instance.
        span: Range<usize>,
    },
    /// A value of a JSON file, such as `link.br0.mtu`. Escaped.
    Path(String),
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, by its place in [`DocumentError::sources`].
    pub source: usize,
    /// Where in the file.
    pub location: Location,
    /// What is wrong. Text of the document in it is escaped.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All that is wrong with a document, sorted by file and place.
///
/// `Display` shows each with the line it is in, several lines in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    diagnostics: Vec<Diagnostic>,
    omitted: usize,
    sources: Vec<Source>,
}

impl DocumentError {
    /// What is wrong: at least one thing, and the first 100 that were found.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The files of the document.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl std::error::Error for DocumentError {}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            f.write_str(separator)?;
            if let Some(source) = self.sources.get(diagnostic.source) {
                write_diagnostic(f, source, diagnostic)?;
            }
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

fn write_diagnostic(
    f: &mut fmt::Formatter<'_>,
    source: &Source,
    diagnostic: &Diagnostic,
) -> fmt::Result {
    let name = escape(&source.name);
    let message = &diagnostic.message;
    match &diagnostic.location {
        Location::File => write!(f, "{name}: {message}")?,
        Location::Path(path) => write!(f, "{name}: {path}: {message}")?,
        Location::Text { line, column, span } => {
            write!(f, "{name}:{line}:{column}: {message}")?;
            write_excerpt(f, &source.text, *line, span)?;
        }
    }
    match &diagnostic.help {
        Some(help) => write!(f, "\n  help: {help}"),
        None => Ok(()),
    }
}

/// The line, cut around the place where it is long, and carets below the place.
fn write_excerpt(
    f: &mut fmt::Formatter<'_>,
    text: &str,
    line: usize,
    span: &Range<usize>,
) -> fmt::Result {
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..span.start];
    let cut = before.char_indices().rev().nth(EXCERPT_CHARS_MAX / 2).map_or(0, |(at, _)| at);
    let rest = text[span.start..].lines().next().unwrap_or_default();
    let (marked, after) = rest.split_at((span.end - span.start).min(rest.len()));
    let shown = clip(marked);
    let after_shown = if shown.len() < marked.len() { "" } else { clip(after) };
    let is_whole = shown.len() + after_shown.len() == rest.len();
    let before = escape(&before[cut..]);
    let dots = |is_whole| if is_whole { "" } else { "..." };
    let (dots, end) = (dots(cut == 0), dots(is_whole));
    let marked = escape(shown);
    let after = escape(after_shown);
    let gutter = line.to_string();
    write!(f, "\n  {gutter} | {dots}{before}{marked}{after}{end}")?;
    let indent = " ".repeat(dots.len() + before.chars().count());
    let carets = "^".repeat(marked.chars().count().max(1));
    write!(f, "\n  {} | {indent}{carets}", " ".repeat(gutter.len()))
}

fn clip(text: &str) -> &str {
    let end = text.char_indices().nth(EXCERPT_CHARS_MAX / 2);
    end.map_or(text, |(at, _)| &text[..at])
}

/// Collects what is wrong while a document is read.
#[derive(Debug, Default)]
pub(super) struct Reports {
    list: Vec<Report>,
    omitted: usize,
    is_partial: bool,
}

#[derive(Debug)]
struct Report {
    at: At,
    fault: Fault,
    other: Option<At>,
    is_syntax: bool,
}

impl Reports {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the tree is not what its author meant: then what seems to be missing or
    /// contradictory may be a consequence, and is not told.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    pub(super) fn push(&mut self, at: &At, message: impl Into<String>, help: impl Into<String>) {
        self.push_fault(at, Fault::new(message, help), None);
    }

    pub(super) fn push_fault(&mut self, at: &At, fault: Fault, other: Option<At>) {
        let at = at.clone();
        self.add(Report { at, fault, other, is_syntax: false });
    }

    /// Files could not be read: what is wrong so far stands for what is missing.
    pub(super) fn note_unread(&mut self) {
        self.is_partial |= !self.list.is_empty();
    }

    /// Whether something is wrong with a file as a whole.
    pub(super) fn has_unread(&self, index: usize) -> bool {
        let is_it = |report: &Report| matches!(report.at, At::File(source) if source == index);
        self.list.iter().any(is_it)
    }

    /// Whether a file is not TOML or JSON.
    pub(super) fn has_syntax(&self) -> bool {
        self.list.iter().any(|report| report.is_syntax)
    }

    /// Whether one more would only be counted; who asks first need not word it.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() == DIAGNOSTICS_MAX
    }

    pub(super) fn count_omitted(&mut self) {
        self.omitted += 1;
    }

    /// Something that must be there and is not.
    pub(super) fn push_missing(&mut self, at: &At, message: String, help: String) {
        if !self.is_partial() {
            self.push(at, message, help);
        }
    }

    pub(super) fn push_syntax(&mut self, at: At, message: String, help: Option<String>) {
        self.is_partial = true;
        self.add(Report { at, fault: Fault { message, help }, other: None, is_syntax: true });
    }

    fn add(&mut self, report: Report) {
        if self.is_full() {
            self.count_omitted();
        } else {
            self.list.push(report);
        }
    }

    /// Resolves the places. What is on one line with a syntax error follows from it.
    pub(super) fn finish(self, sources: Vec<Source>) -> DocumentError {
        let lines: Vec<_> = sources.iter().map(|source| Lines::of(&source.text)).collect();
        let place = |at: &At| locate(at, &lines, &sources);
        let mut found: Vec<_> = self
            .list
            .into_iter()
            .map(|report| (sort_key(&report.at), place(&report.at), report))
            .collect();
        found.sort_by_key(|(key, _, report)| (*key, !report.is_syntax));
        let line = |source: usize, location: &Location| match location {
            Location::Text { line, .. } => Some((source, *line)),
            _ => None,
        };
        let broken: HashSet<_> = found
            .iter()
            .filter(|(_, _, report)| report.is_syntax)
            .filter_map(|((source, _), location, _)| line(*source, location))
            .collect();
        let mut seen = HashSet::default();
        let mut diagnostics = Vec::new();
        for ((source, _), location, report) in found {
            if let Some(line) = line(source, &location) {
                let is_repeated = report.is_syntax && !seen.insert(line);
                if is_repeated || !report.is_syntax && broken.contains(&line) {
                    continue;
                }
            }
            let other = report.other.map(|other| {
                let (source, _) = sort_key(&other);
                format!("; see {}", name_place(&sources[source], &place(&other)))
            });
            let Fault { message, help } = report.fault;
            let help = help.map(|help| help + other.as_deref().unwrap_or_default());
            diagnostics.push(Diagnostic { source, location, message, help });
        }
        DocumentError { diagnostics, omitted: self.omitted, sources }
    }
}

fn name_place(source: &Source, location: &Location) -> String {
    let name = escape(&source.name);
    match location {
        Location::File => name,
        Location::Path(path) => format!("{path} in {name}"),
        Location::Text { line, column, .. } => format!("{name}:{line}:{column}"),
    }
}

fn sort_key(at: &At) -> (usize, usize) {
    match at {
        At::File(source) => (*source, 0),
        At::Span { source, start, .. } => (*source, *start),
        At::Path { source, order, .. } => (*source, *order),
    }
}

fn locate(at: &At, lines: &[Lines], sources: &[Source]) -> Location {
    match at {
        At::File(_) => Location::File,
        At::Path { path, .. } => Location::Path(path.text()),
        At::Span { source, start, end } => {
            let text = &sources[*source].text;
            let start = floor_boundary(text, *start);
            let end = floor_boundary(text, *end).max(start);
            let (line, line_start) = lines[*source].of_offset(start);
            Location::Text {
                line,
                column: text[line_start..start].chars().count() + 1,
                span: start..end,
            }
        }
    }
}

/// Spans come from a parser; a caret one byte off is better than a panic.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    /// The number of the line, from 1, and its first offset.
    fn of_offset(&self, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= at);
        (line, self.0[line - 1])
    }
}
