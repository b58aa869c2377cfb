//! Declared next hop objects and the routes that go by them, as `ip` shows them: made, changed, put
//! back, taken over, pruned, and left alone where they are others'.

mod common;

use std::time::Duration;

use common::declared::{applied, apply, declared, wait_for_convergence, without_dad};
use common::{eventually, in_namespace, ip, ip_json};
use ringlink::desired::{DesiredNexthop, RouteDeclaration};
use ringlink::model::address::Prefix;
use ringlink::model::nexthop::Member;
use ringlink::model::text::LinkName;
use ringlink::{Applier, Desired, Keeper};

const PATIENCE: Duration = Duration::from_secs(30);

/// The next hops as `ip` shows them, a line each.
fn nexthops() -> Vec<String> {
    let shown = ip("-N nexthop show");
    shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The routes by next hop objects, of both families.
fn routes() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        for route in ip_json(&format!("{family} -N route show table all")) {
            if let Some(id) = route["nhid"].as_u64() {
                let to = route["dst"].as_str().unwrap_or_default();
                lines.push(format!("{to} nhid {id} proto {}", route["protocol"]).replace('"', ""));
            }
        }
    }
    lines.sort();
    // IPv6 shows a route of several next hops once or once for each.
    lines.dedup();
    lines
}

const LINKS: &str = "[owner]\nname = \"test\"\nprotocol = 83\nprune = true\n\
    [link.v0]\nveth = { peer = \"p0\" }\naddresses = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n\
    [link.p0]\n[link.v1]\nveth = { peer = \"p1\" }\naddresses = [\"10.1.0.1/24\"]\n[link.p1]\n";

fn all() -> String {
    format!(
        "{LINKS}[[nexthop]]\nid = 5\nvia = \"10.0.0.9\"\ndev = \"v0\"\n\
         [[nexthop]]\nid = 6\nvia = \"10.1.0.9\"\ndev = \"v1\"\n\
         [[nexthop]]\nid = 7\ngroup = [{{ id = 5, weight = 3 }}, 6]\n\
         [[nexthop]]\nid = 8\nvia = \"2001:db8::9\"\ndev = \"v0\"\n\
         [[nexthop]]\nid = 9\nblackhole = true\n\
         [[nexthop]]\nid = 10\nvia = \"172.16.0.1\"\ndev = \"v1\"\nonlink = true\n\
         [[nexthop]]\nid = 11\ndev = \"v1\"\n\
         [[route]]\nto = \"192.0.2.0/24\"\nnhid = 7\n\
         [[route]]\nto = \"192.0.2.0/25\"\nnhid = 5\nmetric = 9\ntable = 77\n\
         [[route]]\nto = \"198.51.100.0/24\"\nnhid = 9\n\
         [[route]]\nto = \"203.0.113.0/24\"\nnhid = 11\n\
         [[route]]\nto = \"2001:db8:9::/48\"\nnhid = 8\n"
    )
}

const ALL: [&str; 7] = [
    "id 5 via 10.0.0.9 dev v0 scope 253 proto 83",
    "id 6 via 10.1.0.9 dev v1 scope 253 proto 83",
    "id 7 group 5,3/6 proto 83",
    "id 8 via 2001:db8::9 dev v0 scope 253 proto 83",
    "id 9 blackhole proto 83",
    "id 10 via 172.16.0.1 dev v1 scope 253 proto 83 onlink",
    "id 11 dev v1 scope 254 proto 83",
];

const ROUTES: [&str; 5] = [
    "192.0.2.0/24 nhid 7 proto 83",
    "192.0.2.0/25 nhid 5 proto 83",
    "198.51.100.0/24 nhid 9 proto 83",
    "2001:db8:9::/48 nhid 8 proto 83",
    "203.0.113.0/24 nhid 11 proto 83",
];

fn is_whole() -> bool {
    nexthops() == ALL && routes() == ROUTES
}

