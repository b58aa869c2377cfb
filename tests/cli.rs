//! The program, run as a person or a script runs it.
//!
//! `RINGLINK_BLESS=1 cargo test --test cli` writes the golden files anew; read them before they
//! are committed.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::program::{Running, copy_for_all, document, json, ringlink, run, status, text};
use common::{eventually, in_namespace, ip, ip_json, links};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const DOCUMENT: &str = "version = 1\n\
    [link.br0]\nkind = \"bridge\"\nmac = \"02:00:00:00:00:01\"\nmtu = 1400\n\
    addresses = [\"192.0.2.1/24\"]\n\
    [link.v0]\nveth = { peer = \"p0\" }\nmac = \"02:00:00:00:00:02\"\nmaster = \"br0\"\n\
    [link.p0]\nmac = \"02:00:00:00:00:03\"\n\
    [[route]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.254\"\ndev = \"br0\"\n";

/// A change of each object that is not a link, for a host that has others in their place.
const OTHER_OBJECTS: &str = "version = 1\n\
    [link.v0]\nveth = { peer = \"p0\" }\n\
    addresses = [\"192.0.2.1/24\", { address = \"198.18.0.1/32\", peer = \"198.18.0.2\" }]\n\
    [[route]]\nto = \"198.51.100.0/24\"\ndev = \"v0\"\nmetric = 9\nmtu = 1400\n\
    [[route]]\nto = \"10.9.0.0/16\"\ntype = \"blackhole\"\n\
    [[rule]]\npriority = 300\nto = \"203.0.113.0/24\"\ntable = 9\n\
    [[rule]]\npriority = 301\nfrom = \"2001:db8::/32\"\niif = \"lo\"\naction = \"blackhole\"\n\
    [[neighbour]]\ndev = \"v0\"\naddress = \"192.0.2.2\"\nmac = \"02:00:00:00:00:08\"\n\
    [[neighbour]]\ndev = \"v0\"\naddress = \"203.0.113.2\"\nmac = \"02:00:00:00:00:08\"\n";

/// What differs from run to run, made the same.
fn normalised(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                // A kernel shows the settings that it has.
                if let (true, Value::Object(settings)) = (key == "bridge", &mut *field) {
                    let everywhere = ["stp_state", "priority", "ageing_time", "vlan_filtering"];
                    settings.retain(|key, _| everywhere.contains(&key.as_str()));
                }
                // And defaults that hosts choose.
                if matches!(key.as_str(), "ipv4" | "ipv6") && field.is_object() {
                    *field = Value::from("...");
                }
                let volatile = ["time", "sender", "took_us", "index", "seq"];
                if volatile.contains(&key.as_str()) && !field.is_null() {
                    *field = Value::from(0);
                } else {
                    *field = normalised(field.take());
                }
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = normalised(item.take()));
        }
        _ => {}
    }
    value
}

/// Compares with a golden file, value by value.
fn golden(name: &str, values: Vec<Value>) {
    let lines = values.into_iter().map(normalised);
    let pretty = |value| serde_json::to_string_pretty(&value).expect("JSON");
    let said = lines.map(pretty).collect::<Vec<_>>().join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("RINGLINK_BLESS").is_some() {
        std::fs::write(&path, &said).expect("a writable tree");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, expected, "{name}: RINGLINK_BLESS=1 accepts it, if it is right");
}

#[test]
fn plan_apply_and_check_tell_the_same_as_json() {
    in_namespace("plan_apply_and_check_tell_the_same_as_json", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let planned = run(&["plan", "--json", &path]);
        assert_eq!(status(&planned), Some(0));
        golden("plan.json", vec![json(&planned)]);
        let checked = run(&["check", "--json", &path]);
        assert_eq!(status(&checked), Some(1));
        assert_eq!(json(&checked)["matches"], false);
        let applied = run(&["apply", "--json", &path]);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
        golden("apply.json", vec![json(&applied)]);
        assert_eq!(links()["br0"]["mtu"], 1400);
        let checked = run(&["check", "--json", &path]);
        assert_eq!(status(&checked), Some(0));
        golden("check.json", vec![json(&checked)]);
        let again = run(&["apply", &path]);
        assert_eq!(status(&again), Some(0));
        assert!(text(&again.stdout).contains("nothing to do"), "{}", text(&again.stdout));
    });
}

