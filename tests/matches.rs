//! Blocks with a `match`: which links they take, at once, later, and no more; with `ip` as judge.

#![cfg(feature = "cli")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::program::{Running, document, json, run, status, text, write};
use common::{addresses_of, eventually, in_namespace, ip, ip_batch, links, routes};
use ringlink::reconcile::Report;
use ringlink::{Desired, Keeper, KeeperHandle};
use serde_json::{Value, json as value};

const PATIENCE: Duration = Duration::from_secs(30);

const DOCUMENT: &str = "version = 1\n\
    [link.uplink]\nmatch = { altname = \"lan0\" }\nmtu = 1300\nstate = \"up\"\naddresses = [\"192.0.2.1/24\"]\n\
    [link.any]\nmatch = { name = \"eth[0-9]*\" }\nmtu = 1400\n\
    [link.all]\nmatch = { name = \"*th*\" }\nmtu = 1500\nalias = \"the rest\"\n\
    [link.eth1]\nmtu = 1450\n\
    [link.mv0]\nmacvlan = { dev = \"uplink\" }\n\
    [[route]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.9\"\ndev = \"uplink\"\n\
    [[rule]]\npriority = 100\nfamily = \"inet\"\niif = \"uplink\"\ntable = 77\n\
    [[neighbour]]\ndev = \"uplink\"\naddress = \"192.0.2.7\"\nmac = \"02:00:00:00:00:07\"\n";

fn mtu(link: &str) -> Value {
    links().get(link).map_or(Value::Null, |link| link["mtu"].clone())
}

