//! Short byte strings stored inline: interface names, kind names, hardware addresses.
//!
//! They exist so that an event can leave the engine without touching the allocator. Names from
//! the kernel are bytes, not text: nothing here assumes UTF-8, and `Display` escapes what a
//! terminal would act on.

use std::fmt;

/// Up to `N` bytes, compared bytewise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InlineBytes<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> InlineBytes<N> {
    /// Copies `bytes`, or returns `None` where they do not fit.
    pub const fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > N || N > u8::MAX as usize {
            return None;
        }
        let mut copy = [0; N];
        let mut at = 0;
        while at < bytes.len() {
            copy[at] = bytes[at];
            at += 1;
        }
        Some(Self { bytes: copy, len: bytes.len() as u8 })
    }

    /// The first `N` of `bytes`.
    pub fn truncated(bytes: &[u8]) -> Self {
        let mut copy = [0; N];
        let len = bytes.len().min(N);
        copy[..len].copy_from_slice(&bytes[..len]);
        Self { bytes: copy, len: len as u8 }
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The text, where it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }
}

impl<const N: usize> Default for InlineBytes<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

/// Printable text as it is; control characters, and bytes that are not UTF-8, as `\xNN`.
impl<const N: usize> fmt::Display for InlineBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.as_bytes())
    }
}

impl<const N: usize> fmt::Debug for InlineBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes bytes so that a terminal or a log shows them and never obeys them.
pub fn write_escaped(out: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_inert(character) {
                out.write_char(character)?;
            } else {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    write!(out, "\\x{byte:02x}")?;
                }
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Not a control character, and none of the marks that reorder the text around them.
fn is_inert(character: char) -> bool {
    !character.is_control()
        && character != '\\'
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The most bytes of an interface name (IFNAMSIZ less the final zero, `linux/if.h`).
pub const NAME_BYTES_MAX: usize = 15;

/// An interface name: 1 to 15 bytes.
pub type LinkName = InlineBytes<NAME_BYTES_MAX>;

/// The name of a link kind (IFLA_INFO_KIND), cut at 15 bytes.
pub type KindName = InlineBytes<NAME_BYTES_MAX>;

/// Why bytes cannot be the name of a new link (`dev_valid_name` in net/core/dev.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No bytes at all.
    #[error("an interface name cannot be empty")]
    Empty,
    /// More than 15 bytes.
    #[error("an interface name has at most 15 bytes")]
    TooLong,
    /// `.` and `..`.
    #[error("`.` and `..` cannot be interface names")]
    Dots,
    /// A byte the kernel refuses.
    #[error("an interface name cannot hold '/', ':', '%' or white space")]
    Character,
}

impl LinkName {
    /// A name that the kernel accepts for a new link.
    ///
    /// `%` is refused beyond what the kernel refuses: it would be taken as a template
    /// (`veth%d`), and the link would get another name than the one asked for.
    pub fn valid(bytes: &[u8]) -> Result<Self, NameError> {
        match bytes {
            [] => Err(NameError::Empty),
            b"." | b".." => Err(NameError::Dots),
            _ if bytes.len() > NAME_BYTES_MAX => Err(NameError::TooLong),
            _ if bytes.iter().any(|&byte| {
                matches!(byte, b'/' | b':' | b'%' | 0 | 0x0b | 0xa0) || byte.is_ascii_whitespace()
            }) =>
            {
                Err(NameError::Character)
            }
            _ => Ok(Self::truncated(bytes)),
        }
    }
}

/// A hardware address of up to 32 bytes (MAX_ADDR_LEN, `linux/netdevice.h`); 6 on Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(InlineBytes<32>);

impl Mac {
    /// The address in `bytes`, or `None` where there are more than 32.
    pub const fn new(bytes: &[u8]) -> Option<Self> {
        match InlineBytes::new(bytes) {
            Some(inline) => Some(Self(inline)),
            None => None,
        }
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Parses six pairs of hexadecimal digits with colons between them.
    pub fn parse_ethernet(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next()?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then(|| Self(InlineBytes::truncated(&bytes)))
    }

    /// Whether it can be an interface's own: six bytes, not multicast, not all zero
    /// (`is_valid_ether_addr`).
    pub fn is_valid_unicast(&self) -> bool {
        let bytes = self.as_bytes();
        bytes.len() == 6 && bytes[0] & 1 == 0 && bytes.iter().any(|&byte| byte != 0)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.as_bytes().iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_shown_and_never_obeyed() {
        let name = LinkName::truncated(b"a\x1b[2J\xff\\b");
        assert_eq!(name.to_string(), "a\\x1b[2J\\xff\\x5cb");
    }

    #[test]
    fn names_the_kernel_refuses_are_refused() {
        for bytes in [&b""[..], b".", b"..", b"a/b", b"a b", b"a:b", b"sixteen-bytes-xx", b"v%d"] {
            assert!(LinkName::valid(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(LinkName::valid(b"br0").unwrap().as_bytes(), b"br0");
    }

    #[test]
    fn a_mac_is_six_pairs() {
        let mac = Mac::parse_ethernet("02:00:00:00:00:0A").unwrap();
        assert_eq!(mac.to_string(), "02:00:00:00:00:0a");
        for text in
            ["", "02:00:00:00:00", "2:0:0:0:0:1", "02:00:00:00:00:01:02", "+2:00:00:00:00:01"]
        {
            assert!(Mac::parse_ethernet(text).is_none(), "{text}");
        }
        assert!(!Mac::parse_ethernet("01:00:00:00:00:01").unwrap().is_valid_unicast());
    }
}
