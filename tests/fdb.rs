//! Declared forwarding entries of bridges' ports and of tunnels, as `bridge fdb` shows them: made,
//! changed, put back, and left alone where they are others'.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::declared::{applied, bridge, declared, wait_for_convergence};
use common::{eventually, in_namespace, ip};
use ringlink::desired::{DesiredFdb, LinkDeclaration};
use ringlink::model::kind::{Kind, Settings, Value as Setting};
use ringlink::model::network::{Table, Tables};
use ringlink::model::text::LinkName;
use ringlink::{Applier, Batch, Desired, Keeper, Watcher};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// The entries that were put there to stay, of a tunnel by `dst`, else of a bridge: without what
/// the kernel has there of its own.
fn fdb() -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(&bridge("-j fdb show")).expect("JSON");
    let told = all.iter().filter(|entry| {
        let state = entry["state"].as_str().unwrap_or_default();
        match entry["dst"].is_string() {
            true => matches!(state, "static" | "permanent"),
            false => entry["master"].is_string() && state == "static",
        }
    });
    let mut lines: Vec<_> = told
        .map(|entry| {
            let mut line = format!("{} {}", entry["ifname"], entry["mac"]);
            for key in ["vlan", "dst", "port", "vni", "viaIf"] {
                if !entry[key].is_null() {
                    line += &format!(" {key} {}", entry[key]);
                }
            }
            line.replace('"', "")
        })
        .collect();
    lines.sort();
    lines
}

const PORTS: &str = "[link.br0]\nkind = \"bridge\"\n\
    [link.v0]\nveth = { peer = \"p0\" }\nmaster = \"br0\"\n";
const TUNNEL: &str = "[link.vx0]\n\
    vxlan = { id = 42, dstport = 4789, remote = \"198.51.100.1\" }\n";

/// Entries of a port, then of a tunnel.
fn both() -> String {
    format!(
        "{PORTS}fdb = [{{ mac = \"02:00:00:00:00:09\" }}, {{ mac = \"02:00:00:00:00:0a\" }}]\n\
         {TUNNEL}master = \"br0\"\nfdb = [\n\
         {{ mac = \"00:00:00:00:00:00\", dst = \"198.51.100.2\" }},\n\
         {{ mac = \"00:00:00:00:00:00\", dst = \"198.51.100.3\", port = 4789, vni = 42 }},\n\
         {{ mac = \"00:00:00:00:00:00\", dst = \"198.51.100.4\", port = 8472, vni = 7, via = \"v0\" }},\n\
         {{ mac = \"02:00:00:00:00:0b\", dst = \"198.51.100.2\" }},\n\
         {{ mac = \"02:00:00:00:00:0c\" }},\n]\n"
    )
}

const BOTH: [&str; 8] = [
    "v0 02:00:00:00:00:09",
    "v0 02:00:00:00:00:0a",
    "vx0 00:00:00:00:00:00 dst 198.51.100.1",
    "vx0 00:00:00:00:00:00 dst 198.51.100.2",
    "vx0 00:00:00:00:00:00 dst 198.51.100.3",
    "vx0 00:00:00:00:00:00 dst 198.51.100.4 port 8472 vni 7 viaIf v0",
    "vx0 02:00:00:00:00:0b dst 198.51.100.2",
    "vx0 02:00:00:00:00:0c",
];

/// A bridge that filters gives an entry without a VLAN to each VLAN of the port too. And what goes
/// by a link that is gone (`if4`) the kernel shows for ever, and deletes with the tunnel alone.
fn without_vlans() -> Vec<String> {
    let is_telling = |line: &String| !line.contains(" vlan ") && !line.contains(" viaIf if");
    fdb().into_iter().filter(is_telling).collect()
}

