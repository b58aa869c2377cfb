//! State that `ip` made, as we read it and as `ip -j` and netlink-packet-route read it.

use std::net::IpAddr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkInfo};
use serde_json::Value as Json;

use super::super::view::messages;
use super::namespace::{self, Namespace, ip, ip_json};
use crate::model::address::{self, Prefix};
use crate::model::kind::{Settings, Value};
use crate::model::link::{self, Link};
use crate::model::network::Table;
use crate::model::route::{self, Route};
use crate::model::text::Mac;

const STATE: &[&str] = &[
    "link add b0 type bridge stp_state 1 priority 4096 ageing_time 12344",
    "link add b1 type bridge",
    "link add i0 type ifb",
    "link add v0 mtu 1400 address 02:00:00:00:00:01 type veth peer name v1",
    "link set v0 group 4711 master b0",
    "link set v0 up",
    "link set v1 up",
    "link add m0 link v1 type macvlan mode private",
    "link add m1 link v1 type macvlan mode bridge",
    "link add x0 type vxlan id 42 dev v1 local 192.0.2.1 remote 198.51.100.1 dstport 4789 ttl 9 nolearning",
    "link add x1 type vxlan id 43 local 2001:db8::1 group ff05::100 dev v1 dstport 8472",
    "link add x2 type vxlan id 44 dstport 4790",
    "tuntap add t0 mode tap",
    "link set b0 up",
    "link set m1 up",
    "address add 192.0.2.1/24 dev v1",
    "address add 192.0.2.2/24 dev v1",
    "address add 203.0.113.1 peer 203.0.113.2/32 dev v1",
    "address add 192.0.2.9/24 dev v1 valid_lft 1000 preferred_lft 500",
    "address add 2001:db8::1/64 dev v1 nodad",
    "address add 2001:db8:1::1 peer 2001:db8:1::2/128 dev v1 nodad",
    "address add 2001:db8:2::1/64 dev v1 noprefixroute home",
    "route add 198.51.100.0/24 via 192.0.2.7 metric 7 proto 82",
    "route add default via 192.0.2.8 src 192.0.2.2 table 1000",
    "route add 10.0.0.0/8 nexthop via 192.0.2.5 weight 3 nexthop via 192.0.2.6 weight 256",
    "route add 10.1.0.0/16 via inet6 2001:db8::7 dev v1 tos 4",
    "route add blackhole 10.2.0.0/16",
    "route add 10.3.0.0/16 via 172.16.0.1 dev v1 onlink",
    "-6 route add 2001:db8:9::/48 via 2001:db8::9 metric 77 proto 82 src 2001:db8::1",
    "-6 route add default via 2001:db8::9 table 1000",
    "-6 route add 2001:db8:a::/48 nexthop via 2001:db8::5 nexthop via 2001:db8::6 weight 4",
    "-6 route add unreachable 2001:db8:b::/48",
    "nexthop add id 5 via 192.0.2.50 dev v1",
    "route add 10.4.0.0/16 nhid 5",
];

fn made() -> Option<Namespace> {
    let namespace = namespace::enter()?;
    STATE.iter().for_each(|line| drop(ip(line)));
    Some(namespace)
}

#[test]
fn links_read_as_ip_reads_them() {
    let Some(mut namespace) = made() else { return };
    let (ours, theirs) = namespace.undisturbed(|it| (it.links(), ip_json("link show")));
    assert_eq!(ours.len(), theirs.len());
    for (link, json) in ours.iter().zip(&theirs) {
        assert_link(link, json, &ours);
    }
    let x0 = namespace.link("x0");
    assert_eq!(namespace.get_link(x0.index), x0);
    assert!(x0.settings.is_some());
}

