//! Every change, sent to the kernel and read back.

use std::net::IpAddr;

use super::super::decode::{Decoded, decode};
use super::super::view::messages;
use super::namespace::{self, Namespace, Refused, ip, ip_json, name};
use crate::model::address::{Address, Prefix, SCOPE_LINK};
use crate::model::change::{AddressAttributes, Change, LinkUpdate, NewLink, NewPeer, RouteChange};
use crate::model::kind::{Kind, Settings, Value};
use crate::model::link::Link;
use crate::model::route::{PROTOCOL_KERNEL, Route};
use crate::model::text::Mac;

fn settings(kind: &str, values: &[(&str, Value)]) -> Settings {
    let kind = Kind::by_name(kind.as_bytes()).unwrap();
    let all = Settings::new(kind);
    values.iter().fold(all, |all, (key, value)| all.with(key, *value).unwrap())
}

fn new(link: &str, settings: Settings) -> NewLink {
    NewLink {
        name: name(link),
        settings,
        mtu: None,
        mac: None,
        group: None,
        up: false,
        master: None,
        peer: None,
    }
}

fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix { address: address.parse().unwrap(), len: len.parse().unwrap() }
}

fn mac(last: u8) -> Mac {
    Mac::new(&[2, 0, 0, 0, 0, last]).unwrap()
}

fn address(text: &str) -> Value {
    Value::Address(text.parse().unwrap())
}

/// Two veth ends that are up, one of them with addresses of both families.
fn with_veth() -> Option<Namespace> {
    let namespace = namespace::enter()?;
    ip("link add v0 type veth peer name v1");
    ip("link set v0 up");
    ip("link set v1 up");
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 2001:db8::1/64 dev v0 nodad");
    Some(namespace)
}

#[test]
fn a_pair_is_created_with_all_that_one_message_can_say() {
    let Some(mut namespace) = namespace::enter() else {
        return;
    };
    let bridge = settings(
        "bridge",
        &[
            ("stp_state", Value::Bool(true)),
            ("priority", Value::Number(4096)),
            ("ageing_time", Value::Number(12344)),
        ],
    );
    namespace.change(&Change::from(new("b0", bridge))).unwrap();
    let b0 = namespace.link("b0");
    let made = b0.settings.unwrap();
    for (key, value) in bridge.iter() {
        assert_eq!(made.by_name(key.name), Some(value), "{}", key.name);
    }

    let pair = NewLink {
        mtu: Some(1400),
        mac: Some(mac(1)),
        group: Some(4711),
        up: true,
        master: Some(name("b0")),
        peer: Some(NewPeer { mtu: Some(1300), mac: Some(mac(2)), group: Some(4711) }),
        ..new("v0", settings("veth", &[("peer", Value::Link(name("v1")))]))
    };
    namespace.change(&Change::from(pair)).unwrap();
    let (v0, v1) = (namespace.link("v0"), namespace.link("v1"));
    assert_eq!((v0.mtu, v0.mac, v0.group), (1400, mac(1), 4711));
    assert_eq!((v0.is_up(), v0.master), (true, b0.index));
    assert_eq!((v1.mtu, v1.mac, v1.group), (1300, mac(2), 4711));
    assert_eq!((v1.is_up(), v1.master), (false, 0));
    let peer = |link: &Link| link.settings.unwrap().by_name("peer");
    assert_eq!(peer(&v0), Some(Value::Index(v1.index)));
    assert_eq!(peer(&v1), Some(Value::Index(v0.index)));

    let Err(Refused(errno, _, _)) = namespace.change(&Change::from(pair)) else {
        panic!("the name was taken");
    };
    assert_eq!(errno, libc::EEXIST);
}

