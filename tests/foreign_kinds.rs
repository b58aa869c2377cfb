//! Links of kinds that we do not make ourselves are read, watched and kept like all others.
//!
//! Many kernels lack some of these kinds, and a test says so by `skipped: ...`; `scripts/kernels`
//! runs them where the kinds are there, and wants each to have run somewhere.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{addresses_of, eventually, in_namespace, ip, ip_json, links, slowness};
use ringlink::model::link::{FLAG_NAMES, Link, OPER_NAMES};
use ringlink::model::object::{Object, What};
use ringlink::reconcile::Report;
use ringlink::{Applier, Batch, Desired, Keeper, KeeperHandle, Watcher};
use serde_json::Value as Json;

const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a link by `ip link add` and these words. False, with a word about it, where the kernel has
/// no such kind.
fn made(words: &str) -> bool {
    let output = Command::new("ip").args(["link", "add"]).args(words.split_whitespace()).output();
    let output = output.expect("the tests need `ip` of iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("Unknown device type") || errors.contains("Operation not supported") {
        eprintln!("skipped: this kernel cannot make {words}: {}", errors.trim());
        return false;
    }
    assert!(output.status.success(), "ip link add {words}: {errors}");
    true
}

/// A watcher, and what its events add up to.
struct Watched {
    watcher: Watcher,
    folded: BTreeMap<u32, Link>,
    /// Each change of a link's master: the link's name, from, to.
    masters: Vec<(String, u32, u32)>,
}

impl Watched {
    fn open() -> Self {
        let watcher = Watcher::builder().open().expect("a ring");
        let mut watched = Self { watcher, folded: BTreeMap::new(), masters: Vec::new() };
        watched.read(Duration::ZERO);
        watched
    }

