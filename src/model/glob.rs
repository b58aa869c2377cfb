//! Patterns of names, as in glob(7).

use std::fmt;

use super::identity::ALTNAME_BYTES_MAX;
use super::text::write_escaped;

/// A pattern: `*` is any bytes, `?` is one, `[a-z]` and `[!a-z]` are one of those or none of them.
/// There is no escape: `[*]` is an asterisk.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob(Box<[u8]>);

/// Why text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// No bytes at all.
    #[error("a pattern cannot be empty")]
    Empty,
    /// More bytes than any name has.
    #[error("a pattern has at most {ALTNAME_BYTES_MAX} bytes")]
    TooLong,
    /// A `[` without its `]`.
    #[error("`[` is not closed")]
    OpenBracket,
    /// A range whose end is before its beginning.
    #[error("a range in `[...]` ends before it begins")]
    EmptyRange,
    /// A byte that no name of a link has.
    #[error("no link's name holds '/', white space or control characters")]
    Character,
}

/// What stands at the beginning of a pattern.
enum Part<'p> {
    Any,
    One,
    OneOf { set: &'p [u8], is_negated: bool },
    Byte(u8),
}

impl Glob {
    /// The pattern in `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self, GlobError> {
        if bytes.is_empty() {
            return Err(GlobError::Empty);
        }
        if bytes.len() > ALTNAME_BYTES_MAX {
            return Err(GlobError::TooLong);
        }
        let is_odd = |byte: &u8| *byte == b'/' || byte.is_ascii_whitespace() || *byte < 0x20;
        if bytes.iter().any(is_odd) {
            return Err(GlobError::Character);
        }
        let mut rest = bytes;
        while let Some((part, after)) = first_part(rest) {
            if let Part::OneOf { set, .. } = part {
                let mut ranges = ranges(set);
                if ranges.any(|(from, to)| from > to) {
                    return Err(GlobError::EmptyRange);
                }
            }
            if matches!(part, Part::Byte(b'[')) {
                return Err(GlobError::OpenBracket);
            }
            rest = after;
        }
        Ok(Self(bytes.into()))
    }

    /// Whether that is a name of the pattern.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut pattern, mut name) = (&self.0[..], name);
        // Where to go on if what follows the last `*` does not fit: it takes one byte more.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            let step = match (first_part(pattern), name.split_first()) {
                (None, None) => return true,
                (Some((Part::Any, after)), _) => {
                    retry = Some((after, name));
                    Some((after, name))
                }
                (Some((part, after)), Some((&byte, rest))) => {
                    part.fits(byte).then_some((after, rest))
                }
                _ => None,
            };
            (pattern, name) = match (step, retry) {
                (Some(step), _) => step,
                (None, Some((after, [_, rest @ ..]))) => {
                    retry = Some((after, rest));
                    (after, rest)
                }
                (None, _) => return false,
            };
        }
    }

    /// The only name of the pattern, where it has one.
    pub fn literal(&self) -> Option<&[u8]> {
        let is_plain = !self.0.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        is_plain.then_some(&self.0[..])
    }

    /// As it was given.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Part<'_> {
    fn fits(&self, byte: u8) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::OneOf { set, is_negated } => {
                let is_in = ranges(set).any(|(from, to)| (from..=to).contains(&byte));
                is_in != *is_negated
            }
            Self::Byte(own) => *own == byte,
        }
    }
}

/// The first part of a pattern, and what follows it. A `[` that is not closed is a byte.
fn first_part(pattern: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (&first, rest) = pattern.split_first()?;
    let part = match first {
        b'*' => Part::Any,
        b'?' => Part::One,
        b'[' => {
            let (is_negated, inner) = match rest {
                [b'!' | b'^', inner @ ..] => (true, inner),
                inner => (false, inner),
            };
            // As the first of its set a bracket is one of it.
            let end = inner.iter().skip(1).position(|byte| *byte == b']').map(|at| at + 1);
            if let Some((set, after)) = end.and_then(|end| inner.split_at_checked(end)) {
                return Some((Part::OneOf { set, is_negated }, after.get(1..).unwrap_or_default()));
            }
            Part::Byte(b'[')
        }
        byte => Part::Byte(byte),
    };
    Some((part, rest))
}

/// What is in a set: from, to, both included.
fn ranges(set: &[u8]) -> impl Iterator<Item = (u8, u8)> + '_ {
    let mut rest = set;
    std::iter::from_fn(move || {
        let (range, after) = match rest {
            [from, b'-', to, after @ ..] => ((*from, *to), after),
            [one, after @ ..] => ((*one, *one), after),
            [] => return None,
        };
        rest = after;
        Some(range)
    })
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_matches() {
        for (pattern, yes, no) in [
            ("eth0", &["eth0"][..], &["eth", "eth00", "Eth0"][..]),
            ("eth*", &["eth", "eth0", "eth*"], &["et", "xeth0"]),
            ("*", &["a", "*"], &[]),
            ("?th?", &["eth0", "*th*"], &["eth", "eth00", "th0"]),
            ("en[ps]*", &["enp3s0", "ens1"], &["eno1", "en"]),
            ("en[!ps]*", &["eno1"], &["enp3s0", "en"]),
            ("e[^a-z]1", &["e01", "e-1"], &["ea1", "em1"]),
            ("v[]-]", &["v]", "v-"], &["v"]),
            ("v[*]x", &["v*x"], &["v1x"]),
            ("*a*b*c", &["abc", "xaybzc", "aabbcc"], &["acb", "ab"]),
            ("[a-]", &["a", "-"], &["b"]),
        ] {
            let glob = Glob::new(pattern.as_bytes()).expect("a pattern");
            yes.iter().for_each(|name| assert!(glob.matches(name.as_bytes()), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!glob.matches(name.as_bytes()), "{pattern} {name}"));
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let glob = Glob::new("a*".repeat(60).as_bytes()).expect("a pattern");
        assert!(!glob.matches(&[b'b'; 127]));
        assert!(!glob.matches("a".repeat(59).as_bytes()));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", GlobError::Empty),
            ("eth[0", GlobError::OpenBracket),
            ("eth[]", GlobError::OpenBracket),
            ("eth[!]", GlobError::OpenBracket),
            ("eth[9-0]", GlobError::EmptyRange),
            ("eth/0", GlobError::Character),
            ("eth 0", GlobError::Character),
        ] {
            assert_eq!(Glob::new(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(Glob::new(&[b'a'; 128]), Err(GlobError::TooLong));
        assert_eq!(Glob::new(b"eth0").unwrap().literal(), Some(&b"eth0"[..]));
        assert_eq!(Glob::new(b"eth[0]").unwrap().literal(), None);
    }
}