#[test]
fn the_changes_of_every_other_object_have_their_json() {
    in_namespace("the_changes_of_every_other_object_have_their_json", || {
        for words in [
            "link add v0 type veth peer name p0",
            "link set v0 up",
            "addr add 203.0.113.9/24 dev v0",
            "route add 198.51.100.0/24 dev v0 metric 9 proto 82",
            "rule add priority 300 to 203.0.113.0/24 lookup 7 protocol 82",
            "neigh add 203.0.113.2 dev v0 lladdr 02:00:00:00:00:07 nud permanent",
        ] {
            ip(words);
        }
        let (_folder, path) = document(OTHER_OBJECTS);
        let path = path.to_string_lossy();
        golden("plan-objects.json", vec![json(&run(&["plan", "--json", &path]))]);
        let applied = run(&["apply", "--yes", &path]);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
    });
}

#[test]
fn what_cannot_be_done_is_told_for_each_object() {
    in_namespace("what_cannot_be_done_is_told_for_each_object", || {
        ip("link add taken type ifb");
        let (_folder, path) = document(
            "version = 1\n[link.taken]\nkind = \"bridge\"\n[link.absentee]\nmtu = 1400\n\
             [link.br0]\nkind = \"bridge\"\n",
        );
        let path = path.to_string_lossy();
        let applied = run(&["apply", "--json", &path]);
        assert_eq!(status(&applied), Some(1));
        golden("apply-blocked.json", vec![json(&applied)]);
        assert!(links().contains_key("br0"));
        let planned = run(&["plan", &path]);
        assert_eq!(status(&planned), Some(0));
        let said = text(&planned.stdout);
        assert!(said.contains("waiting for link absentee, which does not exist"), "{said}");
        assert!(said.contains("a link of that name exists with kind ifb, not bridge"), "{said}");
    });
}

#[test]
fn a_link_is_made_anew_after_a_yes_alone() {
    in_namespace("a_link_is_made_anew_after_a_yes_alone", || {
        for words in [
            "link add br0 type ifb",
            "link set br0 up",
            "link add link br0 name mv0 type macvlan",
            "link set mv0 up",
            "link add link br0 name mv1 type macvlan",
        ] {
            ip(words);
        }
        let (_folder, path) = document("version = 1\n[link.br0]\nkind = \"bridge\"\n");
        let path = path.to_string_lossy();
        let kind = || links()["br0"]["linkinfo"]["info_kind"].clone();
        let blocked = run(&["apply", &path]);
        assert_eq!(status(&blocked), Some(1));
        assert!(text(&blocked.stdout).contains("--recreate"), "the remedy is named");
        let planned = run(&["plan", "--recreate", "--json", &path]);
        golden("plan-recreate.json", vec![json(&planned)]);
        let shown = run(&["plan", "--recreate", &path]);
        let shown = text(&shown.stdout);
        assert!(shown.contains("also removes link mv0"), "{shown}");
        assert_eq!(shown.matches("interrupts").count(), 1, "mv0 does not come back: {shown}");
        let unasked = run(&["apply", "--recreate", &path]);
        assert_eq!(status(&unasked), Some(3));
        assert_eq!(kind(), "ifb");
        let applied = run(&["apply", "--recreate", "--yes", &path]);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
        assert_eq!(kind(), "bridge");
    });
}

