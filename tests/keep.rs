//! `Keeper` undoes every kind of drift, as `ip` in other processes sees it.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use common::state::at_rest_for_good;
use common::{eventually, in_namespace, ip, ip_batch, ip_json, links, routes, slowness, work};
use ringlink::reconcile::Report;
use ringlink::{Applier, Desired, Keeper, KeeperHandle};

/// How many veth pairs the network has: enough that no object differs more often than a fight
/// would be.
const PAIRS: usize = 100;
/// The first of them are ports of the bridges, the others have addresses and routes.
const PORTS: usize = 40;
const DRIFTS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Two bridges, [`PAIRS`] veth pairs, a vxlan and a macvlan; every mac is declared, so that a
/// link that is made anew is the same to the last value.
fn document() -> String {
    let mut text = String::from("version = 1\n[owner]\nname = \"test\"\n");
    for bridge in 0..2 {
        let _ = write!(
            text,
            "[link.br{bridge}]\nkind = \"bridge\"\nmac = \"02:00:00:00:ff:0{bridge}\"\n\
             addresses = [\"192.0.{bridge}.1/24\", \"2001:db8:f:{bridge}::1/64\"]\n"
        );
    }
    for pair in 0..PAIRS {
        let _ = write!(
            text,
            "[link.v{pair}]\nveth = {{ peer = \"p{pair}\" }}\nmtu = 1400\n\
             mac = \"02:00:00:00:00:{pair:02x}\"\n"
        );
        if pair < PORTS {
            let _ = writeln!(text, "master = \"br{}\"", pair % 2);
        } else {
            let _ = write!(
                text,
                "addresses = [\"10.1.{pair}.1/24\", \"2001:db8:1:{pair}::1/64\"]\n\
                 [[route]]\nto = \"10.2.{pair}.0/24\"\nvia = \"10.1.{pair}.2\"\ndev = \"v{pair}\"\n\
                 [[route]]\nto = \"2001:db8:2:{pair}::/64\"\nvia = \"2001:db8:1:{pair}::2\"\n\
                 dev = \"v{pair}\"\n"
            );
        }
        let _ = write!(text, "[link.p{pair}]\nmac = \"02:00:00:00:01:{pair:02x}\"\n");
    }
    text.push_str(
        "[link.vx0]\nvxlan = { id = 42, dev = \"br0\", local = \"192.0.0.1\", \
         remote = \"192.0.0.9\", dstport = 4789 }\nmac = \"02:00:00:00:fe:00\"\n\
         [link.mv0]\nmacvlan = { dev = \"v99\", mode = \"bridge\" }\nmac = \"02:00:00:00:fe:01\"\n\
         addresses = [\"10.9.0.1/24\"]\n",
    );
    text
}

/// One kind of drift: what it does to pair number `n`, and which pairs it may be done to.
struct Drift {
    name: &'static str,
    on_ports: bool,
    cause: fn(usize),
}

