//! Declared rules and neighbours, as `ip` shows them: made, left alone, changed, put back, removed.

mod common;

use std::time::Duration;

use common::declared::{applied, apply, declared, wait_for_convergence};
use common::{eventually, in_namespace, ip, ip_json};
use ringlink::desired::{DesiredNeighbour, Owner};
use ringlink::model::address::Prefix;
use ringlink::model::rule::{FR_ACT_TO_TBL, Rule};
use ringlink::model::text::{LinkName, Mac};
use ringlink::{Applier, Desired, Keeper};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// The rules of that priority, as `ip` shows them.
fn rules(family: &str, priority: u32) -> Vec<Value> {
    let all = ip_json(&format!("{family} -N -d rule show"));
    all.into_iter().filter(|rule| rule["priority"] == priority).collect()
}

/// The one rule of priority 100.
fn only(family: &str) -> Value {
    let rules = rules(family, 100);
    assert_eq!(rules.len(), 1, "{rules:#?}");
    rules.into_iter().next().unwrap_or_default()
}

#[test]
fn each_key_of_a_rule_is_made_and_changed() {
    in_namespace("each_key_of_a_rule_is_made_and_changed", || {
        for (family, word, prefix) in
            [("-4", "inet", "192.0.2.0/24"), ("-6", "inet6", "2001:db8::/48")]
        {
            let base = format!("[[rule]]\npriority = 100\nfamily = \"{word}\"\n");
            let (network, len) = prefix.split_once('/').expect("a length");
            let len: u8 = len.parse().expect("a number");
            for (keys, field, wanted) in [
                ("table = 77".to_owned(), "table", json!("77")),
                ("table = 70000".to_owned(), "table", json!("70000")),
                (format!("table = 77\nfrom = \"{prefix}\""), "src", json!(network)),
                (format!("table = 77\nfrom = \"{prefix}\""), "srclen", json!(len)),
                (format!("table = 77\nto = \"{prefix}\""), "dst", json!(network)),
                ("table = \"main\"\niif = \"lo\"".to_owned(), "iif", json!("lo")),
                // It need not exist.
                ("table = 77\noif = \"eth7\"".to_owned(), "oif", json!("eth7")),
                ("table = 77\nfwmark = 7".to_owned(), "fwmark", json!("0x7")),
                ("table = 77\nfwmark = 7\nfwmask = 15".to_owned(), "fwmask", json!("0xf")),
                ("table = 77\ntos = 16".to_owned(), "tos", json!("0x10")),
                ("table = 77\nipproto = \"tcp\"".to_owned(), "ipproto", json!("6")),
                ("table = 77\nipproto = 17\nsport = 53".to_owned(), "sport", json!(53)),
                ("table = 77\ndport = \"80-90\"".to_owned(), "dport_start", json!(80)),
                (
                    "table = 77\nsuppress_prefixlength = 0".to_owned(),
                    "suppress_prefixlen",
                    json!(0),
                ),
                ("table = 77\nnot = true\nfwmark = 1".to_owned(), "not", json!(null)),
                ("action = \"blackhole\"".to_owned(), "action", json!("6")),
                ("action = \"unreachable\"".to_owned(), "action", json!("7")),
                ("action = \"prohibit\"".to_owned(), "action", json!("8")),
                ("goto = 32766".to_owned(), "goto", json!(32766)),
            ] {
                applied(&format!("{base}{keys}\n"));
                let rule = only(family);
                // What stood in its place before is gone, so its own value is the only one.
                let mut now = rule.get(field).cloned();
                if let Some(number) = rule["ipproto"].as_str().filter(|_| field == "ipproto") {
                    now = Some(number.trim_start_matches("ipproto-").into());
                }
                assert_eq!(now, Some(wanted), "{keys}: {rule}");
                assert_eq!(rule["protocol"], "82", "{keys}: {rule}");
            }
        }
    });
}