#[test]
fn they_are_made_changed_and_taken_away() {
    in_namespace("they_are_made_changed_and_taken_away", || {
        // Without a word of them all stay.
        applied(&format!("{PORTS}{TUNNEL}"));
        bridge("fdb add 02:00:00:00:00:77 dev v0 master static");
        bridge("fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.77 self permanent");
        bridge("fdb add 02:00:00:00:00:88 dev v0 master extern_learn");
        applied(&format!("{PORTS}{TUNNEL}"));
        assert!(fdb().iter().any(|line| line == "v0 02:00:00:00:00:77"), "{:?}", fdb());
        applied(&both());
        assert_eq!(without_vlans(), BOTH);
        assert!(bridge("fdb show dev v0").contains("02:00:00:00:00:88"));
        // The same address behind another end, and one that moves to the other port.
        let moved = both()
            .replace("0b\", dst = \"198.51.100.2\"", "0b\", dst = \"2001:db8::2\"")
            .replace("{ mac = \"02:00:00:00:00:0a\" }", "{ mac = \"02:00:00:00:00:0c\" }")
            .replace("{ mac = \"02:00:00:00:00:0c\" },\n]", "]");
        applied(&moved.replace("2001:db8::2", "198.51.100.9"));
        let shown = without_vlans();
        assert!(shown.contains(&"vx0 02:00:00:00:00:0b dst 198.51.100.9".to_owned()), "{shown:?}");
        assert!(shown.contains(&"v0 02:00:00:00:00:0c".to_owned()), "{shown:?}");
        assert!(!shown.contains(&"vx0 02:00:00:00:00:0c".to_owned()), "{shown:?}");
        // None; what the tunnel has by its own `remote` is that key's.
        applied(&format!("{PORTS}fdb = []\n{TUNNEL}fdb = []\n"));
        assert_eq!(fdb(), ["vx0 00:00:00:00:00:00 dst 198.51.100.1"]);
        // On a device that is not ours what others put there stays.
        ip("link add e0 type veth peer name e1");
        ip("link set e0 master br0");
        bridge("fdb add 02:00:00:00:00:66 dev e0 master static");
        applied(&format!("{PORTS}[link.e0]\nfdb = [{{ mac = \"02:00:00:00:00:65\" }}]\n"));
        let shown = without_vlans();
        let wanted = ["e0 02:00:00:00:00:65", "e0 02:00:00:00:00:66"];
        assert_eq!(shown[..2], wanted, "{shown:?}");
    });
}

