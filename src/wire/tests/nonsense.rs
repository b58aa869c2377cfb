//! Random, cut and mutated bytes: read or refused, never a panic.

use proptest::prelude::*;

use super::super::decode::{Decoded, decode};
use super::super::view::{attributes, messages};
use super::namespace::{self, ip};
use crate::model::network::Table;

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
        message_type in prop::sample::select(vec![1u16, 2, 3, 4, 16, 17, 20, 21, 24, 25, 99]),
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
    let mut seed = 1_u64;
    for what in [Table::Links, Table::Addresses, Table::Routes] {
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
    let [Decoded::Link { link, .. }] = decoded[..] else {
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
    ] {
        let bytes = framed(message_type, 0, payload);
        let message = messages(&bytes).next().unwrap().unwrap();
        let mut count = 0;
        assert!(decode(&message, &mut |_| count += 1).is_err(), "{payload:?}");
        assert_eq!(count, 0);
    }
}