fn assert_link(link: &Link, json: &Json, all: &[Link]) {
    let index_of = |name: &Json| {
        let name = name.as_str()?.as_bytes();
        let found = all.iter().find(|link| link.name.as_bytes() == name);
        found.map(|link| link.index)
    };
    let name = json["ifname"].as_str().unwrap();
    assert_eq!(link.name.as_bytes(), name.as_bytes());
    assert_eq!(json["ifindex"], link.index, "{name}");
    assert_eq!(json["mtu"], link.mtu, "{name}");
    assert_eq!(json["operstate"], link::OPER_NAMES[usize::from(link.oper)]);
    let group = match link.group {
        0 => "default".into(),
        group => group.to_string(),
    };
    assert_eq!(json["group"], group, "{name}");
    let mac = Mac::parse_ethernet(json["address"].as_str().unwrap());
    assert_eq!(Some(link.mac), mac, "{name}");
    assert_eq!(index_of(&json["master"]).unwrap_or(0), link.master);
    assert_eq!(index_of(&json["link"]).unwrap_or(0), link.lower, "{name}");
    let flags = json["flags"].as_array().unwrap();
    for (flag, word) in link::FLAG_NAMES {
        let listed = flags.iter().any(|listed| listed == word);
        assert_eq!(link.flags & flag != 0, listed, "{name}: {word}");
    }
    let info = &json["linkinfo"];
    let kind = info["info_kind"].as_str().unwrap_or_default();
    assert_eq!(link.kind.as_bytes(), kind.as_bytes(), "{name}");
    if let Some(settings) = &link.settings {
        assert_settings(settings, &info["info_data"], json, &index_of);
    }
}

/// Our keys are named as `ip` names its arguments, mostly as it prints them too.
fn assert_settings(
    settings: &Settings,
    data: &Json,
    json: &Json,
    index_of: &dyn Fn(&Json) -> Option<u32>,
) {
    let name = &json["ifname"];
    for (position, key) in settings.kind.keys.iter().enumerate() {
        let theirs = match key.name {
            "peer" => &json["link"],
            "dev" if data["link"].is_string() => &data["link"],
            "dev" => &json["link"],
            "dstport" => &data["port"],
            "remote" if data["group"].is_string() => &data["group"],
            "remote" if data["remote6"].is_string() => &data["remote6"],
            "remote" if data["group6"].is_string() => &data["group6"],
            "local" if data["local6"].is_string() => &data["local6"],
            "maxaddress" => &data["limit"],
            "flowlabel" => &data["label"],
            "mcast_last_member_count" => &data["mcast_last_member_cnt"],
            "mcast_startup_query_count" => &data["mcast_startup_query_cnt"],
            other if other.ends_with("_interval") && other.starts_with("mcast_") => {
                &data[other.replace("_interval", "_intvl")]
            }
            other if other.starts_with("udp") => {
                &data[other.replace("udp", "udp_").replace("6zerocsum", "zero_csum6_")]
            }
            other => &data[other],
        };
        let address = |theirs: &Json| theirs.as_str()?.parse::<IpAddr>().ok();
        match settings.get(position) {
            Some(Value::Bool(value)) => {
                // What is off is often not shown.
                let theirs = theirs.as_bool().unwrap_or(theirs.as_i64().is_some_and(|it| it != 0));
                assert_eq!(theirs, value, "{name}: {}", key.name);
            }
            Some(Value::Number(value)) => {
                let theirs = theirs.as_u64().unwrap_or(0);
                assert_eq!(theirs, u64::from(value), "{name}: {}", key.name);
            }
            Some(Value::Word(0)) if theirs.is_null() => {}
            Some(Value::Word(value)) => assert_eq!(theirs.as_str(), key.word(value)),
            Some(Value::Address(value)) => assert_eq!(address(theirs), Some(value)),
            Some(Value::Index(value)) => assert_eq!(index_of(theirs), Some(value)),
            other => assert!(theirs.is_null(), "{name}: {other:?} is {theirs}"),
        }
    }
}

