//! Every key of a declared route, as `ip` shows it: made, left alone, changed, put back.

mod common;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use common::declared::{self, wait_for_convergence, without_dad};
use common::{eventually, in_namespace, ip, ip_batch, ip_json, links};
use ringlink::model::route::Route;
use ringlink::{Applier, ApplyError, Desired, Keeper};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// Three veth pairs that are up, with an address of each family and no duplicate address
/// detection.
const LINKS: &str = "[link.v0]\nveth = { peer = \"p0\" }\naddresses = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n\
    [link.p0]\n\
    [link.v1]\nveth = { peer = \"p1\" }\naddresses = [\"10.1.0.1/24\", \"2001:db8:1::1/64\"]\n\
    [link.p1]\n\
    [link.v2]\nveth = { peer = \"p2\" }\naddresses = [\"10.2.0.1/24\", \"2001:db8:2::1/64\"]\n\
    [link.p2]\n";

fn declared(routes: &str) -> Desired {
    declared::declared(&format!("{LINKS}{routes}"))
}

fn applied(routes: &str) {
    declared::applied(&format!("{LINKS}{routes}"));
}

/// The one route to `to` of our protocol in any table.
fn shown(family: &str, to: &str) -> Value {
    let all = ip_json(&format!("{family} -N -d route show table all proto 82"));
    let mut found = all.into_iter().filter(|route| route["dst"] == to);
    let route = found.next().unwrap_or_else(|| panic!("{to}: {}", ip("-d route show table all")));
    assert!(found.next().is_none(), "{to} is there twice");
    route
}

#[test]
fn each_key_is_made_changed_and_taken_back() {
    in_namespace("each_key_is_made_changed_and_taken_back", || {
        without_dad();
        let v4 = "[[route]]\nto = \"198.51.100.0/24\"\nvia = \"10.0.0.2\"\n";
        let v6 = "[[route]]\nto = \"2001:db8:9::/48\"\nvia = \"2001:db8::2\"\n";
        let (v4_to, v6_to) = ("198.51.100.0/24", "2001:db8:9::/48");
        for (key, pointer, wanted) in [
            ("mtu = 1400", "metrics/0/mtu", json!(1400)),
            ("mtu = 1300", "metrics/0/mtu", json!(1300)),
            ("advmss = 1200", "metrics/0/advmss", json!(1200)),
            ("onlink = true\ndev = \"v0\"", "flags", json!(["onlink"])),
            ("metric = 77", "metric", json!(77)),
            ("table = 99", "table", json!("99")),
        ] {
            applied(&format!("{v4}{key}\n{v6}{key}\n"));
            let pointer = format!("/{pointer}");
            for (family, to) in [("-4", v4_to), ("-6", v6_to)] {
                let now = shown(family, to);
                let value = now.pointer(&pointer).cloned().unwrap_or_default();
                assert_eq!(value, wanted, "{key}: {now}");
            }
            forget_others();
        }
        applied(&format!("{v4}source = \"10.1.0.1\"\n{v6}source = \"2001:db8:1::1\"\n"));
        assert_eq!(shown("-4", v4_to)["prefsrc"], "10.1.0.1");
        assert_eq!(shown("-6", v6_to)["prefsrc"], "2001:db8:1::1");
        // A route is all that is said of it.
        applied(&format!("{v4}{v6}"));
        for route in [shown("-4", v4_to), shown("-6", v6_to)] {
            assert!(route["prefsrc"].is_null() && route["metrics"].is_null(), "{route}");
            assert!(!has(&route["flags"], "onlink"), "{route}");
        }
        applied(&format!("{v4}tos = 16\n"));
        assert!(ip("-N route show table main tos 0x10").contains("198.51.100.0/24"));
        forget_others();
        applied("[[route]]\nto = \"198.51.100.0/24\"\ndev = \"v0\"\nscope = \"host\"\n");
        assert_eq!(shown("-4", v4_to)["scope"], "254");
        applied("[[route]]\nto = \"198.51.100.0/24\"\ndev = \"v0\"\nscope = 200\n");
        assert_eq!(shown("-4", v4_to)["scope"], "200");
    });
}

