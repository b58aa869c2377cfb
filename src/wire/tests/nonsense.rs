//! Random, cut and mutated bytes: read or refused, never a panic.

use proptest::prelude::*;

use super::super::decode::{Decoded, decode};
use super::super::view::{attributes, messages};
use super::namespace::{self, ip};
use crate::model::network::Table;
use crate::model::object::Object;
use crate::model::rule::PortRange;
use crate::model::text::Mac;

/// Walks and decodes everything in `bytes`, and counts what came out.
fn devour(bytes: &[u8]) -> usize {
    let mut count = 0;
    for message in messages(bytes) {
        let Ok(message) = message else { break };
        let mut walk = attributes(message.payload);
        count += walk.by_ref().count();
        let _ = walk.is_malformed();
        let _ = decode(&message, &mut |_| count += 1);
    }
    count
}

/// A message of that type and payload.
fn framed(message_type: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(payload.len() + 16).unwrap().to_ne_bytes());
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes
}

proptest! {
    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        devour(&bytes);
        let _ = attributes(&bytes).count();
    }

    #[test]
    fn random_payloads_are_survived(
        message_type in prop::sample::select(vec![
            1u16, 2, 3, 4, 16, 17, 20, 21, 24, 25, 28, 29, 32, 33, 80, 81, 88, 89, 99, 104, 105,
        ]),
        flags: u16,
        family in prop::sample::select(vec![0u8, 2, 7, 10]),
        payload in prop::collection::vec(
            // Small bytes make lengths that hold more often.
            prop_oneof![0u8..20, any::<u8>()], 0..300),
    ) {
        let mut payload = payload;
        if let Some(first) = payload.first_mut() {
            *first = family;
        }
        devour(&framed(message_type, flags, &payload));
    }
}

#[test]
fn real_messages_cut_or_mutated_anywhere_are_survived() {
    let Some(mut namespace) = namespace::enter() else {
        return;
    };
    ip("link add v0 type veth peer name v1");
    ip("link set v0 up");
    ip("link set v1 up");
    ip("link add b0 type bridge");
    ip("link add x0 type vxlan id 42 dev v0 local 192.0.2.1 remote 198.51.100.1 dstport 4789");
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 2001:db8::1/64 dev v0 nodad");
    ip("route add 10.0.0.0/8 nexthop via 192.0.2.5 nexthop via 192.0.2.6");
    ip("-6 route add 2001:db8:a::/48 nexthop via 2001:db8::5 nexthop via 2001:db8::6");
    ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent extern_learn");
    ip("neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev v0 router");
    ip("rule add from 10.0.0.0/8 to 192.0.2.0/24 fwmark 3/7 iif v9 sport 80-90 lookup 100");
    ip("-6 rule add to 2001:db8::/32 uidrange 5-9 ipproto 6 goto 32766");
    ip("nexthop add id 5 via 192.0.2.50 dev v0");
    ip("nexthop add id 6 via 192.0.2.51 dev v0");
    ip("nexthop add id 7 group 5,2/6");
    let mut seed = 1_u64;
    for what in Table::ALL {
        for datagram in namespace.dump(what) {
            for len in 0..datagram.len() {
                devour(&datagram[..len]);
            }
            // The same cuts below the message's own length, so that attributes meet them.
            for message in messages(&datagram).flatten() {
                for len in 0..message.payload.len() {
                    devour(&framed(message.message_type, 0, &message.payload[..len]));
                }
            }
            for _ in 0..4000 {
                let mut copy = datagram.to_vec();
                for _ in 0..3 {
                    // Knuth's MMIX generator: the same mutations in every run.
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let at = usize::try_from(seed >> 33).unwrap() % copy.len();
                    copy[at] = u8::try_from(seed >> 24 & 0xff).unwrap();
                }
                devour(&copy);
            }
        }
    }
}

