//! `Applier` makes a declared network, and `ip` agrees to the last value.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::state::at_rest_for_good;
use common::{addresses_of, eventually, in_namespace, ip, ip_batch, ip_json, links};
use ringlink::reconcile::Outcome;
use ringlink::{Applier, ApplyError, Desired};

const PAIRS: usize = 50;
const ROUTES: usize = 20;
/// In hundredths of a second. While STP tells of a change of topology, which it does for a minute
/// after a port has come, the kernel shows twice the forward delay of 15 s, whatever was set.
const AGEING_TIME: u32 = 3000;

/// Two bridges, fifty veth pairs, a vxlan and a macvlan, a hundred addresses, twenty routes.
fn document() -> String {
    let mut text = String::from("version = 1\n[owner]\nname = \"test\"\ngroup = 4710\n");
    for bridge in 0..2 {
        let _ = write!(
            text,
            "[link.br{bridge}]\nbridge = {{ stp_state = true, priority = 4096, \
             ageing_time = {AGEING_TIME} }}\nmtu = 1400\nmac = \"02:00:00:00:ff:0{bridge}\"\n"
        );
    }
    for pair in 0..PAIRS {
        let _ = write!(
            text,
            "[link.v{pair}]\nveth = {{ peer = \"p{pair}\" }}\nmtu = 1400\n\
             mac = \"02:00:00:00:00:{pair:02x}\"\n\
             addresses = [\"10.1.{pair}.1/24\", \"2001:db8:a{pair:02}::1/64\"]\n\
             [link.p{pair}]\nmtu = 1300\nmaster = \"br{}\"\n",
            pair % 2
        );
    }
    text.push_str(
        "[link.vx0]\nvxlan = { id = 42, dev = \"v0\", local = \"10.1.0.1\", \
         remote = \"10.1.0.9\", dstport = 4789, ttl = 7, learning = false }\nmtu = 1350\n\
         [link.mv0]\nmacvlan = { dev = \"v1\", mode = \"bridge\" }\nstate = \"down\"\n",
    );
    for route in 0..ROUTES {
        if route % 2 == 0 {
            let _ = write!(
                text,
                "[[route]]\nto = \"10.2.{route}.0/24\"\nvia = \"10.1.{route}.2\"\n\
                 dev = \"v{route}\"\nmetric = {}\ntable = 77\n",
                route + 1
            );
        } else {
            let _ = write!(
                text,
                "[[route]]\nto = \"2001:db8:2:{route}::/64\"\nvia = \"2001:db8:a{route:02}::2\"\n"
            );
        }
    }
    text
}

