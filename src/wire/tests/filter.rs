//! Programs against the plain rule that they are to follow, over random messages.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::decode::{Decoded, decode};
use super::super::filter::{program, without_routes_of};
use super::super::numbers::flags::{NLM_F_APPEND, NLM_F_REPLACE};
use super::super::numbers::*;
use super::super::view::{attributes, messages, u32_at};
use super::bpf;
use crate::limits::FILTER_DESTINATIONS_MAX;
use crate::model::address::Prefix;
use crate::model::filter::Filter;
use crate::model::network::Table;

const TABLES: [u32; 6] = [0, 77, 252, 254, 300, 1_000_000];
const INDICES: [u32; 5] = [1, 2, 3, 255, 70_000];
const PROTOCOLS: [u8; 6] = [2, 3, 82, 83, 186, 255];

/// Destinations of which some mix to the same word.
fn prefixes() -> Vec<Prefix> {
    let v4 = [([0, 0, 0, 0], 0), ([10, 1, 0, 0], 16), ([10, 1, 0, 0], 24), ([192, 0, 2, 1], 32)];
    let v4 = v4.map(|(octets, len)| (IpAddr::from(octets), len));
    let v6 = [([0; 8], 0), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32)];
    let twin = [([0xfd00, 1, 0, 2, 0, 0, 0, 0], 64), ([0xfd00, 3, 0, 0, 0, 0, 0, 0], 64)];
    let v6 = v6.into_iter().chain(twin).map(|(groups, len)| (IpAddr::from(groups), len));
    v4.into_iter().chain(v6).map(|(address, len)| Prefix { address, len }).collect()
}

fn filter() -> impl Strategy<Value = Filter> {
    let objects = select(vec![Table::Links, Table::Addresses, Table::Routes]);
    (
        option::of(btree_set(objects, 0..3)),
        option::of(btree_set(select(&INDICES[..]), 0..4)),
        option::of(btree_set(select(&PROTOCOLS[..]), 0..4)),
        option::of(btree_set(select(&TABLES[..]), 0..4)),
        btree_set(select(prefixes()), 0..4),
    )
        .prop_map(|(objects, links, protocols, tables, destinations)| {
            let mut filter = Filter::everything().and_destinations(destinations);
            if let Some(objects) = objects {
                filter = filter.objects(objects);
            }
            (filter.links, filter.protocols, filter.tables) = (links, protocols, tables);
            filter
        })
}

/// An attribute of the right length, mostly.
fn attribute() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let number = |kind, numbers: &'static [u32]| {
        select(numbers).prop_map(move |number| (kind, number.to_ne_bytes().to_vec()))
    };
    let octets = |to: Prefix| match to.address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    prop_oneof![
        4 => select(prefixes()).prop_map(move |to| (RTA_DST, octets(to))),
        4 => number(RTA_TABLE, &TABLES),
        4 => number(RTA_OIF, &INDICES),
        1 => vec(any::<u8>(), 0..20).prop_map(|value| (RTA_MULTIPATH, value)),
        1 => (0u16..32, vec(any::<u8>(), 0..20)),
    ]
}

/// A message and its true length, with a header that mostly makes sense.
fn message() -> impl Strategy<Value = Vec<u8>> {
    const TYPES: [u16; 8] = [16, 17, 20, 21, 24, 24, 25, 28];
    (
        prop_oneof![9 => select(&TYPES[..]), 1 => any::<u16>()],
        prop_oneof![Just(0u16), Just(0x100), Just(0x400), Just(0x800), any::<u16>()],
        select(&[2u8, 10, 10, 2, 7, 28][..]),
        select(prefixes()),
        (select(&PROTOCOLS[..]), select(&INDICES[..]), any::<bool>()),
        vec(attribute(), 0..5),
    )
        .prop_map(|(kind, flags, family, to, (protocol, index, with_to), attributes)| {
            let mut bytes = [0; 16].to_vec();
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
            let third = index.to_ne_bytes();
            match kind {
                RTM_NEWROUTE | RTM_DELROUTE => {
                    bytes.extend([family, to.len, 0, 0, 252, protocol, 0, 1, 0, 0, 0, 0]);
                }
                _ => bytes.extend([[family, to.len, 0, 0], third, [0; 4], [0; 4]].concat()),
            }
            let own = match to.address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let own = (with_to && to.len > 0).then_some((RTA_DST, own));
            // The kernel never repeats one.
            let mut kinds = BTreeSet::new();
            let all = own.into_iter().chain(attributes);
            for (kind, value) in all.filter(|(kind, _)| kinds.insert(*kind)) {
                bytes.extend((value.len() as u16 + 4).to_ne_bytes());
                bytes.extend(kind.to_ne_bytes());
                bytes.extend(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes
        })
}

/// What may arrive: a message; several of them; one that was cut or has a wrong length.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => message(),
        1 => vec(message(), 2..4).prop_map(|messages| messages.concat()),
        1 => (message(), any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
            bytes.truncate(at.index(bytes.len()));
            bytes
        }),
        1 => (message(), any::<u32>()).prop_map(|(mut bytes, length)| {
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes
        }),
    ]
}