#[test]
fn a_length_that_cannot_be_ends_the_walk_with_one_error() {
    let good = framed(1, 0, &[]);
    for length in [0_u32, 15, 17, u32::MAX] {
        let mut bytes = good.clone();
        bytes.extend(length.to_ne_bytes());
        bytes.extend([0; 12]);
        let walked: Vec<_> = messages(&bytes).collect();
        assert!(matches!(walked[..], [Ok(_), Err(_)]), "{length}: {walked:?}");
    }
    let mut walk = attributes(&[5, 0, 1, 0, 9, 0, 0, 0, 3, 0, 1, 0]);
    assert_eq!(walk.by_ref().count(), 1);
    assert!(walk.is_malformed());
    let mut walk = attributes(&[5, 0, 1, 0xc0, 9]);
    assert_eq!(walk.next().unwrap().kind, 1);
    assert_eq!(walk.next(), None);
    assert!(!walk.is_malformed());
}

#[test]
fn a_malformed_attribute_costs_only_itself() {
    let mut payload = vec![0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([6, 0, 4, 0, 1, 2, 0, 0]); // IFLA_MTU of two bytes
    payload.extend([7, 0, 3, 0, b'x', b'0', 0, 0]); // IFLA_IFNAME
    payload.extend([8, 0, 27, 0, 9, 0, 0, 0]); // IFLA_GROUP
    payload.extend([1, 0, 10, 0]); // a length that cannot be
    let bytes = framed(16, 0, &payload);
    let decoded = super::decode_all(&bytes);
    let [Decoded::Link { link, .. }] = &decoded[..] else {
        panic!("{decoded:?}");
    };
    assert_eq!((link.index, link.mtu, link.group), (3, 0, 9));
    assert_eq!(link.name.as_bytes(), b"x0");
}

#[test]
fn what_names_no_object_is_malformed() {
    for (message_type, payload) in [
        (16, &[][..]),
        (16, &[0; 15]),
        (16, &[0; 16]),
        (16, &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (20, &[2, 24, 0, 0, 1, 0, 0]),
        (20, &[2, 24, 0, 0, 1, 0, 0, 0]),
        (20, &[2, 33, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 1, 2, 3, 4]),
        (24, &[2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0]),
        (24, &[2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]),
        (24, &[2, 33, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 1, 2, 3, 4]),
        (2, &[0; 3]),
        (28, &[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0]),
        (28, &[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]),
        (28, &[2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 8, 0, 1, 0, 1, 2, 3, 4]),
        (28, &[10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 8, 0, 1, 0, 1, 2, 3, 4]),
        (32, &[2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0]),
        (32, &[2, 33, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]),
        (33, &[2, 0, 8, 0, 254, 0, 0, 1, 0, 0, 0, 0, 5, 0, 2, 0, 1, 0, 0, 0]),
        (80, &[]),
        (80, &[2, 0, 0, 0]),
        (80, &[2, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0]),
        (88, &[0, 0, 0, 0]),
        (88, &[0, 0, 0, 0, 8, 0, 1, 0, 255, 255, 255, 255]),
        (104, &[2, 0, 0, 0, 0, 0, 0]),
        (104, &[2, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let bytes = framed(message_type, 0, payload);
        let message = messages(&bytes).next().unwrap().unwrap();
        let mut count = 0;
        assert!(decode(&message, &mut |_| count += 1).is_err(), "{payload:?}");
        assert_eq!(count, 0);
    }
}

#[test]
fn a_rule_without_its_table_or_with_marks_behind_its_ports_is_read() {
    let mut payload = vec![2, 0, 0, 0, 254, 0, 0, 1, 4, 0, 0, 0]; // and FIB_RULE_UNRESOLVED
    payload.extend([6, 0, 28, 0, 0xff, 0x00, 0, 0]); // FRA_SPORT_MASK before the ports
    payload.extend([8, 0, 23, 0, 80, 0, 80, 0]); // FRA_SPORT_RANGE
    payload.extend([7, 0, 6, 0, 1, 2, 3, 0]); // FRA_PRIORITY of three bytes
    payload.extend([8, 0, 14, 0, 255, 255, 255, 255]); // FRA_SUPPRESS_PREFIXLEN, none
    let bytes = framed(32, 0, &payload);
    let decoded = super::decode_all(&bytes);
    let [Decoded::Object { object: Object::Rule(rule), deleted: false }] = &decoded[..] else {
        panic!("{decoded:?}");
    };
    assert_eq!((rule.table, rule.priority, rule.flags), (254, 0, 0));
    assert_eq!(rule.source_ports, Some(PortRange { first: 80, last: 80, mask: 0xff }));
    assert_eq!(rule.suppress_prefix_len, None);
}

#[test]
fn a_group_is_read_up_to_the_member_that_is_cut() {
    let mut payload = vec![0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([8, 0, 1, 0, 7, 0, 0, 0]); // NHA_ID
    payload.extend([22, 0, 2, 0]); // NHA_GROUP: 5 with weight 2, 6 with weight 257, and a rest
    payload.extend([5, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 1, 0, 0, 9, 9, 0, 0]);
    let bytes = framed(104, 0, &payload);
    let decoded = super::decode_all(&bytes);
    let [Decoded::Object { object: Object::Nexthop(nexthop), .. }] = &decoded[..] else {
        panic!("{decoded:?}");
    };
    let members: Vec<_> = nexthop.group.iter().map(|it| (it.id, it.weight)).collect();
    assert_eq!(members, [(5, 2), (6, 257)]);
}

#[test]
fn proxies_bridge_entries_and_other_families_are_no_neighbours_rules_or_settings() {
    let neighbour = [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 8, 0, 1, 0, 1, 2, 3, 4];
    let entry = [7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0];
    let multicast_rule = [128, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
    let mpls = [28, 0, 0, 0, 8, 0, 1, 0, 1, 0, 0, 0];
    for (message_type, payload) in
        [(28, &neighbour[..]), (29, &entry), (32, &multicast_rule), (80, &mpls)]
    {
        let bytes = framed(message_type, 0, payload);
        assert_eq!(super::decode_all(&bytes), [Decoded::Ignored], "{message_type}");
    }
}

#[test]
fn what_few_links_have_is_read() {
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let names =
        [attribute(53, b"lan0\0"), attribute(99, b"x"), attribute(53, &[b'n'; 127])].concat();
    let cases: [(Vec<u8>, [&[u8]; 2]); 3] = [
        (attribute(20, b"\x1b[2J\xff\0"), [&b"\x1b[2J\xff"[..], b""]),
        (attribute(56, b"0000:00:03.0\0"), [&b""[..], b"0000:00:03.0"]),
        // Nested as the kernel marks it.
        (attribute(0x8000 | 52, &names), [&b""[..], b""]),
    ];
    for (more, [alias, parent]) in cases {
        let mut payload = vec![0; 16];
        payload[4..8].copy_from_slice(&3_u32.to_ne_bytes());
        payload.extend(attribute(3, b"eth0\0"));
        // Of a tunnel it is an IP address.
        payload.extend(attribute(54, &[192, 0, 2, 1]));
        payload.extend(more);
        let bytes = framed(16, 0, &payload);
        let [Decoded::Link { link, .. }] = &super::decode_all(&bytes)[..] else { panic!("a link") };
        assert_eq!((link.alias(), link.parent()), (alias, parent));
        assert_eq!(link.permanent_mac(), None);
        let has_names = alias.is_empty() && parent.is_empty();
        assert_eq!(link.altnames().len(), if has_names { 2 } else { 0 });
        payload.extend(attribute(54, &[0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        let bytes = framed(16, 0, &payload);
        let [Decoded::Link { link, .. }] = &super::decode_all(&bytes)[..] else { panic!("a link") };
        assert_eq!(link.permanent_mac(), Mac::parse_ethernet("52:54:00:12:34:56"));
    }
    // Without any of it nothing is kept.
    let mut payload = vec![0; 16];
    payload[4..8].copy_from_slice(&3_u32.to_ne_bytes());
    payload.extend(attribute(3, b"eth0\0"));
    let bytes = framed(16, 0, &payload);
    let [Decoded::Link { link, .. }] = &super::decode_all(&bytes)[..] else { panic!("a link") };
    assert!(link.identity.is_none());
}
