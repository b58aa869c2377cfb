//! `export` writes a document that the network matches, and that makes the same network again.

#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::program::{document, run, status, text, write};
use common::{in_namespace, ip, links, routes};
use serde_json::Value;

const DOCUMENT: &str = r#"version = 1
[link.br0]
bridge = { stp_state = true, priority = 4096, forward_delay = 1000 }
mac = "02:00:00:00:00:01"
mtu = 1400
addresses = ["192.0.2.1/24", "2001:db8::1/64"]
[link.v0]
veth = { peer = "p 0" }
mtu = 1400
master = "br0"
port = { learning = false, priority = 7 }
[link."p 0"]
state = "down"
[link.mv0]
macvlan = { dev = "br0", mode = "bridge" }
addresses = [
    { address = "203.0.113.1/32", peer = "203.0.113.2", label = "mv0:a" },
    { address = "2001:db8:1::1/64", noprefixroute = true, preferred_lft = 0 },
]
[link.vx0]
vxlan = { id = 42, remote = "198.51.100.2", dstport = 4789, ttl = 9 }
txqueuelen = 77
ipv4 = { rp_filter = 2 }
ipv6 = { accept_ra = 0, autoconf = false }
[[route]]
to = "default"
via = "192.0.2.254"
mtu = 1300
[[route]]
to = "10.1.0.0/16"
nexthops = [{ via = "192.0.2.2", weight = 3 }, { via = "192.0.2.3" }]
metric = 9
table = 77
[[route]]
to = "10.2.0.0/16"
type = "blackhole"
[[route]]
to = "2001:db8:9::/48"
type = "unreachable"
[[route]]
to = "2001:db8:8::/48"
via = "2001:db8::9"
[[rule]]
priority = 100
from = "192.0.2.0/28"
fwmark = 5
table = 77
[[neighbour]]
dev = "br0"
address = "192.0.2.9"
mac = "02:00:00:00:00:09"
"#;

/// `p 0` is no name that the kernel takes; what it does take and a bare key cannot be is quoted.
fn declared() -> String {
    DOCUMENT.replace("p 0", "p\\\"0")
}

fn done(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = text(&output.stdout);
    assert_eq!(status(&output), Some(0), "{arguments:?}: {said}{}", text(&output.stderr));
    said
}

/// What `ip` tells of links that does not come anew with each one.
fn shown() -> BTreeMap<String, Value> {
    let mut links = links();
    links.retain(|name, _| name != "lo");
    for link in links.values_mut() {
        let kept = ["mtu", "flags", "master", "linkinfo", "txqlen", "link"];
        let fields = link.as_object_mut().expect("an object");
        fields.retain(|key, _| kept.contains(&key.as_str()));
        // The carrier comes a moment later.
        let flags = fields["flags"].as_array_mut().expect("an array");
        flags.retain(|flag| !["NO-CARRIER", "LOWER_UP", "M-DOWN"].iter().any(|it| flag == it));
        let info = fields["linkinfo"].as_object_mut().expect("an object");
        // Timers, and what the spanning tree has come to by now.
        for data in ["info_data", "info_slave_data"] {
            if let Some(data) = info.get_mut(data).and_then(Value::as_object_mut) {
                data.retain(|key, _| {
                    !key.contains("timer")
                        && !key.contains("topology")
                        && !key.starts_with("root")
                        && !key.contains("designated")
                        && !key.contains("bridge_id")
                        && key != "state"
                        && key != "id"
                        || key == "priority"
                });
            }
        }
    }
    links
}

