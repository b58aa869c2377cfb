//! What kinds of link there are, each as a key table.
//!
//! A kind is data: its name and the keys that its settings take. Parsing, suggestions,
//! comparison and documentation are derived from the table, so nothing else in the crate names
//! a kind, save its encoding in `wire/kind/`.

mod bridge;
mod ifb;
mod macvlan;
mod veth;
mod vxlan;

use std::fmt;
use std::net::IpAddr;

use super::text::LinkName;

/// The most keys a kind has; the settings of a link are an array of this length.
pub const KEYS_MAX: usize = 8;

/// A link kind: its IFLA_INFO_KIND name and its key table.
#[derive(Debug)]
pub struct Kind {
    /// The name, as the kernel and iproute2 spell it.
    pub name: &'static str,
    /// One line for the documentation.
    pub doc: &'static str,
    /// The settings it takes.
    pub keys: &'static [Key],
    /// Whether the driver takes a hardware address at creation alone.
    pub mac_only_at_creation: bool,
    /// Whether other links can be its ports, with it as their `master`.
    pub can_have_ports: bool,
}

/// One setting of a kind.
#[derive(Debug)]
pub struct Key {
    /// The name, as iproute2 spells it.
    pub name: &'static str,
    /// What values it takes.
    pub value: ValueType,
    /// Whether a document must give it.
    pub required: bool,
    /// Whether the kernel takes it at creation alone.
    pub only_at_creation: bool,
    /// How far the kernel's rounding may put a number from the one that was asked for.
    pub rounding: u32,
    /// One line for the documentation, with the unit and the kernel's default.
    pub doc: &'static str,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A whole number between the two bounds, both included.
    Number {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// One of these words, each with the kernel's number for it.
    Word(&'static [(&'static str, u32)]),
    /// An IPv4 or IPv6 address.
    Address,
    /// The link this one stands on; it must exist first.
    Lower,
    /// The link that is created together with this one and deleted with it.
    Peer,
}

/// A value of a kind's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Of [`ValueType::Bool`].
    Bool(bool),
    /// Of [`ValueType::Number`].
    Number(u32),
    /// Of [`ValueType::Word`]: the kernel's number.
    Word(u32),
    /// Of [`ValueType::Address`].
    Address(IpAddr),
    /// A link by name, as a document gives it.
    Link(LinkName),
    /// A link by index, as the kernel gives it.
    Index(u32),
}

/// The settings of one link: its kind, and a value for each key that is known or wanted.
#[derive(Clone, Copy, PartialEq)]
pub struct Settings {
    /// The kind whose key table the values follow.
    pub kind: &'static Kind,
    values: [Option<Value>; KEYS_MAX],
}

impl Settings {
    /// No value for any key.
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, values: [None; KEYS_MAX] }
    }

    /// The value of the key at `position` in the kind's table.
    pub fn get(&self, position: usize) -> Option<Value> {
        self.values.get(position).copied().flatten()
    }

    /// The value of the key of that name.
    pub fn by_name(&self, key: &str) -> Option<Value> {
        self.get(self.kind.position(key)?)
    }

    /// Sets the key at `position`; a position past the table is ignored.
    pub fn set(&mut self, position: usize, value: Option<Value>) {
        if position < self.kind.keys.len() {
            self.values[position] = value;
        }
    }

    /// The same, with the key of that name set. For builders and tests.
    ///
    /// Returns `None` where the kind has no such key.
    pub fn with(mut self, key: &str, value: Value) -> Option<Self> {
        let position = self.kind.position(key)?;
        self.set(position, Some(value));
        Some(self)
    }

    /// Each key with a value, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, Value)> + '_ {
        let keys = self.kind.keys;
        keys.iter().zip(&self.values).filter_map(|(key, value)| value.map(|value| (key, value)))
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    /// The link that this one is created together with.
    pub fn peer(&self) -> Option<LinkName> {
        self.link_of(ValueType::Peer)
    }

    /// The link that this one stands on.
    pub fn lower(&self) -> Option<LinkName> {
        self.link_of(ValueType::Lower)
    }

    fn link_of(&self, wanted: ValueType) -> Option<LinkName> {
        self.iter().find_map(|(key, value)| match value {
            Value::Link(name) if key.value == wanted => Some(name),
            _ => None,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.name)?;
        f.debug_map().entries(self.iter().map(|(key, value)| (key.name, value))).finish()
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Kind {
    /// Every kind that a document can declare.
    pub const ALL: &'static [&'static Kind] =
        &[&bridge::KIND, &ifb::KIND, &macvlan::KIND, &veth::KIND, &vxlan::KIND];

    /// The kind of that name, where it can be declared.
    pub fn by_name(name: &[u8]) -> Option<&'static Kind> {
        Self::ALL.iter().find(|kind| kind.name.as_bytes() == name).copied()
    }

    /// The place of a key in the table.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.keys.iter().position(|candidate| candidate.name == key)
    }

    /// Whether links of this kind are made in pairs.
    pub fn has_peer(&self) -> bool {
        self.keys.iter().any(|key| key.value == ValueType::Peer)
    }
}

impl Key {
    /// The word for a kernel number, where the key takes words and knows it.
    pub fn word(&self, number: u32) -> Option<&'static str> {
        let ValueType::Word(words) = self.value else {
            return None;
        };
        words.iter().find(|(_, known)| *known == number).map(|(word, _)| *word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_tables_fit_and_name_each_key_once() {
        for kind in Kind::ALL {
            assert!(kind.keys.len() <= KEYS_MAX, "{}: raise KEYS_MAX", kind.name);
            for (at, key) in kind.keys.iter().enumerate() {
                assert_eq!(kind.position(key.name), Some(at), "{} {}", kind.name, key.name);
                assert!(!key.doc.is_empty(), "{} {}", kind.name, key.name);
            }
            let links = kind
                .keys
                .iter()
                .filter(|key| matches!(key.value, ValueType::Lower | ValueType::Peer));
            assert!(links.count() <= 1, "{}: one lower link or peer", kind.name);
        }
    }
}
