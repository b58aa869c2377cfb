//! The settings of one link, packed: a link is copied with every event, and has room for the
//! keys of the richest kind.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::rule::PortRange;
use super::super::text::LinkName;
use super::{Key, Kind, ValueType};

/// The room for the values of one table, in units of 16 bits; what a value takes is
/// `ValueType::units`.
pub const UNITS: usize = 40;

/// The same for the tables of [`FewSettings`].
const FEW_UNITS: usize = 16;

/// A value of a kind's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Of [`ValueType::Bool`].
    Bool(bool),
    /// Of [`ValueType::Number`].
    Number(u32),
    /// Of [`ValueType::Word`]: the kernel's number.
    Word(u32),
    /// Of [`ValueType::Address`] and [`ValueType::Ipv4Address`].
    Address(IpAddr),
    /// Of [`ValueType::Ports`]: all bits of the ports count.
    Ports(PortRange),
    /// A link by name, as a document gives it.
    Link(LinkName),
    /// A link by index, as the kernel gives it.
    Index(u32),
    /// A network namespace: its place among the names that the declared state gives to others.
    Netns(u16),
}

/// The settings of one link: its kind, and a value for each key that is known or wanted.
#[derive(Clone, Copy, PartialEq)]
pub struct Settings {
    /// The kind whose key table the values follow.
    pub kind: &'static Kind,
    /// A bit for each key that has a value.
    known: u64,
    /// The second bit of each key: a boolean itself, that an address is of IPv6, that a link is
    /// given by name.
    marks: u64,
    /// The values of the other types, each where the table says; zero where there is none.
    units: [u16; UNITS],
}

impl Settings {
    /// No value for any key.
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, known: 0, marks: 0, units: [0; UNITS] }
    }

    /// The value of the key at `position` in the kind's table.
    pub fn get(&self, position: usize) -> Option<Value> {
        let key = self.kind.keys.get(position)?;
        let bit = 1 << position;
        if self.known & bit == 0 {
            return None;
        }
        let is_marked = self.marks & bit != 0;
        let units = self.units.get(usize::from(self.kind.offsets[position])..)?;
        Some(match key.value {
            ValueType::Bool => Value::Bool(is_marked),
            ValueType::Number { .. } => match key.value.units() {
                1 => Value::Number((*units.first()?).into()),
                _ => Value::Number(number_in(units)?),
            },
            ValueType::Word(_) => Value::Word((*units.first()?).into()),
            ValueType::Netns => Value::Netns(*units.first()?),
            ValueType::Ipv4Address => Value::Address(Ipv4Addr::from(number_in(units)?).into()),
            ValueType::Ports => {
                let (first, last) = (*units.first()?, *units.get(1)?);
                Value::Ports(PortRange { first, last, mask: u16::MAX })
            }
            ValueType::Address if is_marked => {
                Value::Address(Ipv6Addr::from(bytes_in(units)?).into())
            }
            ValueType::Address => Value::Address(Ipv4Addr::from(number_in(units)?).into()),
            ValueType::Lower | ValueType::Peer if is_marked => Value::Link(name_in(units)?),
            ValueType::Lower | ValueType::Peer => Value::Index(number_in(units)?),
        })
    }

    /// The value of the key of that name.
    pub fn by_name(&self, key: &str) -> Option<Value> {
        self.get(self.kind.position(key)?)
    }

    /// Sets the key at `position`, and says whether it did: a value that is not of the key's
    /// type, or too large for any that it can have, and a position past the table are ignored.
    pub fn set(&mut self, position: usize, value: Option<Value>) -> bool {
        let Some(key) = self.kind.keys.get(position) else {
            return false;
        };
        let Some((is_marked, units)) = value.map_or(Some((false, [0; 8])), |it| packed(key, it))
        else {
            return false;
        };
        let bit = 1 << position;
        self.known = if value.is_some() { self.known | bit } else { self.known & !bit };
        self.marks = if is_marked { self.marks | bit } else { self.marks & !bit };
        let start = usize::from(self.kind.offsets[position]);
        let len = key.value.units();
        self.units[start..start + len].copy_from_slice(&units[..len]);
        true
    }

    /// Sets the key at `position` to a number as the kernel tells it: of a boolean whether, of a
    /// word which. As [`set`](Self::set) otherwise; every link has some thirty of them.
    pub(crate) fn set_number(&mut self, position: usize, number: u32) -> bool {
        let Some(key) = self.kind.keys.get(position) else {
            return false;
        };
        let start = usize::from(self.kind.offsets[position]);
        let bit = 1 << position;
        match (key.value, key.value.units()) {
            (ValueType::Bool, _) if number != 0 => self.marks |= bit,
            (ValueType::Bool, _) => self.marks &= !bit,
            (ValueType::Number { .. } | ValueType::Word(_), 1) => match number.try_into() {
                Ok(unit) => self.units[start] = unit,
                Err(_) => return false,
            },
            (ValueType::Number { .. }, _) => {
                self.units[start] = number as u16;
                self.units[start + 1] = (number >> 16) as u16;
            }
            _ => return false,
        }
        self.known |= bit;
        true
    }

    /// The same, with the key of that name set. For builders and tests.
    ///
    /// Returns `None` where the kind has no such key, or the key no such value.
    pub fn with(mut self, key: &str, value: Value) -> Option<Self> {
        let position = self.kind.position(key)?;
        self.set(position, Some(value)).then_some(self)
    }

    /// The same, with every value that `other`, of the same kind, has.
    pub fn overlaid_with(mut self, other: &Self) -> Self {
        for position in 0..self.kind.keys.len() {
            if let Some(value) = other.get(position).filter(|_| *self.kind == *other.kind) {
                self.set(position, Some(value));
            }
        }
        self
    }

    /// Of these values the ones of keys that `is_meant` names; `None` where there is none.
    pub fn only(&self, is_meant: impl Fn(&Key) -> bool) -> Option<Self> {
        let mut only = Self::new(self.kind);
        let meant = self.kind.keys.iter().enumerate().filter(|(_, key)| is_meant(key));
        for (position, _) in meant {
            only.set(position, self.get(position));
        }
        (!only.is_empty()).then_some(only)
    }

    /// Each key with a value, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, Value)> + '_ {
        let keys = self.kind.keys.iter().enumerate();
        keys.filter_map(|(position, key)| Some((key, self.get(position)?)))
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// The link of the same network namespace that this one is created together with.
    pub fn peer(&self) -> Option<LinkName> {
        self.peer_name().filter(|_| self.peer_netns().is_none())
    }

    /// The name of the link that this one is created together with, wherever that is.
    pub fn peer_name(&self) -> Option<LinkName> {
        self.link_of(ValueType::Peer)
    }

    /// The network namespace that the peer is in, where it is declared to be in another one: its
    /// place among those that the declared state names.
    pub fn peer_netns(&self) -> Option<u16> {
        match self.get(self.kind.netns_position()?) {
            Some(Value::Netns(netns)) => Some(netns),
            _ => None,
        }
    }

    /// The link that this one stands on.
    pub fn lower(&self) -> Option<LinkName> {
        self.link_of(ValueType::Lower)
    }

    fn link_of(&self, wanted: ValueType) -> Option<LinkName> {
        let position = self.kind.keys.iter().position(|key| key.value == wanted)?;
        match self.get(position) {
            Some(Value::Link(name)) => Some(name),
            _ => None,
        }
    }
}

