//! What is neither declared nor owned stays as it is through everything that the program does,
//! save what its plans name beforehand as going along.
//!
//! What is not compared, and why, stands here and nowhere else:
//! * of links: counters and timers (`stats`, `stats64`, a bridge's and its ports' timers), and what
//!   the link below or beside a stranger makes of it (operstate, NO-CARRIER, LOWER_UP, M-DOWN), for
//!   that link may be ours to change;
//! * of a link on one of ours: its mtu, which the kernel cuts to that of the link below;
//! * of addresses: lifetimes, which count down;
//! * of rules: whether a link that they name is there;
//! * of routes and next hop objects: the flags of the moment (linkdown, dead);
//! * routes of protocol `kernel` through declared links, which come and go with our addresses.

#![cfg(feature = "cli")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::churn::ip_sysctl;
use common::program::{document, json, ringlink, run, status, text, write};
use common::{addresses_of, eventually, in_namespace, ip, ip_json, links};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// What others have made: of links and of what stands on them, each in more than one shape.
const STRANGERS: &[&str] = &[
    "link add f-ifb type ifb",
    "link set f-ifb mtu 1440 alias foreign txqueuelen 77 group 9 up",
    "link property add dev f-ifb altname foreign-alternative",
    "link add f-br type bridge ageing_time 12300 priority 99",
    "link add f-v0 type veth peer name f-v1",
    "link set f-v0 master f-br up",
    "link set f-v0 type bridge_slave hairpin on cost 7",
    "link set f-v1 up",
    "link set f-br up",
    "link add link f-ifb name f-mv type macvlan mode private",
    "link add f-vx type vxlan id 77 dev f-ifb local 203.0.113.1 dstport 4789",
    "addr add 203.0.113.1/24 dev f-ifb label f-ifb:9",
    "addr add 203.0.113.2/24 dev f-ifb",
    "addr add 203.0.113.5 peer 203.0.113.6/32 dev f-v1",
    "addr add 2001:db8:f::1/64 dev f-ifb nodad preferred_lft 0",
    "addr add 198.18.9.1/24 dev f-br",
    "route add 10.200.0.0/16 via 203.0.113.77 dev f-ifb metric 5 proto static mtu 1333",
    "route add 10.201.0.0/16 table 77 dev f-ifb proto 82",
    "route add 10.202.0.0/16 nexthop via 203.0.113.77 dev f-ifb weight 3 nexthop via 198.18.9.2 dev f-br",
    "route add blackhole 10.203.0.0/16 proto 99",
    "route add 2001:db8:f1::/48 via 2001:db8:f::2 dev f-ifb metric 77",
    "route add unreachable 2001:db8:f2::/48",
    "nexthop add id 9 via 203.0.113.78 dev f-ifb",
    "route add 10.204.0.0/16 nhid 9",
    "rule add priority 700 from 203.0.113.0/24 lookup 77 proto 99",
    "-6 rule add priority 701 to 2001:db8:f::/48 blackhole",
    "neigh add 203.0.113.88 dev f-ifb lladdr 02:00:00:00:00:88 nud permanent",
];

/// What others put on links of ours, once those are there.
const GUESTS: &[&str] = &[
    "route add 10.210.0.0/16 via 192.0.2.77 dev br-lan proto static",
    "route add 10.211.0.0/16 dev b0 table 78",
    "route add 2001:db8:f3::/48 dev br-lan metric 88",
    "link add link br-lan name f-guest type macvlan mode bridge",
    "rule add priority 702 iif br-lan lookup 78",
];

const ONE: &str = r#"
version = 1
[owner]
name = "strangers"
prune = true
[link.br-lan]
kind = "bridge"
mac = "02:00:5e:00:53:01"
addresses = ["192.0.2.1/24", "2001:db8:0:1::1/64"]
[link.a0]
veth = { peer = "a1" }
master = "br-lan"
port = { learning = false }
[link.a1]
addresses = ["192.0.2.11/24"]
[link.b0]
veth = { peer = "b1" }
addresses = ["10.1.0.1/24"]
[link.b1]
[link.vx]
vxlan = { id = 42, dev = "b0", local = "10.1.0.1", dstport = 4789 }
[link.f-ifb]
addresses = ["198.18.7.1/24"]
[[route]]
to = "10.2.0.0/16"
via = "192.0.2.2"
dev = "br-lan"
[[route]]
to = "10.3.0.0/16"
via = "203.0.113.77"
dev = "f-ifb"
[[rule]]
priority = 703
from = "10.1.0.0/24"
table = 79
[[neighbour]]
dev = "b0"
address = "10.1.0.2"
mac = "02:00:00:00:00:02"
"#;