/// Everything that the document says, as `ip -d -j` shows it.
fn agrees() {
    let links = links();
    for bridge in 0..2 {
        let link = &links[&format!("br{bridge}")];
        let data = &link["linkinfo"]["info_data"];
        assert_eq!(link["linkinfo"]["info_kind"], "bridge");
        assert_eq!(link["mtu"], 1400);
        assert_eq!(link["address"], format!("02:00:00:00:ff:0{bridge}"));
        assert_eq!(data["stp_state"], 1);
        assert_eq!(data["priority"], 4096);
        assert_eq!(data["ageing_time"], AGEING_TIME);
    }
    for pair in 0..PAIRS {
        let (link, peer) = (&links[&format!("v{pair}")], &links[&format!("p{pair}")]);
        assert_eq!(link["mtu"], 1400);
        assert_eq!(link["address"], format!("02:00:00:00:00:{pair:02x}"));
        assert_eq!(link["link"], format!("p{pair}"));
        assert_eq!(peer["mtu"], 1300);
        assert_eq!(peer["master"], format!("br{}", pair % 2));
        for end in [link, peer] {
            assert_eq!(end["linkinfo"]["info_kind"], "veth");
            assert_eq!(end["group"], "4710");
            assert!(end["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "UP")));
        }
        let own: BTreeSet<_> = addresses_of(&format!("v{pair}")).into_iter().collect();
        assert!(own.contains(&format!("10.1.{pair}.1/24")), "{own:?}");
        assert!(own.contains(&format!("2001:db8:a{pair:02}::1/64")), "{own:?}");
    }
    let vxlan = &links["vx0"]["linkinfo"]["info_data"];
    assert_eq!(links["vx0"]["mtu"], 1350);
    assert_eq!(vxlan["id"], 42);
    assert_eq!(vxlan["link"], "v0");
    assert_eq!(vxlan["local"], "10.1.0.1");
    assert_eq!(vxlan["remote"], "10.1.0.9");
    assert_eq!(vxlan["port"], 4789);
    assert_eq!(vxlan["ttl"], 7);
    assert_eq!(vxlan["learning"], false);
    let macvlan = &links["mv0"];
    assert_eq!(macvlan["link"], "v1");
    assert_eq!(macvlan["linkinfo"]["info_data"]["mode"], "bridge");
    assert!(!macvlan["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "UP")));
    routes_agree();
}

fn routes_agree() {
    let v4 = ip_json("-N route show table 77");
    let v6 = ip_json("-6 -N route show proto 82");
    assert_eq!(v4.len() + v6.len(), ROUTES);
    for route in 0..ROUTES {
        if route % 2 == 0 {
            let to = format!("10.2.{route}.0/24");
            let found = v4.iter().find(|shown| shown["dst"] == to).expect("a declared route");
            assert_eq!(found["gateway"], format!("10.1.{route}.2"));
            assert_eq!(found["dev"], format!("v{route}"));
            assert_eq!(found["metric"], route + 1);
            assert_eq!(found["protocol"], "82");
        } else {
            let to = format!("2001:db8:2:{route}::/64");
            let found = v6.iter().find(|shown| shown["dst"] == to).expect("a declared route");
            assert_eq!(found["gateway"], format!("2001:db8:a{route:02}::2"));
            assert_eq!(found["metric"], 1024);
        }
    }
}

/// Whether that process has a socket of this namespace that joined a group.
fn listens(pid: u32) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("/proc is there");
    table.lines().skip(1).any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2] == pid.to_string() && fields[3] != "00000000"
    })
}

#[test]
fn a_network_converges_and_a_second_apply_causes_nothing() {
    in_namespace("a_network_converges_and_a_second_apply_causes_nothing", || {
        let desired = Desired::from_toml("test.toml", &document()).expect("a valid document");
        let report = Applier::builder().open().expect("a ring").apply(&desired).expect("a report");
        let failed = report.attempts.iter().find(|attempt| attempt.outcome != Outcome::Done);
        assert!(failed.is_none(), "{failed:#?}");
        assert!(report.converged, "{:#?}", report.remaining);
        agrees();
        // Duplicate address detection and carrier still cause news of their own for a while.
        at_rest_for_good(Duration::from_secs(60));

        let folder = tempfile::tempdir().expect("a temporary folder");
        let heard = folder.path().join("monitor");
        let file = std::fs::File::create(&heard).expect("a writable folder");
        let mut listener = Command::new("ip");
        let listener = listener.args(["-o", "monitor", "link", "address", "route"]).stdout(file);
        let mut listener = listener.stderr(Stdio::null()).spawn().expect("`ip monitor` starts");
        let hears = || listens(listener.id());
        assert!(eventually(Duration::from_secs(30), hears), "`ip monitor` does not listen");
        let mut second = Applier::builder().open().expect("a ring");
        let report = second.apply(&desired).expect("a report");
        assert!(report.converged && report.attempts.is_empty(), "{report:#?}");
        // What ends the listening is itself heard, so silence before it is no deafness.
        ip("link add end type ifb");
        let text = || std::fs::read_to_string(&heard).unwrap_or_default();
        assert!(eventually(Duration::from_secs(30), || text().contains("end")), "{}", text());
        listener.kill().and_then(|()| listener.wait()).expect("`ip monitor` ends");
        // A port that STP lets forward is told of in a message without a qdisc; that takes 30 s.
        let is_of_stp = |line: &str| line.contains(" master br") && !line.contains(" qdisc ");
        let text = text();
        let about_others = text.lines().filter(|line| !line.contains("end") && !is_of_stp(line));
        let about_others = about_others.count();
        assert_eq!(about_others, 0, "{text}");
        agrees();
    });
}

#[test]
fn the_example_converges() {
    in_namespace("the_example_converges", || {
        let desired = Desired::load(&["examples/host.toml"]).expect("the example is valid");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        assert_eq!(links()["vx42"]["master"], "br-site");
    });
}