#[test]
fn they_are_made_changed_and_pruned() {
    in_namespace("they_are_made_changed_and_pruned", || {
        without_dad();
        applied(&all());
        assert!(is_whole(), "{:?} {:?}", nexthops(), routes());
        // One of others stays, and so does what goes by it.
        ip("nexthop add id 77 via 10.0.0.77 dev v0");
        ip("route add 192.0.2.128/25 nhid 77");
        let changed = all()
            .replace("via = \"10.0.0.9\"", "via = \"10.0.0.8\"")
            .replace("weight = 3", "weight = 4")
            .replace("id = 9\nblackhole = true", "id = 9\ndev = \"v0\"");
        applied(&changed);
        let shown = nexthops().join("\n");
        for part in ["id 5 via 10.0.0.8 dev v0", "id 7 group 5,4/6", "id 9 dev v0"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // A single one in the place of a group, with its route.
        applied(&all().replace("group = [{ id = 5, weight = 3 }, 6]", "dev = \"v0\""));
        assert!(nexthops().join("\n").contains("id 7 dev v0"), "{:?}", nexthops());
        applied(&all());
        let of_others = ["192.0.2.128/25 nhid 77 proto null"];
        assert!(routes().iter().any(|line| line == of_others[0]), "{:?}", routes());
        // What leaves the document goes, the others' stay.
        let few = all();
        let (few, _) = few.split_once("[[nexthop]]\nid = 6").expect("two");
        applied(few);
        assert_eq!(nexthops().len(), 2, "{:?}", nexthops());
        assert_eq!(routes(), of_others);
        let report = apply(&declared(&all()).destroyed().expect("an owner"));
        assert!(report.converged, "{:#?}", report.remaining);
        assert!(nexthops().is_empty(), "{:?}", nexthops());
    });
}

#[test]
fn one_of_another_protocol_is_taken_over_and_a_daemons_is_not() {
    in_namespace("one_of_another_protocol_is_taken_over_and_a_daemons_is_not", || {
        without_dad();
        applied(LINKS);
        ip("nexthop add id 5 via 10.0.0.9 dev v0");
        ip("nexthop add id 6 via 10.1.0.9 dev v1 proto bgp");
        let text = all();
        let report = apply(&declared(&text));
        let reasons: Vec<_> = report.remaining.blocked.iter().map(ToString::to_string).collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].starts_with("nexthop id 6: it is held by protocol bgp"), "{reasons:?}");
        assert!(nexthops()[0].ends_with("proto 83"), "{:?}", nexthops());
        applied(&text.replace("id = 6\nvia", "id = 6\ntakeover = true\nvia"));
        assert!(is_whole(), "{:?} {:?}", nexthops(), routes());
    });
}