/// Routes that left the document are not taken away by this.
fn forget_others() {
    for (family, to) in [("-4", "198.51.100.0/24"), ("-6", "2001:db8:9::/48")] {
        for table in ["main", "99"] {
            let flush = format!("{family} route flush table {table} proto 82");
            if ip(&format!("{family} -N route show table all")).contains(to) {
                // A table without routes does not exist.
                let _ = std::process::Command::new("ip").args(flush.split(' ')).output();
            }
        }
    }
}

fn has(words: &Value, word: &str) -> bool {
    words.as_array().is_some_and(|words| words.iter().any(|it| it == word))
}

#[test]
fn every_type_is_made_and_one_becomes_another() {
    in_namespace("every_type_is_made_and_one_becomes_another", || {
        without_dad();
        for (route_type, needs) in [
            ("blackhole", ""),
            ("unreachable", ""),
            ("prohibit", ""),
            ("throw", ""),
            ("unicast", "dev = \"v0\"\n"),
            ("blackhole", ""),
            ("unicast", "dev = \"v0\"\nmtu = 1400\n"),
        ] {
            applied(&format!(
                "[[route]]\nto = \"198.51.100.0/24\"\ntype = \"{route_type}\"\n{needs}\
                 [[route]]\nto = \"2001:db8:9::/48\"\ntype = \"{route_type}\"\n{needs}"
            ));
            for (family, to) in [("-4", "198.51.100.0/24"), ("-6", "2001:db8:9::/48")] {
                // A number, with -N; a unicast route has none.
                let number = match route_type {
                    "blackhole" => "6",
                    "unreachable" => "7",
                    "prohibit" => "8",
                    "throw" => "9",
                    _ => "1",
                };
                let route = shown(family, to);
                let now = route["type"].as_str().unwrap_or("1");
                assert!(now == number || now == route_type, "{route_type}: {route}");
            }
        }
        applied(
            "[[route]]\nto = \"198.51.100.1/32\"\ntype = \"local\"\ndev = \"lo\"\n\
             [[route]]\nto = \"2001:db8:9::1/128\"\ntype = \"local\"\ndev = \"lo\"\n\
             [[route]]\nto = \"198.51.100.255/32\"\ntype = \"broadcast\"\ndev = \"v0\"\n\
             [[route]]\nto = \"239.1.0.0/16\"\ntype = \"multicast\"\ndev = \"v0\"\n\
             [[route]]\nto = \"198.51.100.7/32\"\ntype = \"anycast\"\ndev = \"v0\"\n",
        );
        assert!(ip("route get 198.51.100.1").starts_with("local 198.51.100.1"));
        assert!(ip("-6 route get 2001:db8:9::1").starts_with("local 2001:db8:9::1"));
        let local = ip("route show table local proto 82");
        assert!(local.contains("broadcast 198.51.100.255"), "{local}");
        assert!(local.contains("anycast 198.51.100.7"), "{local}");
        assert!(ip("route show proto 82").contains("multicast 239.1.0.0/16"));
    });
}

#[test]
fn several_next_hops_have_weights_and_follow_the_document() {
    in_namespace("several_next_hops_have_weights_and_follow_the_document", || {
        without_dad();
        let of = |hops: &str| {
            let v6 = hops.replace("10.0.0.", "2001:db8::").replace("10.1.0.", "2001:db8:1::");
            let v6 = v6.replace("10.2.0.", "2001:db8:2::");
            format!(
                "[[route]]\nto = \"198.51.100.0/24\"\nnexthops = [{hops}]\n\
                 [[route]]\nto = \"2001:db8:9::/48\"\nnexthops = [{v6}]\n"
            )
        };
        let hops = |family: &str| {
            let to = if family == "-4" { "198.51.100.0/24" } else { "2001:db8:9::/48" };
            let route = shown(family, to);
            let several = route["nexthops"].as_array().cloned().unwrap_or_default();
            let mut hops: Vec<_> = several
                .iter()
                .map(|hop| {
                    let via = hop["gateway"].as_str().unwrap_or_default().to_owned();
                    (via, hop["dev"].as_str().unwrap_or_default().to_owned(), hop["weight"].clone())
                })
                .collect();
            hops.sort_by(|one, two| one.1.cmp(&two.1));
            hops
        };
        applied(&of("{ via = \"10.0.0.2\", weight = 3 }, { via = \"10.1.0.2\", dev = \"v1\" }"));
        for family in ["-4", "-6"] {
            let [(_, one, three), (_, two, only)] = &hops(family)[..] else {
                panic!("{:?}", hops(family));
            };
            assert_eq!((&one[..], &two[..]), ("v0", "v1"));
            assert_eq!((three, only), (&Value::from(3), &Value::from(1)), "{family}");
        }
        applied(&of("{ via = \"10.0.0.2\", weight = 5 }, { via = \"10.1.0.2\", dev = \"v1\" }"));
        assert_eq!(hops("-4")[0].2, 5);
        // One more, and then only one.
        let three = "{ via = \"10.0.0.2\" }, { via = \"10.1.0.2\" }, { via = \"10.2.0.2\" }";
        applied(&of(three));
        assert_eq!((hops("-4").len(), hops("-6").len()), (3, 3));
        applied(&of("{ via = \"10.2.0.2\" }"));
        assert_eq!(shown("-4", "198.51.100.0/24")["gateway"], "10.2.0.2");
        assert_eq!(shown("-6", "2001:db8:9::/48")["gateway"], "2001:db8:2::2");
        applied(
            "[[route]]\nto = \"198.51.100.0/24\"\nmtu = 1400\nnexthops = [\
             { via = \"10.77.0.1\", dev = \"v0\", onlink = true }, { dev = \"v1\" }]\n",
        );
        let route = shown("-4", "198.51.100.0/24");
        assert!(has(&route["nexthops"][0]["flags"], "onlink"), "{route}");
        assert_eq!(route["metrics"][0]["mtu"], 1400);
    });
}