/// The same for a table of few values, as a link carries them with every event: what it is as a
/// port, and what can be set of every link.
#[derive(Clone, Copy, PartialEq)]
pub struct FewSettings {
    /// The table that the values follow.
    pub kind: &'static Kind,
    known: u64,
    marks: u64,
    units: [u16; FEW_UNITS],
}

impl FewSettings {
    /// With room for the values of any table.
    pub fn widened(&self) -> Settings {
        let Self { kind, known, marks, units: few } = *self;
        let mut units = [0; UNITS];
        units[..FEW_UNITS].copy_from_slice(&few);
        Settings { kind, known, marks, units }
    }
}

impl Settings {
    /// With room for few values. What has no room in it is lost: only tables that fit are
    /// [`Kind::port`] and [`Kind::LINK`].
    pub fn narrowed(&self) -> FewSettings {
        let mut few = [0; FEW_UNITS];
        few.copy_from_slice(&self.units[..FEW_UNITS]);
        FewSettings { kind: self.kind, known: self.known, marks: self.marks, units: few }
    }
}

impl fmt::Debug for FewSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.widened().fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.name)?;
        f.debug_map().entries(self.iter().map(|(key, value)| (key.name, value))).finish()
    }
}

/// A value as its mark and its units; `None` where the key cannot have it.
fn packed(key: &Key, value: Value) -> Option<(bool, [u16; 8])> {
    let mut units = [0; 8];
    let mut is_marked = false;
    match (key.value, value) {
        (ValueType::Bool, Value::Bool(value)) => is_marked = value,
        (ValueType::Number { .. }, Value::Number(number))
        | (ValueType::Word(_), Value::Word(number)) => {
            if key.value.units() == 1 && number > u16::MAX.into() {
                return None;
            }
            put_number(&mut units, number);
        }
        (ValueType::Netns, Value::Netns(netns)) => units[0] = netns,
        (ValueType::Ports, Value::Ports(PortRange { first, last, .. })) => {
            units[..2].copy_from_slice(&[first, last]);
        }
        (ValueType::Lower | ValueType::Peer, Value::Index(index)) => {
            put_number(&mut units, index);
        }
        (ValueType::Address | ValueType::Ipv4Address, Value::Address(IpAddr::V4(address))) => {
            put_number(&mut units, address.into());
        }
        (ValueType::Address, Value::Address(IpAddr::V6(address))) => {
            is_marked = true;
            put_bytes(&mut units, &address.octets());
        }
        (ValueType::Lower | ValueType::Peer, Value::Link(name)) => {
            is_marked = true;
            put_bytes(&mut units, name.as_bytes());
        }
        _ => return None,
    }
    Some((is_marked, units))
}

