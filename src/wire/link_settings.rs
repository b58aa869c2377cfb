//! How what can be set of every link is spelled: in the header, in attributes of the link's own,
//! and in IFLA_AF_SPEC.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::numbers::*;
use super::view::{Attribute, attributes, u32_at};
use crate::model::kind::{Settings, Value};
use crate::model::text::LinkName;

/// Where a key's value stands.
enum Place {
    /// A bit of `ifi_flags`; `unset` where the bit says the contrary.
    Flag { bit: u32, unset: bool },
    /// A 32-bit attribute.
    Attribute(u16),
    /// IPV4_DEVCONF_* of `linux/ip.h`, within IFLA_INET_CONF.
    Ipv4(u16),
    /// An 8-bit attribute of AF_INET6.
    Ipv6(u16),
    /// A file in /proc/sys/net/ipv6/conf/NAME, and where a link's message shows it: DEVCONF_* of
    /// `linux/ipv6.h`, within IFLA_INET6_CONF.
    Ipv6File(&'static str, u16),
}

/// One for each key of [`Kind::LINK`], in its order.
static PLACES: &[(&str, Place)] = &[
    ("txqueuelen", Place::Attribute(IFLA_TXQLEN)),
    ("arp", Place::Flag { bit: 0x80, unset: true }),
    ("promisc", Place::Flag { bit: 0x100, unset: false }),
    ("allmulticast", Place::Flag { bit: 0x200, unset: false }),
    ("multicast", Place::Flag { bit: 0x1000, unset: false }),
    ("gso_max_size", Place::Attribute(IFLA_GSO_MAX_SIZE)),
    ("gso_max_segs", Place::Attribute(IFLA_GSO_MAX_SEGS)),
    ("gro_max_size", Place::Attribute(IFLA_GRO_MAX_SIZE)),
    ("ipv4.forwarding", Place::Ipv4(1)),
    ("ipv4.rp_filter", Place::Ipv4(8)),
    ("ipv4.accept_local", Place::Ipv4(23)),
    ("ipv4.accept_redirects", Place::Ipv4(4)),
    ("ipv4.send_redirects", Place::Ipv4(6)),
    ("ipv4.route_localnet", Place::Ipv4(26)),
    ("ipv4.proxy_arp", Place::Ipv4(3)),
    ("ipv4.arp_filter", Place::Ipv4(13)),
    ("ipv4.arp_announce", Place::Ipv4(18)),
    ("ipv4.arp_ignore", Place::Ipv4(19)),
    ("ipv6.addr_gen_mode", Place::Ipv6(IFLA_INET6_ADDR_GEN_MODE)),
    ("ipv6.disable", Place::Ipv6File("disable_ipv6", 26)),
    ("ipv6.forwarding", Place::Ipv6File("forwarding", 0)),
    ("ipv6.accept_ra", Place::Ipv6File("accept_ra", 3)),
    ("ipv6.accept_ra_defrtr", Place::Ipv6File("accept_ra_defrtr", 17)),
    ("ipv6.accept_ra_pinfo", Place::Ipv6File("accept_ra_pinfo", 18)),
    ("ipv6.accept_redirects", Place::Ipv6File("accept_redirects", 4)),
    ("ipv6.autoconf", Place::Ipv6File("autoconf", 5)),
    ("ipv6.accept_dad", Place::Ipv6File("accept_dad", 27)),
    ("ipv6.dad_transmits", Place::Ipv6File("dad_transmits", 6)),
    ("ipv6.use_tempaddr", Place::Ipv6File("use_tempaddr", 10)),
    ("ipv6.keep_addr_on_down", Place::Ipv6File("keep_addr_on_down", 42)),
    ("ipv6.proxy_ndp", Place::Ipv6File("proxy_ndp", 22)),
    ("ipv6.hop_limit", Place::Ipv6File("hop_limit", 1)),
];

/// Reads `ifi_flags` into the settings of a link.
pub(super) fn read_flags(flags: u32, settings: &mut Settings) {
    for (position, (_, place)) in PLACES.iter().enumerate() {
        if let Place::Flag { bit, unset } = place {
            settings.set(position, Some(Value::Bool((flags & bit != 0) != *unset)));
        }
    }
}

/// Reads one of a link's attributes into its settings.
pub(super) fn read(attribute: &Attribute<'_>, settings: &mut Settings) {
    if attribute.kind != IFLA_AF_SPEC {
        let is_its = |place: &Place| matches!(place, Place::Attribute(it) if *it == attribute.kind);
        return put(settings, is_its, attribute.u32());
    }
    for family in attributes(attribute.value) {
        for inner in attributes(family.value) {
            match (family.kind, inner.kind) {
                (AF_INET_SPEC, IFLA_INET_CONF) => {
                    // The number of IPV4_DEVCONF_FORWARDING is 1, and it comes first.
                    let id = |place: &Place| match place {
                        Place::Ipv4(id) => Some(id - 1),
                        _ => None,
                    };
                    read_array(inner.value, id, settings);
                }
                (AF_INET6_SPEC, IFLA_INET6_CONF) => {
                    let id = |place: &Place| match place {
                        Place::Ipv6File(_, id) => Some(*id),
                        _ => None,
                    };
                    read_array(inner.value, id, settings);
                }
                (AF_INET6_SPEC, IFLA_INET6_ADDR_GEN_MODE) => {
                    let is_its =
                        |place: &Place| matches!(place, Place::Ipv6(it) if *it == inner.kind);
                    put(settings, is_its, inner.u8().map(u32::from));
                }
                _ => {}
            }
        }
    }
}

/// An array of 32-bit numbers; `place_in` says which of them a key is. One that no document can
/// ask for, such as -1 for "not on this device", is left out.
fn read_array(conf: &[u8], place_in: impl Fn(&Place) -> Option<u16>, settings: &mut Settings) {
    for (position, (_, place)) in PLACES.iter().enumerate() {
        if let Some(at) = place_in(place) {
            match u32_at(conf, usize::from(at) * size_of::<u32>()) {
                Some(number) => settings.set_number(position, number),
                None => settings.set(position, None),
            };
        }
    }
}

/// The files under /proc/sys/net that settings of a link of that name go to, and what to write.
pub(crate) fn files(
    name: LinkName,
    settings: &Settings,
) -> impl Iterator<Item = (PathBuf, String)> {
    // No link has these names, by which the folders of all and of future links go
    // (`sysctl_dev_name_is_allowed`).
    let is_a_folder = matches!(name.as_bytes(), b"all" | b"default" | b"." | b"..");
    let is_a_link = !is_a_folder && !name.as_bytes().contains(&b'/');
    PLACES.iter().enumerate().filter(move |_| is_a_link).filter_map(
        move |(position, (_, place))| {
            let Place::Ipv6File(file, _) = place else { return None };
            let number = match settings.get(position)? {
                Value::Bool(value) => u32::from(value),
                Value::Number(number) | Value::Word(number) => number,
                _ => return None,
            };
            let mut path = PathBuf::from("/proc/sys/net/ipv6/conf");
            path.push(OsStr::from_bytes(name.as_bytes()));
            path.push(file);
            Some((path, number.to_string()))
        },
    )
}

fn put(settings: &mut Settings, is_its: impl Fn(&Place) -> bool, number: Option<u32>) {
    let found = PLACES.iter().position(|(_, place)| is_its(place));
    if let Some((position, number)) = found.zip(number) {
        settings.set_number(position, number);
    }
}

/// Spells settings into the message of a link that exists.
pub(super) fn write(settings: &Settings, message: &mut LinkMessage) {
    let mut ipv4 = Vec::new();
    let mut ipv6 = Vec::new();
    for (position, (_, place)) in PLACES.iter().enumerate() {
        let number = match settings.get(position) {
            Some(Value::Bool(value)) => u32::from(value),
            Some(Value::Number(number) | Value::Word(number)) => number,
            _ => continue,
        };
        match *place {
            Place::Flag { bit, unset } => {
                let bit = LinkFlags::from_bits_retain(bit);
                message.header.flags.set(bit, (number != 0) != unset);
                message.header.change_mask.insert(bit);
            }
            Place::Attribute(kind) => {
                let bytes = number.to_ne_bytes().to_vec();
                message.attributes.push(LinkAttribute::Other(DefaultNla::new(kind, bytes)));
            }
            Place::Ipv4(id) => ipv4.extend(attribute(id, &number.to_ne_bytes())),
            Place::Ipv6File(..) => {}
            // The words have small numbers.
            Place::Ipv6(kind) => ipv6.extend(attribute(kind, &[number as u8])),
        }
    }
    let mut families = Vec::new();
    if !ipv4.is_empty() {
        families.extend(attribute(AF_INET_SPEC, &attribute(IFLA_INET_CONF, &ipv4)));
    }
    if !ipv6.is_empty() {
        families.extend(attribute(AF_INET6_SPEC, &ipv6));
    }
    if !families.is_empty() {
        message.attributes.push(LinkAttribute::Other(DefaultNla::new(IFLA_AF_SPEC, families)));
    }
}

/// An attribute with its header and its padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    const HEADER_BYTES: usize = 4;
    let len = HEADER_BYTES + value.len();
    let mut bytes = Vec::with_capacity(len.next_multiple_of(4));
    // A handful of numbers is far below the limit of 64 KiB.
    bytes.extend((len as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(len.next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kind::Kind;

    #[test]
    fn every_key_has_its_place() {
        let keys: Vec<_> = Kind::LINK.keys.iter().map(|key| key.name).collect();
        let places: Vec<_> = PLACES.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, places);
        for (key, (_, place)) in Kind::LINK.keys.iter().zip(PLACES) {
            assert_eq!(key.by_file, matches!(place, Place::Ipv6File(..)), "{}", key.name);
        }
    }
    #[test]
    fn no_file_is_written_but_in_the_folder_of_one_link() {
        let settings = Settings::new(Kind::LINK).with("ipv6.disable", Value::Bool(true)).unwrap();
        let of = |name: &[u8]| files(LinkName::truncated(name), &settings).next();
        let (path, text) = of(b"a.b").expect("a file");
        assert_eq!(path, PathBuf::from("/proc/sys/net/ipv6/conf/a.b/disable_ipv6"));
        assert_eq!(text, "1");
        for name in [&b"all"[..], b"default", b".", b"..", b"/etc", b"a/../../b"] {
            assert_eq!(of(name), None);
        }
    }
}