#[test]
fn links_on_another_are_created_with_their_settings() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    let v0 = namespace.link("v0").index;
    let dev = ("dev", Value::Link(name("v0")));
    let observed = ("dev", Value::Index(v0));
    let macvlan = [("mode", Value::Word(4)), dev];
    let vxlan4 = [
        ("id", Value::Number(42)),
        ("local", address("192.0.2.1")),
        ("remote", address("198.51.100.1")),
        ("dstport", Value::Number(4789)),
        ("ttl", Value::Number(9)),
        ("learning", Value::Bool(false)),
        dev,
    ];
    let vxlan6 = [
        ("id", Value::Number(43)),
        ("local", address("2001:db8::1")),
        ("remote", address("ff05::100")),
        ("dstport", Value::Number(4790)),
        ("ttl", Value::Number(0)),
        ("learning", Value::Bool(true)),
        dev,
    ];
    for (link, kind, wanted) in [
        ("m0", "macvlan", &macvlan[..]),
        ("x0", "vxlan", &vxlan4),
        ("x1", "vxlan", &vxlan6),
        ("i0", "ifb", &[]),
    ] {
        let made = NewLink { mac: Some(mac(9)), ..new(link, settings(kind, wanted)) };
        namespace.change(&Change::from(made)).unwrap();
        let mut wanted = settings(kind, wanted);
        if !wanted.is_empty() {
            wanted = wanted.with(observed.0, observed.1).unwrap();
        }
        let found = namespace.link(link);
        let settings = found.settings.unwrap();
        assert_eq!(settings.overlaid_with(&wanted), settings, "{link}");
        assert_eq!(found.mac, mac(9), "{link}");
    }
    namespace.change(&Change::DeleteLink(name("m0"))).unwrap();
    assert!(namespace.links().iter().all(|link| link.name != name("m0")));
}

/// Whether the kernel renames links that are up: since 6.2.
fn renames_live() -> bool {
    ip("link add probe up type ifb");
    let rename = ["link", "set", "probe", "name", "probed"];
    let renamed = std::process::Command::new("ip").args(rename).output().unwrap();
    ip(if renamed.status.success() { "link del probed" } else { "link del probe" });
    renamed.status.success()
}

#[test]
fn one_message_changes_all_of_a_link() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    ip("link add b0 type bridge");
    let all = LinkUpdate {
        rename: Some(name("w0")),
        mtu: Some(1400),
        mac: Some(mac(7)),
        group: Some(9),
        up: Some(false),
        master: Some(name("b0")),
        ..LinkUpdate::new(name("v0"))
    };
    let before = namespace.link("v0");
    if !renames_live() {
        ip("link set v0 down");
    }
    namespace.change(&Change::from(all)).unwrap();
    let after = namespace.link("w0");
    assert_eq!(after.index, before.index);
    assert_eq!((after.mtu, after.mac, after.group), (1400, mac(7), 9));
    assert_eq!(after.master, namespace.link("b0").index);
    assert!(!after.is_up());
    let up = LinkUpdate { up: Some(true), ..LinkUpdate::new(name("w0")) };
    namespace.change(&Change::from(up)).unwrap();
    assert!(namespace.link("w0").is_up());
    // With nothing else said, nothing else changed.
    let changed = namespace.link("w0");
    assert_eq!((changed.mtu, changed.mac, changed.group), (1400, mac(7), 9));
}

#[test]
fn a_setting_changes_alone() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    ip("link add b0 type bridge stp_state 1 priority 4096 ageing_time 12344");
    ip("link add m0 link v0 type macvlan mode private");
    ip(
        "link add x0 type vxlan id 42 dev v0 local 192.0.2.1 remote 198.51.100.1 dstport 4789 ttl 9 nolearning",
    );
    for (link, key, value) in [
        ("b0", "ageing_time", Value::Number(6000)),
        ("b0", "priority", Value::Number(8192)),
        ("b0", "stp_state", Value::Bool(false)),
        ("m0", "mode", Value::Word(4)),
        ("x0", "remote", address("198.51.100.2")),
        ("x0", "local", address("192.0.2.77")),
        ("x0", "ttl", Value::Number(33)),
        ("x0", "learning", Value::Bool(true)),
    ] {
        let before = namespace.link(link).settings.unwrap();
        let update = LinkUpdate {
            group: Some(7),
            settings: Settings::new(before.kind).with(key, value),
            ..LinkUpdate::new(name(link))
        };
        namespace.change(&Change::from(update)).unwrap();
        let after = namespace.link(link);
        assert_eq!(after.group, 7);
        assert_eq!(after.settings, before.with(key, value), "{link} {key}");
    }
}