#[test]
fn a_peer_in_another_namespace_is_not_taken_for_a_link_of_this_one() {
    let Some(mut namespace) = namespace::enter() else {
        return;
    };
    ip("link add v0 type veth peer name v1");
    // A process of another namespace keeps that alive; index numbers there overlap with ours.
    let mut other =
        std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn().unwrap();
    let moved = (0..1500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let ours = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let theirs = std::fs::read_link(format!("/proc/{}/ns/net", other.id()));
        theirs.is_ok_and(|theirs| theirs != ours)
    });
    assert!(moved);
    // RTNLGRP_LINK.
    let listener = namespace::listen(1);
    let v1 = namespace.link("v1");
    ip(&format!("link set v1 netns {}", other.id()));
    let v0 = namespace.link("v0");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(v0.lower != 0 && v0.lower_netns.is_some(), "{v0:?}");
    assert_eq!(v0.settings.unwrap().by_name("peer"), None);
    loop {
        let mut datagram = bytes::BytesMut::with_capacity(8192);
        listener.recv(&mut datagram, 0).unwrap();
        match &super::decode_all(&datagram)[..] {
            [super::Decoded::Link { link, deleted: true, moved }] => {
                assert!(*moved && link.index == v1.index, "{link:?}");
                break;
            }
            _ => continue,
        }
    }
}

#[test]
fn addresses_read_as_ip_reads_them() {
    let Some(mut namespace) = made() else { return };
    let (ours, theirs) = namespace.undisturbed(|it| (it.addresses(), ip_json("address show")));
    let mut count = 0;
    for json in theirs {
        for info in json["addr_info"].as_array().unwrap() {
            count += 1;
            assert_address(&ours, &json, info);
        }
    }
    assert_eq!(ours.len(), count);
    assert!(count > 10, "{count}");
}

fn assert_address(ours: &[address::Address], json: &Json, info: &Json) {
    let prefix = Prefix {
        address: info["local"].as_str().unwrap().parse().unwrap(),
        len: u8::try_from(info["prefixlen"].as_u64().unwrap()).unwrap(),
    };
    let address = ours
        .iter()
        .find(|it| it.key.prefix == prefix && json["ifindex"] == it.key.index)
        .unwrap_or_else(|| panic!("{info}"));
    let peer = info["address"].as_str().map(|it| it.parse().unwrap());
    assert_eq!(address.key.peer, peer, "{info}");
    let scope = address::scope_name(address.scope).unwrap();
    assert_eq!(info["scope"], scope);
    for (flag, word) in address::FLAG_NAMES {
        // `ip` says `dynamic` for what lacks "permanent", and `temporary` on IPv6.
        let listed = match *word {
            "permanent" => info["dynamic"] != true,
            "secondary" => info["secondary"] == true || info["temporary"] == true,
            word => info[word] == true,
        };
        assert_eq!(address.flags & flag != 0, listed, "{info}: {word}");
    }
}

#[test]
fn routes_read_as_ip_reads_them() {
    let Some(mut namespace) = made() else { return };
    let links = namespace.links();
    let (mut ours, theirs) = namespace.undisturbed(|it| {
        let dump = |family| ip_json(&format!("-N {family} route show table all"));
        (it.routes(), [("-4", dump("-4")), ("-6", dump("-6"))])
    });
    for (family, theirs) in theirs {
        for json in theirs {
            for hop in hops_of(&json) {
                let found = ours.iter().position(|it| is_route(it, &json, hop, &links));
                let found = found.unwrap_or_else(|| panic!("{json}\n{ours:#?}"));
                if family == "-6" || ours[found].hops.is_empty() {
                    ours.remove(found);
                    continue;
                }
                assert_hops(&ours[found], &json, &links);
                ours.remove(found);
                break;
            }
        }
    }
    assert!(ours.is_empty(), "{ours:#?}");
}

/// The next hops of a route, each with `gateway` or `via`, and `dev`.
fn hops_of(json: &Json) -> Vec<&Json> {
    match json["nexthops"].as_array() {
        Some(hops) => hops.iter().collect(),
        None => vec![json],
    }
}

fn via_of(hop: &Json) -> Option<IpAddr> {
    let via = hop["gateway"].as_str().or(hop["via"]["host"].as_str());
    via.map(|via| via.parse().unwrap())
}

fn index_of(hop: &Json, links: &[Link]) -> u32 {
    let dev = hop["dev"].as_str().map(str::as_bytes);
    let link = links.iter().find(|it| Some(it.name.as_bytes()) == dev);
    link.map_or(0, |link| link.index)
}

