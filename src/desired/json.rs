//! A JSON text as the same tree.
//!
//! serde_json's own value would forget a key that is given twice, so the tree is built here.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::diagnostic::Reports;
use super::limits::JSON_VALUES_MAX;
use super::tree::{At, Entry, Node, Path, Step, Value};
use super::values::quoted;
use crate::model::hash::HashSet;

/// The tree of a JSON text. A syntax error ends it: the parser does not recover.
pub(super) fn from_json(source: usize, text: &str, reports: &mut Reports) -> Option<Node> {
    let state = State { source, values: Cell::new(0), duplicates: RefCell::default() };
    let mut parser = serde_json::Deserializer::from_str(text);
    let seed = Seed { state: &state, path: None };
    let parsed = seed.deserialize(&mut parser).and_then(|node| parser.end().map(|()| node));
    for (at, key) in state.duplicates.into_inner() {
        let message = format!("{} is declared twice", quoted(&key));
        reports.push_syntax(at, message, Some("keep one of the two".to_owned()));
    }
    match parsed {
        Ok(node) => Some(node),
        Err(error) => {
            let at = offset_of(text, error.line(), error.column());
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let at = At::Span { source, start: at, end: at };
            reports.push_syntax(at, message.to_owned(), None);
            None
        }
    }
}

/// serde_json counts both from one, the column in bytes; zero is before the first.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let mut at = (lines.map(str::len).sum::<usize>() + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct State {
    source: usize,
    values: Cell<usize>,
    duplicates: RefCell<Vec<(At, String)>>,
}

struct Seed<'s> {
    state: &'s State,
    path: Option<Rc<Path>>,
}

impl Seed<'_> {
    fn at(&self) -> At {
        let source = self.state.source;
        match &self.path {
            None => At::File(source),
            Some(path) => {
                At::Path { source, order: self.state.values.get(), path: Rc::clone(path) }
            }
        }
    }

    fn node(&self, value: Value) -> Node {
        let at = self.at();
        Node { at, value }
    }

    fn below(&self, step: Step) -> Self {
        Self { state: self.state, path: Some(Rc::new(Path { parent: self.path.clone(), step })) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let count = self.state.values.get() + 1;
        self.state.values.set(count);
        if count > JSON_VALUES_MAX {
            let message = format!("the file has more than {JSON_VALUES_MAX} values");
            return Err(D::Error::custom(message));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(self.node(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(self.node(Value::Integer(Some(value.into()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(self.node(Value::Integer(Some(value.into()))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(self.node(Value::Float))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(self.node(Value::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(self.node(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let at = self.at();
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(self.below(Step::Item(nodes.len())))? {
            nodes.push(node);
        }
        let value = Value::Array(nodes);
        Ok(Node { at, value })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let at = self.at();
        let mut seen = HashSet::default();
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let below = self.below(Step::Key(key.clone()));
            let key_at = below.at();
            let node = map.next_value_seed(below)?;
            if seen.insert(key.clone()) {
                entries.push(Entry { key, key_at, node });
            } else {
                self.state.duplicates.borrow_mut().push((key_at, key));
            }
        }
        let value = Value::Table(entries);
        Ok(Node { at, value })
    }
}
