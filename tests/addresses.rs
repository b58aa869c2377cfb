//! Every key of a declared address, as `ip` shows it, and the order of the addresses of a subnet.

mod common;

use std::time::Duration;

use common::declared::{self, apply, wait_for_convergence, without_dad};
use common::{eventually, in_namespace, ip, ip_batch, ip_json};
use ringlink::desired::DesiredAddress;
use ringlink::model::address::{IFA_F_NODAD, Prefix};
use ringlink::model::text::LinkName;
use ringlink::{Applier, Desired, Keeper};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A document that gives these addresses to `v0`.
fn document(addresses: &str) -> String {
    format!("[link.v0]\nveth = {{ peer = \"p0\" }}\naddresses = [{addresses}]\n[link.p0]\n")
}

fn declared(addresses: &str) -> Desired {
    declared::declared(&document(addresses))
}

fn applied(addresses: &str) {
    declared::applied(&document(addresses));
}

/// What `ip` shows of the addresses of `v0`, without the link-local one.
fn shown() -> Vec<Value> {
    let links = ip_json("-d addr show dev v0");
    let infos = links.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    let is_declared =
        |info: &&Value| !info["local"].as_str().is_some_and(|local| local.starts_with("fe80"));
    infos.filter(is_declared).cloned().collect()
}

fn only() -> Value {
    let shown = shown();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    shown.into_iter().next().unwrap_or_default()
}

fn promote(promotes: bool) {
    for scope in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv4/conf/{scope}/promote_secondaries");
        std::fs::write(path, if promotes { "1" } else { "0" }).expect("a sysctl");
    }
}

#[test]
fn each_key_is_made_changed_and_taken_back() {
    in_namespace("each_key_is_made_changed_and_taken_back", || {
        without_dad();
        let forever = u64::from(u32::MAX);
        let v4 = |rest: &str| applied(&format!("{{ address = \"10.0.0.1/24\"{rest} }}"));
        v4("");
        assert_eq!(only()["label"], "v0");
        v4(", label = \"v0:1\"");
        assert_eq!(only()["label"], "v0:1");
        // What is not said is left as it is.
        v4("");
        assert_eq!(only()["label"], "v0:1");
        v4(", label = \"v0\", scope = \"link\"");
        assert_eq!((&only()["label"], &only()["scope"]), (&"v0".into(), &"link".into()));
        v4(", scope = \"global\"");
        assert_eq!(only()["scope"], "global");
        v4(", noprefixroute = true");
        assert_eq!(only()["noprefixroute"], true);
        assert!(!ip("route show dev v0").contains("10.0.0.0/24"));
        v4(", noprefixroute = false");
        assert!(only()["noprefixroute"].is_null());
        assert!(ip("route show dev v0").contains("10.0.0.0/24"));
        v4(", valid_lft = 3600, preferred_lft = 1800");
        let lives =
            |info: &Value| (info["valid_life_time"].as_u64(), info["preferred_life_time"].as_u64());
        let (valid, preferred) = lives(&only());
        assert!(valid.is_some_and(|it| it > 3500 && it <= 3600), "{}", only());
        assert!(preferred.is_some_and(|it| it > 1700 && it <= 1800), "{}", only());
        v4(", valid_lft = \"forever\"");
        assert_eq!(lives(&only()), (Some(forever), Some(forever)));
        v4(", preferred_lft = 0");
        assert_eq!(only()["deprecated"], true);
        v4("");
        assert!(only()["deprecated"].is_null());
        v4(", peer = \"10.9.0.7\"");
        assert_eq!(only()["address"], "10.9.0.7", "{}", only());
        assert!(ip("route show dev v0").contains("10.9.0.0/24"));
        v4("");
        assert!(only()["address"].is_null());

        let v6 = |rest: &str| applied(&format!("{{ address = \"2001:db8::1/64\"{rest} }}"));
        v6(", nodad = true");
        assert_eq!(only()["nodad"], true);
        v6(", nodad = false, home = true, mngtmpaddr = true");
        assert_eq!((&only()["home"], &only()["mngtmpaddr"]), (&true.into(), &true.into()));
        assert!(only()["nodad"].is_null());
        v6(", mngtmpaddr = false, home = false, noprefixroute = true");
        assert_eq!(only()["noprefixroute"], true);
        v6(", preferred_lft = 0, valid_lft = 3600");
        assert_eq!(only()["deprecated"], true);
        v6("");
        assert_eq!(lives(&only()), (Some(forever), Some(forever)));
        v6(", peer = \"2001:db8:7::7\"");
        assert_eq!(only()["address"], "2001:db8:7::7");
        // The same address with another length is another one to us, and not to the kernel.
        applied("\"2001:db8::1/128\"");
        assert_eq!(only()["prefixlen"], 128);
    });
}