#[test]
fn what_differs_is_changed_and_what_is_foreign_stays() {
    in_namespace("what_differs_is_changed_and_what_is_foreign_stays", || {
        ip_batch(
            "link add br0 type bridge\nlink add v0 type veth peer name p0\n\
             link add foreign type veth peer name foreign2\naddr add 172.16.0.1/24 dev foreign\n\
             link set foreign up\nlink set foreign2 up\nroute add 172.17.0.0/24 via 172.16.0.2\n\
             addr add 10.0.0.9/24 dev br0\n",
        );
        let shown = || ip("addr show dev foreign").replace(" tentative", "");
        let foreign = shown();
        let text = "version = 1\n[link.br0]\nkind = \"bridge\"\naddresses = [\"10.0.0.1/24\"]\n\
                    [link.v0]\nveth = { peer = \"p0\" }\nmaster = \"br0\"\nmtu = 1400\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        let own: Vec<_> = addresses_of("br0");
        assert!(own.contains(&"10.0.0.1/24".to_owned()), "{own:?}");
        assert!(!own.contains(&"10.0.0.9/24".to_owned()), "{own:?}");
        assert_eq!(links()["v0"]["master"], "br0");
        // A link that was there is used and not marked.
        assert_eq!(links()["v0"]["group"], "default");
        assert_eq!(shown(), foreign);
        assert!(ip("route show").contains("172.17.0.0/24 via 172.16.0.2"));
    });
}

#[test]
fn what_cannot_be_done_is_reported_and_the_rest_goes_on() {
    in_namespace("what_cannot_be_done_is_reported_and_the_rest_goes_on", || {
        ip("link add taken type ifb");
        let text = "version = 1\n[link.taken]\nkind = \"bridge\"\n\
                    [link.absentee]\nmtu = 1400\n\
                    [link.br0]\nkind = \"bridge\"\naddresses = [\"10.0.0.1/24\"]\n\
                    [link.mv0]\nmacvlan = { dev = \"absentee\" }\n\
                    [[route]]\nto = \"10.9.0.0/24\"\nvia = \"10.77.0.1\"\ndev = \"br0\"\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("a report");
        assert!(!report.converged);
        assert!(addresses_of("br0").contains(&"10.0.0.1/24".to_owned()));
        let blocked: Vec<_> = report.remaining.blocked.iter().map(|b| b.to_string()).collect();
        assert_eq!(blocked.len(), 3, "{blocked:?}");
        let refused = report.attempts.iter().find_map(|attempt| match &attempt.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        });
        let refusal = refused.expect("the gateway is not reachable");
        assert_eq!(refusal.message.as_deref(), Some("Nexthop has invalid gateway"));
    });
}

#[test]
fn an_apply_that_is_cancelled_reports_what_it_made() {
    in_namespace("an_apply_that_is_cancelled_reports_what_it_made", || {
        let mut document = "version = 1\n".to_owned();
        for number in 0..400 {
            let (high, low) = (number / 250, number % 250);
            document += &format!(
                "[link.d{number}]\nkind = \"ifb\"\naddresses = [\"10.1.{high}.{low}/32\"]\n"
            );
        }
        let desired = Desired::from_toml("many.toml", &document).unwrap();
        let total = desired.links().len() * 2;
        let mut applier = Applier::builder().open().unwrap();
        applier.canceller().cancel();
        let Err(ApplyError::Cancelled(report)) = applier.apply(&desired) else {
            panic!("a cancel before it began was lost");
        };
        assert!(report.attempts.is_empty());

        let canceller = applier.canceller();
        let canceller = std::thread::spawn(move || {
            eventually(Duration::from_secs(30), || links().contains_key("d0"));
            canceller.cancel();
        });
        let result = applier.apply(&desired);
        canceller.join().unwrap();
        let Err(ApplyError::Cancelled(report)) = result else {
            panic!("it ended before it was cancelled: declare more links");
        };
        assert!(report.attempts.iter().all(|it| it.outcome == Outcome::Done));
        let left = Applier::builder().open().unwrap().plan(&desired).unwrap();
        assert_eq!(report.remaining.steps.len(), left.steps.len());
        assert_eq!(report.attempts.len() + left.steps.len(), total, "each is told once");

        let report = applier.apply(&desired).unwrap();
        assert!(report.converged, "what was cancelled can be gone on with");
    });
}
