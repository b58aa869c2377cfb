//! How the settings of each link kind are spelled within IFLA_LINKINFO.
//!
//! A kind is a table here too: one [`Field`] for each key of its table in `model::kind`, in the
//! same order. Reading and writing are both derived from it, so a kind costs a table and a line
//! in [`SPELLINGS`].

mod bridge;
mod ifb;
mod macvlan;
mod veth;
mod vxlan;

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable};

use super::numbers::*;
use super::view::{Attribute, attributes};
use crate::model::kind::{Kind, Settings, Value, ValueType};
use crate::model::link::Link;
use crate::model::text::{KindName, LinkName};

/// The spelling of every kind in [`Kind::ALL`].
static SPELLINGS: &[&Spelling] =
    &[&bridge::SPELLING, &ifb::SPELLING, &macvlan::SPELLING, &veth::SPELLING, &vxlan::SPELLING];

/// How a kind's settings are spelled.
struct Spelling {
    /// IFLA_INFO_KIND.
    kind: &'static str,
    /// One for each key, in the order of the kind's key table.
    fields: &'static [Field],
}

/// How a key is spelled.
struct Field {
    /// The key's name, as in the kind's key table.
    key: &'static str,
    shape: Shape,
}

/// Where a value stands and in what form; the numbers are of attributes in IFLA_INFO_DATA.
#[derive(Clone, Copy)]
enum Shape {
    U8(u16),
    U16(u16),
    U16BigEndian(u16),
    U32(u16),
    /// One of two attributes, by family; the unspecified address means none.
    Address {
        v4: u16,
        v6: u16,
    },
    /// An interface index; 0 means none.
    Index(u16),
    /// Not in IFLA_INFO_DATA: the IFLA_LINK of the message.
    LinkBelow,
    /// Written as a link message of its own in that attribute; read from IFLA_LINK.
    Peer(u16),
}

/// Reads an IFLA_LINKINFO into the kind and the settings of `link`, whose other fields are
/// already known.
pub(super) fn decode(info: &[u8], link: &mut Link) {
    let mut data: &[u8] = &[];
    for attribute in attributes(info) {
        match attribute.kind {
            IFLA_INFO_KIND => link.kind = KindName::truncated(attribute.text()),
            IFLA_INFO_DATA => data = attribute.value,
            _ => {}
        }
    }
    let name = link.kind.as_bytes();
    let Some((kind, spelling)) = Kind::by_name(name).zip(spelling(name)) else {
        return;
    };
    let mut settings = Settings::new(kind);
    for (position, field) in spelling.fields.iter().enumerate() {
        if matches!(field.shape, Shape::LinkBelow | Shape::Peer(_)) {
            settings.set(position, local_index(link.lower, link));
        }
    }
    // Drivers show dozens of attributes and the keys are few: most are told by one bit.
    let wanted = spelling
        .fields
        .iter()
        .flat_map(|field| field.shape.numbers())
        .fold(0, |wanted, number| wanted | bit(number));
    for attribute in attributes(data).filter(|it| wanted & bit(it.kind) != 0) {
        for (position, field) in spelling.fields.iter().enumerate() {
            if field.shape.numbers().contains(&attribute.kind) {
                let value = field.shape.read(&attribute, link);
                let value = value.map(|value| typed(value, kind, position));
                settings.set(position, value);
            }
        }
    }
    link.settings = Some(settings);
}

/// A bit for an attribute number; the numbers from 63 on share one.
fn bit(number: u16) -> u64 {
    1 << number.min(63)
}

/// An index, where it is one of this namespace: with IFLA_LINK_NETNSID it counts in another,
/// where it names another link.
fn local_index(index: u32, link: &Link) -> Option<Value> {
    let is_local = index != 0 && link.lower_netns.is_none();
    is_local.then_some(Value::Index(index))
}

/// A number as the type that the key's table gives it.
fn typed(value: Value, kind: &Kind, position: usize) -> Value {
    let Value::Number(number) = value else {
        return value;
    };
    match kind.keys.get(position).map(|key| key.value) {
        Some(ValueType::Bool) => Value::Bool(number != 0),
        Some(ValueType::Word(_)) => Value::Word(number),
        _ => value,
    }
}

impl Shape {
    /// The attributes in IFLA_INFO_DATA that can hold it.
    fn numbers(self) -> [u16; 2] {
        match self {
            Self::U8(own) | Self::U16(own) | Self::U16BigEndian(own) => [own, own],
            Self::U32(own) | Self::Index(own) => [own, own],
            Self::Address { v4, v6 } => [v4, v6],
            // No attribute: their numbers have 14 bits.
            Self::LinkBelow | Self::Peer(_) => [u16::MAX, u16::MAX],
        }
    }

    fn read(self, attribute: &Attribute<'_>, link: &Link) -> Option<Value> {
        match self {
            Self::U8(_) => attribute.u8().map(u32::from).map(Value::Number),
            Self::U16(_) => attribute.u16().map(u32::from).map(Value::Number),
            Self::U16BigEndian(_) => {
                let number = attribute.u16_big_endian();
                number.map(u32::from).map(Value::Number)
            }
            Self::U32(_) => attribute.u32().map(Value::Number),
            Self::Address { v4, .. } => attribute
                .address()
                .filter(|address| address.is_ipv4() == (attribute.kind == v4))
                .filter(|address| !address.is_unspecified())
                .map(Value::Address),
            Self::Index(_) => local_index(attribute.u32()?, link),
            Self::LinkBelow | Self::Peer(_) => None,
        }
    }

