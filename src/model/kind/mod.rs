//! What kinds of link there are, each as a key table.
//!
//! A kind is data: its name and the keys that its settings take. Parsing, suggestions,
//! comparison and documentation are derived from the table, so nothing else in the crate names
//! a kind, save its encoding in `wire/kind/`.

mod bond;
mod bridge;
mod dummy;
mod geneve;
mod gre;
mod gretap;
mod ifb;
mod ipip;
mod ipvlan;
mod key;
mod link;
mod macvlan;
mod macvtap;
mod settings;
mod sit;
mod veth;
mod vlan;
mod vrf;
mod vxlan;
mod wireguard;

pub use key::{Key, News, ValueType};
pub(crate) use link::DISABLE_IPV6;
pub use settings::{FewSettings, Settings, UNITS, Value};

/// The most keys that a table has: a set of them is a 64-bit mask.
pub const KEYS_MAX: usize = 64;

/// A key table: of a link kind, or of what a port is to a master of that kind.
#[derive(Debug)]
pub struct Kind {
    /// The name, as the kernel and iproute2 spell it; of a port's table iproute2's alone.
    pub name: &'static str,
    /// One line for the documentation.
    pub doc: &'static str,
    /// The settings it takes.
    pub keys: &'static [Key],
    /// Words that set several keys at once, in documents alone: what `ip` takes them for.
    pub shorthands: &'static [Shorthand],
    /// Whether the driver takes a hardware address at creation alone.
    pub mac_only_at_creation: bool,
    /// Whether other links can be its ports, with it as their `master`.
    pub can_have_ports: bool,
    /// Whether it switches between its ports: they and it are members of VLANs.
    pub has_vlans: bool,
    /// Whether it has a forwarding database of its own, of other ends by hardware address.
    pub has_fdb: bool,
    /// Whether a link must be down to become its port. It is brought up by joining.
    pub ports_join_down: bool,
    /// Whether its MTU falls to that of a port which joins, until one is set.
    pub mtu_follows_ports: bool,
    /// Whether its MTU can be no larger than that of its lower link.
    pub mtu_within_lower: bool,
    /// Whether it stays, without its lower link, when that is deleted.
    pub outlives_lower: bool,
    /// Whether a request for a change sets whatever it does not say to the driver's default.
    pub replaces_all: bool,
    /// What a link is as its port.
    pub port: Option<&'static Kind>,
    /// Where each key's value begins in a link's settings.
    offsets: [u8; KEYS_MAX],
}

/// A word, and the keys that it sets, all to the same value.
pub type Shorthand = (&'static str, &'static [&'static str]);

impl Kind {
    /// A table of these keys.
    ///
    /// # Panics
    ///
    /// At compile time, where the values have no room in [`Settings`].
    const fn new(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Self {
        assert!(keys.len() <= KEYS_MAX, "a table of that many keys");
        let mut offsets = [0; KEYS_MAX];
        let (mut at, mut next) = (0, 0);
        while at < keys.len() {
            offsets[at] = next as u8;
            next += keys[at].value.units();
            at += 1;
        }
        assert!(next <= UNITS, "raise UNITS");
        Self {
            name,
            doc,
            keys,
            shorthands: &[],
            mac_only_at_creation: false,
            can_have_ports: false,
            has_vlans: false,
            has_fdb: false,
            ports_join_down: false,
            mtu_follows_ports: false,
            mtu_within_lower: false,
            outlives_lower: false,
            replaces_all: false,
            port: None,
            offsets,
        }
    }

    const fn with_ports(mut self, port: Option<&'static Kind>) -> Self {
        self.can_have_ports = true;
        self.port = port;
        self
    }

    const fn with_fdb(mut self) -> Self {
        self.has_fdb = true;
        self
    }

    const fn with_vlans(mut self) -> Self {
        self.has_vlans = true;
        self
    }
}

/// Tables are compared by their name: it is theirs alone.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Kind {
    /// Every kind that a document can declare.
    pub const ALL: &'static [&'static Kind] = &[
        &bond::KIND,
        &bridge::KIND,
        &dummy::KIND,
        &geneve::KIND,
        &gre::KIND,
        &gretap::KIND,
        &ifb::KIND,
        &ipip::KIND,
        &ipvlan::KIND,
        &macvlan::KIND,
        &macvtap::KIND,
        &sit::KIND,
        &veth::KIND,
        &vlan::KIND,
        &vrf::KIND,
        &vxlan::KIND,
        &wireguard::KIND,
    ];

    /// What can be set of every link. No kind, but a table like theirs; a dot in a key's name
    /// stands for a table within the table.
    pub const LINK: &'static Kind = &link::TABLE;

    /// The kind of that name, where it can be declared.
    pub fn by_name(name: &[u8]) -> Option<&'static Kind> {
        Self::ALL.iter().find(|kind| kind.name.as_bytes() == name).copied()
    }

    /// The place of a key in the table.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.keys.iter().position(|candidate| candidate.name == key)
    }

    /// The place of the key that says which network namespace the peer is in.
    pub(crate) fn netns_position(&self) -> Option<usize> {
        self.keys.iter().position(|key| key.value == ValueType::Netns)
    }

    /// Whether links of this kind are made in pairs.
    pub fn has_peer(&self) -> bool {
        self.keys.iter().any(|key| key.value == ValueType::Peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_tables_name_each_key_once() {
        let ports = Kind::ALL.iter().filter_map(|kind| kind.port).chain([Kind::LINK]);
        for kind in Kind::ALL.iter().copied().chain(ports) {
            for (at, key) in kind.keys.iter().enumerate() {
                assert_eq!(kind.position(key.name), Some(at), "{} {}", kind.name, key.name);
                assert!(!key.doc.is_empty(), "{} {}", kind.name, key.name);
            }
            for (word, keys) in kind.shorthands {
                assert_eq!(kind.position(word), None, "{} {word}", kind.name);
                let types: Vec<_> =
                    keys.iter().map(|key| kind.keys[kind.position(key).unwrap()].value).collect();
                assert!(types.iter().all(|value| *value == types[0]), "{} {word}", kind.name);
            }
            let links = kind
                .keys
                .iter()
                .filter(|key| matches!(key.value, ValueType::Lower | ValueType::Peer));
            assert!(links.count() <= 1, "{}: one lower link or peer", kind.name);
        }
    }

    #[test]
    fn kinds_are_told_apart_by_name() {
        let ports = Kind::ALL.iter().filter_map(|kind| kind.port).chain([Kind::LINK]);
        let mut names: Vec<_> = Kind::ALL.iter().copied().chain(ports).map(|it| it.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.name));
    }
}