/// Other settings, another kind in a name's place, and less of everything.
const TWO: &str = r#"
version = 1
[owner]
name = "strangers"
prune = true
[link.br-lan]
bridge = { stp_state = true, ageing_time = 60000 }
mac = "02:00:5e:00:53:01"
mtu = 1400
addresses = ["192.0.2.3/24", "2001:db8:0:1::1/64"]
[link.b0]
kind = "ifb"
addresses = ["10.1.0.1/24"]
[link.f-ifb]
addresses = ["198.18.7.2/24"]
[[route]]
to = "10.2.0.0/16"
via = "192.0.2.4"
dev = "br-lan"
"#;

const OURS: [&str; 6] = ["br-lan", "a0", "a1", "b0", "b1", "vx"];

/// One object of others, and what plans call it.
type Strangers = BTreeMap<String, Value>;

/// Takes out what this file's head names.
fn still(value: &mut Value) {
    const MOVING: [&str; 13] = [
        "stats",
        "stats64",
        "operstate",
        "valid_life_time",
        "preferred_life_time",
        "gc_timer",
        "hello_timer",
        "tcn_timer",
        "topology_change_timer",
        "message_age_timer",
        "forward_delay_timer",
        "hold_timer",
        "iif_detached",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !MOVING.contains(&key.as_str()));
            for (key, field) in fields.iter_mut() {
                match field.as_array_mut() {
                    Some(flags) if key == "flags" => {
                        let passing = ["NO-CARRIER", "LOWER_UP", "M-DOWN", "linkdown", "dead"];
                        flags.retain(|flag| !passing.iter().any(|it| flag == it));
                    }
                    _ => still(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}

fn is_ours(name: &Value) -> bool {
    OURS.iter().any(|ours| name == ours)
}

/// All that is not ours, as `ip` shows it.
fn strangers() -> Strangers {
    let mut found = Strangers::new();
    let mut add = |name: String, mut value: Value| {
        still(&mut value);
        let mut key = name;
        while found.contains_key(&key) {
            key.push('+');
        }
        found.insert(key, value);
    };
    let mine = ["198.18.7.1", "198.18.7.2"];
    for mut link in ip_json("-d addr show") {
        let name = link["ifname"].clone();
        if is_ours(&name) {
            continue;
        }
        let name = name.as_str().unwrap_or_default().to_owned();
        for own in link["addr_info"].take().as_array().into_iter().flatten() {
            let local = own["local"].as_str().unwrap_or_default();
            if !mine.contains(&local) {
                add(format!("address {local}/{} dev {name}", own["prefixlen"]), own.clone());
            }
        }
        if is_ours(&link["link"]) {
            link["mtu"] = Value::Null;
        }
        add(format!("link {name}"), link);
    }
    for family in ["-4", "-6"] {
        for route in ip_json(&format!("{family} -d route show table all")) {
            let to = route["dst"].as_str().unwrap_or_default();
            let own_subnet = to.starts_with("198.18.7.") || to.starts_with("10.3.");
            let by_kernel = route["protocol"] == "kernel" && is_ours(&route["dev"]);
            let declared = ["10.2.0.0/16"].contains(&to);
            if !(own_subnet || by_kernel || declared) {
                let dev = route["dev"].as_str().map_or(String::new(), |dev| format!(" dev {dev}"));
                add(format!("route {to}{dev}"), route.clone());
            }
        }
        for rule in ip_json(&format!("{family} rule show")) {
            if rule["priority"] != 703 {
                add(format!("rule {family} {}", rule["priority"]), rule);
            }
        }
    }
    for neighbour in ip_json("neigh show nud permanent") {
        if !is_ours(&neighbour["dev"]) {
            add(format!("neighbour {} dev {}", neighbour["dst"], neighbour["dev"]), neighbour);
        }
    }
    for object in ip_json("nexthop show") {
        add(format!("nexthop {}", object["id"]), object);
    }
    found
}

/// Whether a plan's word for an object means that one.
fn means(word: &str, key: &str) -> bool {
    let key = key.trim_end_matches('+');
    match key.split_once(" dev ") {
        Some((object, dev)) if key.starts_with("route ") => {
            let mut words = word.split(' ');
            let to = words.by_ref().take(2).collect::<Vec<_>>().join(" ");
            to == object && format!("{word} ").contains(&format!(" dev {dev} "))
        }
        _ => word == key,
    }
}

/// All that plans say of what goes along.
fn named(planned: &Value) -> BTreeSet<String> {
    let changes = planned["changes"].as_array().expect("a list").iter();
    let along = changes.flat_map(|change| change["also_removes"].as_array().expect("a list"));
    along.map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// Of `before` all is there as it was, save what is named.
fn compare(what: &str, before: &Strangers, named: &BTreeSet<String>) -> Strangers {
    let now = strangers();
    for (key, value) in before {
        match now.get(key) {
            Some(is) => assert_eq!(is, value, "{what}: {key} was changed"),
            None => {
                // What stands on a link that is named goes without saying.
                let on = key.trim_end_matches('+').rsplit_once(" dev ").map(|(_, dev)| dev);
                let on = on.map(|dev| format!("link {dev}"));
                let is_named = |word: &String| means(word, key) || on.as_ref() == Some(word);
                assert!(
                    named.iter().any(is_named),
                    "{what}: {key} is gone, and the plan named only {named:?}"
                );
            }
        }
    }
    for key in now.keys() {
        assert!(before.contains_key(key), "{what}: {key} came");
    }
    now
}

/// Makes it so, with what the plan named.
fn apply(path: &str, options: &[&str]) -> BTreeSet<String> {
    let planned = run(&[&["plan", "--json", path], options].concat());
    let applied = run(&[&["apply", "--yes", path], options].concat());
    assert_eq!(status(&applied), Some(0), "{}{}", text(&applied.stdout), text(&applied.stderr));
    named(&json(&planned))
}

/// `run`, while ours is broken in ways that touch nothing of others.
fn keep(path: &str) {
    let mut program = ringlink();
    let running = program.args(["run", path]).stdout(Stdio::null()).spawn().expect("it starts");
    let is_back = || {
        links()["br-lan"]["mtu"] == 1400
            && addresses_of("br-lan").iter().all(|own| own != "192.0.2.99/24")
            && !ip("route show 10.2.0.0/16").is_empty()
    };
    for drift in [
        "link set br-lan mtu 1300",
        "addr add 192.0.2.99/24 dev br-lan",
        "route del 10.2.0.0/16 dev br-lan",
    ] {
        ip(drift);
        assert!(eventually(Duration::from_secs(30), is_back), "{drift} is not undone");
    }
    end(running, Signal::SIGTERM);
}

fn end(mut running: std::process::Child, signal: Signal) {
    kill(Pid::from_raw(running.id().try_into().expect("a process id")), signal).expect("it lives");
    running.wait().expect("it ends");
}

#[test]
fn what_is_others_stays_as_it_is_save_what_plans_name() {
    in_namespace("what_is_others_stays_as_it_is_save_what_plans_name", || {
        for path in ["all", "default"] {
            ip_sysctl(&format!("net/ipv6/conf/{path}/dad_transmits"), "0");
            // Link-local addresses and what comes with them come a while later.
            ip_sysctl(&format!("net/ipv6/conf/{path}/addr_gen_mode"), "1");
        }
        STRANGERS.iter().for_each(|words| drop(ip(words)));
        let fdb = ["fdb", "add", "00:00:00:00:00:00", "dev", "f-vx", "dst", "203.0.113.99"];
        assert!(Command::new("bridge").args(fdb).status().expect("`bridge`").success());
        let (_folder, path) = document(ONE);
        let file = path.to_string_lossy().into_owned();
        let nothing = BTreeSet::new();
        let mut there = strangers();
        assert!(there.len() > 40, "{there:#?}");
        for verb in ["plan", "check", "export"] {
            let words: &[&str] = if verb == "export" { &[verb] } else { &[verb, &file] };
            run(words);
            there = compare(verb, &there, &nothing);
        }
        let along = apply(&file, &[]);
        assert!(along.is_empty(), "{along:?}");
        there = compare("the first apply", &there, &along);
        GUESTS.iter().for_each(|words| drop(ip(words)));
        let guests = strangers();
        assert_eq!(guests.len(), there.len() + GUESTS.len());
        there = guests;
        apply(&file, &[]);
        there = compare("an apply with nothing to do", &there, &nothing);
        write(&path, TWO);
        let along = apply(&file, &["--recreate"]);
        assert!(along.contains("route 10.211.0.0/16 dev b0 table 78"), "{along:?}");
        there = compare("another document", &there, &along);
        keep(&file);
        there = compare("a run", &there, &nothing);
        ip("route add 10.211.0.0/16 dev b0 table 78");
        let guests = strangers();
        assert_eq!(guests.len(), there.len() + 1);
        write(&path, ONE);
        let tried = run(&["try", "--recreate", "--timeout", "500ms", &file]);
        assert_eq!(status(&tried), Some(1), "{}{}", text(&tried.stdout), text(&tried.stderr));
        there = compare("a try that goes back", &guests, &nothing);
        let planned = json(&run(&["plan", "--destroy", "--json", &file]));
        let destroyed = run(&["destroy", "--yes", &file]);
        assert_eq!(status(&destroyed), Some(0), "{}", text(&destroyed.stdout));
        let along = named(&planned);
        assert!(along.contains("link f-guest"), "{along:?}");
        compare("destroy", &there, &along);
        assert!(!OURS.iter().any(|ours| links().contains_key(*ours)));
    });
}
