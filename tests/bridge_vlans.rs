//! Declared VLANs of bridges and their ports, as `bridge vlan` shows them: made, changed, put back,
//! left alone where they are not declared.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::declared::{applied, apply, bridge, declared, wait_for_convergence};
use common::{eventually, in_namespace, ip};
use ringlink::desired::{DesiredVlan, LinkDeclaration};
use ringlink::model::kind::{Kind, Settings};
use ringlink::model::network::{Table, Tables};
use ringlink::model::text::LinkName;
use ringlink::{Applier, Batch, Desired, Keeper, Watcher};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `test` where the kernel has VLAN filtering of bridges; some are built without.
fn where_bridges_filter(name: &str, test: impl FnOnce()) {
    in_namespace(name, || {
        let words = ["link", "add", "br9", "type", "bridge", "vlan_filtering", "1"];
        let made = Command::new("ip").args(words).output().expect("`ip`");
        if !made.status.success() {
            return eprintln!("skipped: this kernel's bridges do not filter VLANs");
        }
        ip("link del br9");
        test();
    });
}

/// The VLANs of a link as `bridge` shows them, each by itself: `10 PVID Egress Untagged`.
fn vlans_of(link: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(&bridge("-j vlan show")).unwrap_or_default();
    let own = all.iter().filter(|entry| entry["ifname"] == link);
    let entries = own.filter_map(|entry| entry["vlans"].as_array()).flatten();
    let mut lines = Vec::new();
    for entry in entries {
        let first = entry["vlan"].as_u64().expect("a number");
        let last = entry["vlanEnd"].as_u64().unwrap_or(first);
        let flags: Vec<_> = entry["flags"].as_array().into_iter().flatten().collect();
        let flags: String =
            flags.iter().filter_map(|it| it.as_str()).map(|it| format!(" {it}")).collect();
        lines.extend((first..=last).map(|vid| format!("{vid}{flags}")));
    }
    lines
}

const PORTS: &str = "[link.br0]\nbridge = { vlan_filtering = true }\n\
    [link.v0]\nveth = { peer = \"p0\" }\nmaster = \"br0\"\n";

const MEMBERS: &str = "vlans = [{ vid = 10, pvid = true, untagged = true }, \"20-22\", 30]\n";

fn is_as_declared() -> bool {
    vlans_of("v0") == ["10 PVID Egress Untagged", "20", "21", "22", "30"]
}

#[test]
fn they_are_the_whole_set_of_a_port_and_of_a_bridge() {
    where_bridges_filter("they_are_the_whole_set_of_a_port_and_of_a_bridge", || {
        // Without a word of them a port has what the bridge gives it, and keeps what others add.
        applied(PORTS);
        bridge("vlan add vid 7 dev v0");
        applied(PORTS);
        assert_eq!(vlans_of("v0"), ["1 PVID Egress Untagged", "7"]);
        applied(&format!("{PORTS}{MEMBERS}"));
        assert!(is_as_declared(), "{:?}", vlans_of("v0"));
        assert_eq!(vlans_of("br0"), ["1 PVID Egress Untagged"]);
        // The bridge itself, and another PVID.
        let own =
            PORTS.replace("[link.v0]", "vlans = [10, { vid = 30, untagged = true }]\n[link.v0]");
        applied(&format!("{own}vlans = [10, {{ vid = 21, pvid = true }}]\n"));
        assert_eq!(vlans_of("br0"), ["10", "30 Egress Untagged"]);
        assert_eq!(vlans_of("v0"), ["10", "21 PVID"]);
        applied(&format!("{PORTS}vlans = []\n"));
        assert!(vlans_of("v0").is_empty(), "{:?}", vlans_of("v0"));
        // The other end, which is made by the first, joins later.
        applied(&format!(
            "{PORTS}vlans = [\"2-4094\"]\n[link.p0]\nmaster = \"br0\"\nvlans = [9]\n"
        ));
        assert_eq!((vlans_of("v0").len(), vlans_of("p0")), (4093, vec!["9".to_owned()]));
    });
}