#[test]
fn show_agrees_with_ip() {
    in_namespace("show_agrees_with_ip", || {
        let (_folder, path) = document(DOCUMENT);
        assert_eq!(status(&run(&["apply", &path.to_string_lossy()])), Some(0));
        // The kernel adds to it for a while; compared is what both saw at rest.
        let words =
            ["link show", "addr show", "-4 route show table all", "-6 route show table all"];
        let (mut shown, mut theirs, mut all) = (Value::Null, links(), words.map(ip_json));
        let is_at_rest = eventually(Duration::from_secs(10), || {
            shown = json(&run(&["show", "--json"]));
            theirs = links();
            let before = std::mem::replace(&mut all, words.map(ip_json));
            before == all
        });
        assert!(is_at_rest, "{all:?}");
        let [_, their_addresses, v4_routes, v6_routes] = all;
        let ours = shown["links"].as_array().expect("a list of links");
        assert_eq!(ours.len(), theirs.len());
        for link in ours {
            let name = link["name"].as_str().expect("a name");
            let peer = &theirs[name];
            assert_eq!(link["index"], peer["ifindex"]);
            assert_eq!(link["mtu"], peer["mtu"]);
            assert_eq!(link["mac"], peer["address"]);
            assert_eq!(link["master"]["name"], peer["master"]);
            let flags = |value: &Value| {
                let flags = value["flags"].as_array().into_iter().flatten();
                let mut flags: Vec<_> =
                    flags.filter_map(Value::as_str).map(str::to_owned).collect();
                // The carrier of the other end, which `ip` works out by itself.
                flags.retain(|flag| !matches!(flag.as_str(), "NO-CARRIER" | "M-DOWN"));
                flags.sort();
                flags
            };
            assert_eq!(flags(link), flags(peer), "{name}");
        }
        let addresses = shown["addresses"].as_array().expect("a list of addresses");
        let infos = their_addresses.iter().filter_map(|it| it["addr_info"].as_array());
        let count = infos.map(Vec::len).sum::<usize>();
        assert_eq!(addresses.len(), count);
        let routes = shown["routes"].as_array().expect("a list of routes");
        assert_eq!(routes.len(), v4_routes.len() + v6_routes.len());
        let tables = text(&run(&["show", "links", "routes"]).stdout);
        assert!(tables.contains("br0") && tables.contains("198.51.100.0/24"), "{tables}");
    });
}

#[test]
fn show_tells_the_network_as_json() {
    in_namespace("show_tells_the_network_as_json", || {
        ip("link add br0 address 02:00:00:00:00:01 type bridge");
        // A bridge's state takes its time to follow; this one's does not.
        ip("link add v0 address 02:00:00:00:00:02 type ifb");
        ip("link set v0 up");
        ip("addr add 192.0.2.1/24 dev v0");
        ip("route add 198.51.100.0/24 via 192.0.2.254 metric 5 table 100");
        // Devices that modules made, and what IPv6 adds when it comes to it, are left out.
        let is_expected = |value: &Value| {
            let link = value.get("dev").or(value.get("link")).unwrap_or(value);
            let is_ours = link["name"] == "v0" || link["name"] == "br0";
            let text = value["to"].as_str().or(value["address"].as_str()).unwrap_or_default();
            is_ours && !text.contains(':')
        };
        let mut shown = json(&run(&["show", "--json"]));
        for list in ["links", "addresses", "routes"] {
            shown[list].as_array_mut().expect("a list").retain(is_expected);
        }
        golden("show.json", vec![shown]);
        let only_links = json(&run(&["show", "--json", "link"]));
        let keys: Vec<_> = only_links.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["v", "links"]);
    });
}

/// State of every type beside links, addresses and routes.
fn make_objects() {
    // A new namespace has those of the host.
    for (name, value) in [("forwarding", "0"), ("rp_filter", "0"), ("bc_forwarding", "0")] {
        let path = format!("/proc/sys/net/ipv4/conf/default/{name}");
        std::fs::write(path, value).expect("a setting of this namespace");
    }
    ip("link add v0 address 02:00:00:00:00:02 type veth peer name p0");
    ip("link set v0 up");
    ip("link set p0 up");
    ip("addr add 192.0.2.1/24 dev v0");
    ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent");
    ip("rule add from 192.0.2.0/24 fwmark 7/15 sport 80-90 lookup 100 pref 5");
    ip("nexthop add id 5 via 192.0.2.50 dev v0 protocol static");
    ip("nexthop add id 6 via 192.0.2.51 dev v0");
    ip("nexthop add id 7 group 5,3/6");
}

#[test]
fn show_tells_what_else_is_asked_for_as_json() {
    in_namespace("show_tells_what_else_is_asked_for_as_json", || {
        make_objects();
        let mut shown =
            json(&run(&["show", "--json", "neigh", "rules", "nexthop", "netconf", "nsid"]));
        let is_expected = |value: &Value| {
            let interface = value.get("interface").unwrap_or(&Value::Null);
            let is_ours = interface.is_null() || interface == "v0" || interface == "default";
            is_ours && value["family"] != "inet6" && value["dst"] != "ff02::16"
        };
        for list in ["neighbours", "rules", "nexthops", "netconf", "nsids"] {
            shown[list].as_array_mut().expect("a list").retain(is_expected);
        }
        golden("show-objects.json", vec![shown]);
        let tables = text(&run(&["show", "neighbour", "rule", "nexthop", "netconf"]).stdout);
        for part in [
            "192.0.2.9 v0  02:00:00:00:00:09 PERMANENT",
            "from 192.0.2.0/24 fwmark 0x7/0xf sport 80-90 lookup 100",
            "group 5:3 6",
            "default inet6",
        ] {
            assert!(tables.contains(part), "{part}: {tables}");
        }
        assert!(!tables.contains("ADDRESS "), "{tables}");
    });
}

