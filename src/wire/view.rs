//! Borrowed walks over what the kernel sent: messages of a datagram, attributes of a message.
//!
//! They hand out slices of the datagram and neither copy nor allocate. Any input is fine: a
//! length that cannot be ends the walk that met it. Integers are in host order, as netlink's
//! are, unless a name says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::text::InlineBytes;

/// Bytes that are not what they should be; it says what they failed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed netlink data: {0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// One message: the fields of its `struct nlmsghdr` (`linux/netlink.h`), and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// `nlmsg_type`.
    pub message_type: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// `nlmsg_pid`, which is a port and not a process.
    pub port: u32,
    /// All behind the header, without the padding to the next message.
    pub payload: &'a [u8],
}

/// The bytes of `struct nlmsghdr`: u32 len, u16 type, u16 flags, u32 seq, u32 pid.
pub(super) const MESSAGE_HEADER_BYTES: usize = 16;
pub(super) const MESSAGE_FLAGS_OFFSET: usize = 6;
pub(super) const MESSAGE_TYPE_OFFSET: usize = 4;
const MESSAGE_SEQUENCE_OFFSET: usize = 8;
pub(super) const MESSAGE_PORT_OFFSET: usize = 12;

/// The bytes of `struct nlattr`: u16 len, u16 type.
pub(super) const ATTRIBUTE_HEADER_BYTES: usize = 4;
const ATTRIBUTE_KIND_OFFSET: usize = 2;
/// NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const ATTRIBUTE_KIND_MASK: u16 = 0x3fff;

/// The messages of a datagram, in order.
pub(crate) fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

/// See [`messages`].
#[derive(Debug, Clone)]
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        // Without a length that holds, nobody knows where the next message begins.
        let Some((message, rest)) = split_message(bytes) else {
            return Some(Err(Malformed("a message's length is not that of a message")));
        };
        self.rest = rest;
        Some(Ok(message))
    }
}

fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = bytes.get(..len)?;
    let message = Message {
        message_type: u16_at(message, MESSAGE_TYPE_OFFSET)?,
        flags: u16_at(message, MESSAGE_FLAGS_OFFSET)?,
        sequence: u32_at(message, MESSAGE_SEQUENCE_OFFSET)?,
        port: u32_at(message, MESSAGE_PORT_OFFSET)?,
        payload: message.get(MESSAGE_HEADER_BYTES..)?,
    };
    Some((message, after(bytes, len)))
}

/// The attributes in `bytes`, in order.
pub(crate) fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes, malformed: false }
}

/// See [`attributes`].
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
    malformed: bool,
}

impl Attributes<'_> {
    #[cfg(test)]
    /// Whether the walk ended at a length that cannot be; what came before it was handed out.
    pub(crate) fn is_malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let Some((attribute, rest)) = split_attribute(bytes) else {
            self.malformed = true;
            return None;
        };
        self.rest = rest;
        Some(attribute)
    }
}

fn split_attribute(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let len = usize::from(u16_at(bytes, 0)?);
    let attribute = Attribute {
        kind: u16_at(bytes, ATTRIBUTE_KIND_OFFSET)? & ATTRIBUTE_KIND_MASK,
        value: bytes.get(ATTRIBUTE_HEADER_BYTES..len)?,
    };
    Some((attribute, after(bytes, len)))
}

/// One attribute, nested ones included: their value is a sequence of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// `nla_type` without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    pub kind: u16,
    /// The payload, without its padding.
    pub value: &'a [u8],
}

/// The value as this or that; `None` where its length says that it is something else.
impl<'a> Attribute<'a> {
    pub(super) fn u8(&self) -> Option<u8> {
        self.value.try_into().ok().map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_ne_bytes)
    }

    pub(super) fn u16_big_endian(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&self) -> Option<u64> {
        self.value.try_into().ok().map(u64::from_ne_bytes)
    }

    pub(super) fn u64_big_endian(&self) -> Option<u64> {
        self.value.try_into().ok().map(u64::from_be_bytes)
    }

    pub(super) fn i32(&self) -> Option<i32> {
        self.value.try_into().ok().map(i32::from_ne_bytes)
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        address(self.value)
    }

    /// The bytes before the final zero, which some attributes have and some lack.
    pub(super) fn text(&self) -> &'a [u8] {
        let end = self.value.iter().position(|&byte| byte == 0);
        end.and_then(|end| self.value.get(..end)).unwrap_or(self.value)
    }

    /// The text, where it is not longer than that.
    pub(super) fn inline_text<const N: usize>(&self) -> Option<InlineBytes<N>> {
        InlineBytes::new(self.text())
    }
}

/// An IPv4 address in 4 bytes or an IPv6 address in 16.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(octets).into())
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// What stands behind an item of `len` bytes and its padding to the next multiple of 4, to which
/// NLMSG_ALIGNTO, NLA_ALIGNTO and RTNH_ALIGNTO agree. The last item may lack its padding.
pub(super) fn after(bytes: &[u8], len: usize) -> &[u8] {
    let next = len.checked_next_multiple_of(4);
    next.and_then(|next| bytes.get(next..)).unwrap_or_default()
}