    /// Takes what comes until `wait` is over.
    fn read(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut batch = Batch::default();
        loop {
            self.watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
            for event in &batch {
                match &event.what {
                    What::New(Object::Link(link)) => {
                        assert!(
                            self.folded.insert(link.index, link.clone()).is_none(),
                            "{event:?}"
                        );
                    }
                    What::Changed { before: Object::Link(before), after: Object::Link(after) } => {
                        if before.master != after.master {
                            let change = (after.name.to_string(), before.master, after.master);
                            self.masters.push(change);
                        }
                        assert_eq!(
                            self.folded.insert(after.index, after.clone()),
                            Some(before.clone())
                        );
                    }
                    What::Deleted(Object::Link(link)) => {
                        assert_eq!(self.folded.remove(&link.index), Some(link.clone()));
                    }
                    _ => {}
                }
            }
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Reads until all links are to the mirror as they are to `ip`, and so is what the events add
    /// up to.
    fn agrees_with_ip(&mut self, when: &str) {
        let mut difference = String::new();
        let agrees = eventually(PATIENCE, || {
            self.read(Duration::from_millis(20));
            let theirs: BTreeMap<_, _> =
                links().iter().map(|(name, link)| (name.clone(), shown_by_ip(link))).collect();
            let all: Vec<_> = self.watcher.observed().links().cloned().collect();
            let ours: BTreeMap<_, _> =
                all.iter().map(|link| (link.name.to_string(), shown_by_us(link, &all))).collect();
            difference = format!("{when}:\nours   {ours:#?}\ntheirs {theirs:#?}");
            ours == theirs
        });
        assert!(agrees, "{difference}");
        let observed = self.watcher.observed().links().map(|link| (link.index, link.clone()));
        assert_eq!(self.folded, observed.collect(), "{when}");
    }

    fn named(&self, name: &str) -> &Link {
        let found = self.folded.values().find(|link| link.name.to_string() == name);
        found.unwrap_or_else(|| panic!("no link {name}"))
    }
}

fn shown_by_ip(link: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let flags = link["flags"].as_array().expect("flags").iter();
    let known = |flag: &&Json| FLAG_NAMES.iter().any(|(_, name)| *flag == name);
    let mut flags: Vec<_> = flags.filter(known).map(text).collect();
    flags.sort();
    let lower = match &link["link_index"] {
        Json::Null => text(&link["link"]),
        _ => String::new(),
    };
    let group = text(&link["group"]);
    // Of a tunnel it is an IP address, which `ip` writes as one.
    let has_mac = link["link_type"] == "ether" || link["link_type"] == "loopback";
    let mac = if has_mac { text(&link["address"]) } else { String::new() };
    vec![
        format!("index {}", link["ifindex"]),
        format!("kind {}", text(&link["linkinfo"]["info_kind"])),
        format!("mtu {}", link["mtu"]),
        format!("oper {}", text(&link["operstate"])),
        format!("master {}", text(&link["master"])),
        format!("lower {}", if lower == "null" { "" } else { &lower }),
        format!("group {}", if group == "default" { "0" } else { &group }),
        format!("flags {flags:?}"),
        format!("mac {mac}"),
    ]
}

fn shown_by_us(link: &Link, all: &[Link]) -> Vec<String> {
    let name = |index: u32| {
        let found = all.iter().find(|link| link.index == index);
        found.map(|link| link.name.to_string()).unwrap_or_default()
    };
    let set = FLAG_NAMES.iter().filter(|(flag, _)| link.flags & flag != 0);
    let mut flags: Vec<_> = set.map(|(_, name)| (*name).to_owned()).collect();
    flags.sort();
    let mac = if link.mac.as_bytes().len() == 6 { link.mac.to_string() } else { String::new() };
    vec![
        format!("index {}", link.index),
        format!("kind {}", link.kind),
        format!("mtu {}", link.mtu),
        format!("oper {}", OPER_NAMES[usize::from(link.oper)]),
        format!("master {}", name(link.master)),
        format!("lower {}", name(link.lower)),
        format!("group {}", link.group),
        format!("flags {flags:?}"),
        format!("mac {mac}"),
    ]
}

/// A link of that kind from its making to its end, as it is watched and as it is found.
fn is_watched(name: &str, words: &str, changes: &[&str]) {
    in_namespace(name, || {
        ip("link add below mtu 1600 type ifb");
        ip("link set below up");
        let mut watched = Watched::open();
        watched.agrees_with_ip("before");
        if !made(&format!("x0 {words}")) {
            return;
        }
        watched.agrees_with_ip("made");
        for change in changes {
            ip(&format!("link set x0 {change}"));
            watched.agrees_with_ip(change);
        }
        // Where it is up the oldest kernels refuse that.
        ip("link set x0 down");
        ip("link set x0 name x1");
        watched.agrees_with_ip("renamed");
        Watched::open().agrees_with_ip("found");
        ip("link del x1");
        watched.agrees_with_ip("deleted");
        assert!(watched.folded.values().all(|link| link.name.to_string() != "x1"));
    });
}

/// What holds of every link.
const CHANGES: &[&str] = &["mtu 1400", "up", "group 77", "down", "up"];

macro_rules! kinds {
    ($($test:ident: $words:literal,)*) => {$(
        #[test]
        fn $test() {
            is_watched(stringify!($test), $words, CHANGES);
        }
    )*};
}

kinds! {
    a_dummy_is_watched: "type dummy",
    a_vlan_is_watched: "link below type vlan id 42",
    a_service_vlan_is_watched: "link below type vlan id 43 protocol 802.1ad",
    a_bond_is_watched: "type bond mode active-backup miimon 100",
    a_vrf_is_watched: "type vrf table 100",
    an_ipvlan_is_watched: "link below type ipvlan mode l2",
    a_macvtap_is_watched: "link below type macvtap mode bridge",
    a_geneve_is_watched: "type geneve id 42 remote 192.0.2.1",
    a_gre_is_watched: "type gre local 192.0.2.2 remote 192.0.2.1",
    a_gretap_is_watched: "type gretap local 192.0.2.2 remote 192.0.2.1",
    a_gre_over_ipv6_is_watched: "type ip6gre local 2001:db8::2 remote 2001:db8::1",
    an_ipip_is_watched: "type ipip local 192.0.2.2 remote 192.0.2.1",
    a_sit_is_watched: "type sit local 192.0.2.2 remote 192.0.2.1",
    a_wireguard_is_watched: "type wireguard",
    a_team_is_watched: "type team",
}

#[test]
fn a_bonds_ports_are_seen_to_come_and_go() {
    let name = "a_bonds_ports_are_seen_to_come_and_go";
    in_namespace(name, || {
        if !made("bond0 type bond mode active-backup miimon 100") || !made("d0 type dummy") {
            return;
        }
        ip("link add d1 type dummy");
        let mut watched = Watched::open();
        watched.agrees_with_ip("before");
        let bond = watched.named("bond0").index;
        for port in ["d0", "d1"] {
            ip(&format!("link set {port} master bond0"));
        }
        ip("link set bond0 up");
        watched.agrees_with_ip("with ports");
        assert_eq!(watched.named("d0").mac, watched.named("bond0").mac, "a bond lends its mac");
        // The active one goes down; the bond goes on by the other, and then by none.
        ip("link set d0 down");
        watched.agrees_with_ip("one port down");
        ip("link set d1 down");
        watched.agrees_with_ip("both ports down");
        ip("link set d0 nomaster");
        watched.agrees_with_ip("one port less");
        ip("link del bond0");
        watched.agrees_with_ip("without the bond");
        let of = |port: &str| {
            let changes = watched.masters.iter().filter(|(name, ..)| name == port);
            changes.map(|(_, from, to)| (*from, *to)).collect::<Vec<_>>()
        };
        assert_eq!(of("d0"), [(0, bond), (bond, 0)]);
        assert_eq!(of("d1"), [(0, bond), (bond, 0)]);
    });
}

#[test]
fn a_vlan_follows_its_lower_link() {
    in_namespace("a_vlan_follows_its_lower_link", || {
        if !made("d0 type dummy") || !made("d0.7 link d0 type vlan id 7") {
            return;
        }
        let mut watched = Watched::open();
        for change in ["d0 up", "d0.7 up", "d0.7 mtu 1300", "d0 mtu 1200", "d0 down", "d0 up"] {
            ip(&format!("link set {change}"));
            watched.agrees_with_ip(change);
        }
        assert_eq!(watched.named("d0.7").lower, watched.named("d0").index);
        // The kernel takes the vlan along.
        ip("link del d0");
        watched.agrees_with_ip("deleted");
        assert!(!links().contains_key("d0.7"));
    });
}

#[test]
fn a_port_of_a_vrf_is_seen_with_its_routes_moved() {
    let name = "a_port_of_a_vrf_is_seen_with_its_routes_moved";
    in_namespace(name, || {
        if !made("vrf0 type vrf table 100") || !made("d0 type dummy") {
            return;
        }
        ip("link set vrf0 up");
        ip("link set d0 up");
        ip("addr add 192.0.2.1/24 dev d0");
        ip("route add 198.51.100.0/24 via 192.0.2.2");
        let mut watched = Watched::open();
        watched.agrees_with_ip("before");
        let routes_agree = |watched: &mut Watched, when: &str| {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let agree = eventually(PATIENCE, || {
                watched.read(Duration::from_millis(20));
                theirs = ip_json("-4 -N route show table all").iter().map(route_by_ip).collect();
                let observed = watched.watcher.observed().routes();
                let v4 = observed.map(|route| route.key.slot).filter(|slot| slot.to.is_ipv4());
                ours = v4.map(|slot| format!("{} table {}", slot.to, slot.table)).collect();
                theirs.sort();
                ours.sort();
                ours == theirs
            });
            assert!(agree, "{when}:\nours   {ours:#?}\ntheirs {theirs:#?}");
        };
        routes_agree(&mut watched, "before");
        ip("link set d0 master vrf0");
        watched.agrees_with_ip("with a port");
        routes_agree(&mut watched, "with a port");
        ip("link set d0 nomaster");
        watched.agrees_with_ip("without a port");
        routes_agree(&mut watched, "without a port");
    });
}

/// Destination and table, with the length that `ip` leaves out.
fn route_by_ip(route: &Json) -> String {
    let to = match route["dst"].as_str().expect("a destination") {
        "default" => "0.0.0.0/0".to_owned(),
        to if to.contains('/') => to.to_owned(),
        host => format!("{host}/32"),
    };
    format!("{to} table {}", route["table"].as_str().unwrap_or("254"))
}

fn converged(keeper: &mut KeeperHandle) {
    let patience = PATIENCE * slowness();
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(Report::Converged) = keeper.next_report(Some(patience)) {
            return;
        }
    }
    panic!("it did not converge: {:?}", keeper.status());
}

/// What the keeper has had to tell, for a failure to show.
fn reports(keeper: &mut KeeperHandle) -> Vec<Report> {
    std::iter::from_fn(|| keeper.next_report(Some(Duration::ZERO))).collect()
}

/// Whether it is as the documents of the tests below declare it.
fn is_as_declared(name: &str) -> bool {
    links().get(name).is_some_and(|link| link["mtu"] == 1400)
        && addresses_of(name).contains(&"192.0.2.1/24".to_owned())
}

#[test]
fn a_dummy_that_is_there_is_kept_and_what_is_foreign_on_it_stays() {
    let name = "a_dummy_that_is_there_is_kept_and_what_is_foreign_on_it_stays";
    in_namespace(name, || {
        if !made("d0 type dummy") {
            return;
        }
        ip("link set d0 up");
        ip("addr add 203.0.113.1/24 dev d0");
        let text = "version = 1\n[link.d0]\nmtu = 1400\naddresses = [\"192.0.2.1/24\"]\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut keeper = Keeper::spawn(Keeper::builder(desired)).expect("a ring");
        converged(&mut keeper);
        assert!(is_as_declared("d0"));
        let drifts =
            ["link set d0 mtu 1300", "addr del 192.0.2.1/24 dev d0", "link set d0 mtu 1279"];
        for drift in drifts {
            ip(drift);
            assert!(eventually(PATIENCE, || is_as_declared("d0")), "{drift}");
        }
        assert!(addresses_of("d0").contains(&"203.0.113.1/24".to_owned()));
        // It was not made by us, so it is not made again; but one that comes is set up.
        ip("link del d0");
        ip("link add d0 type dummy");
        assert!(eventually(PATIENCE, || is_as_declared("d0")), "not found again");
        assert_eq!(links()["d0"]["group"], "default", "only what we make is marked");
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn a_vlan_and_a_bond_that_come_late_are_set_up_and_kept() {
    let name = "a_vlan_and_a_bond_that_come_late_are_set_up_and_kept";
    in_namespace(name, || {
        if !made("d0 type dummy") || !made("try type bond") || !made("tr7 link d0 type vlan id 7") {
            return;
        }
        ip("link del try");
        ip("link del tr7");
        ip("link set d0 up");
        // A bond takes no link that is up, and sets its ports up by itself.
        let text = "version = 1\n\
            [link.bond0]\nstate = \"up\"\nmtu = 1400\naddresses = [\"192.0.2.1/24\"]\n\
            [link.vlan7]\nmaster = \"bond0\"\n\
            [[route]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.2\"\ndev = \"bond0\"\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        ip("link add bond0 type bond mode active-backup miimon 100");
        ip("link add vlan7 link d0 type vlan id 8");
        let holds = || {
            let routes = || ip("route show").contains("198.51.100.0/24 via 192.0.2.2 dev bond0");
            is_as_declared("bond0") && links()["vlan7"]["master"] == "bond0" && routes()
        };
        let come = eventually(PATIENCE, holds);
        assert!(come, "{:#?}\n{}", reports(&mut keeper), ip("-d addr show"));
        converged(&mut keeper);
        for drift in ["link set vlan7 nomaster", "link set bond0 down", "link set bond0 mtu 1300"] {
            ip(drift);
            let undone = eventually(PATIENCE, holds);
            assert!(undone, "{drift}: {:#?}\n{}", reports(&mut keeper), ip("-d addr show"));
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

/// An ipvlan came with the address that its lower link had then, and has the one that it has now.
#[test]
fn a_link_is_taken_by_the_address_that_it_came_with() {
    in_namespace("a_link_is_taken_by_the_address_that_it_came_with", || {
        if !made("d0 address 02:00:00:00:00:01 type dummy")
            || !made("iv0 link d0 type ipvlan mode l2")
        {
            return;
        }
        ip("link set d0 address 02:00:00:00:00:02");
        ip("link set iv0 up");
        assert_eq!(links()["iv0"]["permaddr"], "02:00:00:00:00:01", "{}", ip("-d link show"));
        let text = "version = 1\n\
            [link.now]\nmatch = { mac = \"02:00:00:00:00:02\" }\nmtu = 1300\n\
            [link.came]\nmatch = { mac = \"02:00:00:00:00:01\" }\nmtu = 1400\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("it goes on");
        let link = applier.observed().links().find(|link| link.name.to_string() == "iv0");
        let came_with = link.and_then(Link::permanent_mac).map(|mac| mac.to_string());
        assert_eq!(came_with.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(links()["iv0"]["mtu"], 1400);
        assert_eq!(links()["d0"]["mtu"], 1500, "its address is made up");
        let blocked: Vec<_> = report.remaining.blocked.iter().map(ToString::to_string).collect();
        assert_eq!(blocked, ["link now: waiting for `now`: no link matches mac 02:00:00:00:00:02"]);
    });
}