#[test]
fn watch_tells_what_else_is_asked_for_as_json() {
    in_namespace("watch_tells_what_else_is_asked_for_as_json", || {
        make_objects();
        let words = ["neighbour", "rule", "nexthop", "netconf"];
        let mut running = Running::start(&[&["watch", "--json", "--dump"], &words[..]].concat());
        let mut lines = vec![
            running.line_with("\"group\":[{"),
            running.line_with("192.0.2.9"),
            running.line_with("192.0.2.0/24"),
            running.line_with("\"interface\":\"default\""),
        ];
        ip("neigh replace 192.0.2.9 lladdr 02:00:00:00:00:0a dev v0 nud permanent");
        lines.push(running.line_with("02:00:00:00:00:0a"));
        ip("rule del pref 5");
        lines.push(running.line_with("\"event\":\"deleted\""));
        std::fs::write("/proc/sys/net/ipv4/conf/v0/forwarding", "1").expect("a setting");
        lines.push(running.line_with("forwarding"));
        ip("link set p0 down");
        lines.push(running.line_with("\"event\":\"changed\",\"object\":\"nexthop\""));
        let lines = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        golden("watch-objects.json", lines.collect());
        assert_eq!(running.end(Signal::SIGINT), Some(0));
    });
}

#[test]
fn names_that_a_terminal_would_obey_are_escaped() {
    use std::os::unix::ffi::OsStrExt as _;
    in_namespace("names_that_a_terminal_would_obey_are_escaped", || {
        let name = std::ffi::OsStr::from_bytes(b"a\x1b[2J\xff");
        let mut add = Command::new("ip");
        let add = add.args(["link", "add"]).arg(name).args(["type", "ifb"]);
        assert!(add.status().expect("ip of iproute2").success());
        let table = text(&run(&["show", "link"]).stdout);
        assert!(table.contains("a\\x1b[2J\\xff") && !table.contains('\x1b'), "{table}");
        let shown = json(&run(&["show", "link", "--json"]));
        let links = shown["links"].as_array().expect("a list").iter();
        let hex: Vec<_> = links.filter_map(|link| link["name_hex"].as_str()).collect();
        assert_eq!(hex, ["611b5b324aff"]);
    });
}