/// The rule, as one would say it.
fn passes(filter: &Filter, datagram: &[u8]) -> bool {
    let is_whole = u32_at(datagram, 0) == Some(datagram.len() as u32) && datagram.len() >= 28;
    let Some(Ok(message)) = messages(datagram).next().filter(|_| is_whole) else {
        return true;
    };
    let index = u32_at(message.payload, 4).expect("28 bytes");
    let has_link = filter.links.as_ref().is_none_or(|links| links.contains(&index));
    match message.message_type {
        RTM_NEWLINK | RTM_DELLINK => filter.wants_table(Table::Links) && has_link,
        RTM_NEWADDR | RTM_DELADDR => filter.wants_table(Table::Addresses) && has_link,
        RTM_NEWROUTE | RTM_DELROUTE => {
            filter.wants_table(Table::Routes) && route_passes(filter, message.flags, datagram)
        }
        _ => true,
    }
}

fn route_passes(filter: &Filter, flags: u16, datagram: &[u8]) -> bool {
    let value = |kind| attributes(&datagram[28..]).find(|it| it.kind == kind).map(|it| it.value);
    let number = |kind| value(kind).and_then(|value| value.try_into().ok()).map(u32::from_ne_bytes);
    // What lacks the attribute, or has it in another length, is in doubt.
    let is_in = |kind, set: &Option<BTreeSet<u32>>| {
        set.as_ref().map(|set| number(kind).map(|number| set.contains(&number)))
    };
    if !filter.destinations.is_empty() && leads_there(filter, &datagram[16..18], value(RTA_DST)) {
        return true;
    }
    let is_limited = filter.protocols.is_some() || filter.links.is_some();
    let is_flagged = flags & 0x900 != 0 || value(RTA_MULTIPATH).is_some();
    let has_protocol = filter.protocols.as_ref().is_none_or(|set| set.contains(&datagram[21]));
    match is_in(RTA_TABLE, &filter.tables) {
        Some(None) => return true,
        Some(Some(false)) => return false,
        Some(Some(true)) | None => {}
    }
    let has_link = is_in(RTA_OIF, &filter.links).flatten().unwrap_or(true);
    !is_limited || is_flagged || (has_protocol && has_link)
}