#[test]
fn what_is_foreign_stays_and_what_is_alike_serves() {
    in_namespace("what_is_foreign_stays_and_what_is_alike_serves", || {
        ip("rule add from 192.0.2.0/24 lookup 55 pref 100");
        ip("rule add from 192.0.2.0/25 lookup 77 pref 100");
        ip("rule add lookup 55 pref 200 protocol 82");
        let before = ip("rule show");
        applied("[[rule]]\npriority = 100\nfrom = \"192.0.2.0/25\"\ntable = 77\n");
        // Nothing was to be done: someone has made it already.
        assert_eq!(ip("rule show"), before);
        applied("[[rule]]\npriority = 100\nfrom = \"192.0.2.0/26\"\ntable = 77\n");
        assert_eq!(rules("-4", 100).len(), 3);
        applied("[[rule]]\npriority = 101\nfrom = \"192.0.2.0/26\"\ntable = 77\n");
        // Without a prune what left the document stays.
        assert_eq!((rules("-4", 100).len(), rules("-4", 101).len()), (3, 1));
        applied(
            "[owner]\nname = \"test\"\nprotocol = 83\nprune = true\n\
             [[rule]]\npriority = 102\nfrom = \"192.0.2.0/26\"\ntable = 77\n",
        );
        assert_eq!((rules("-4", 101).len(), rules("-4", 102).len()), (1, 1));
        applied("[owner]\nname = \"test\"\nprotocol = 83\nprune = true\n");
        assert!(rules("-4", 102).is_empty(), "{}", ip("rule show"));
        assert_eq!((rules("-4", 100).len(), rules("-4", 200).len()), (3, 1));
    });
}

const NEIGHBOURS: &str = "[owner]\nname = \"test\"\nprotocol = 83\nprune = true\n\
    [link.v0]\nveth = { peer = \"p0\" }\naddresses = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n\
    [link.p0]\n";

fn two_neighbours(mac: &str) -> String {
    format!(
        "{NEIGHBOURS}[[neighbour]]\ndev = \"v0\"\naddress = \"10.0.0.9\"\nmac = \"{mac}\"\n\
         [[neighbour]]\ndev = \"v0\"\naddress = \"2001:db8::9\"\nmac = \"{mac}\"\n"
    )
}

/// The permanent neighbours on `v0`, as `ip` shows them.
fn neighbours() -> Vec<String> {
    let mut lines: Vec<_> = ip_json("-N neigh show dev v0 nud permanent")
        .iter()
        .map(|it| format!("{} {} {}", it["dst"], it["lladdr"], it["protocol"]).replace('"', ""))
        .collect();
    lines.sort();
    lines
}

#[test]
fn neighbours_are_made_changed_and_pruned() {
    in_namespace("neighbours_are_made_changed_and_pruned", || {
        applied(&two_neighbours("02:00:00:00:00:09"));
        let wanted = ["10.0.0.9 02:00:00:00:00:09 83", "2001:db8::9 02:00:00:00:00:09 83"];
        assert_eq!(neighbours(), wanted);
        ip("neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev v0 nud permanent");
        applied(&two_neighbours("02:00:00:00:00:0a"));
        let shown = neighbours();
        assert!(shown.contains(&"10.0.0.9 02:00:00:00:00:0a 83".to_owned()), "{shown:?}");
        assert!(shown.iter().any(|line| line.starts_with("10.0.0.77")), "{shown:?}");
        // One leaves the document.
        applied(&format!(
            "{NEIGHBOURS}[[neighbour]]\ndev = \"v0\"\naddress = \"10.0.0.9\"\n\
             mac = \"02:00:00:00:00:0a\"\n"
        ));
        let shown = neighbours();
        assert!(!shown.iter().any(|line| line.starts_with("2001")), "{shown:?}");
        assert!(shown.iter().any(|line| line.starts_with("10.0.0.77")), "{shown:?}");
        // Those of a link that is down come back with it.
        let down =
            two_neighbours("02:00:00:00:00:0a").replace("\"p0\" }", "\"p0\" }\nstate = \"down\"");
        let report = apply(&declared(&down));
        assert!(report.converged, "{:#?}", report.remaining);
        assert_eq!(report.remaining.suspended.len(), 3, "{:#?}", report.remaining);
        applied(&two_neighbours("02:00:00:00:00:0a"));
    });
}