#[test]
fn run_tells_each_correction_and_ends_by_a_signal() {
    in_namespace("run_tells_each_correction_and_ends_by_a_signal", || {
        let (_folder, path) = document(DOCUMENT);
        let mut running = Running::start(&["run", &path.to_string_lossy()]);
        running.line_with("converged: ");
        ip("addr del 192.0.2.1/24 dev br0");
        let line = running.line_with("192.0.2.1/24");
        assert!(line.contains("changed it"), "{line}");
        running.line_with("route 198.51.100.0/24");
        ip("link set br0 mtu 1300");
        let line = running.line_with("mtu 1300 -> 1400");
        assert!(
            line.contains("link br0") && line.contains(" us)") || line.contains(" ms)"),
            "{line}"
        );
        let restored = eventually(Duration::from_secs(30), || links()["br0"]["mtu"] == 1400);
        assert!(restored);
        assert_eq!(running.end(Signal::SIGINT), Some(0));
        assert_eq!(links()["br0"]["mtu"], 1400, "the network stays as it was");

        let mut running = Running::start(&["run", "--json", &path.to_string_lossy()]);
        running.line_with("converged");
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn run_tells_corrections_as_json() {
    in_namespace("run_tells_corrections_as_json", || {
        let (_folder, path) = document(DOCUMENT);
        assert_eq!(status(&run(&["apply", &path.to_string_lossy()])), Some(0));
        let mut running = Running::start(&["run", "--json", &path.to_string_lossy()]);
        running.line_with("converged");
        ip("link set br0 mtu 1300");
        let line = running.line_with("1300");
        golden("run.json", vec![serde_json::from_str(&line).expect("JSON")]);
        assert_eq!(running.end(Signal::SIGINT), Some(0));
    });
}

#[test]
fn watch_tells_changes_as_json() {
    in_namespace("watch_tells_changes_as_json", || {
        ip("link add v0 address 02:00:00:00:00:02 type ifb");
        let mut running = Running::start(&["watch", "--json", "link", "address"]);
        // It is listening by the time that a change of its own is told.
        let mut number = 0;
        let listening = std::thread::scope(|scope| {
            let first = scope.spawn(|| running.line());
            eventually(Duration::from_secs(30), || {
                number += 1;
                ip(&format!("link set v0 mtu {}", 1000 + number));
                first.is_finished()
            })
        });
        assert!(listening, "nothing is told");
        ip("link set v0 mtu 1400");
        let changed = running.line_with("1400");
        ip("addr add 192.0.2.1/24 dev v0");
        let added = running.line_with("192.0.2.1");
        ip("link del v0");
        let deleted = running.line_with("\"event\":\"deleted\",\"object\":\"link\"");
        let mut lines = [changed, added, deleted]
            .map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
        lines[0]["before"]["mtu"] = Value::from(0);
        golden("watch.json", lines.to_vec());
        assert_eq!(running.end(Signal::SIGINT), Some(0));
    });
}

#[test]
fn watch_tells_only_the_routes_that_were_asked_for() {
    in_namespace("watch_tells_only_the_routes_that_were_asked_for", || {
        ip("route add 192.0.2.1/32 dev lo proto bgp");
        ip("route add 192.0.2.2/32 dev lo proto bgp table 77");
        ip("route add 192.0.2.3/32 dev lo proto static");
        let words = ["watch", "--dump", "route", "--protocol", "bgp", "--table", "main"];
        let mut running = Running::start(&words);
        assert!(running.line().contains("192.0.2.1/32"), "the only one that is there");
        ip("route add 192.0.2.4/32 dev lo proto static");
        ip("route add 192.0.2.5/32 dev lo proto bgp table 77");
        ip("route add 192.0.2.6/32 dev lo proto bgp");
        assert!(running.line().contains("192.0.2.6/32"), "the only one that was added");
        assert_eq!(running.end(Signal::SIGINT), Some(0));
        assert_eq!(status(&run(&["watch", "--protocol", "nonsense"])), Some(2));
    });
}

#[test]
fn the_demo_breaks_and_mends_a_sandbox() {
    let before = std::fs::read_link("/proc/self/ns/net").expect("/proc is there");
    let output = run(&["run", "--sandbox", "--demo", "examples/host.toml"]);
    if status(&output) == Some(3) && text(&output.stderr).contains("sandbox") {
        eprintln!("skipped: {}", text(&output.stderr));
        return;
    }
    let said = text(&output.stdout);
    assert_eq!(status(&output), Some(0), "{said} {}", text(&output.stderr));
    assert!(said.contains("5 of 5 breaks mended"), "{said}");
    assert_eq!(std::fs::read_link("/proc/self/ns/net").expect("/proc is there"), before);
}

#[test]
fn bad_files_end_with_two_and_nothing_is_applied() {
    in_namespace("bad_files_end_with_two_and_nothing_is_applied", || {
        let (folder, path) = document("version = 1\n[link.br0]\nkind = \"bridge\"\nmtuu = 5\n");
        let fifo = folder.path().join("fifo.toml");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).expect("a FIFO");
        let absent = folder.path().join("absent.toml");
        let empty = folder.path().join("empty");
        std::fs::create_dir(&empty).expect("a writable folder");
        for verb in ["apply", "run", "plan", "check"] {
            for file in [&path, &fifo, &absent, &empty] {
                let output = run(&[verb, &file.to_string_lossy()]);
                assert_eq!(status(&output), Some(2), "{verb} {}", file.display());
                assert!(!output.stderr.is_empty());
            }
        }
        assert!(!links().contains_key("br0"));
        let said = text(&run(&["apply", &path.to_string_lossy()]).stderr);
        assert!(said.contains("did you mean `mtu`?"), "{said}");
        let as_json = run(&["apply", "--json", &path.to_string_lossy()]);
        assert!(text(&as_json.stderr).contains("\"diagnostics\""), "{}", text(&as_json.stderr));
    });
}

#[test]
fn wrong_usage_ends_with_two() {
    for arguments in [&["frobnicate"][..], &["run"], &["plan", "x.toml", "--netns"], &[]] {
        assert_eq!(status(&run(arguments)), Some(2), "{arguments:?}");
    }
    assert_eq!(status(&run(&["show", "--netns", "no-such-namespace"])), Some(3));
}

#[test]
fn without_the_capability_reading_works_and_writing_says_what_is_missing() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give its capabilities away here");
        return;
    }
    let name = "without_the_capability_reading_works_and_writing_says_what_is_missing";
    in_namespace(name, || {
        let (folder, path) = document(DOCUMENT);
        // Nobody must be able to read what it is given.
        let program = copy_for_all(folder.path());
        let as_nobody = |verb: &str| {
            Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&program)
                .args([verb, &path.to_string_lossy()])
                .output()
                .expect("setpriv of util-linux")
        };
        for (verb, expected) in [("plan", 0), ("check", 1)] {
            let output = as_nobody(verb);
            assert_eq!(status(&output), Some(expected), "{verb}: {}", text(&output.stderr));
        }
        for verb in ["apply", "run"] {
            let output = as_nobody(verb);
            assert_eq!(status(&output), Some(3), "{verb}");
            let said = text(&output.stderr);
            assert!(said.contains("CAP_NET_ADMIN") && said.contains("--sandbox"), "{said}");
        }
        assert!(!links().contains_key("br0"));
    });
}