#[test]
fn an_exported_network_is_matched_and_made_again() {
    in_namespace("an_exported_network_is_matched_and_made_again", || {
        let (folder, path) = document(&declared());
        done(&["apply", &path.to_string_lossy()]);
        let exported = done(&["export"]);
        let copy = folder.path().join("copy.toml");
        write(&copy, &exported);
        let copy = copy.to_string_lossy();
        done(&["check", &copy]);
        for kept in [
            "[link.\"p\\\"0\"]\nstate = \"down\"",
            "veth = { peer = \"p\\\"0\" }",
            "priority = 7",
            "learning = false",
            "stp_state = true",
            "label = \"mv0:a\"",
            "type = \"unreachable\"",
            "weight = 3",
        ] {
            assert!(exported.contains(kept), "{kept}: {exported}");
        }
        let stable = |line: &String| !line.contains("proto 2");
        let (before, routes_before) = (shown(), routes());
        for link in ["vx0", "mv0", "v0", "br0"] {
            ip(&format!("link del {link}"));
        }
        for route in ["del blackhole 10.2.0.0/16", "del 2001:db8:9::/48"] {
            ip(&format!("route {route}"));
        }
        ip("rule del priority 100");
        assert!(shown().is_empty());
        done(&["apply", &copy]);
        assert_eq!(shown(), before, "{exported}");
        let routes_after: Vec<_> = routes().into_iter().filter(stable).collect();
        assert_eq!(routes_after, routes_before.into_iter().filter(stable).collect::<Vec<_>>());
        assert!(ip("rule").contains("100:\tfrom 192.0.2.0/28 fwmark 0x5 lookup 77"));
        assert!(ip("neigh show nud permanent").contains("192.0.2.9 dev br0"));
    });
}

#[test]
fn what_is_left_out_is_said_and_can_be_taken_over() {
    in_namespace("what_is_left_out_is_said_and_can_be_taken_over", || {
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        ip("addr add 192.0.2.7/24 dev eth0 valid_lft 600 preferred_lft 600");
        ip("route add 10.0.0.0/8 via 192.0.2.254 proto static");
        ip("route add 11.0.0.0/8 via 192.0.2.254 proto bgp");
        let hostile =
            Command::new("ip").args(["link", "add", "x\u{1b}[31m#", "type", "ifb"]).status();
        assert!(hostile.is_ok_and(|status| status.success()));
        let exported = done(&["export"]);
        assert!(!exported.contains('\u{1b}'), "{exported:?}");
        let (folder, path) = document(&exported);
        done(&["check", &path.to_string_lossy()]);
        assert!(exported.contains("# Left out: 192.0.2.7/24, which has a lifetime."), "{exported}");
        assert!(exported.contains("since it is of protocol bgp"), "{exported}");
        // Uncommented, it says what is there; a daemon's route is still not taken by accident.
        let uncommented: String = exported
            .lines()
            .filter(|line| !line.starts_with("# Left out"))
            .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let taken = folder.path().join("taken.toml");
        write(&taken, &uncommented);
        let output = run(&["apply", "--yes", &taken.to_string_lossy()]);
        let said = text(&output.stdout);
        assert_eq!(status(&output), Some(1), "{said}");
        assert!(said.contains("held by protocol bgp"), "{said}");
        assert!(ip("route show 10.0.0.0/8").contains("proto 82"));
        assert!(ip("route show 11.0.0.0/8").contains("proto bgp"));
    });
}

#[test]
fn an_mtu_that_no_document_has_is_left_out() {
    in_namespace("an_mtu_that_no_document_has_is_left_out", || {
        // A VRF has the first of its own; an ifb takes any.
        for (link, mtu) in [("i0", 65_575), ("i1", 65_576), ("i2", 67)] {
            ip(&format!("link add {link} type ifb"));
            ip(&format!("link set {link} mtu {mtu}"));
        }
        let exported = done(&["export"]);
        let (_folder, path) = document(&exported);
        done(&["check", &path.to_string_lossy()]);
        assert!(exported.contains("\nmtu = 65575\n"), "{exported}");
        assert_eq!(exported.matches("mtu = ").count(), 1, "{exported}");
        for mtu in [65_576, 67] {
            let said = format!("# Its MTU of {mtu} is out of a document's reach.");
            assert!(exported.contains(&said), "{exported}");
        }
    });
}