const DRIFTS_BY_KIND: &[Drift] = &[
    Drift {
        name: "v4 address deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("addr del 10.1.{n}.1/24 dev v{n}"));
        },
    },
    Drift {
        name: "v6 address deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("addr del 2001:db8:1:{n}::1/64 dev v{n}"));
        },
    },
    Drift {
        name: "address added",
        on_ports: false,
        cause: |n| {
            ip(&format!("addr add 10.3.{n}.1/24 dev v{n}"));
        },
    },
    Drift {
        name: "v6 address added",
        on_ports: false,
        cause: |n| {
            ip(&format!("addr add 2001:db8:3:{n}::1/64 dev v{n}"));
        },
    },
    Drift {
        name: "address given a lifetime",
        on_ports: false,
        cause: |n| {
            ip(&format!("addr change 10.1.{n}.1/24 dev v{n} valid_lft 600 preferred_lft 600"));
        },
    },
    Drift {
        name: "addresses deleted together",
        on_ports: false,
        cause: |n| {
            ip_batch(&format!(
                "addr del 10.1.{n}.1/24 dev v{n}\naddr del 2001:db8:1:{n}::1/64 dev v{n}\n"
            ));
        },
    },
    Drift {
        name: "link set down",
        on_ports: false,
        cause: |n| {
            ip(&format!("link set v{n} down"));
        },
    },
    Drift {
        name: "peer set down",
        on_ports: false,
        cause: |n| {
            ip(&format!("link set p{n} down"));
        },
    },
    Drift {
        name: "mtu changed",
        on_ports: false,
        cause: |n| {
            ip(&format!("link set v{n} mtu 1300"));
        },
    },
    Drift {
        name: "mtu below what IPv6 needs",
        on_ports: false,
        cause: |n| {
            ip(&format!("link set v{n} mtu 1200"));
        },
    },
    Drift {
        name: "mac changed",
        on_ports: false,
        cause: |n| {
            ip(&format!("link set v{n} address 02:00:00:00:99:99"));
        },
    },
    Drift {
        name: "master taken away",
        on_ports: true,
        cause: |n| {
            ip(&format!("link set v{n} nomaster"));
        },
    },
    Drift {
        name: "master exchanged",
        on_ports: true,
        cause: |n| {
            ip(&format!("link set v{n} master br{}", (n + 1) % 2));
        },
    },
    Drift {
        name: "port deleted",
        on_ports: true,
        cause: |n| {
            ip(&format!("link del v{n}"));
        },
    },
    Drift {
        name: "link deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("link del v{n}"));
        },
    },
    Drift {
        name: "peer deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("link del p{n}"));
        },
    },
    Drift {
        name: "link renamed",
        on_ports: false,
        cause: |n| {
            rename(&format!("v{n}"));
        },
    },
    Drift {
        name: "peer renamed",
        on_ports: true,
        cause: |n| {
            rename(&format!("p{n}"));
        },
    },
    Drift {
        name: "v4 route deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("route del 10.2.{n}.0/24"));
        },
    },
    Drift {
        name: "v6 route deleted",
        on_ports: false,
        cause: |n| {
            ip(&format!("-6 route del 2001:db8:2:{n}::/64"));
        },
    },
    Drift {
        name: "v4 route replaced",
        on_ports: false,
        cause: |n| {
            ip(&format!("route replace 10.2.{n}.0/24 via 10.1.{n}.3 dev v{n}"));
        },
    },
    Drift {
        name: "v6 route replaced",
        on_ports: false,
        cause: |n| {
            ip(&format!("-6 route replace 2001:db8:2:{n}::/64 via 2001:db8:1:{n}::3 dev v{n}"));
        },
    },
];

/// Renames a link. Before Linux 6.2 it has to be down for that, and the keeper may be the first to
/// set it up, or to rename it back.
fn rename(link: &str) {
    let rename = format!("link set {link} name stranger\n");
    let down_for_it = format!("link set {link} down\n{rename}link set stranger up\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = folder.path().join("lines");
    let is_renamed = |text: &str| {
        std::fs::write(&lines, text).expect("a writable folder");
        let output = Command::new("ip").args(["-force", "-batch"]).arg(&lines).output();
        let output = output.expect("the tests need `ip` of iproute2");
        let errors = String::from_utf8_lossy(&output.stderr);
        !errors.contains("busy") && !errors.contains(&format!("\"{link}\""))
    };
    let is_done = is_renamed(&rename) || eventually(PATIENCE, || is_renamed(&down_for_it));
    assert!(is_done, "{link} stays busy, or is not there");
}

/// What happens to the links that are there once; done now and then.
const RARE: &[(&str, &[&str])] = &[
    ("bridge set down", &["link set br0 down"]),
    ("bridge deleted", &["link del br1"]),
    ("vxlan deleted", &["link del vx0"]),
    ("vxlan remote changed", &["link set vx0 type vxlan remote 192.0.0.7"]),
    ("macvlan mode changed", &["link set mv0 type macvlan mode private"]),
    ("lower of the macvlan deleted", &["link del v99"]),
    ("macvlan deleted and made anew", &["link del mv0"]),
];

/// The whole network by names and values, without what no one declares: indices, timers, and
/// the marks that come and go with duplicate address detection and carrier.
fn snapshot() -> BTreeMap<String, String> {
    let mut snapshot = BTreeMap::new();
    for (name, link) in links() {
        let info = &link["linkinfo"];
        let data = &info["info_data"];
        let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "UP"));
        let shown = format!(
            "kind {} up {up} mtu {} mac {} master {} group {} id {} remote {} mode {}",
            info["info_kind"],
            link["mtu"],
            link["address"],
            link["master"],
            link["group"],
            data["id"],
            data["remote"],
            data["mode"],
        );
        snapshot.insert(format!("link {name}"), shown);
    }
    for entry in ip_json("addr show") {
        let name = entry["ifname"].as_str().unwrap_or_default().to_owned();
        for info in entry["addr_info"].as_array().into_iter().flatten() {
            let key = format!("address {}/{} dev {name}", info["local"], info["prefixlen"]);
            let lasting = info["dynamic"].is_null();
            snapshot.insert(key, format!("scope {} lasting {lasting}", info["scope"]));
        }
    }
    for route in routes() {
        // Anycast and multicast entries come with the link-local address, some time later.
        if !route.starts_with("multicast") && !route.starts_with("anycast") {
            snapshot.insert(format!("route {route}"), String::new());
        }
    }
    snapshot
}

fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in before {
        if now.get(key) != Some(value) {
            lines.push(format!("- {key} {value} (now {:?})", now.get(key)));
        }
    }
    let added = now.keys().filter(|key| !before.contains_key(*key));
    lines.extend(added.map(|key| format!("+ {key}")));
    lines
}

fn wait_for_convergence(keeper: &mut KeeperHandle) {
    loop {
        match keeper.next_report(Some(PATIENCE * slowness())) {
            Some(Report::Converged) => return,
            Some(_) => {}
            None => panic!("it did not converge: {:?}", keeper.status()),
        }
    }
}

/// Duplicate address detection would keep addresses tentative for a second or two.
fn without_dad() {
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
    }
}

#[test]
fn a_thousand_drifts_of_every_kind_are_undone() {
    in_namespace("a_thousand_drifts_of_every_kind_are_undone", || {
        without_dad();
        let desired = Desired::from_toml("test.toml", &document()).expect("a valid document");
        let mut keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("a ring");
        wait_for_convergence(&mut keeper);
        at_rest_for_good(2 * PATIENCE);
        let before = snapshot();
        let dumps = keeper.status().counters.dumps;
        let mut conflicts = Vec::new();
        let mut turns = [0usize; DRIFTS_BY_KIND.len()];
        for number in 0..work(DRIFTS) {
            let kind = number % (DRIFTS_BY_KIND.len() + 1);
            let name = if let Some(drift) = DRIFTS_BY_KIND.get(kind) {
                let turn = turns[kind];
                turns[kind] += 1;
                let pair = pick(kind, turn, drift.on_ports);
                (drift.cause)(pair);
                format!("{} ({pair})", drift.name)
            } else {
                let (name, commands) = RARE[(number / (DRIFTS_BY_KIND.len() + 1)) % RARE.len()];
                commands.iter().for_each(|command| drop(ip(command)));
                name.to_owned()
            };
            let mut now = BTreeMap::new();
            let undone = eventually(PATIENCE, || {
                now = snapshot();
                now == before
            });
            while let Some(report) = keeper.next_report(Some(Duration::ZERO)) {
                if let Report::Conflict { object, .. } = &report {
                    conflicts.push(*object);
                }
                if !undone {
                    eprintln!("{report:?}");
                }
            }
            assert!(undone, "drift {number}, {name}: {:#?}", differences(&before, &now));
        }
        assert!(conflicts.is_empty(), "seen as fights: {conflicts:?}");
        let status = keeper.status();
        // In a guest the kernel's news may come later than they are waited for; it is read then.
        let is_in_time = slowness() == 1;
        assert!(!is_in_time || status.counters.dumps == dumps, "{:?}", status.counters);
        keeper.stop();
        keeper.join().expect("a clean end");
        let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
        assert!(plan.is_empty(), "{plan:#?}");
    });
}

/// Spreads the turns of each kind over the pairs, each kind beginning elsewhere. The last pair
/// carries the macvlan and is left to the rare drifts.
fn pick(kind: usize, turn: usize, on_ports: bool) -> usize {
    let (first, count) = if on_ports { (0, PORTS) } else { (PORTS, PAIRS - PORTS - 1) };
    first + (kind * 17 + turn * 7) % count
}