    /// The attribute that says `value`; `None` where that is not one in IFLA_INFO_DATA, or the
    /// value is of another type than the key.
    fn write(self, value: Value, index: Option<u32>) -> Option<DefaultNla> {
        let number = match value {
            Value::Bool(value) => Some(u32::from(value)),
            Value::Number(number) | Value::Word(number) => Some(number),
            Value::Address(_) | Value::Link(_) | Value::Index(_) => None,
        };
        let (attribute, bytes) = match (self, value) {
            (Self::U8(own), _) => (own, vec![u8::try_from(number?).ok()?]),
            (Self::U16(own), _) => (own, u16::try_from(number?).ok()?.to_ne_bytes().into()),
            (Self::U16BigEndian(own), _) => {
                (own, u16::try_from(number?).ok()?.to_be_bytes().into())
            }
            (Self::U32(own), _) => (own, number?.to_ne_bytes().into()),
            (Self::Index(own), _) => (own, index?.to_ne_bytes().into()),
            (Self::Address { v4, .. }, Value::Address(IpAddr::V4(address))) => {
                (v4, address.octets().into())
            }
            (Self::Address { v6, .. }, Value::Address(IpAddr::V6(address))) => {
                (v6, address.octets().into())
            }
            (Self::Address { .. } | Self::LinkBelow | Self::Peer(_), _) => return None,
        };
        Some(DefaultNla::new(attribute, bytes))
    }
}

/// The parts of a request that say a link's settings.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The value of IFLA_INFO_DATA; empty where no setting stands in it.
    pub data: Vec<u8>,
    /// IFLA_LINK.
    pub below: Option<u32>,
}

/// Spells settings, their links by the index that `resolve` gives.
///
/// `peer` is the link message that a kind with a peer is made with; changes of a link that
/// exists have none.
///
/// # Panics
///
/// In debug builds, on a value that its key cannot have; else that value is left out.
pub(super) fn encode<E>(
    settings: &Settings,
    mut peer: Option<Vec<u8>>,
    resolve: impl Fn(LinkName) -> Result<u32, E>,
) -> Result<Encoded, E> {
    let mut encoded = Encoded::default();
    let mut attributes = Vec::new();
    let fields = spelling(settings.kind.name.as_bytes()).map_or(&[][..], |it| it.fields);
    for (position, field) in fields.iter().enumerate() {
        if let Shape::Peer(attribute) = field.shape {
            attributes.extend(peer.take().map(|peer| DefaultNla::new(attribute, peer)));
            continue;
        }
        let Some(value) = settings.get(position) else {
            continue;
        };
        let index = match value {
            Value::Link(name) => Some(resolve(name)?),
            Value::Index(index) => Some(index),
            _ => None,
        };
        match field.shape {
            Shape::LinkBelow => encoded.below = index,
            shape => {
                let attribute = shape.write(value, index);
                debug_assert!(attribute.is_some(), "{}: {value:?}", field.key);
                attributes.extend(attribute);
            }
        }
    }
    let attributes = attributes.as_slice();
    encoded.data.resize(attributes.buffer_len(), 0);
    attributes.emit(&mut encoded.data);
    Ok(encoded)
}

fn spelling(kind: &[u8]) -> Option<&'static Spelling> {
    SPELLINGS.iter().find(|spelling| spelling.kind.as_bytes() == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_spelled_key_by_key() {
        assert_eq!(SPELLINGS.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let spelling = spelling(kind.name.as_bytes()).expect(kind.name);
            let keys: Vec<_> = kind.keys.iter().map(|key| key.name).collect();
            let fields: Vec<_> = spelling.fields.iter().map(|field| field.key).collect();
            assert_eq!(keys, fields, "{}", kind.name);
        }
    }

    #[test]
    fn attributes_that_no_key_has_are_passed_over() {
        let mut link = Link::new(1, LinkName::default());
        link.lower = 5;
        for kind in Kind::ALL {
            let mut info = vec![20, 0, 1, 0];
            info.extend(kind.name.as_bytes());
            info.resize(20, 0);
            decode(&info, &mut link);
            let without = link.settings;
            assert!(without.is_some_and(|it| it.kind == *kind));
            info.extend([28, 0, 2, 0]);
            for number in [0_u8, 63, 200] {
                info.extend([8, 0, number, 0, 1, 0, 0, 0]);
            }
            decode(&info, &mut link);
            assert_eq!(link.settings, without);
        }
    }

    #[test]
    fn zeroes_mean_none() {
        let link = Link::new(1, LinkName::default());
        let read = |shape: Shape, kind: u16, value: &[u8]| {
            assert!(shape.numbers().contains(&kind));
            shape.read(&Attribute { kind, value }, &link)
        };
        let address = Shape::Address { v4: 1, v6: 2 };
        assert_eq!(read(address, 1, &[0; 4]), None);
        assert_eq!(read(address, 2, &[0; 16]), None);
        assert_eq!(read(address, 2, &[1; 4]), None);
        assert_eq!(read(address, 1, &[1; 4]), Some(Value::Address([1; 4].into())));
        assert_eq!(read(Shape::Index(3), 3, &[0; 4]), None);
        assert_eq!(read(Shape::U8(3), 3, &[0]), Some(Value::Number(0)));
    }
}