fn applied(path: &str) -> (Option<i32>, String) {
    let output = run(&["apply", "--yes", path]);
    (status(&output), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn each_link_is_taken_by_the_block_that_names_it_or_the_first_that_matches() {
    in_namespace("each_link_is_taken_by_the_block_that_names_it_or_the_first_that_matches", || {
        ip_batch(
            "link add eth0 type ifb\nlink add eth1 type ifb\nlink add eth2 type ifb\n\
             link add nth type ifb\nlink add other type ifb\n\
             link property add dev eth2 altname lan0\n",
        );
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let planned = json(&run(&["plan", "--json", &path]));
        let taken = value!([
            { "link": "eth2", "label": "uplink" },
            { "link": "eth0", "label": "any" },
            { "link": "nth", "label": "all" },
        ]);
        // `other` has `th` in its name, too.
        let mut matched = planned["matched"].as_array().expect("a list").clone();
        let other = matched.iter().position(|it| it["link"] == "other").expect("it is taken");
        assert_eq!(matched.remove(other)["label"], "all");
        assert_eq!(Value::Array(matched), taken);
        let planned = text(&run(&["plan", &path]).stdout);
        for line in ["~ link eth2 (by match of uplink)\n", "~ link nth (by match of all)\n"] {
            assert!(planned.contains(line), "{planned}");
        }
        assert!(planned.contains("~ link eth1\n"), "{planned}");

        assert_eq!(applied(&path).0, Some(0));
        assert_eq!([mtu("eth0"), mtu("eth1"), mtu("eth2")], [1400, 1450, 1300]);
        assert_eq!(links()["nth"]["ifalias"], "the rest");
        assert_eq!(links()["mv0"]["link"], "eth2");
        let has_route = |line: &String| line.starts_with("198.51.100.0/24 via 192.0.2.9 dev eth2");
        assert!(routes().iter().any(has_route), "{:?}", routes());
        assert!(ip("rule show").contains("from all iif eth2 lookup 77"), "{}", ip("rule show"));
        assert!(ip("neigh show dev eth2").contains("192.0.2.7 lladdr 02:00:00:00:00:07"));
        assert_eq!(status(&run(&["check", &path])), Some(0));
        let planned = text(&run(&["plan", &path]).stdout);
        assert!(planned.contains("= link eth0 (by match of any)\n"), "{planned}");
        let again = applied(&path);
        assert!(again.1.contains("nothing to do"), "{again:?}");
    });
}

#[test]
fn a_label_without_its_link_is_waited_for_and_never_taken_for_a_name() {
    in_namespace("a_label_without_its_link_is_waited_for_and_never_taken_for_a_name", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        // It bears the name that is a label here.
        ip_batch("link add uplink type ifb\nlink set uplink up\nlink add eth1 type ifb\n");
        let mut running = Running::start(&["apply", "--wait", "2m", &path]);
        running.line_with("no link matches altname lan0");
        assert!(!links().contains_key("mv0") && mtu("uplink") == 1500);
        assert!(!ip("rule show").contains("lookup 77"), "{}", ip("rule show"));
        ip("link add lanky type ifb");
        ip("link add eth5 type ifb");
        ip("link add north type ifb");
        ip("link property add dev lanky altname lan0");
        // Altnames of links that are down are not announced; coming up is.
        ip("link set lanky up");
        running.line_with("converged: ");
        assert_eq!(running.wait(), Some(0));
        assert_eq!(addresses_of("lanky")[0], "192.0.2.1/24");
        assert_eq!(links()["mv0"]["link"], "lanky");
        assert!(ip("rule show").contains("from all iif lanky lookup 77"), "{}", ip("rule show"));
        assert_eq!([mtu("lanky"), mtu("eth5"), mtu("uplink")], [1300, 1400, 1500]);
    });
}

/// Waits until the keeper has put everything right.
fn assert_kept(keeper: &mut KeeperHandle, what: &str, holds: impl Fn() -> bool) {
    let is_so = eventually(PATIENCE, || {
        while keeper.next_report(Some(Duration::ZERO)).is_some() {}
        holds()
    });
    let mtus: Vec<_> = links().into_iter().map(|(name, it)| (name, it["mtu"].clone())).collect();
    assert!(is_so, "{what}: {mtus:?}");
}

/// Before Linux 6.2 a link goes down for that, and the keeper may have it up again by then.
fn rename(link: &str, name: &str) {
    let is_done = |script: String| {
        let output = Command::new("bash").args(["-c", &script]).output();
        output.expect("the tests need `bash`").status.success()
    };
    let lines = format!("link set {link} down\\nlink set {link} name {name}\\n");
    let is_renamed = eventually(PATIENCE, || {
        is_done(format!("ip link set {link} name {name}"))
            || is_done(format!("printf '{lines}' | ip -batch -"))
    });
    assert!(is_renamed, "{link} is not renamed to {name}");
}

#[test]
fn links_that_come_and_change_are_judged_by_the_news_of_them_alone() {
    in_namespace("links_that_come_and_change_are_judged_by_the_news_of_them_alone", || {
        let text = "version = 1\n\
            [link.lan]\nmatch = { altname = \"lan0\" }\nmtu = 1300\n\
            [link.any]\nmatch = { name = \"eth*\" }\nmtu = 1400\nstate = \"up\"\n\
            [link.eth9]\nmtu = 1450\nstate = \"up\"\n\
            [link.mv0]\nmacvlan = { dev = \"lan\" }\n";
        ip_batch("link add eth0 type ifb\nlink add eth9 type ifb\n");
        let desired = Desired::from_toml("test.toml", text).expect("valid");
        let mut keeper = Keeper::spawn(Keeper::builder(desired)).expect("a keeper");
        let is_told = |report: Option<Report>| matches!(report, Some(Report::Blocked(blocked)) if blocked.to_string().contains("no link matches"));
        assert!(eventually(PATIENCE, || is_told(keeper.next_report(Some(Duration::ZERO)))));
        assert_kept(&mut keeper, "what was there", || mtu("eth0") == 1400 && mtu("eth9") == 1450);
        let dumps = keeper.status().counters.dumps;

        ip("link add eth1 type ifb");
        assert_kept(&mut keeper, "a link came", || mtu("eth1") == 1400);
        ip_batch("link add foo type ifb\nlink set foo name eth2\n");
        assert_kept(&mut keeper, "a link was renamed into it", || mtu("eth2") == 1400);
        // It was taken by a match, not by its name: under another name it is another one's.
        rename("eth2", "bar");
        ip("link set bar mtu 1500");
        ip("link set eth1 mtu 1500");
        assert_kept(&mut keeper, "one goes, the others stay", || mtu("eth1") == 1400);
        assert_eq!(mtu("bar"), 1500);
        ip("link property add dev bar altname lan0");
        assert_kept(&mut keeper, "an altname came", || {
            mtu("bar") == 1300 && links().get("mv0").is_some_and(|it| it["link"] == "bar")
        });
        // Drift of any of them is undone.
        for (link, wanted) in [("eth0", 1400), ("eth1", 1400), ("bar", 1300), ("eth9", 1450)] {
            ip(&format!("link set {link} mtu 1499"));
            assert_kept(&mut keeper, link, || mtu(link) == wanted);
        }
        // One that a block names is renamed back, also from a name that another block matches.
        rename("eth9", "eth8");
        assert_kept(&mut keeper, "a named one", || mtu("eth9") == 1450 && mtu("eth8").is_null());
        // The block that names a link takes it from the one that matches.
        ip("link del eth9");
        rename("eth1", "eth9");
        assert_kept(&mut keeper, "a name", || mtu("eth9") == 1450);
        assert_eq!(keeper.status().counters.dumps, dumps, "the tables were read");
        ip("link property del dev bar altname lan0");
        ip("link set bar mtu 1500");
        ip("link set eth0 mtu 1500");
        assert_kept(&mut keeper, "an altname went", || mtu("eth0") == 1400);
        assert_eq!(mtu("bar"), 1500);
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn what_one_link_alone_can_have_is_given_to_none_of_several() {
    in_namespace("what_one_link_alone_can_have_is_given_to_none_of_several", || {
        let (_folder, path) = document(
            "version = 1\n[link.lan]\nmatch = { name = \"eth*\" }\nmtu = 1400\n\
             addresses = [\"192.0.2.1/24\"]\n",
        );
        let path = path.to_string_lossy();
        ip_batch("link add eth0 type ifb\nlink add eth1 type ifb\n");
        let (status, said) = applied(&path);
        assert_eq!(status, Some(1), "{said}");
        let wanted = "! link lan: `lan` stands for several links, such as eth0 and eth1";
        assert!(said.contains(wanted), "{said}");
        assert!(addresses_of("eth0").is_empty() && mtu("eth0") == 1500);
        ip("link del eth0");
        assert_eq!(applied(&path).0, Some(0));
        assert_eq!(addresses_of("eth1"), ["192.0.2.1/24"]);
    });
}

#[test]
fn what_a_matched_device_was_given_is_taken_back() {
    in_namespace("what_a_matched_device_was_given_is_taken_back", || {
        let content = "version = 1\n[owner]\nname = \"test\"\n\
            [link.lan]\nmatch = { name = \"eth*\" }\nstate = \"up\"\naddresses = [\"192.0.2.1/24\"]\n\
            [link.br0]\nkind = \"bridge\"\n\
            [[neighbour]]\ndev = \"br0\"\naddress = \"192.0.2.7\"\nmac = \"02:00:00:00:00:07\"\n";
        let (_folder, path) = document(content);
        let file = path.to_string_lossy().into_owned();
        ip_batch("link add eth0 type ifb\naddr add 192.0.2.8/24 dev eth0\n");
        let (status_of, said) = applied(&file);
        assert_eq!(status_of, Some(0), "{said}");
        assert!(addresses_of("eth0").contains(&"192.0.2.1/24".to_owned()));
        let tried = run(&["destroy", "--yes", &file]);
        assert_eq!(status(&tried), Some(0), "{}", text(&tried.stderr));
        assert_eq!(addresses_of("eth0")[0], "192.0.2.8/24");
        assert!(!addresses_of("eth0").contains(&"192.0.2.1/24".to_owned()));
        write(&path, "version = 1\n[link.lan]\nmatch = { name = \"eth[\" }\n");
        assert_eq!(status(&run(&["check", &file])), Some(2));
    });
}

#[test]
fn what_stands_on_a_link_comes_with_its_match_though_the_link_itself_differs_in_nothing() {
    let name =
        "what_stands_on_a_link_comes_with_its_match_though_the_link_itself_differs_in_nothing";
    in_namespace(name, || {
        let content = "version = 1\n[link.tunnel]\nmatch = { name = \"vx*\" }\n\
            fdb = [{ mac = \"02:00:00:00:00:07\", dst = \"192.0.2.7\" }]\n";
        let desired = Desired::from_toml("test.toml", content).expect("valid");
        let mut keeper = Keeper::spawn(Keeper::builder(desired)).expect("a keeper");
        assert!(eventually(PATIENCE, || keeper.status().counters.dumps > 0));
        ip("link add vx7 type vxlan id 7 dstport 4789 local 192.0.2.1 nolearning");
        assert_kept(&mut keeper, "a tunnel came", || {
            let output = Command::new("bridge").args(["fdb", "show", "dev", "vx7"]).output();
            let shown = text(&output.expect("the tests need `bridge`").stdout);
            shown.contains("02:00:00:00:00:07 dst 192.0.2.7")
        });
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}