#[test]
fn drift_of_rules_and_neighbours_is_undone() {
    in_namespace("drift_of_rules_and_neighbours_is_undone", || {
        for scope in ["all", "default"] {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
        }
        let text = format!(
            "{}[[rule]]\npriority = 100\nfrom = \"10.0.0.0/24\"\ntable = 77\n\
             [[rule]]\npriority = 100\nfamily = \"inet6\"\nfwmark = 1\naction = \"prohibit\"\n\
             [[rule]]\npriority = 101\niif = \"v0\"\nfamily = \"inet\"\ntable = \"main\"\n",
            two_neighbours("02:00:00:00:00:09")
        );
        // It may be given what to keep later, and follows rules and neighbours from then on.
        let mut keeper = Keeper::spawn(Keeper::builder(declared(NEIGHBOURS))).expect("a ring");
        wait_for_convergence(&mut keeper);
        let desired = declared(&text);
        keeper.set(desired.clone());
        wait_for_convergence(&mut keeper);
        let all_rules = || {
            let rules = |family: &str| ip(&format!("{family} -N rule show"));
            (rules("-4").replace(" [detached]", ""), rules("-6"))
        };
        let is_made = || rules("-4", 101).len() == 1 && neighbours().len() == 2;
        assert!(eventually(PATIENCE, is_made), "{:?} {:?}", all_rules(), neighbours());
        ip("rule add from 172.16.0.0/12 lookup 55 pref 100");
        let wanted = (all_rules(), neighbours());
        for drift in [
            "rule del pref 101",
            "rule del from 10.0.0.0/24 lookup 77 pref 100",
            "-6 rule del pref 100",
            "rule add from 10.0.0.0/25 lookup 78 pref 100 protocol 83",
            "neigh del 10.0.0.9 dev v0",
            "neigh replace 2001:db8::9 lladdr 02:00:00:00:00:99 dev v0 nud permanent",
            "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud reachable",
            "neigh flush dev v0 nud permanent",
            "link set v0 down",
            "link del v0",
        ] {
            ip(drift);
            let now = || {
                let (mut v4, v6) = all_rules().clone();
                // Rules of one priority stand in the order in which they came.
                let mut lines: Vec<_> = v4.lines().collect();
                lines.sort_unstable();
                v4 = lines.join("\n");
                ((v4, v6), neighbours())
            };
            let mut sorted: Vec<_> = wanted.0.0.lines().collect();
            sorted.sort_unstable();
            let wanted = ((sorted.join("\n"), wanted.0.1.clone()), wanted.1.clone());
            let is_undone = eventually(PATIENCE, || now() == wanted);
            assert!(is_undone, "{drift}: {wanted:#?} became {:#?}", now());
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let mut applier = Applier::builder().open().expect("a ring");
        let plan = applier.plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
        // What is destroyed leaves the foreign rule.
        let report = applier.apply(&desired.destroyed().expect("an owner")).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        let [left] = &rules("-4", 100)[..] else { panic!("{:?}", all_rules()) };
        assert_eq!(left["src"], "172.16.0.0");
        assert!(rules("-4", 101).is_empty() && rules("-6", 100).is_empty());
    });
}

#[test]
fn a_program_declares_the_same() {
    let prefix = Prefix { address: [192, 0, 2, 0].into(), len: 24 };
    let v0 = LinkName::valid(b"v0").expect("a name");
    let mac = Mac::new(&[2, 0, 0, 0, 0, 9]).expect("a mac");
    let rule = Rule {
        priority: 100,
        src: Some(prefix),
        fwmark: 7,
        action: FR_ACT_TO_TBL,
        table: 77,
        ..Rule::new(false)
    };
    let neighbour = DesiredNeighbour { dev: v0, address: [192, 0, 2, 9].into(), mac };
    let builder = Desired::builder().owner(Owner { protocol: 83, ..Owner::new("test") });
    let built = builder.rule(rule).neighbour(neighbour).build().expect("sound");
    let read = declared(
        "[owner]\nname = \"test\"\nprotocol = 83\n\
         [[rule]]\npriority = 100\nfrom = \"192.0.2.0/24\"\nfwmark = 7\ntable = 77\n\
         [[neighbour]]\ndev = \"v0\"\naddress = \"192.0.2.9\"\nmac = \"02:00:00:00:00:09\"\n",
    );
    assert_eq!(built, read);
    let wrong = Desired::builder().rule(Rule { priority: 0, ..rule }).build();
    assert!(wrong.expect_err("a rule of the kernel's").to_string().contains("priority 0"));
}
