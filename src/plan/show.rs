//! How a plan's values are written for a person.

use std::fmt;
use std::net::IpAddr;

use super::{Blocked, Difference, Step};
use crate::model::change::Op;
use crate::model::kind::{Key, Value};
use crate::model::route::protocol_name;
use crate::model::rule::PortRange;
use crate::model::text::{KindName, LinkName, Mac, write_escaped};

/// A value of a field, as a plan shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// A number.
    Number(u64),
    /// Yes or no.
    Bool(bool),
    /// One of the words of this crate.
    Word(&'static str),
    /// A link's name.
    Name(LinkName),
    /// Bytes that anyone may have chosen.
    Text(Box<[u8]>),
    /// A hardware address.
    Mac(Mac),
    /// An IP address.
    Address(IpAddr),
    /// A range of ports.
    Ports(PortRange),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Word(word) => word.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Text(bytes) => write_escaped(f, bytes),
            Self::Mac(mac) => mac.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Ports(ports) => ports.fmt(f),
        }
    }
}

impl From<u32> for Shown {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for Shown {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<&'static str> for Shown {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<LinkName> for Shown {
    fn from(name: LinkName) -> Self {
        const { assert!(size_of::<LinkName>() == size_of::<KindName>()) };
        Self::Name(name)
    }
}

impl From<&[u8]> for Shown {
    fn from(bytes: &[u8]) -> Self {
        Self::Text(bytes.into())
    }
}

impl From<Mac> for Shown {
    fn from(mac: Mac) -> Self {
        Self::Mac(mac)
    }
}

impl Shown {
    /// A value of a kind's key; an index is shown as `name` gives it.
    pub(super) fn of(key: &Key, value: Value, name: impl Fn(u32) -> Option<LinkName>) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => number.into(),
            Value::Word(number) => key.word(number).map_or(number.into(), Self::Word),
            Value::Address(address) => Self::Address(address),
            Value::Ports(ports) => Self::Ports(ports),
            Value::Link(name) => Self::Name(name),
            Value::Index(index) => name(index).map_or(index.into(), Self::Name),
            Value::Netns(number) => Self::Number(number.into()),
        }
    }
}

/// A route protocol by name, or by number where it has none.
pub(super) struct Protocol(pub(super) u8);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match protocol_name(self.0) {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// `mtu 1500 -> 1400`, `mtu 1400` where there was nothing.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) => write!(f, "{key} {from} -> {to}"),
            (None, Some(to)) => write!(f, "{key} {to}"),
            (Some(from), None) => write!(f, "{key} {from} -> none"),
            (None, None) => f.write_str(key),
        }
    }
}

/// `set link br0: mtu 1500 -> 1400, admin down -> up`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.change.op();
        write!(f, "{} {}", op.name(), self.change.object())?;
        if self.is_recreation() {
            f.write_str(" to make it anew")?;
        }
        let mut separator = if op == Op::Create { " with " } else { ": " };
        for difference in &self.differences {
            write!(f, "{separator}{difference}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// `link mv0: waiting for link eth0, which does not exist`.
impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)
    }
}