fn is_route(route: &Route, json: &Json, hop: &Json, links: &[Link]) -> bool {
    let key = &route.key;
    let number = |key: &str| {
        let text = json[key].as_str().map(|text| text.parse().unwrap());
        text.or(json[key].as_u64()).unwrap_or(0)
    };
    let to = match json["dst"].as_str().unwrap() {
        "default" => "default".to_owned(),
        to if to.contains('/') => to.to_owned(),
        to if to.contains(':') => format!("{to}/128"),
        to => format!("{to}/32"),
    };
    let own = match key.slot.to.len {
        0 => "default".to_owned(),
        _ => key.slot.to.to_string(),
    };
    // `ip` leaves out what is the default: table main, scope global, type unicast.
    let table = match number("table") {
        0 => u64::from(route::TABLE_MAIN),
        table => table,
    };
    let tos = json["tos"].as_str().unwrap_or("0").trim_start_matches("0x");
    let source = json["prefsrc"].as_str().map(|it| it.parse().unwrap());
    let route_type = json["type"].as_str().unwrap_or("1");
    let onlink = hop["flags"].as_array().unwrap().contains(&"onlink".into());
    own == to
        && u64::from(key.slot.table) == table
        && u64::from(key.slot.metric) == number("metric")
        && key.slot.tos == u8::from_str_radix(tos, 16).unwrap()
        && key.via == via_of(hop)
        && key.dev == index_of(hop, links)
        && [key.route_type.to_string().as_str(), route::type_name(key.route_type).unwrap()]
            .contains(&route_type)
        && u64::from(route.protocol) == number("protocol")
        && u64::from(route.scope) == number("scope")
        && route.source == source
        && u64::from(route.nexthop_id) == number("nhid")
        && (route.flags & 4 != 0) == onlink
        && !route.replaced
}

fn assert_hops(route: &Route, json: &Json, links: &[Link]) {
    let hops = hops_of(json);
    assert_eq!(route.hops.len(), hops.len());
    for (ours, theirs) in route.hops.iter().zip(hops) {
        assert_eq!(ours.via, via_of(theirs));
        assert_eq!(ours.dev, index_of(theirs, links));
        assert_eq!(theirs["weight"], ours.weight);
    }
}

#[test]
fn links_read_as_netlink_packet_route_reads_them() {
    let Some(mut namespace) = made() else { return };
    let mut compared = 0;
    for datagram in namespace.dump(Table::Links) {
        for message in messages(&datagram) {
            let message = message.unwrap();
            let start = message.payload.as_ptr().addr() - datagram.as_ptr().addr() - 16;
            let mut ours = Vec::new();
            super::super::decode::decode(&message, &mut |it| ours.push(it)).unwrap();
            let theirs = NetlinkMessage::deserialize(&datagram[start..]).unwrap();
            let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(theirs)) = theirs.payload
            else {
                continue;
            };
            let [super::Decoded::Link { link, .. }] = ours.as_slice() else {
                panic!("{ours:?}");
            };
            compared += 1;
            assert_eq!(theirs.header.index, link.index);
            assert_eq!(theirs.header.flags.bits(), link.flags);
            for attribute in theirs.attributes {
                match attribute {
                    LinkAttribute::IfName(it) => assert_eq!(it.as_bytes(), link.name.as_bytes()),
                    LinkAttribute::Mtu(it) => assert_eq!(it, link.mtu),
                    LinkAttribute::Address(it) => assert_eq!(it, link.mac.as_bytes()),
                    LinkAttribute::Controller(it) => assert_eq!(it, link.master),
                    LinkAttribute::Link(it) => assert_eq!(it, link.lower),
                    LinkAttribute::Group(it) => assert_eq!(it, link.group),
                    LinkAttribute::OperState(it) => assert_eq!(u8::from(it), link.oper),
                    LinkAttribute::LinkInfo(info) => {
                        let LinkInfo::Kind(kind) = &info[0] else {
                            continue;
                        };
                        assert_eq!(kind.to_string(), link.kind.to_string());
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(compared > 10);
}
