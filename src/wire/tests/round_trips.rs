//! What we write, read by netlink-packet-route and by ourselves; and messages that the kernel of
//! the test machine does not send at will.

use std::net::IpAddr;

use bytes::BytesMut;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use proptest::prelude::*;

use super::super::decode::Decoded;
use super::super::encode::{self, EncodeError};
use super::super::numbers::flags::*;
use super::decode_all;
use crate::model::address::Prefix;
use crate::model::change::{
    AddressAttributes, Change, FdbChange, LinkUpdate, NewLink, NewPeer, NextHop, NexthopChange,
    RouteChange,
};
use crate::model::fdb::Remote;
use crate::model::kind::{KEYS_MAX, Kind, Settings, Value, ValueType};
use crate::model::nexthop::Member;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::object::Object;
use crate::model::route::{Hop, Metrics};
use crate::model::rule::{PortRange, Rule};
use crate::model::text::{LinkName, Mac};

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
        .prop_filter("not unspecified", |it| !it.is_unspecified())
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (address(), any::<u8>()).prop_map(|(address, len)| Prefix {
        address,
        len: len % if address.is_ipv4() { 33 } else { 129 },
    })
}

fn link_name() -> impl Strategy<Value = LinkName> {
    prop::collection::vec(1_u8.., 1..=15)
        .prop_filter_map("not a name", |bytes| LinkName::valid(&bytes).ok())
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(|bytes| Mac::new(&bytes).unwrap())
}

/// A value of each key of a kind, or none.
fn settings() -> impl Strategy<Value = Settings> {
    let one = (any::<u32>(), address(), any::<bool>());
    let kind = prop::sample::select(Kind::ALL);
    (kind, prop::collection::vec(one, KEYS_MAX)).prop_map(|(kind, values)| {
        let mut settings = Settings::new(kind);
        for (position, (key, (number, address, there))) in kind.keys.iter().zip(values).enumerate()
        {
            let value = match key.value {
                ValueType::Bool => Value::Bool(number % 2 == 0),
                ValueType::Number { min, max } => Value::Number(number.clamp(min, max)),
                ValueType::Word(words) => Value::Word(words[number as usize % words.len()].1),
                ValueType::Address => Value::Address(address),
                ValueType::Ipv4Address => Value::Address((number | 1).to_be_bytes().into()),
                ValueType::Ports => {
                    let [first, last] = [number as u16 | 1, (number >> 16) as u16];
                    Value::Ports(PortRange { first, last, mask: u16::MAX })
                }
                ValueType::Netns => Value::Netns(number as u16),
                ValueType::Lower | ValueType::Peer => Value::Index(7),
            };
            settings.set(position, there.then_some(value));
        }
        settings
    })
}

prop_compose! {
    fn new_link()(
        name in link_name(),
        settings in settings(),
        mtu: Option<u32>,
        mac in prop::option::of(mac()),
        group: Option<u32>,
        up: bool,
        master in prop::option::of(link_name()),
    ) -> NewLink {
        NewLink { name, settings, mtu, mac, group, up, master, peer: Some(NewPeer { mtu, mac, group }) }
    }
}

prop_compose! {
    fn route()(
        to in prefix(),
        via in prop::option::of(address()),
        dev in prop::option::of(link_name()),
        metric: u32,
        table in 1_u32..,
        protocol: u8,
    ) -> RouteChange {
        RouteChange { via, dev, metric, table, ..RouteChange::new(to, protocol) }
    }
}

const INDEX: u32 = 7;

fn encoded(change: &Change) -> BytesMut {
    let mut out = BytesMut::new();
    encode::change(change, 3, &|_| Some(INDEX), &|number| Some(number.into()), &mut out).unwrap();
    out
}

/// What netlink-packet-route makes of one request.
fn parsed(bytes: &[u8]) -> (u16, RouteNetlinkMessage) {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
    assert_eq!(message.header.length as usize, bytes.len());
    assert_eq!(message.header.sequence_number, 3);
    let NetlinkPayload::InnerMessage(inner) = message.payload else {
        panic!("not a request");
    };
    (message.header.flags, inner)
}