#[test]
fn drift_of_next_hops_and_their_routes_is_undone() {
    in_namespace("drift_of_next_hops_and_their_routes_is_undone", || {
        without_dad();
        let desired = declared(&all());
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        assert!(is_whole(), "{:?} {:?}", nexthops(), routes());
        for drift in [
            "nexthop del id 5",
            "nexthop del id 7",
            "nexthop del id 9",
            "nexthop replace id 6 via 10.1.0.77 dev v1",
            "nexthop replace id 7 group 6",
            "nexthop flush",
            "route del 192.0.2.0/24 nhid 7",
            "-6 route del 2001:db8:9::/48",
            "route replace 198.51.100.0/24 dev v0",
            "link set v1 down",
            "link set p1 down",
            "addr del 10.0.0.1/24 dev v0",
            "link del v0",
        ] {
            ip(drift);
            let is_undone = eventually(PATIENCE, is_whole);
            assert!(is_undone, "{drift}: {:#?} {:#?}", nexthops(), routes());
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

#[test]
fn a_route_by_a_next_hop_of_others_comes_with_it() {
    in_namespace("a_route_by_a_next_hop_of_others_comes_with_it", || {
        without_dad();
        let text = format!("{LINKS}[[route]]\nto = \"192.0.2.0/24\"\nnhid = 77\n");
        let keeper = Keeper::spawn(Keeper::builder(declared(&text))).expect("a ring");
        let are_up = || ip("addr show up").matches(",LOWER_UP>").count() >= 4;
        let has_addresses = || ip("addr show up").contains("inet 10.1.0.1/24");
        assert!(eventually(PATIENCE, || are_up() && has_addresses()));
        assert!(routes().is_empty(), "{:?}", routes());
        ip("nexthop add id 77 via 10.0.0.77 dev v0");
        let is_there = eventually(PATIENCE, || routes() == ["192.0.2.0/24 nhid 77 proto 83"]);
        assert!(is_there, "{:?}", keeper.status());
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn what_has_no_carrier_waits_and_what_is_down_is_suspended() {
    in_namespace("what_has_no_carrier_waits_and_what_is_down_is_suspended", || {
        without_dad();
        let down = all().replace("[link.p1]\n", "[link.p1]\nstate = \"down\"\n");
        let report = apply(&declared(&down));
        let told: Vec<_> = report.remaining.blocked.iter().map(ToString::to_string).collect();
        assert!(
            told.contains(&"nexthop id 6: waiting for link v1 to have a carrier".to_owned()),
            "{told:?}"
        );
        let route = "route 203.0.113.0/24: waiting for next hop 11, which does not exist";
        assert!(told.contains(&route.to_owned()), "{told:?}");
        // The group has the member that can be used.
        let group = "id 7 group 5,3 proto 83".to_owned();
        assert!(nexthops().contains(&group), "{:?} {report:#?}", nexthops());
        let down = all().replace("\"p1\" }", "\"p1\" }\nstate = \"down\"");
        let report = apply(&declared(&down));
        assert!(report.converged, "{:#?}", report.remaining);
        let suspended: Vec<_> =
            report.remaining.suspended.iter().map(ToString::to_string).collect();
        assert!(suspended.contains(&"nexthop id 6".to_owned()), "{suspended:?}");
        applied(&all());
        assert!(is_whole(), "{:?} {:?}", nexthops(), routes());
    });
}

#[cfg(feature = "cli")]
#[test]
fn an_export_declares_them() {
    use common::program::{run, text};
    in_namespace("an_export_declares_them", || {
        without_dad();
        applied(&all().replace("protocol = 83\n", ""));
        let exported = text(&run(&["export"]).stdout);
        for part in [
            "[[nexthop]]\nid = 7\ngroup = [{ id = 5, weight = 3 }, 6]",
            "[[nexthop]]\nid = 10\nvia = \"172.16.0.1\"\ndev = \"v1\"\nonlink = true",
            "[[route]]\nto = \"192.0.2.0/24\"\nnhid = 7",
            "[[route]]\nto = \"2001:db8:9::/48\"\nnhid = 8",
        ] {
            assert!(exported.contains(part), "{part}: {exported}");
        }
        let desired = Desired::from_toml("export.toml", &exported).expect("a document");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

#[test]
fn a_program_declares_the_same() {
    let v0 = LinkName::valid(b"v0").expect("a name");
    let to = Prefix { address: [192, 0, 2, 0].into(), len: 24 };
    let group = DesiredNexthop::of(7, [Member { id: 5, weight: 3 }]);
    let builder = Desired::builder()
        .nexthop(DesiredNexthop::by(5, [10, 0, 0, 9].into(), v0))
        .nexthop(group.clone())
        .route(RouteDeclaration::new(to).nexthop_id(7));
    let read = declared(
        "[[nexthop]]\nid = 5\nvia = \"10.0.0.9\"\ndev = \"v0\"\n\
         [[nexthop]]\nid = 7\ngroup = [{ id = 5, weight = 3 }]\n\
         [[route]]\nto = \"192.0.2.0/24\"\nnhid = 7\n",
    );
    assert_eq!(builder.clone().build().expect("sound"), read);
    let said = builder.nexthop(group).build().expect_err("two of an id").to_string();
    assert!(said.contains("next hop 7 is declared twice"), "{said}");
}