#[test]
fn a_gateway_of_ipv6_leads_to_ipv4() {
    in_namespace("a_gateway_of_ipv6_leads_to_ipv4", || {
        without_dad();
        applied(
            "[[route]]\nto = \"198.51.100.0/24\"\nvia = \"2001:db8::2\"\n\
             [[route]]\nto = \"0.0.0.0/0\"\nvia = \"fe80::7\"\ndev = \"v1\"\n",
        );
        let route = shown("-4", "198.51.100.0/24");
        assert_eq!(route["via"]["host"], "2001:db8::2", "{route}");
        assert_eq!(shown("-4", "default")["via"]["host"], "fe80::7");
        applied(
            "[[route]]\nto = \"198.51.100.0/24\"\n\
             nexthops = [{ via = \"2001:db8::2\" }, { via = \"10.1.0.2\" }]\n",
        );
        let route = shown("-4", "198.51.100.0/24");
        assert_eq!(route["nexthops"][0]["via"]["host"], "2001:db8::2", "{route}");
    });
}

#[test]
fn a_source_that_is_being_looked_for_is_waited_for() {
    in_namespace("a_source_that_is_being_looked_for_is_waited_for", || {
        // With duplicate address detection.
        applied(
            "[[route]]\nto = \"2001:db8:9::/48\"\nvia = \"2001:db8::2\"\n\
             source = \"2001:db8::1\"\n",
        );
        assert_eq!(shown("-6", "2001:db8:9::/48")["prefsrc"], "2001:db8::1");
        assert!(!ip("-6 addr show dev v0 scope global").contains("tentative"));
        let desired = declared(
            "[[route]]\nto = \"198.51.100.0/24\"\nvia = \"10.0.0.2\"\nsource = \"10.9.9.9\"\n",
        );
        let report = Applier::builder().open().expect("a ring").apply(&desired).expect("a report");
        let [blocked] = &report.remaining.blocked[..] else { panic!("{report:#?}") };
        assert!(blocked.to_string().contains("waiting for address 10.9.9.9"), "{blocked}");
        assert!(report.attempts.is_empty(), "{report:#?}");
        // One whose link is declared down is suspended, and so is what is from it.
        let down = LINKS.replace("peer = \"p1\" }\n", "peer = \"p1\" }\nstate = \"down\"\n");
        let route = "[[route]]\nto = \"2001:db8:8::/48\"\nvia = \"2001:db8::2\"\n\
                     source = \"2001:db8:1::1\"\n";
        let desired = declared::declared(&format!("{down}{route}"));
        let report = Applier::builder().open().expect("a ring").apply(&desired).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        assert_eq!(report.remaining.suspended.len(), 2, "{:#?}", report.remaining);
    });
}