proptest! {
    #[test]
    fn a_new_link_comes_back_as_it_went(new in new_link()) {
        let bytes = encoded(&Change::from(new));
        // Names are bytes; netlink-packet-route takes them for text.
        if new.name.as_str().is_some() {
            let (flags, message) = parsed(&bytes);
            prop_assert_eq!(flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
            prop_assert!(matches!(message, RouteNetlinkMessage::NewLink(_)));
        }
        // A message to create has no index; with one, it reads as a notification.
        let mut bytes = bytes;
        bytes[20] = 1;
        let decoded = decode_all(&bytes);
        let [Decoded::Link { link, deleted: false, moved: false }] = &decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(link.name, new.name);
        prop_assert_eq!(link.mtu, new.mtu.unwrap_or(0));
        prop_assert_eq!(link.mac, new.mac.unwrap_or_default());
        prop_assert_eq!(link.group, new.group.unwrap_or(0));
        prop_assert_eq!(link.is_up(), new.up);
        prop_assert_eq!(link.master, new.master.map_or(0, |_| INDEX));
        let mut read = link.settings.unwrap();
        let mut wanted = new.settings;
        // A peer is written in a nest that the kernel never shows.
        if wanted.kind.has_peer() {
            wanted = Settings::new(wanted.kind);
            read = Settings::new(read.kind);
        }
        // Flags that share a word are read together.
        for (position, key) in wanted.kind.keys.iter().enumerate() {
            if key.value == ValueType::Bool && wanted.get(position).is_none() {
                read.set(position, None);
            }
        }
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn an_update_says_what_it_changes_and_nothing_else(
        link in link_name(), mtu: Option<u32>, group: Option<u32>, up: Option<bool>,
        mac in prop::option::of(mac()), settings in prop::option::of(settings()),
    ) {
        let update = LinkUpdate { mtu, group, up, mac, settings, ..LinkUpdate::new(link) };
        let (flags, message) = parsed(&encoded(&Change::from(update)));
        prop_assert_eq!(flags, NLM_F_REQUEST);
        let RouteNetlinkMessage::NewLink(message) = message else {
            panic!("{message:?}");
        };
        prop_assert_eq!(message.header.index, INDEX);
        prop_assert_eq!(message.header.change_mask.bits(), u32::from(up.is_some()));
        prop_assert_eq!(message.header.flags.bits(), u32::from(up == Some(true)));
        // A tunnel's lower link stands in its data.
        let lower = settings.is_some_and(|it| it.kind.keys.first().is_some_and(
            |key| key.value == ValueType::Lower) && it.get(0).is_some());
        let said = [mtu.is_some(), group.is_some(), mac.is_some(), settings.is_some(), lower];
        let said = said.into_iter().filter(|said| *said).count();
        prop_assert_eq!(message.attributes.len(), said);
    }

    #[test]
    fn an_address_comes_back_as_it_went(prefix in prefix(), protocol: u8, replace: bool) {
        let link = LinkName::valid(b"x0").unwrap();
        let bytes = encoded(&Change::PutAddress {
            link, prefix, protocol, replace, peer: None, with: AddressAttributes::default(),
        });
        let (flags, message) = parsed(&bytes);
        let mode = if replace { NLM_F_REPLACE } else { NLM_F_EXCL };
        prop_assert_eq!(flags, NLM_F_REQUEST | NLM_F_CREATE | mode);
        prop_assert!(matches!(message, RouteNetlinkMessage::NewAddress(_)));
        let decoded = decode_all(&bytes);
        let [Decoded::Address { address, deleted: false }] = decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(address.key.prefix, prefix);
        prop_assert_eq!((address.key.index, address.key.peer), (INDEX, None));
        prop_assert_eq!(address.protocol, protocol);
    }

    #[test]
    fn what_is_said_of_an_address_comes_back(
        prefix in prefix(), peer in prop::option::of(address()), flags in 0_u32..0x1000,
        label in prop::option::of(link_name()), scope: Option<u8>,
        valid_lft in prop::option::of(1..u32::MAX),
    ) {
        let peer = peer.filter(|it| it.is_ipv4() == prefix.is_ipv4() && *it != prefix.address);
        let with = AddressAttributes { label, scope, flags, valid_lft, preferred_lft: valid_lft };
        let link = LinkName::valid(b"x0").unwrap();
        let (protocol, replace) = (82, false);
        let put = Change::PutAddress { link, prefix, protocol, replace, peer, with };
        let bytes = encoded(&put);
            let decoded = decode_all(&bytes);
        let [Decoded::Address { address, deleted: false }] = decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!((address.key.prefix, address.key.peer), (prefix, peer));
        prop_assert_eq!(address.label, label.unwrap_or_default());
        let host = if prefix.address.is_loopback() { 254 } else { 0 };
        prop_assert_eq!((address.flags, address.scope), (flags, scope.unwrap_or(host)));
    }

    #[test]
    fn a_rule_comes_back_as_it_went(
        (is_ipv6, priority, table, tos, action) in
            any::<(bool, u32, u32, u8, u8)>(),
        (fwmark, fwmask, goto, ip_protocol) in any::<(u32, u32, u32, u8)>(),
        (src, dst) in (prop::option::of(prefix()), prop::option::of(prefix())),
        (iif, oif) in (prop::option::of(link_name()), prop::option::of(link_name())),
        ports: Option<(u16, u16)>, uids: Option<(u32, u32)>, dscp: Option<u8>,
        (suppress_prefix_len, l3mdev, protocol) in (prop::option::of(0..129_u32), any::<bool>(), any::<u8>()),
    ) {
        let own = |it: Option<Prefix>| it.filter(|it| it.is_ipv4() != is_ipv6 && it.len > 0);
        let ports = ports.map(|(first, last)| PortRange { first, last, mask: u16::MAX });
        let rule = Rule {
            priority, table, tos, action, fwmark, fwmask, goto, ip_protocol, uids, dscp, l3mdev,
            protocol, suppress_prefix_len,
            src: own(src),
            dst: own(dst),
            iif: iif.unwrap_or_default(),
            oif: oif.unwrap_or_default(),
            source_ports: ports,
            destination_ports: ports,
            ..Rule::new(is_ipv6)
        };
        let rule = rule.normal();
        for is_new in [true, false] {
            let change = match is_new {
                true => Change::CreateRule(rule.into()),
                false => Change::DeleteRule(rule.into()),
            };
            let bytes = encoded(&change);
            let decoded = decode_all(&bytes);
            let [Decoded::Object { object: Object::Rule(read), deleted }] = &decoded[..] else {
                panic!("{decoded:?}");
            };
            prop_assert_eq!((*deleted, read.normal()), (!is_new, rule));
        }
    }

    #[test]
    fn a_neighbour_comes_back_as_it_went(address in address(), mac in mac(), protocol: u8) {
        let link = LinkName::valid(b"x0").unwrap();
        let put = Change::PutNeighbour { link, address, mac, protocol, replace: true };
        let bytes = encoded(&put);
            let decoded = decode_all(&bytes);
        let [Decoded::Object { object: Object::Neighbour(read), deleted: false }] = &decoded[..]
        else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!((read.key.index, read.key.address), (INDEX, address));
        prop_assert_eq!((read.mac, read.state, read.protocol), (Some(mac), 0x80, protocol));
    }

    #[test]
    fn vlans_come_back_as_they_went(
        first in 1..4095_u16, more in 0..9_u16, pvid: bool, untagged: bool,
    ) {
        let last = (first + more).min(4094);
        let link = LinkName::valid(b"x0").unwrap();
        let put = Change::PutVlans { link, first, last, pvid, untagged, replace: false };
        let mut vids = Vec::new();
        for decoded in decode_all(&encoded(&put)) {
            let Decoded::Object { object: Object::BridgeVlan(read), deleted: false } = decoded
            else {
                panic!("{decoded:?}");
            };
            prop_assert_eq!(read.key.index, INDEX);
            prop_assert_eq!((read.pvid, read.untagged), (pvid, untagged));
            vids.push(read.key.vid);
        }
        prop_assert_eq!(vids, (first..=last).collect::<Vec<_>>());
        let bytes = encoded(&Change::DeleteVlans { link, first, last });
        let decoded = decode_all(&bytes);
        let is_gone = |it: &Decoded<'_>| matches!(it, Decoded::Object { deleted: true, .. });
        prop_assert!(decoded.iter().all(is_gone));
        prop_assert_eq!(decoded.len(), usize::from(last - first) + 1);
    }

    #[test]
    fn next_hop_objects_come_back_as_they_went(
        id in 1..u32::MAX, via in prop::option::of(address()), onlink: bool, protocol: u8,
        group in prop::collection::vec((1..u32::MAX, 1..257_u16), 0..5),
    ) {
        let link = LinkName::valid(b"x0").unwrap();
        let members = group.iter().map(|&(id, weight)| Member { id, weight });
        let (is_single, is_ipv6) = (group.is_empty(), via.is_some_and(|via| via.is_ipv6()));
        let via = via.filter(|_| is_single);
        let nexthop = NexthopChange {
            id, is_ipv6, via, dev: is_single.then_some(link), onlink: onlink && is_single,
            blackhole: false, protocol, members: members.clone().collect(),
        };
        let bytes = encoded(&Change::PutNexthop { nexthop, replace: true });
        let decoded = decode_all(&bytes);
        let [Decoded::Object { object: Object::Nexthop(read), deleted: false }] = &decoded[..]
        else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!((read.id, read.via, read.protocol), (id, via, protocol));
        prop_assert_eq!(read.dev, if is_single { INDEX } else { 0 });
        prop_assert_eq!(read.is_ipv4, is_single.then_some(!is_ipv6));
        prop_assert_eq!(read.flags & 4 != 0, onlink && is_single);
        prop_assert_eq!(&read.group[..], &members.collect::<Vec<_>>()[..]);
        let bytes = encoded(&Change::DeleteNexthop(id));
        let decoded = decode_all(&bytes);
        let [Decoded::Object { object: Object::Nexthop(gone), deleted: true }] = &decoded[..]
        else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(gone.id, id);
    }

    #[test]
    fn forwarding_entries_come_back_as_they_went(
        mac: [u8; 6], vid in 0..4095_u16, dst in prop::option::of(address()), port: u16,
        vni in 0..0x00ff_ffff_u32,
    ) {
        let link = LinkName::valid(b"x0").unwrap();
        let (vid, port, vni) = if dst.is_some() { (0, port, vni) } else { (vid, 0, 0) };
        let entry = FdbChange { link, mac, vid, dst, port, vni, via: dst.map(|_| link) };
        for change in [Change::PutFdb { entry, replace: false }, Change::DeleteFdb(entry)] {
            let bytes = encoded(&change);
            let decoded = decode_all(&bytes);
            if dst.is_none() {
                // The kernel alone names the bridge.
                prop_assert_eq!(&decoded[..], &[Decoded::Ignored]);
                continue;
            }
            let [Decoded::Object { object: Object::Fdb(read), deleted }] = &decoded[..] else {
                panic!("{decoded:?}");
            };
            prop_assert_eq!(*deleted, matches!(change, Change::DeleteFdb(_)));
            let remote = Remote { dst: dst.unwrap(), port, vni, via: INDEX };
            prop_assert_eq!((read.key.on, read.dev, read.key.mac), (INDEX, INDEX, mac));
            prop_assert_eq!((read.remote, read.is_static()), (Some(remote), true));
        }
    }

    #[test]
    fn a_deletion_names_the_peer(prefix in prefix(), peer in prop::option::of(address())) {
        let peer = peer.filter(|it| {
            it.is_ipv4() == prefix.is_ipv4() && *it != prefix.address
        });
        let link = LinkName::valid(b"x0").unwrap();
        let bytes = encoded(&Change::DeleteAddress { link, prefix, peer });
        let decoded = decode_all(&bytes);
        let [Decoded::Address { address, deleted: true }] = decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(address.key.prefix, prefix);
        prop_assert_eq!(address.key.peer, peer);
    }

    #[test]
    fn a_route_comes_back_as_it_went(change in route(), what in 0..3_usize) {
        let bytes = encoded(&match what {
            0 => Change::CreateRoute(change.clone()),
            1 => Change::ReplaceRoute(change.clone()),
            _ => Change::DeleteRoute(change.clone()),
        });
        let (flags, _) = parsed(&bytes);
        let create = if change.to.is_ipv4() { NLM_F_EXCL } else { NLM_F_APPEND };
        let mode = [NLM_F_CREATE | create, NLM_F_CREATE | NLM_F_REPLACE, 0][what];
        prop_assert_eq!(flags, NLM_F_REQUEST | mode);
        let decoded = decode_all(&bytes);
        let [Decoded::Route { route, deleted, .. }] = &decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!(*deleted, what == 2);
        prop_assert_eq!(route.key.slot.to, change.to.network());
        prop_assert_eq!(route.key.slot.metric, change.metric);
        prop_assert_eq!(route.key.slot.table, change.table);
        prop_assert_eq!(route.key.via, change.via);
        prop_assert_eq!(route.key.dev, change.dev.map_or(0, |_| INDEX));
        prop_assert_eq!(route.protocol, change.protocol);
    }

    #[test]
    fn what_is_said_of_a_route_comes_back(
        change in route(), route_type in 1..10_u8, tos: u8, source in prop::option::of(address()),
        (mtu, advmss, onlink, scope) in any::<(u32, u32, bool, u8)>(),
        hops in prop::collection::vec((address(), link_name(), 1..=256_u16, any::<bool>()), 2..=16),
    ) {
        let source = source.filter(|it| it.is_ipv4() == change.to.is_ipv4());
        let hops = hops.into_iter().map(|(via, dev, weight, onlink)| NextHop {
            via: Some(via), dev: Some(dev), weight, onlink,
        });
        let hops: Box<[_]> = hops.collect();
        let metrics = Metrics { mtu, advmss };
        let said = RouteChange { route_type, tos, source, metrics, onlink, scope, ..change };
        let bytes = encoded(&Change::CreateRoute(said.clone()));
            let decoded = decode_all(&bytes);
        let [Decoded::Route { route, .. }] = &decoded[..] else {
            panic!("{decoded:?}");
        };
        prop_assert_eq!((route.key.route_type, route.key.slot.tos), (route_type, tos));
        prop_assert_eq!((route.source, route.metrics, route.scope), (source, metrics, scope));
        prop_assert_eq!(route.flags & RTNH_F_ONLINK != 0, onlink);
        let several = RouteChange { hops: hops.clone(), via: None, dev: None, onlink: false, ..said };
        let bytes = encoded(&Change::CreateRoute(several));
            let decoded = decode_all(&bytes);
        let read: Vec<_> = decoded.iter().flat_map(|decoded| {
            let Decoded::Route { route, .. } = decoded else { panic!("{decoded:?}") };
            // Those of IPv6 are routes of their own.
            let onlink = route.flags & RTNH_F_ONLINK != 0;
            let one = Hop { via: route.key.via, dev: route.key.dev, weight: 0, onlink };
            if route.is_ipv4() { route.hops.to_vec() } else { vec![one] }
        }).collect();
        let sent = hops.iter().map(|hop| Hop {
            via: hop.via,
            dev: INDEX,
            weight: if change.to.is_ipv4() { hop.weight } else { 0 },
            onlink: hop.onlink,
        });
        prop_assert_eq!(read, sent.collect::<Vec<_>>());
    }
}

#[test]
fn an_unknown_link_leaves_the_buffer_as_it_was() {
    let gone = LinkName::valid(b"gone").unwrap();
    let mut out = BytesMut::from(&b"before"[..]);
    for index in [None, Some(0)] {
        let refused = encode::change(&Change::DeleteLink(gone), 1, &|_| index, &|_| None, &mut out);
        assert_eq!(refused, Err(EncodeError::UnknownLink(gone)));
    }
    assert_eq!(&out[..], b"before");
}

#[test]
fn an_acknowledgement_is_asked_for_on_one_message() {
    let mut out = BytesMut::new();
    encode::get_link(1, 1, &mut out);
    let last = out.len();
    encode::get_link(2, 2, &mut out);
    encode::request_ack(&mut out, last);
    let flags: Vec<_> = super::messages(&out).map(|it| it.unwrap().flags).collect();
    assert_eq!(flags, [NLM_F_REQUEST, NLM_F_REQUEST | NLM_F_ACK]);
}

/// A message of that type, flags and payload.
fn message(message_type: u16, flags: u16, payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([9, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

#[test]
fn a_refusals_words_stand_behind_the_request() {
    let words = [&[8, 0, 1, 0][..], b"no!\0", &[8, 0, 2, 0, 36, 0, 0, 0]].concat();
    let request = [&20_u32.to_ne_bytes()[..], &[0; 12], &[1, 2, 3, 4]].concat();
    let errno = (-22_i32).to_ne_bytes();
    let whole = message(2, NLM_F_ACK_TLVS, &[&errno, &request, &words]);
    let capped = message(2, NLM_F_ACK_TLVS | NLM_F_CAPPED, &[&errno, &request[..16], &words]);
    for bytes in [whole, capped] {
        let decoded = decode_all(&bytes);
        let [Decoded::Ack(ack)] = decoded[..] else {
            panic!("{decoded:?}");
        };
        assert_eq!((ack.errno, ack.sequence, ack.offset), (22, 9, Some(36)));
        assert_eq!(ack.message, Some(&b"no!"[..]));
    }
}

#[test]
fn what_is_no_link_created_or_deleted_is_told_apart() {
    let header = |family: u8| [&[family, 0, 0, 0, 3, 0, 0, 0][..], &[0; 8]].concat();
    let name = [7, 0, 3, 0, b'x', b'0', 0, 0];
    let port = message(17, 0, &[&header(7), &name]);
    let port = decode_all(&port);
    assert!(matches!(port[..], [Decoded::BridgePort { index: 3, deleted: true, port: None }]));
    // RTNLGRP_IPV6_IFINFO sends links with nothing but their IPv6 settings.
    assert_eq!(decode_all(&message(16, 0, &[&header(10), &name])), [Decoded::Ignored]);
    // IFLA_WIRELESS comes with nothing but a name beside it.
    let wireless = message(16, 0, &[&header(0), &name, &[8, 0, 11, 0, 0, 0, 0, 0]]);
    assert_eq!(decode_all(&wireless), [Decoded::Ignored]);
    for attribute in [45, 49] {
        let bytes = message(17, 0, &[&header(0), &name, &[8, 0, attribute, 0, 1, 0, 0, 0]]);
        let moved = decode_all(&bytes);
        let [Decoded::Link { deleted, moved, .. }] = moved[..] else {
            panic!("{moved:?}");
        };
        assert!(deleted && moved);
    }
}

#[test]
fn what_is_no_route_of_ours_is_ignored() {
    // AF_MPLS, RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR, and a cached clone.
    for (family, flags) in [(28, 0), (128, 0), (129, 0), (2, 0x200_u32)] {
        let header = [family, 0, 0, 0, 254, 4, 0, 1];
        let bytes = message(24, 0, &[&header, &flags.to_ne_bytes()]);
        assert_eq!(decode_all(&bytes), [Decoded::Ignored]);
    }
    assert_eq!(decode_all(&message(3, 2, &[])), [Decoded::Done { errno: 0 }]);
    let failed = message(3, 2, &[&(-4_i32).to_ne_bytes()]);
    assert_eq!(decode_all(&failed), [Decoded::Done { errno: 4 }]);
    assert_eq!(decode_all(&message(4, 0, &[])), [Decoded::Overrun]);
    assert_eq!(decode_all(&message(84, 0, &[])), [Decoded::Unknown]);
}

#[test]
fn a_replacement_is_said_once_and_never_in_a_dump() {
    let header = [10, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    let hop = [8, 0, 0, 0, 5, 0, 0, 0];
    let hops = [20, 0, 9, 0];
    let payload: &[&[u8]] = &[&header, &hops, &hop, &hop];
    let replaced = |flags| -> Vec<bool> {
        let bytes = message(24, flags, payload);
        let all = decode_all(&bytes).into_iter();
        all.map(|decoded| match decoded {
            Decoded::Route { route, .. } => route.replaced,
            other => panic!("{other:?}"),
        })
        .collect()
    };
    assert_eq!(replaced(NLM_F_REPLACE), [true, false]);
    assert_eq!(replaced(NLM_F_REPLACE | NLM_F_MULTI), [false, false]);
}