/// The IPv4 addresses of `v0`, the primary of each subnet marked.
fn order() -> Vec<String> {
    let v4 = shown().into_iter().filter(|info| info["family"] == "inet");
    v4.map(|info| {
        let mark = if info["secondary"].is_null() { "*" } else { "" };
        format!("{}{mark}", info["local"].as_str().unwrap_or_default())
    })
    .collect()
}

/// The source that the host speaks to its neighbours from.
fn source() -> String {
    let route = ip_json("route get 10.0.0.99");
    route[0]["prefsrc"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_first_address_of_a_subnet_is_its_primary_again() {
    in_namespace("the_first_address_of_a_subnet_is_its_primary_again", || {
        without_dad();
        for promotes in [true, false] {
            promote(promotes);
            let three = "\"10.0.0.1/24\", \"10.0.0.2/24\", \"10.0.0.3/24\", \"10.5.0.1/24\"";
            applied(three);
            assert_eq!(source(), "10.0.0.1");
            // Another order is another first.
            applied("\"10.0.0.3/24\", \"10.5.0.1/24\", \"10.0.0.1/24\", \"10.0.0.2/24\"");
            assert_eq!(source(), "10.0.0.3", "{:?}", order());
            applied(three);
            assert_eq!(source(), "10.0.0.1", "{:?}", order());
            let before = order();
            let mut keeper = Keeper::spawn(Keeper::builder(declared(three))).expect("a ring");
            wait_for_convergence(&mut keeper);
            for drift in [
                "addr del 10.0.0.1/24 dev v0",
                "addr del 10.0.0.2/24 dev v0",
                "addr flush dev v0 to 10.0.0.0/24",
            ] {
                ip(drift);
                let is_undone = eventually(PATIENCE, || {
                    let mut now = order();
                    now.sort();
                    let mut wanted = before.clone();
                    wanted.sort();
                    now == wanted && source() == "10.0.0.1"
                });
                assert!(is_undone, "{drift}, promoting {promotes}: {:?}", order());
            }
            keeper.stop();
            keeper.join().expect("a clean end");
            ip("link del v0");
        }
    });
}

#[test]
fn static_routes_stay_while_the_order_is_restored() {
    in_namespace("static_routes_stay_while_the_order_is_restored", || {
        without_dad();
        promote(true);
        applied("\"10.0.0.2/24\", \"10.0.0.1/24\"");
        ip("route add 172.16.0.0/12 via 10.0.0.99");
        applied("\"10.0.0.1/24\", \"10.0.0.2/24\"");
        assert_eq!(source(), "10.0.0.1");
        assert!(ip("route show").contains("172.16.0.0/12 via 10.0.0.99"));
    });
}

#[test]
fn drift_is_undone_and_foreign_addresses_stay() {
    in_namespace("drift_is_undone_and_foreign_addresses_stay", || {
        without_dad();
        ip_batch(
            "link add other type veth peer name other2\nlink set other up\nlink set other2 up\n\
             addr add 172.16.0.1/24 dev other label other:7\naddr add 2001:db8:f::1/64 dev other\n",
        );
        let foreign = || ip("-d -o addr show dev other scope global").replace(" tentative", "");
        let before = foreign();
        let desired = declared(
            "{ address = \"10.0.0.1/24\", label = \"v0:1\" }, \
             { address = \"10.7.0.1/32\", peer = \"10.7.0.2\", scope = \"link\" }, \
             { address = \"2001:db8::1/64\", nodad = true, noprefixroute = true }, \
             { address = \"10.8.0.1/24\", preferred_lft = 0 }",
        );
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        // They come back in whatever order they were lost.
        let snapshot = || {
            let mut lines: Vec<_> = shown().iter().map(ToString::to_string).collect();
            lines.sort();
            lines
        };
        let wanted = snapshot();
        for drift in [
            "addr del 10.0.0.1/24 dev v0",
            "addr del 10.7.0.1 peer 10.7.0.2/32 dev v0",
            "addr del 2001:db8::1/64 dev v0",
            "addr change 2001:db8::1/64 dev v0 preferred_lft 0",
            "addr change 10.8.0.1/24 dev v0",
            "addr change 10.0.0.1/24 dev v0 valid_lft 100 preferred_lft 100",
            "addr add 10.66.0.1/24 dev v0",
            "link set v0 down",
            "link del v0",
        ] {
            ip(drift);
            let is_undone = eventually(PATIENCE, || snapshot() == wanted);
            assert!(is_undone, "{drift}: {wanted:#?} became {:#?}", snapshot());
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
        assert_eq!(foreign(), before);
    });
}

#[test]
fn duplicate_address_detection_is_waited_for_and_its_failure_told() {
    in_namespace("duplicate_address_detection_is_waited_for_and_its_failure_told", || {
        let mut applier = Applier::builder().open().expect("a ring");
        // Without a carrier there is nobody to ask, and it comes a moment after the link.
        applier.apply(&declared("")).expect("a report");
        let has_carrier = || ip("link show dev v0").contains("LOWER_UP");
        assert!(eventually(PATIENCE, has_carrier), "no carrier");
        let report = applier.apply(&declared("\"2001:db8::1/64\"")).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        assert!(only()["tentative"].is_null(), "{}", only());
        // The other end of the cable has the address already.
        ip("addr add 2001:db8::2/64 dev p0 nodad");
        let report = applier.apply(&declared("\"2001:db8::2/64\"")).expect("a report");
        assert_eq!(only()["dadfailed"], true);
        let [blocked] = &report.remaining.blocked[..] else { panic!("{report:#?}") };
        let said = blocked.to_string();
        assert!(said.contains("another host on its network has 2001:db8::2"), "{said}");
        assert!(!blocked.reason.is_waiting() && !report.converged);
        // Without a carrier nobody can be asked, and nothing is waited for.
        ip("link add alone type veth peer name alone2");
        let text =
            "version = 1\n[link.alone]\nstate = \"up\"\naddresses = [\"2001:db8:3::1/64\"]\n";
        let report = apply(&Desired::from_toml("test.toml", text).expect("valid"));
        assert!(report.converged, "{:#?}", report.remaining);
        assert!(ip("addr show dev alone").contains("tentative"));
    });
}

#[test]
fn a_program_declares_the_same() {
    in_namespace("a_program_declares_the_same", || {
        without_dad();
        let prefix = |text: &str, len| Prefix { address: text.parse().expect("an address"), len };
        let name = |text: &str| LinkName::new(text.as_bytes()).expect("short");
        let labelled = DesiredAddress {
            label: Some(name("v0:1")),
            ..DesiredAddress::new(prefix("10.0.0.1", 24))
        };
        let at_once =
            DesiredAddress { flags: IFA_F_NODAD, ..DesiredAddress::new(prefix("2001:db8::1", 64)) };
        let by_text = declared(
            "{ address = \"10.0.0.1/24\", label = \"v0:1\" }, \
             { address = \"2001:db8::1/64\", nodad = true }",
        );
        assert_eq!(by_text.links()[0].addresses, Some(vec![labelled, at_once]));
    });
}
