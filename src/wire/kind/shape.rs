//! In what form a value of a key stands in a message.

use std::net::IpAddr;

use super::super::view::{Attribute, u32_at};
use crate::model::kind::{Value, ValueType};
use crate::model::link::Link;
use crate::model::rule::PortRange;

/// Where a value stands and in what form; the numbers are of attributes in IFLA_INFO_DATA or
/// IFLA_INFO_SLAVE_DATA.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    U8(u16),
    U16(u16),
    U16BigEndian(u16),
    U32(u16),
    U32BigEndian(u16),
    U64(u16),
    /// One bit of a pair of 32-bit words, of which the second says which bits are meant
    /// (`struct vlan_flags`, `struct br_boolopt_multi`).
    Flag {
        attribute: u16,
        bit: u32,
    },
    /// The same, where the attribute is left out while no bit is set.
    SparseFlag {
        attribute: u16,
        bit: u32,
    },
    /// One bit of a 16-bit word in network order.
    Bit16BigEndian {
        attribute: u16,
        bit: u16,
    },
    /// The key of a GRE tunnel, in network order, and the attribute with the flag that there is
    /// one; 0 means none.
    GreKey {
        attribute: u16,
        flags: u16,
    },
    /// One of two attributes, by family; the unspecified address means none.
    Address {
        v4: u16,
        v6: u16,
    },
    /// An IPv4 address; the unspecified one means none.
    Ipv4(u16),
    /// Two ports in network order, the first and the last; 0 for the first means none
    /// (`struct ifla_vxlan_port_range`).
    Ports(u16),
    /// An interface index; 0 means none.
    Index(u16),
    /// Not in the data: the IFLA_LINK of the message.
    LinkBelow,
    /// Written as a link message of its own in that attribute; read from IFLA_LINK.
    Peer(u16),
    /// Not in the data: it stands in the link message of the peer, and what is shown of it is the
    /// IFLA_LINK_NETNSID of the message.
    PeerNetns,
}

/// GRE_KEY of `linux/if_tunnel.h`.
const GRE_KEY: u16 = 0x2000;

/// An index, where it is one of this namespace: with IFLA_LINK_NETNSID it counts in another,
/// where it names another link.
pub(super) fn local_index(index: u32, link: &Link) -> Option<Value> {
    let is_local = index != 0 && link.lower_netns.is_none();
    is_local.then_some(Value::Index(index))
}

impl Shape {
    /// The attributes that can hold it; 0 for none.
    pub(super) const fn numbers(self) -> [u16; 2] {
        match self {
            Self::U8(own) | Self::U16(own) | Self::U16BigEndian(own) => [own, own],
            Self::U32(own) | Self::U32BigEndian(own) | Self::U64(own) => [own, own],
            Self::Flag { attribute: own, .. } | Self::SparseFlag { attribute: own, .. } => {
                [own, own]
            }
            Self::Bit16BigEndian { attribute: own, .. } => [own, own],
            Self::GreKey { attribute: own, .. }
            | Self::Ipv4(own)
            | Self::Index(own)
            | Self::Ports(own) => [own, own],
            Self::Address { v4, v6 } => [v4, v6],
            Self::LinkBelow | Self::Peer(_) | Self::PeerNetns => [0, 0],
        }
    }

    /// The value that an attribute holds, as the type that the key's table gives it.
    pub(super) fn read(
        self,
        attribute: &Attribute<'_>,
        link: &Link,
        wanted: ValueType,
    ) -> Option<Value> {
        let number = match self {
            Self::U8(_) => attribute.u8()?.into(),
            Self::U16(_) => attribute.u16()?.into(),
            Self::U16BigEndian(_) => attribute.u16_big_endian()?.into(),
            Self::U32(_) => attribute.u32()?,
            Self::U32BigEndian(_) => u32::from_be(attribute.u32()?),
            Self::U64(_) => u32::try_from(attribute.u64()?).ok()?,
            Self::Flag { bit, .. } | Self::SparseFlag { bit, .. } => {
                let (value, mask) = (u32_at(attribute.value, 0)?, u32_at(attribute.value, 4)?);
                (mask & bit != 0).then_some(u32::from(value & bit != 0))?
            }
            Self::Bit16BigEndian { bit, .. } => u32::from(attribute.u16_big_endian()? & bit != 0),
            Self::GreKey { .. } => Some(u32::from_be(attribute.u32()?)).filter(|&key| key != 0)?,
            Self::Address { .. } | Self::Ipv4(_) => {
                let is_v6 = matches!(self, Self::Address { v6, .. } if attribute.kind == v6);
                let address = attribute.address().filter(|it| it.is_ipv4() != is_v6)?;
                return (!address.is_unspecified()).then_some(Value::Address(address));
            }
            Self::Ports(_) => {
                let [a, b, c, d] = *attribute.value.first_chunk()?;
                let [first, last] = [[a, b], [c, d]].map(u16::from_be_bytes);
                let ports = PortRange { first, last, mask: u16::MAX };
                return (first != 0).then_some(Value::Ports(ports));
            }
            Self::Index(_) => return local_index(attribute.u32()?, link),
            Self::LinkBelow | Self::Peer(_) | Self::PeerNetns => return None,
        };
        Some(match wanted {
            ValueType::Bool => Value::Bool(number != 0),
            ValueType::Word(_) => Value::Word(number),
            _ => Value::Number(number),
        })
    }