#[test]
fn settings_sent_as_setlink_are_acknowledged_and_ignored() {
    let Some(mut namespace) = namespace::enter() else {
        return;
    };
    ip("link add b0 type bridge stp_state 1");
    let before = namespace.link("b0");
    let update = LinkUpdate {
        settings: Some(settings("bridge", &[("stp_state", Value::Bool(false))])),
        ..LinkUpdate::new(name("b0"))
    };
    let setlink = Some(libc::RTM_SETLINK);
    namespace.change_as(&Change::from(update), setlink).unwrap();
    assert_eq!(namespace.link("b0"), before);
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    ip("link add x0 type vxlan id 42 dev v0 dstport 4789");
    let update = LinkUpdate {
        settings: Some(settings("vxlan", &[("id", Value::Number(43))])),
        ..LinkUpdate::new(name("x0"))
    };
    let refused = namespace.change(&Change::from(update)).unwrap_err();
    assert_eq!(refused.0, libc::EOPNOTSUPP);
    assert!(refused.1.contains("VNI"), "{refused:?}");

    // Drivers see the whole message: this one refuses an MTU beside its settings.
    let update = LinkUpdate {
        mtu: Some(1280),
        settings: Some(settings("vxlan", &[("ttl", Value::Number(43))])),
        ..LinkUpdate::new(name("x0"))
    };
    let refused = namespace.change(&Change::from(update)).unwrap_err();
    assert_eq!(refused, Refused(libc::EOPNOTSUPP, "Cannot change mtu".into(), true));
}

fn addresses_of(namespace: &mut Namespace, index: u32) -> Vec<Address> {
    let mut all = namespace.addresses();
    all.retain(|it| it.key.index == index && it.scope != 253);
    all
}

#[test]
fn addresses_are_put_made_permanent_and_deleted() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    let v1 = namespace.link("v1").index;
    for text in ["203.0.113.1/24", "2001:db8:5::1/64"] {
        let put = |replace| Change::PutAddress {
            link: name("v1"),
            prefix: prefix(text),
            protocol: 82,
            replace,
            peer: None,
            with: AddressAttributes::default(),
        };
        namespace.change(&put(false)).unwrap();
        let [put_first] = addresses_of(&mut namespace, v1)[..] else {
            panic!("one address");
        };
        assert_eq!(put_first.key.prefix, prefix(text));
        assert_eq!((put_first.key.peer, put_first.protocol), (None, 82));
        assert!(put_first.is_permanent());
        let taken = namespace.change(&put(false)).unwrap_err();
        assert_eq!(taken.0, libc::EEXIST);

        ip(&format!("address change {text} dev v1 valid_lft 100 preferred_lft 100"));
        assert!(!addresses_of(&mut namespace, v1)[0].is_permanent());
        namespace.change(&put(true)).unwrap();
        let [again] = addresses_of(&mut namespace, v1)[..] else {
            panic!("one address");
        };
        assert!(again.is_permanent());
        assert_eq!((again.key, again.protocol), (put_first.key, 82));
        let json = ip_json("address show dev v1");
        let infos = json[0]["addr_info"].as_array().unwrap();
        let info = infos.iter().find(|it| it["scope"] == "global").unwrap();
        assert_eq!(info["valid_life_time"], u32::MAX);
        assert_eq!(info["preferred_life_time"], u32::MAX);

        let delete =
            |text| Change::DeleteAddress { link: name("v1"), prefix: prefix(text), peer: None };
        let other = text.replace("/24", "/25").replace("/64", "/65");
        let absent = namespace.change(&delete(&other)).unwrap_err();
        assert_eq!(absent.0, libc::EADDRNOTAVAIL);
        namespace.change(&delete(text)).unwrap();
        assert!(addresses_of(&mut namespace, v1).is_empty());
    }
}

#[test]
fn a_point_to_point_address_is_deleted_by_its_peer() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    let v1 = namespace.link("v1").index;
    for (local, peer, len) in
        [("203.0.113.1", "203.0.113.2", 32), ("2001:db8:5::1", "2001:db8:5::2", 128)]
    {
        ip(&format!("address add {local} peer {peer}/{len} dev v1"));
        let [found] = addresses_of(&mut namespace, v1)[..] else {
            panic!("one address");
        };
        assert_eq!(found.key.peer, Some(peer.parse().unwrap()));
        let delete = Change::DeleteAddress {
            link: name("v1"),
            prefix: found.key.prefix,
            peer: found.key.peer,
        };
        namespace.change(&delete).unwrap();
        assert!(addresses_of(&mut namespace, v1).is_empty());
    }
}

#[test]
fn a_loopback_address_is_of_host_scope() {
    let Some(mut namespace) = namespace::enter() else {
        return;
    };
    let put = Change::PutAddress {
        link: name("lo"),
        prefix: prefix("127.0.0.2/8"),
        protocol: 82,
        replace: false,
        peer: None,
        with: AddressAttributes::default(),
    };
    namespace.change(&put).unwrap();
    let put = namespace.addresses();
    let put = put.iter().find(|it| it.key.prefix == prefix("127.0.0.2/8"));
    assert_eq!(put.unwrap().scope, 254);
}

