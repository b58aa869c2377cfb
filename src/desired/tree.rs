//! One tree for every document: values with the places where they are written.
//!
//! It knows no key. What the parser cannot turn into a tree is reported; the rest is read on,
//! so that one run tells all.

use std::fmt::Write as _;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use super::diagnostic::Reports;
use super::limits::{NESTING_MAX, RECOVERY_BYTES_MAX, TOKENS_MAX};
use super::text::quoted;

/// A value and where it is written.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// What a document can hold.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    /// `None` is a number beyond 128 bits.
    Integer(Option<i128>),
    Float,
    Bool(bool),
    Date,
    Null,
    Array(Vec<Node>),
    /// In the order of the document.
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) node: Node,
}

/// A place in a document.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// A whole file, by index.
    File(usize),
    /// Bytes of a file.
    Span { source: usize, start: usize, end: usize },
    /// A value of a JSON file, whose parser tells no places.
    Path {
        source: usize,
        /// Counts the values of the file, for sorting.
        order: usize,
        path: Rc<Path>,
    },
}

/// The way to a value, from the value up.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) parent: Option<Rc<Path>>,
    pub(super) step: Step,
}

/// One step of a path.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

impl Value {
    /// With its article, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float => "a fraction",
            Self::Bool(_) => "`true` or `false`",
            Self::Date => "a date",
            Self::Null => "null",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

impl Path {
    /// `link.br0.addresses[1]`.
    pub(super) fn text(&self) -> String {
        let mut text = self.parent.as_ref().map_or_else(String::new, |parent| parent.text());
        match &self.step {
            Step::Key(key) => {
                let shown = quoted(key);
                let shown = shown.trim_matches('`');
                let is_bare = key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
                let dot = if text.is_empty() { "" } else { "." };
                // Writing to a `String` cannot fail.
                let _ = if is_bare && !key.is_empty() {
                    write!(text, "{dot}{shown}")
                } else {
                    write!(text, "{dot}\"{shown}\"")
                };
            }
            Step::Item(item) => {
                let _ = write!(text, "[{item}]");
            }
        }
        text
    }
}

/// The tree of a TOML text, as far as it can be had.
pub(super) fn from_toml(source: usize, text: &str, reports: &mut Reports) -> Option<Node> {
    if let Err((span, message, help)) = check_bounds(text) {
        let at = At::Span { source, start: span.start, end: span.end };
        reports.push_syntax(at, message, Some(help));
        return None;
    }
    let (table, errors) = if text.len() <= RECOVERY_BYTES_MAX {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(table) => (table, Vec::new()),
            Err(error) => (Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let at = At::Span { source, start: span.start, end: span.end };
        let named = text.get(span).unwrap_or_default().trim_matches('"');
        let (message, help) = match error.message() {
            "duplicate key" => (
                format!("{} is declared twice", quoted(named)),
                Some("keep one of the two".to_owned()),
            ),
            message => (message.to_owned(), None),
        };
        reports.push_syntax(at, message, help);
    }
    Some(Node { at: At::File(source), value: Value::Table(entries(source, table.into_inner())) })
}

type BoundError = (std::ops::Range<usize>, String, String);

/// Refuses a text that the parser would answer with a deep stack or a huge heap.
fn check_bounds(text: &str) -> Result<(), BoundError> {
    let mut depth = 0_usize;
    let mut dots = 0_usize;
    for (count, token) in toml_parser::Source::new(text).lex().enumerate() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                depth += 1;
                dots = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
                dots = 0;
            }
            TokenKind::Dot => dots += 1,
            TokenKind::Newline | TokenKind::Equals | TokenKind::Comma => dots = 0,
            _ => {}
        }
        let span = token.span().start()..token.span().end();
        if depth > NESTING_MAX || dots > NESTING_MAX {
            let message = format!("this is nested more than {NESTING_MAX} deep");
            return Err((span, message, "a document needs four levels".to_owned()));
        }
        if count > TOKENS_MAX {
            let message = format!("the file has more than {TOKENS_MAX} words and signs");
            return Err((span, message, "declare less in one document".to_owned()));
        }
    }
    Ok(())
}

/// In the order of the text: the parser sorts by key.
fn entries(source: usize, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let span = key.span();
        Entry {
            key: key.into_inner().into_owned(),
            key_at: At::Span { source, start: span.start, end: span.end },
            node: node(source, value),
        }
    });
    entries.collect()
}

fn node(source: usize, value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => {
            Value::Integer(i128::from_str_radix(integer.as_str(), integer.radix()).ok())
        }
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| node(source, item)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(source, table)),
    };
    Node { at: At::Span { source, start: span.start, end: span.end }, value }
}