    /// The attributes that say `value`; `None` where it is not one in the data, or is of another
    /// type than the key. What stands in one attribute is to be joined by the caller.
    pub(super) fn write(self, value: Value, index: Option<u32>) -> Option<Vec<(u16, Vec<u8>)>> {
        let number = match value {
            Value::Bool(value) => Some(u32::from(value)),
            Value::Number(number) | Value::Word(number) => Some(number),
            Value::Address(_) | Value::Ports(_) | Value::Link(_) | Value::Index(_) => None,
            Value::Netns(_) => None,
        };
        let is_set = number != Some(0);
        let one = |attribute, bytes| Some(vec![(attribute, bytes)]);
        let u16_of = |number: Option<u32>| u16::try_from(number?).ok();
        match (self, value) {
            (Self::U8(own), _) => one(own, vec![u8::try_from(number?).ok()?]),
            (Self::U16(own), _) => one(own, u16_of(number)?.to_ne_bytes().into()),
            (Self::U16BigEndian(own), _) => one(own, u16_of(number)?.to_be_bytes().into()),
            (Self::U32(own), _) => one(own, number?.to_ne_bytes().into()),
            (Self::U32BigEndian(own), _) => one(own, number?.to_be_bytes().into()),
            (Self::U64(own), _) => one(own, u64::from(number?).to_ne_bytes().into()),
            (
                Self::Flag { attribute, bit } | Self::SparseFlag { attribute, bit },
                Value::Bool(_),
            ) => {
                let value = if is_set { bit } else { 0 };
                one(attribute, [value.to_ne_bytes(), bit.to_ne_bytes()].concat())
            }
            (Self::Bit16BigEndian { attribute, bit }, Value::Bool(_)) => {
                one(attribute, if is_set { bit } else { 0 }.to_be_bytes().into())
            }
            (Self::GreKey { attribute, flags }, _) => Some(vec![
                (attribute, number?.to_be_bytes().into()),
                (flags, if is_set { GRE_KEY } else { 0 }.to_be_bytes().into()),
            ]),
            (Self::Ports(own), Value::Ports(PortRange { first, last, .. })) => {
                one(own, [first, last].map(u16::to_be_bytes).concat())
            }
            (Self::Index(own), _) => one(own, index?.to_ne_bytes().into()),
            (Self::Address { v4: own, .. } | Self::Ipv4(own), Value::Address(IpAddr::V4(it))) => {
                one(own, it.octets().into())
            }
            (Self::Address { v6, .. }, Value::Address(IpAddr::V6(it))) => {
                one(v6, it.octets().into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::text::LinkName;

    #[test]
    fn zeroes_mean_none() {
        let link = Link::new(1, LinkName::default());
        let read = |shape: Shape, kind: u16, value: &[u8]| {
            assert!(shape.numbers().contains(&kind));
            let number = ValueType::Number { min: 0, max: u32::MAX };
            shape.read(&Attribute { kind, value }, &link, number)
        };
        let address = Shape::Address { v4: 1, v6: 2 };
        assert_eq!(read(address, 1, &[0; 4]), None);
        assert_eq!(read(address, 2, &[0; 16]), None);
        assert_eq!(read(address, 2, &[1; 4]), None);
        assert_eq!(read(address, 1, &[1; 4]), Some(Value::Address([1; 4].into())));
        assert_eq!(read(Shape::Ipv4(1), 1, &[1; 16]), None);
        assert_eq!(read(Shape::Index(3), 3, &[0; 4]), None);
        assert_eq!(read(Shape::GreKey { attribute: 4, flags: 2 }, 4, &[0; 4]), None);
        assert_eq!(read(Shape::U8(3), 3, &[0]), Some(Value::Number(0)));
    }

    #[test]
    fn a_flag_that_is_not_meant_is_not_read() {
        let link = Link::new(1, LinkName::default());
        let value = [3_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat();
        let attribute = Attribute { kind: 2, value: &value };
        let flag = |bit| Shape::Flag { attribute: 2, bit };
        assert_eq!(flag(1).read(&attribute, &link, ValueType::Bool), Some(Value::Bool(true)));
        assert_eq!(flag(2).read(&attribute, &link, ValueType::Bool), None);
    }
}