/// The routes that someone asked for: the kernel's own come by themselves, a moment after their
/// link or address.
fn routes_of(namespace: &mut Namespace) -> Vec<Route> {
    let mut all = namespace.routes();
    all.retain(|route| route.protocol != PROTOCOL_KERNEL);
    all
}

fn route(to: &str, via: Option<&str>, metric: u32, table: u32) -> RouteChange {
    RouteChange {
        via: via.map(|via| via.parse::<IpAddr>().unwrap()),
        dev: Some(name("v0")),
        metric,
        table,
        scope: if via.is_none() && !to.contains(':') { SCOPE_LINK } else { 0 },
        ..RouteChange::new(prefix(to), 82)
    }
}

#[test]
fn routes_are_created_and_deleted() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    let v0 = namespace.link("v0").index;
    for change in [
        route("198.51.100.0/24", Some("192.0.2.7"), 7, 254),
        route("0.0.0.0/0", Some("192.0.2.7"), 0, 254),
        route("198.51.100.0/24", None, 0, 1000),
        route("198.51.101.0/24", Some("2001:db8::7"), 0, 255),
        route("2001:db8:7::/48", Some("2001:db8::7"), 7, 254),
        route("::/0", Some("2001:db8::7"), 1024, 1000),
        route("2001:db8:8::/48", None, 1024, 254),
    ] {
        let before = routes_of(&mut namespace);
        namespace.change(&Change::CreateRoute(change.clone())).unwrap();
        let taken = namespace.change(&Change::CreateRoute(change.clone()));
        assert_eq!(taken.unwrap_err().0, libc::EEXIST);
        let mut made = routes_of(&mut namespace);
        made.retain(|route| !before.contains(route));
        let [made] = made.as_slice() else {
            panic!("{made:?}");
        };
        assert_eq!(made.key.slot.to, change.to);
        assert_eq!(made.key.slot.metric, change.metric);
        assert_eq!(made.key.slot.table, change.table);
        assert_eq!((made.key.via, made.key.dev), (change.via, v0));
        assert_eq!((made.protocol, made.key.route_type), (82, 1));
        let is_link = change.to.is_ipv4() && change.via.is_none();
        assert_eq!(made.scope, if is_link { 253 } else { 0 });

        let foreign = RouteChange { protocol: 4, ..change.clone() };
        let absent = namespace.change(&Change::DeleteRoute(foreign));
        assert_eq!(absent.unwrap_err().0, libc::ESRCH);
        namespace.change(&Change::DeleteRoute(change.clone())).unwrap();
        assert_eq!(routes_of(&mut namespace), before);
        let absent = namespace.change(&Change::DeleteRoute(change.clone()));
        assert_eq!(absent.unwrap_err().0, libc::ESRCH);
    }
}

#[test]
fn a_deletion_of_metric_0_takes_any_metric() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    let before = routes_of(&mut namespace);
    let kept = route("198.51.100.0/24", Some("192.0.2.7"), 7, 254);
    namespace.change(&Change::CreateRoute(kept.clone())).unwrap();
    let absent = RouteChange { metric: 0, ..kept };
    namespace.change(&Change::DeleteRoute(absent)).unwrap();
    assert_eq!(routes_of(&mut namespace), before);
}

#[test]
fn a_replacement_takes_the_slot_and_says_so() {
    let Some(mut namespace) = with_veth() else {
        return;
    };
    // RTNLGRP_IPV4_ROUTE.
    let listener = namespace::listen(7);
    let first = route("198.51.100.0/24", Some("192.0.2.7"), 7, 254);
    let second = route("198.51.100.0/24", Some("192.0.2.8"), 7, 254);
    namespace.change(&Change::CreateRoute(first)).unwrap();
    namespace.change(&Change::ReplaceRoute(second.clone())).unwrap();
    let routes = routes_of(&mut namespace);
    let mut held =
        routes.iter().filter(|it| it.key.slot.to == second.to && it.key.slot.table == 254);
    assert_eq!(held.next().unwrap().key.via, second.via);
    assert_eq!(held.next(), None);
    for replaced in [false, true] {
        let mut datagram = bytes::BytesMut::with_capacity(4096);
        listener.recv(&mut datagram, 0).unwrap();
        for message in messages(&datagram) {
            decode(&message.unwrap(), &mut |decoded| match decoded {
                Decoded::Route { route, deleted, .. } => {
                    assert_eq!((route.replaced, deleted), (replaced, false));
                }
                other => panic!("{other:?}"),
            })
            .unwrap();
        }
    }
}