fn put_number(units: &mut [u16; 8], number: u32) {
    units[0] = number as u16;
    units[1] = (number >> 16) as u16;
}

fn put_bytes(units: &mut [u16; 8], bytes: &[u8]) {
    for (unit, pair) in units.iter_mut().zip(bytes.chunks(2)) {
        *unit = u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
    }
}

fn number_in(units: &[u16]) -> Option<u32> {
    let [low, high] = units.first_chunk()?;
    Some(u32::from(*low) | u32::from(*high) << 16)
}

fn bytes_in(units: &[u16]) -> Option<[u8; 16]> {
    let units: &[u16; 8] = units.first_chunk()?;
    let mut bytes = [0; 16];
    for (pair, unit) in bytes.chunks_mut(2).zip(units) {
        pair.copy_from_slice(&unit.to_le_bytes());
    }
    Some(bytes)
}

/// A name has no zero in it (`dev_valid_name`), and fewer bytes than there is room for.
fn name_in(units: &[u16]) -> Option<LinkName> {
    let bytes = bytes_in(units)?;
    let end = bytes.iter().position(|&byte| byte == 0);
    Some(LinkName::truncated(&bytes[..end.unwrap_or(bytes.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a key of that type can be, the edges of its room among them.
    fn values(value: ValueType) -> Vec<Value> {
        match value {
            ValueType::Bool => vec![Value::Bool(true), Value::Bool(false)],
            ValueType::Number { min, max } => vec![Value::Number(max), Value::Number(min)],
            ValueType::Word(words) => {
                words.iter().map(|(_, number)| Value::Word(*number)).collect()
            }
            ValueType::Ipv4Address => vec![Value::Address([192, 0, 2, 255].into())],
            ValueType::Ports => {
                vec![Value::Ports(PortRange { first: 1, last: u16::MAX, mask: u16::MAX })]
            }
            ValueType::Address => vec![
                Value::Address([1; 16].into()),
                Value::Address([0; 16].into()),
                Value::Address([255, 0, 0, 254].into()),
            ],
            ValueType::Netns => vec![Value::Netns(u16::MAX), Value::Netns(0)],
            ValueType::Lower | ValueType::Peer => vec![
                Value::Link(LinkName::truncated(b"fifteen-bytes-x")),
                Value::Link(LinkName::truncated(b"a")),
                Value::Index(u32::MAX),
            ],
        }
    }

    #[test]
    fn every_key_keeps_its_value_beside_all_others() {
        let ports = Kind::ALL.iter().filter_map(|kind| kind.port).chain([Kind::LINK]);
        for kind in Kind::ALL.iter().copied().chain(ports) {
            let mut settings = Settings::new(kind);
            for pick in 0..3 {
                let picked = |key: &Key| {
                    let values = values(key.value);
                    values[pick % values.len()]
                };
                for (position, key) in kind.keys.iter().enumerate() {
                    assert!(
                        settings.set(position, Some(picked(key))),
                        "{} {}",
                        kind.name,
                        key.name
                    );
                }
                if Kind::by_name(kind.name.as_bytes()).is_none() {
                    assert_eq!(settings.narrowed().widened(), settings, "raise FEW_UNITS");
                }
                for (position, key) in kind.keys.iter().enumerate() {
                    let name = format!("{} {}", kind.name, key.name);
                    assert_eq!(settings.get(position), Some(picked(key)), "{name}");
                    let number = match picked(key) {
                        Value::Bool(is) => u32::from(is),
                        Value::Number(number) | Value::Word(number) => number,
                        _ => continue,
                    };
                    let mut told = settings;
                    told.set(position, None);
                    assert!(told.set_number(position, number), "{name}");
                    assert_eq!(told, settings, "{name}");
                }
            }
            for position in 0..kind.keys.len() {
                settings.set(position, None);
            }
            assert_eq!(settings, Settings::new(kind), "what is taken out leaves no trace");
        }
    }

    #[test]
    fn a_value_that_a_key_cannot_have_is_refused() {
        let kind = Kind::by_name(b"bridge").unwrap();
        let settings = Settings::new(kind);
        assert_eq!(settings.with("priority", Value::Number(65536)), None);
        assert_eq!(settings.with("priority", Value::Bool(true)), None);
        assert_eq!(settings.with("no_such_key", Value::Bool(true)), None);
        assert!(!settings.clone().set(kind.keys.len(), None));
        let mut told = settings;
        assert!(!told.set_number(kind.position("priority").unwrap(), 65536));
        assert!(!told.set_number(kind.keys.len(), 1));
        assert_eq!(told, settings);
    }

    #[test]
    fn a_link_stays_small() {
        // Two of them are in every event, and a batch has thousands.
        assert!(size_of::<Settings>() <= 104, "{}", size_of::<Settings>());
    }
}