#[test]
fn what_a_link_that_is_down_suspends_is_told_and_comes_back_with_it() {
    in_namespace("what_a_link_that_is_down_suspends_is_told_and_comes_back_with_it", || {
        without_dad();
        let routes = "[[route]]\nto = \"198.51.100.0/24\"\nvia = \"10.0.0.2\"\n\
             [[route]]\nto = \"203.0.113.0/24\"\n\
             nexthops = [{ via = \"10.0.0.2\", dev = \"v0\" }, { via = \"10.1.0.2\", dev = \"v1\" }]\n\
             [[route]]\nto = \"2001:db8:9::/48\"\nvia = \"2001:db8::2\"\n";
        applied(routes);
        let down = LINKS.replace("peer = \"p0\" }\n", "peer = \"p0\" }\nstate = \"down\"\n");
        let desired = declared::declared(&format!("{down}{routes}"));
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        let plan = applier.plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
        let suspended: Vec<_> = plan.suspended.iter().map(ToString::to_string).collect();
        assert_eq!(
            suspended,
            [
                "address 2001:db8::1/64 dev v0",
                "route 198.51.100.0/24 via 10.0.0.2",
                "route 2001:db8:9::/48 via 2001:db8::2 metric 1024"
            ]
        );
        let v4 = ip("route show proto 82");
        assert!(v4.contains("203.0.113.0/24") && !v4.contains("198.51.100.0/24"), "{v4}");
        // Made anew, it has the next hop that can be used.
        ip("route del 203.0.113.0/24");
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        assert_eq!(shown("-4", "203.0.113.0/24")["gateway"], "10.1.0.2");
        applied(routes);
        let route = shown("-4", "203.0.113.0/24");
        assert_eq!(route["nexthops"].as_array().map(Vec::len), Some(2), "{route}");
    });
}