fn leads_there(filter: &Filter, header: &[u8], to: Option<&[u8]>) -> bool {
    let mix = |octets: &[u8]| {
        let words = octets.chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("4")));
        words.fold(0, |a, b| a ^ b)
    };
    if header[1] == 0 {
        return filter.destinations.iter().any(|to| to.len == 0);
    }
    let len = match header[0] {
        AF_INET => 4,
        AF_INET6 => 16,
        _ => return true,
    };
    let Some(to) = to.filter(|to| to.len() == len) else { return true };
    filter.destinations.iter().filter(|wanted| wanted.len > 0).any(|wanted| {
        mix(to)
            == match wanted.address {
                IpAddr::V4(address) => mix(&address.octets()),
                IpAddr::V6(address) => mix(&address.octets()),
            }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_program_says_what_the_rule_says(filter in filter(), datagram in datagram()) {
        let Some(program) = program(&filter, FILTER_DESTINATIONS_MAX[0]) else { return Ok(()) };
        let verdict = bpf::run(&program, &datagram);
        prop_assert!(verdict == 0 || verdict == u32::MAX);
        prop_assert_eq!(verdict != 0, passes(&filter, &datagram));
    }

    #[test]
    fn what_is_wanted_passes(filter in filter(), datagram in datagram(), coarse in 1usize..3) {
        let Some(program) = program(&filter, coarse) else { return Ok(()) };
        let mut is_wanted = false;
        for message in messages(&datagram).flatten() {
            let _ = decode(&message, &mut |decoded| {
                is_wanted |= match decoded {
                    Decoded::Link { link, .. } => filter.wants_link(link.index),
                    Decoded::Address { address, .. } => filter.wants_address(&address.key),
                    Decoded::Route { route, .. } => filter.wants_route(&route),
                    _ => false,
                };
            });
        }
        prop_assert!(!is_wanted || bpf::run(&program, &datagram) != 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn only_new_routes_of_that_port_are_held_back(
        mut datagram in datagram(),
        port in select(&[7_u32, 0x0100_0007][..]),
        flags in select(&[0, NLM_F_REPLACE, NLM_F_APPEND, NLM_F_REPLACE | 0x600, 0x600][..]),
    ) {
        if datagram.len() >= 16 {
            datagram[6..8].copy_from_slice(&flags.to_ne_bytes());
            datagram[12..16].copy_from_slice(&port.to_ne_bytes());
        }
        let all: Vec<_> = messages(&datagram).collect();
        let is_held_back = match all[..] {
            [Ok(ref one)] => {
                let is_new = one.flags & (NLM_F_REPLACE | NLM_F_APPEND) == 0;
                one.message_type == RTM_NEWROUTE && one.port == 7 && is_new
            }
            _ => false,
        };
        // What pads a message is not told from another one.
        let is_one = u32_at(&datagram, 0).is_some_and(|it| it as usize == datagram.len());
        let verdict = bpf::run(&without_routes_of(7), &datagram);
        prop_assert_eq!(verdict == 0, is_held_back && is_one);
    }
}

/// RTM_NEWROUTE of a foreign route to that destination.
fn foreign_route(to: IpAddr) -> Vec<u8> {
    let (family, octets) = match to {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    let mut bytes = vec![0; 32];
    bytes[4..6].copy_from_slice(&RTM_NEWROUTE.to_ne_bytes());
    (bytes[16], bytes[17], bytes[21]) = (family, 24, 3);
    bytes[28..30].copy_from_slice(&(octets.len() as u16 + 4).to_ne_bytes());
    bytes[30..32].copy_from_slice(&RTA_DST.to_ne_bytes());
    bytes.extend(octets);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

#[test]
fn ten_thousand_destinations_fit_a_program_and_all_of_them_pass() {
    let scattered = |number: u32| number.wrapping_mul(0x9e37_79b9);
    let v4 = (0..5_000).map(|number| IpAddr::from(Ipv4Addr::from(scattered(number) & !0xff)));
    let v6 = (0..5_000).map(|number| {
        IpAddr::from(Ipv6Addr::from(u128::from(scattered(number)) << 64 | 0xfd << 120))
    });
    let wanted: Vec<_> = v4.chain(v6).collect();
    let prefixes = wanted.iter().map(|&address| Prefix { address, len: 24 });
    let mut filter = Filter::everything().protocols([82]).links([1, 2, 3]).tables(1..5_000);
    // As they are: `and_destinations` would cut the IPv6 ones to their length.
    filter.destinations = prefixes.collect();
    for max in FILTER_DESTINATIONS_MAX {
        let program = program(&filter, max).expect("it is limited");
        assert!(program.len() < 4_096, "{} instructions", program.len());
        let refused = wanted.iter().filter(|&&to| bpf::run(&program, &foreign_route(to)) == 0);
        assert_eq!(refused.count(), 0, "with {max} ranges");
    }
}

#[test]
fn most_of_what_is_foreign_is_refused_among_few_destinations() {
    let to = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + (number << 8)));
    let declared = (0..500).map(|number| Prefix { address: to(7 * number), len: 24 });
    let filter = Filter::everything().protocols([82]).and_destinations(declared);
    let program = program(&filter, FILTER_DESTINATIONS_MAX[0]).expect("it is limited");
    let passed = (0..65_536).filter(|&number| bpf::run(&program, &foreign_route(to(number))) != 0);
    // 500 are declared, and half of the gaps between them are joined.
    assert!((500..=3_500).contains(&passed.count()));
}