#[test]
fn drift_of_entries_is_undone() {
    in_namespace("drift_of_entries_is_undone", || {
        let desired = declared(&both());
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        assert_eq!(without_vlans(), BOTH);
        for drift in [
            "fdb del 02:00:00:00:00:09 dev v0 master",
            "fdb replace 02:00:00:00:00:0a dev vx0 master static",
            "fdb replace 02:00:00:00:00:09 dev v0 master permanent",
            "fdb add 02:00:00:00:00:99 dev v0 master static",
            "fdb del 00:00:00:00:00:00 dev vx0 dst 198.51.100.2 self",
            "fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.99 self permanent",
            "fdb replace 02:00:00:00:00:0b dev vx0 dst 198.51.100.9 self permanent",
            "fdb del 02:00:00:00:00:0b dev vx0 self",
            "link set dev v0 nomaster",
            "link del v0",
            "link del vx0",
        ] {
            match drift.strip_prefix("link ") {
                Some(words) => drop(ip(&format!("link {words}"))),
                None => drop(bridge(drift)),
            }
            let is_undone = eventually(PATIENCE, || without_vlans() == BOTH);
            assert!(is_undone, "{drift}: {:?}", without_vlans());
        }
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

/// What a watcher holds, in the words of [`fdb`].
fn held(watcher: &Watcher) -> Vec<String> {
    let network = watcher.observed();
    let name = |index: u32| network.name_of(index).map(|name| name.to_string());
    let mut lines: Vec<_> = network
        .fdb()
        .filter(|it| it.is_static())
        .map(|it| {
            let mut line = format!("{} {}", name(it.dev).unwrap_or_default(), it.mac());
            let mut push = |key: &str, value: u32| {
                if value != 0 {
                    line += &format!(" {key} {value}");
                }
            };
            push("vlan", it.key.vid.into());
            let Some(remote) = it.remote else { return line };
            line += &format!(" dst {}", remote.dst);
            let mut push = |key: &str, value: u32| {
                if value != 0 {
                    line += &format!(" {key} {value}");
                }
            };
            push("port", remote.port.into());
            push("vni", remote.vni);
            line + &name(remote.via).map(|via| format!(" viaIf {via}")).unwrap_or_default()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_watcher_follows_what_bridge_shows() {
    in_namespace("a_watcher_follows_what_bridge_shows", || {
        ip("link add br0 type bridge");
        ip("link add v0 type veth peer name p0");
        ip("link set p0 master br0");
        ["br0", "v0", "p0"].iter().for_each(|link| drop(ip(&format!("link set {link} up"))));
        let tables = Tables::NONE.with(Table::Fdb);
        let mut watcher = Watcher::builder().tables(tables).open().expect("a watcher");
        let mut batch = Batch::default();
        assert!(watcher.sync(&mut batch).expect("a whole state"));
        for change in [
            "link set v0 master br0",
            "fdb add 02:00:00:00:00:09 dev v0 master static",
            "fdb replace 02:00:00:00:00:09 dev p0 master static",
            "fdb add 02:00:00:00:00:0a dev v0 master static sticky",
            "fdb replace 02:00:00:00:00:0a dev v0 master dynamic",
            "fdb replace 02:00:00:00:00:0a dev v0 master static",
            "fdb add 02:00:00:00:00:0b dev br0 self",
            "link add vx0 type vxlan id 42 dstport 4789 remote 198.51.100.1",
            "fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.2 self permanent",
            "fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.3 port 9 vni 7 via v0 self permanent",
            // All ends of it have one state.
            "fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.4 self dynamic",
            "fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.5 self static",
            "fdb add 02:00:00:00:00:0c dev vx0 dst 198.51.100.2 self permanent",
            "fdb replace 02:00:00:00:00:0c dev vx0 dst 198.51.100.3 self permanent",
            "link set vx0 type vxlan remote 198.51.100.6",
            "link set vx0 master br0",
            "fdb add 02:00:00:00:00:0d dev vx0 master static",
            "link set v0 down",
            "link set v0 up",
            "link set v0 nomaster",
            "link del vx0",
            "link del v0",
            "link del br0",
        ] {
            match change.starts_with("link") {
                true => drop(ip(change)),
                // A port learns only once it forwards.
                false if change.contains("dynamic") => assert!(eventually(PATIENCE, || {
                    let words = change.split_whitespace();
                    let done = Command::new("bridge").args(words).output().expect("`bridge`");
                    done.status.success()
                })),
                false => drop(bridge(change)),
            }
            let agrees = eventually(PATIENCE, || {
                let deadline = Instant::now() + Duration::from_millis(20);
                watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
                batch.drain().for_each(drop);
                held(&watcher) == fdb()
            });
            assert!(agrees, "{change}: {:#?} is {:#?}", held(&watcher), fdb());
            // Read anew, it is the same.
            let mut fresh = Watcher::builder().tables(tables).open().expect("a watcher");
            assert!(fresh.sync(&mut Batch::default()).expect("a whole state"));
            assert_eq!(held(&fresh), held(&watcher), "{change}");
        }
    });
}

#[cfg(feature = "cli")]
#[test]
fn the_program_shows_and_exports_them() {
    use common::program::{json, run, text};
    in_namespace("the_program_shows_and_exports_them", || {
        applied(&both());
        let exported = text(&run(&["export"]).stdout);
        for line in [
            "    { mac = \"02:00:00:00:00:09\" },",
            "    { mac = \"00:00:00:00:00:00\", port = 8472, vni = 7, dst = \"198.51.100.4\", via = \"v0\" },",
        ] {
            assert!(exported.contains(line), "{line}: {exported}");
        }
        assert!(!exported.contains("198.51.100.1\" }"), "{exported}");
        let desired = Desired::from_toml("export.toml", &exported).expect("a document");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
        let shown = json(&run(&["show", "--json", "fdb"]));
        let all = shown["fdb"].as_array().expect("a list");
        let own = all.iter().find(|it| it["port"] == 8472).expect("the one with a port");
        let wanted = serde_json::json!({
            "mac": "00:00:00:00:00:00", "dev": own["dev"], "master": null, "vid": null,
            "dst": "198.51.100.4", "port": 8472, "vni": 7, "via": own["via"], "src_vni": null,
            "state": ["PERMANENT"], "state_number": 128, "flags": ["self"], "flags_number": 2,
        });
        assert_eq!(*own, wanted);
        assert_eq!((&own["dev"]["name"], &own["via"]["name"]), (&"vx0".into(), &"v0".into()));
        let tables = text(&run(&["show", "fdb"]).stdout);
        assert!(tables.contains("02:00:00:00:00:09 v0  br0"), "{tables}");
    });
}

#[test]
fn a_program_declares_the_same() {
    let name = |text: &str| LinkName::valid(text.as_bytes()).expect("a name");
    let kind = Kind::by_name(b"vxlan").expect("a kind");
    let settings = Settings::new(kind).with("id", Setting::Number(42)).expect("a key");
    let tunnel = LinkDeclaration::new(name("vx0")).settings(settings);
    let own = DesiredFdb::behind([0; 6], [198, 51, 100, 2].into());
    let built = Desired::builder().link(tunnel.clone().fdb([own])).build().expect("sound");
    let read = declared(
        "[link.vx0]\nvxlan = { id = 42 }\n\
         fdb = [{ mac = \"00:00:00:00:00:00\", dst = \"198.51.100.2\" }]\n",
    );
    assert_eq!(built, read);
    let wrong = Desired::builder().link(tunnel.fdb([own, own, DesiredFdb::new([0; 6])])).build();
    let said = wrong.expect_err("no host").to_string();
    assert!(said.contains("cannot be behind a port") && said.contains("twice"), "{said}");
}