#[test]
fn drift_of_vlans_is_undone() {
    where_bridges_filter("drift_of_vlans_is_undone", || {
        let desired = declared(&format!("{PORTS}{MEMBERS}"));
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        assert!(is_as_declared(), "{:?}", vlans_of("v0"));
        for drift in [
            "vlan del vid 30 dev v0",
            "vlan del vid 20-22 dev v0",
            "vlan add vid 10 dev v0",
            "vlan add vid 30 dev v0 pvid untagged",
            "vlan add vid 99-105 dev v0",
            "link set dev v0 down",
            "link set dev v0 nomaster",
            "link del v0",
        ] {
            match drift.strip_prefix("link ") {
                Some(words) => drop(ip(&format!("link {words}"))),
                None => drop(bridge(drift)),
            }
            let is_undone = eventually(PATIENCE, is_as_declared);
            assert!(is_undone, "{drift}: {:?}", vlans_of("v0"));
        }
        // What is not declared is nobody's.
        bridge("vlan add vid 5 dev br0 self");
        ip("link set br0 type bridge vlan_default_pvid 6");
        assert!(eventually(PATIENCE, is_as_declared), "{:?}", vlans_of("v0"));
        keeper.stop();
        keeper.join().expect("a clean end");
        assert_eq!(vlans_of("br0"), ["5", "6 PVID Egress Untagged"]);
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

/// What a watcher holds, in the words of [`vlans_of`].
fn held(watcher: &Watcher, link: &str) -> Vec<String> {
    let network = watcher.observed();
    let index = network.index_of(LinkName::valid(link.as_bytes()).expect("a name"));
    let own = index.into_iter().flat_map(|index| network.bridge_vlans_of(index));
    own.map(|it| {
        let pvid = if it.pvid { " PVID" } else { "" };
        let untagged = if it.untagged { " Egress Untagged" } else { "" };
        format!("{}{pvid}{untagged}", it.key.vid)
    })
    .collect()
}

#[test]
fn a_watcher_follows_what_bridge_shows() {
    where_bridges_filter("a_watcher_follows_what_bridge_shows", || {
        ip("link add br0 type bridge vlan_filtering 1");
        ip("link add v0 type veth peer name p0");
        let tables = Tables::NONE.with(Table::BridgeVlans);
        let mut watcher = Watcher::builder().tables(tables).open().expect("a watcher");
        let mut batch = Batch::default();
        assert!(watcher.sync(&mut batch).expect("a whole state"));
        for change in [
            "link set v0 master br0",
            "vlan add vid 10 dev v0 pvid untagged",
            "vlan add vid 20-29 dev v0",
            "vlan add vid 25 dev v0 pvid",
            "vlan add vid 25 dev v0",
            "vlan del vid 23-24 dev v0",
            "vlan add vid 30 dev br0 self pvid",
            "link set v0 up",
            "vlan add vid 40 dev v0",
            "link set br0 type bridge vlan_default_pvid 7",
            "link set br0 type bridge vlan_filtering 0",
            "vlan add vid 41 dev v0",
            "link set v0 nomaster",
            "link set v0 master br0",
            "link add br1 type bridge vlan_filtering 1",
            "link set v0 master br1",
            "link del br1",
            "link del v0",
        ] {
            match change.starts_with("link") {
                true => drop(ip(change)),
                false => drop(bridge(change)),
            }
            let links = ["br0", "v0", "br1"];
            let agrees = eventually(PATIENCE, || {
                let deadline = Instant::now() + Duration::from_millis(20);
                watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
                batch.drain().for_each(drop);
                links.iter().all(|link| held(&watcher, link) == vlans_of(link))
            });
            let both: Vec<_> = links.iter().map(|it| (held(&watcher, it), vlans_of(it))).collect();
            assert!(agrees, "{change}: {both:?}");
        }
    });
}

#[cfg(feature = "cli")]
#[test]
fn an_export_declares_them() {
    where_bridges_filter("an_export_declares_them", || {
        applied(&format!("{PORTS}{MEMBERS}"));
        let exported = common::program::run(&["export"]);
        let exported = common::program::text(&exported.stdout);
        let line = "vlans = [{ vid = 10, pvid = true, untagged = true }, \"20-22\", 30]";
        assert!(exported.contains(line), "{exported}");
        assert_eq!(exported.matches("vlans").count(), 1, "{exported}");
        let desired = Desired::from_toml("export.toml", &exported).expect("a document");
        let shown =
            common::program::json(&common::program::run(&["show", "--json", "bridge_vlan"]));
        let all = shown["bridge_vlans"].as_array().expect("a list");
        let own = all.iter().find(|it| it["dev"]["name"] == "v0").expect("those of the port");
        let dev = own["dev"].clone();
        let wanted = serde_json::json!({ "vid": 10, "dev": dev, "pvid": true, "untagged": true });
        assert_eq!(*own, wanted);
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

#[test]
fn a_kernel_without_them_has_none() {
    in_namespace("a_kernel_without_them_has_none", || {
        ip("link add v0 type veth peer name p0");
        let tables = Tables::default().with(Table::BridgeVlans);
        let mut watcher = Watcher::builder().tables(tables).open().expect("a watcher");
        assert!(watcher.sync(&mut Batch::default()).expect("a whole state"));
        assert_eq!(watcher.observed().bridge_vlans().count(), 0);
        // What is waited for is told.
        let report = apply(&declared("[link.v0]\nvlans = [10]\n"));
        let [blocked] = &report.remaining.blocked[..] else { panic!("{report:#?}") };
        assert!(blocked.to_string().contains("to be a bridge or a port of one"), "{blocked}");
    });
}

#[test]
fn a_program_declares_the_same() {
    let name = |text: &str| LinkName::valid(text.as_bytes()).expect("a name");
    let kind = Kind::by_name(b"bridge").expect("a kind");
    let bridge = LinkDeclaration::new(name("br0")).settings(Settings::new(kind));
    let pvid = DesiredVlan { pvid: true, untagged: true, ..DesiredVlan::new(10) };
    let all = [pvid, DesiredVlan::range(20, 22), DesiredVlan::new(30)];
    let built = Desired::builder().link(bridge.clone().vlans(all)).build().expect("sound");
    assert_eq!(built, declared(&format!("[link.br0]\nkind = \"bridge\"\n{MEMBERS}")));
    let wrong = Desired::builder().link(bridge.vlans([DesiredVlan::range(9, 4095), pvid, pvid]));
    let said = wrong.build().expect_err("no such VLAN").to_string();
    assert!(said.contains("no VLAN 4095") && said.contains("VLAN 10 twice"), "{said}");
}