/// What `ip` shows of the routes of everyone but the kernel.
fn snapshot() -> Vec<String> {
    let mut lines: Vec<_> = ["-4", "-6"]
        .iter()
        .flat_map(|family| {
            let text = ip(&format!("{family} -N -o route show table all"));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| !line.contains("proto 2 ") && !line.contains("fe80"))
        .map(|line| {
            let line = line.replace(" linkdown", "").replace('\\', "");
            // The kernel has the next hops of IPv6 in the order in which they came.
            let mut parts: Vec<_> = line.split("nexthop").map(str::trim).collect();
            parts[1..].sort_unstable();
            parts.join(" nexthop ")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn drift_of_every_kind_is_undone_and_foreign_routes_stay() {
    in_namespace("drift_of_every_kind_is_undone_and_foreign_routes_stay", || {
        without_dad();
        let desired = declared(
            "[[route]]\nto = \"198.51.100.0/24\"\ntype = \"blackhole\"\n\
             [[route]]\nto = \"2001:db8:8::/48\"\ntype = \"unreachable\"\n\
             [[route]]\nto = \"198.51.101.0/24\"\nvia = \"10.0.0.2\"\nsource = \"10.1.0.1\"\n\
             mtu = 1400\n\
             [[route]]\nto = \"2001:db8:7::/48\"\nvia = \"2001:db8::2\"\nmtu = 1400\n\
             source = \"2001:db8:1::1\"\n\
             [[route]]\nto = \"203.0.113.0/24\"\n\
             nexthops = [{ via = \"10.0.0.2\" }, { via = \"10.1.0.2\", weight = 4 }]\n\
             [[route]]\nto = \"2001:db8:9::/48\"\n\
             nexthops = [{ via = \"2001:db8::2\" }, { via = \"2001:db8:1::2\" }]\n",
        );
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        ip_batch(
            "route add 172.16.0.0/12 via 10.2.0.2\nroute add 198.51.101.0/24 via 10.2.0.2 metric 9\n\
             route add 2001:db8:7::/48 via 2001:db8:2::2 metric 9\n\
             route add blackhole 172.15.0.0/16\n",
        );
        let before = snapshot();
        for drift in [
            "route del blackhole 198.51.100.0/24",
            "route replace unreachable 198.51.100.0/24",
            "-6 route del 2001:db8:8::/48",
            "route replace 198.51.101.0/24 via 10.0.0.2 mtu 1400",
            "route replace 198.51.101.0/24 via 10.0.0.2 proto 82 src 10.1.0.1 mtu 1300",
            "-6 route replace 2001:db8:7::/48 via 2001:db8::2 proto 82 mtu 1300",
            "route replace 203.0.113.0/24 via 10.0.0.2",
            "route replace 203.0.113.0/24 proto 82 nexthop via 10.0.0.2 nexthop via 10.1.0.2",
            "-6 route del 2001:db8:9::/48 via 2001:db8::2",
            "-6 route del 2001:db8:9::/48",
            "link set v0 down",
            "addr del 10.1.0.1/24 dev v1",
            "link del v1",
        ] {
            ip(drift);
            let is_undone = eventually(PATIENCE, || snapshot() == before);
            assert!(is_undone, "{drift}: {before:#?} became {:#?}", snapshot());
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

/// A link with a gateway behind it.
const GATEWAY: &str = "link add v0 type veth peer p0\nlink set v0 up\nlink set p0 up\n\
    addr add 192.0.2.1/24 dev v0\n";

/// So many that their news are held back and they are read instead.
const MANY: u32 = 20_000;

fn many() -> (Applier, Desired) {
    ip_batch(GATEWAY);
    (Applier::builder().open().expect("a ring"), that_many(MANY, ""))
}

fn that_many(count: u32, and: &str) -> Desired {
    let mut document = and.to_owned();
    for number in 0..count {
        let to = Ipv4Addr::from_bits((10 << 24) + number);
        write!(document, "[[route]]\nto = \"{to}/32\"\nvia = \"192.0.2.2\"\n").expect("a string");
    }
    declared::declared(&document)
}

/// The routes of our protocol, as `ip` has them and as the applier does.
fn counts(applier: &Applier) -> (usize, usize) {
    let shown = ip("-4 route show proto 82").lines().count();
    let observed = applier.observed().routes().filter(|route| route.protocol == 82).count();
    (shown, observed)
}

#[test]
fn what_a_part_of_many_made_is_told_and_known() {
    in_namespace("what_a_part_of_many_made_is_told_and_known", || {
        let (mut applier, desired) = many();
        let halted_at = 3_000;
        applier.halt_after(halted_at);
        let report = applier.apply(&desired).expect("it goes on");
        let made = usize::try_from(halted_at).expect("few");
        assert_eq!((report.attempts.len(), counts(&applier)), (made, (made, made)));
        assert_eq!(report.remaining.steps.len(), MANY as usize - made);

        applier.halt_after(u64::MAX);
        let (canceller, progress) = (applier.canceller(), applier.progress());
        let cancelling = std::thread::spawn(move || {
            while progress.attempted() == made {
                std::thread::yield_now();
            }
            canceller.cancel();
        });
        let Err(ApplyError::Cancelled(report)) = applier.apply(&desired) else {
            panic!("it came to its end within a batch");
        };
        cancelling.join().expect("it ends");
        let made = made + report.attempts.len();
        assert_eq!(counts(&applier), (made, made));
        assert_eq!(report.remaining.steps.len(), MANY as usize - made);
        assert!(!report.converged && made < MANY as usize, "{made}");
    });
}

#[test]
fn what_others_make_while_many_are_made_is_known() {
    in_namespace("what_others_make_while_many_are_made_is_known", || {
        let (mut applier, desired) = many();
        let progress = applier.progress();
        let theirs: String =
            (0..50).map(|it| format!("route add 198.51.100.{it} via 192.0.2.3\n")).collect();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                while progress.attempted() == 0 {
                    std::thread::yield_now();
                }
                // One of them is in our way.
                ip_batch(&format!("{theirs}route replace 10.0.0.0 via 192.0.2.3\n"));
            });
            applier.apply(&desired).expect("it goes on")
        });
        assert!(report.converged, "{:?}", report.remaining);
        assert_eq!(counts(&applier), (MANY as usize, MANY as usize));
        let is_theirs = |route: &&Route| route.protocol == 3;
        assert_eq!(applier.observed().routes().filter(is_theirs).count(), 50);
        // From now on it hears of all again, its own too.
        let other = "[[route]]\nto = \"203.0.113.0/24\"\nvia = \"192.0.2.2\"\n";
        let other = Desired::from_toml("other.toml", &format!("version = 1\n{other}"));
        let before = applier.counters().changes;
        assert!(applier.apply(&other.expect("valid")).expect("it goes on").converged);
        assert_eq!(applier.counters().changes, before + 1, "one that it has not heard of");
        assert_eq!(counts(&applier), (MANY as usize + 1, MANY as usize + 1));
    });
}

#[test]
fn what_others_undo_while_many_are_made_does_not_wait_for_the_last() {
    in_namespace("what_others_undo_while_many_are_made_does_not_wait_for_the_last", || {
        ip_batch(&format!("{GATEWAY}addr add 198.51.100.1/24 dev v0\n"));
        let link = "[link.v0]\nmtu = 1500\naddresses = [\"198.51.100.1/24\"]\n";
        let count = 5 * MANY as usize;
        let desired = that_many(5 * MANY, link);
        let mut keeper = Keeper::spawn(Keeper::builder(desired)).expect("a ring");
        let made = || ip("-4 route show proto 82").lines().count();
        assert!(eventually(PATIENCE, || made() > 0));
        ip_batch("addr del 198.51.100.1/24 dev v0\nlink set v0 mtu 1400\n");
        let is_as_declared =
            || ip("addr show dev v0").contains("198.51.100.1/24") && links()["v0"]["mtu"] == 1500;
        assert!(eventually(PATIENCE, is_as_declared));
        assert!(made() < count, "all were made first");
        wait_for_convergence(&mut keeper);
        assert_eq!(made(), count);
        assert!(is_as_declared());
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn routes_that_nothing_depends_on_are_not_read() {
    in_namespace("routes_that_nothing_depends_on_are_not_read", || {
        without_dad();
        applied("");
        ip_batch("route add 198.51.100.0/24 via 10.0.0.2 src 10.0.0.1 proto 5\n");
        let desired = declared("");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged && report.attempts.is_empty());
        assert_eq!(applier.observed().routes().count(), 0);
        assert_eq!(applier.observed().links().count(), links().len());
        // What comes meanwhile is passed over.
        ip("route add 192.0.2.0/24 via 10.1.0.2");
        assert!(applier.plan(&desired).expect("a plan").is_empty());
        assert_eq!(applier.observed().routes().count(), 0);

        // A step tells of the routes that go with it, so all are known then.
        let shown = ip("route show table all");
        let moved = LINKS.replace("10.0.0.1/24", "10.0.0.9/24");
        let plan = applier.plan(&declared::declared(&moved)).expect("a plan");
        let along = plan.steps.iter().flat_map(|step| &step.also_removes).map(ToString::to_string);
        assert_eq!(along.collect::<Vec<_>>(), ["route 198.51.100.0/24 via 10.0.0.2 dev v0"]);
        assert_eq!(applier.observed().routes().count(), shown.lines().count());
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged && report.attempts.is_empty());
        assert_eq!(applier.observed().routes().count(), shown.lines().count());

        // So they are for a document that declares some.
        let routes = declared("[[route]]\nto = \"203.0.113.0/24\"\nvia = \"10.0.0.2\"\n");
        let mut applier = Applier::builder().open().expect("a ring");
        assert_eq!(applier.plan(&routes).expect("a plan").steps.len(), 1);
        assert_eq!(applier.observed().routes().count(), shown.lines().count());
    });
}

#[test]
fn the_way_back_knows_the_routes_that_were_there_whatever_is_declared() {
    in_namespace("the_way_back_knows_the_routes_that_were_there_whatever_is_declared", || {
        ip_batch(&format!("{GATEWAY}route add 198.51.100.0/24 via 192.0.2.2 proto static\n"));
        let before = ip("route show table all");
        let text = "[link.v0]\nmtu = 1500\n";
        for text in [text.to_owned(), format!("{text}[link.absent]\nmtu = 1400\n")] {
            let mut applier = Applier::builder().open().expect("a ring");
            let undo = applier.way_back(&declared::declared(&text)).expect("a reading");
            let undo = undo.expect("a way back");
            assert!(applier.undo(&undo).expect("it goes on"));
            assert_eq!(ip("route show table all"), before);
        }
    });
}

#[test]
fn an_apply_without_routes_waits_for_duplicate_address_detection() {
    in_namespace("an_apply_without_routes_waits_for_duplicate_address_detection", || {
        ip_batch(&format!("{GATEWAY}addr add 2001:db8::1/64 dev v0\n"));
        let desired = declared::declared("[link.v0]\naddresses = [\"2001:db8::1/64\"]\n");
        let report = declared::apply(&desired);
        assert!(report.converged && report.attempts.is_empty(), "{report:#?}");
        assert!(!ip("-6 addr show dev v0 tentative").contains("2001:db8::1"));
    });
}