#[test]
fn deletions_want_a_yes() {
    in_namespace("deletions_want_a_yes", || {
        ip("link add br0 type bridge");
        ip("addr add 203.0.113.1/24 dev br0");
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let output = run(&["apply", &path]);
        assert_eq!(status(&output), Some(3), "{}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains("203.0.113.1/24") && said.contains("--yes"), "{said}");
        assert!(ip("addr show dev br0").contains("203.0.113.1"), "nothing may be changed");
        assert_eq!(status(&run(&["apply", "--yes", &path])), Some(0));
        assert!(!ip("addr show dev br0").contains("203.0.113.1"));
    });
}

#[test]
fn a_closed_output_ends_it_quietly() {
    in_namespace("a_closed_output_ends_it_quietly", || {
        let mut child = ringlink()
            .args(["show", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    });
}

#[test]
fn a_reader_that_has_read_enough_ends_a_watch() {
    in_namespace("a_reader_that_has_read_enough_ends_a_watch", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Only a write can find out that no one reads, so things go on happening until it does.
        let script = "(timeout 20 \"$0\" watch --dump; echo $? > \"$1\") | head -n 1 &
            until [ -s \"$1\" ]; do ip link add d0 type ifb; ip link del d0; sleep 0.05; done";
        let ended = folder.path().join("ended");
        let output = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_ringlink")])
            .arg(&ended)
            .output()
            .expect("bash");
        assert_eq!(std::fs::read_to_string(&ended).expect("its exit status"), "0\n");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    });
}

#[test]
fn an_interrupted_apply_ends_with_130_and_says_what_it_made() {
    in_namespace("an_interrupted_apply_ends_with_130_and_says_what_it_made", || {
        let links_max = 2_000;
        let links_text = |number| format!("[link.d{number}]\nkind = \"ifb\"\n");
        let content: String = (0..links_max).map(links_text).collect();
        let (_folder, path) = document(&format!("version = 1\n{content}"));
        let child = ringlink()
            .args(["apply", "--json", &path.to_string_lossy()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        assert!(eventually(Duration::from_secs(60), || has_link("d0")), "nothing is made");
        let pid = Pid::from_raw(child.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it lives");
        let output = child.wait_with_output().expect("it ends");
        let report = json(&output);
        assert_eq!(status(&output), Some(130), "declare more links: it was done by then");
        assert_eq!(report["interrupted"], true);
        let changes = report["changes"].as_array().expect("a list").iter();
        let made = changes.filter(|change| change["result"] == "ok").count();
        let there = links().keys().filter(|name| name.starts_with('d')).count();
        assert_eq!(made, there, "what was made is what was told");
    });
}

/// Whether the kernel has that link, read without a process of its own.
fn has_link(name: &str) -> bool {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is there");
    devices.lines().any(|line| line.trim_start().starts_with(&format!("{name}:")))
}

#[test]
fn doctor_finds_this_host_fit() {
    let output = run(&["doctor", "--json"]);
    assert_eq!(status(&output), Some(0), "{}", text(&output.stdout));
    assert_eq!(json(&output)["fit"], true);
    assert!(text(&run(&["doctor"]).stdout).contains("ringlink can run here"));
}
