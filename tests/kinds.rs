//! Every key of every kind: declared, applied, compared with `ip`, changed, made anew.
//!
//! The cases follow from the key tables; what `ip` calls a key, and what a key needs beside it, is
//! in [`special`]. Many kernels lack kinds and keys, and a test says so by `skipped: ...`;
//! `scripts/kernels` runs them where they are there.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{eventually, in_namespace, ip, ip_json, links, with_own_names};
use ringlink::model::change::Change;
use ringlink::model::kind::{Key, Kind, ValueType};
use ringlink::plan::Reason;
use ringlink::reconcile::Outcome;
use ringlink::{Applier, Desired, Keeper};
use serde_json::Value as Json;

const PATIENCE: Duration = Duration::from_secs(10);

/// Keys that iproute2 6.1, Debian 12's, does not know.
const IP_MAY_LACK: &[&str] = &["fdb_max_learned"];

/// What is peculiar to a key, as far as `ip` and the kernel have it otherwise than our tables.
#[derive(Default, Clone, Copy)]
struct Special {
    /// What `ip -j` calls it; empty for the key's own name.
    shown: &'static str,
    /// Keys that it needs beside it, in the kind's table, with a comma after each.
    beside: &'static str,
    /// Two values, as a document writes them; empty where the table says what is possible.
    values: [&'static str; 2],
}

fn shown(shown: &'static str) -> Special {
    Special { shown, ..Special::default() }
}

fn beside(beside: &'static str, values: [&'static str; 2]) -> Special {
    Special { beside, values, ..Special::default() }
}

fn values(values: [&'static str; 2]) -> Special {
    Special { values, ..Special::default() }
}

const LACP: &str = "mode = '802.3ad', ";

fn special(kind: &str, key: &str) -> Special {
    let none = Special::default();
    match (kind, key) {
        ("bond", _) => special_of_bonds(key),
        ("bridge", _) => special_of_bridges(key),
        ("bridge_slave", "mcast_router") => {
            Special { values: ["2", "0"], ..shown("multicast_router") }
        }
        ("link", _) => special_of_every_link(key),
        ("bridge_slave", "group_fwd_mask") => values(["16384", "8"]),
        ("vlan", "reorder_hdr") => shown("flags/REORDER_HDR"),
        ("vlan", "gvrp") => shown("flags/GVRP"),
        ("vlan", "mvrp") => shown("flags/MVRP"),
        ("vlan", "loose_binding") => shown("flags/LOOSE_BINDING"),
        ("vlan", "bridge_binding") => shown("flags/BRIDGE_BINDING"),
        ("vlan" | "macvlan" | "macvtap" | "ipvlan", "dev") => shown("/link"),
        ("vxlan" | "gre" | "gretap" | "ipip" | "sit", "dev") => shown("link"),
        ("vxlan", "dstport") => shown("port"),
        ("vxlan", "srcport") => shown("port_range"),
        ("vxlan", "maxaddress") => shown("limit"),
        ("geneve", "udp6zerocsumtx") => {
            Special { beside: "remote = '2001:db8::2', ", ..shown("udp_zero_csum6_tx") }
        }
        ("geneve", "udp6zerocsumrx") => {
            Special { beside: "remote = '2001:db8::2', ", ..shown("udp_zero_csum6_rx") }
        }
        ("vxlan" | "geneve", "udpcsum") => shown("udp_csum"),
        ("vxlan", "udp6zerocsumtx") => shown("udp_zero_csum6_tx"),
        ("vxlan", "udp6zerocsumrx") => shown("udp_zero_csum6_rx"),
        ("vxlan", "flowlabel") => {
            let beside = "local = '2001:db8::1', remote = '2001:db8::2', ";
            Special { beside, ..shown("label") }
        }
        ("geneve", "flowlabel") => Special { beside: "remote = '2001:db8::2', ", ..shown("label") },
        ("vxlan" | "geneve", "tos") => values(["8", "16"]),
        ("geneve", "dstport") => shown("port"),
        ("veth", "peer_netns") => Special { values: ["'blue'", "'red'"], ..shown("/link_netnsid") },
        ("gre" | "gretap", "ignore_df") => beside("pmtudisc = false, ", ["true", "false"]),
        ("gre" | "gretap" | "ipip" | "sit", "tos") => values(["8", "16"]),
        ("ipip" | "sit", "mode") => Special { values: ["'any'", "'ipip'"], ..shown("proto") },
        _ => none,
    }
}

fn special_of_every_link(key: &str) -> Special {
    match key {
        "txqueuelen" => shown("/txqlen"),
        // That it is not.
        "arp" => shown("/flags/!NOARP"),
        "promisc" => shown("/flags/PROMISC"),
        "allmulticast" => shown("/flags/ALLMULTI"),
        "multicast" => shown("/flags/MULTICAST"),
        "gso_max_size" => Special { values: ["32768", "16384"], ..shown("/gso_max_size") },
        "gso_max_segs" => Special { values: ["200", "100"], ..shown("/gso_max_segs") },
        "gro_max_size" => Special { values: ["32768", "16384"], ..shown("/gro_max_size") },
        "ipv6.addr_gen_mode" => {
            Special { values: ["'none'", "'random'"], ..shown("/inet6_addr_gen_mode") }
        }
        "ipv6.accept_dad" | "ipv6.accept_ra" => values(["0", "2"]),
        _ => Special::default(),
    }
}

fn special_of_bonds(key: &str) -> Special {
    match key {
        "updelay" | "downdelay" | "peer_notify_delay" => beside("miimon = 100, ", ["200", "300"]),
        "miimon" | "arp_interval" => values(["100", "200"]),
        "arp_validate" => {
            beside("mode = 'active-backup', arp_interval = 100, ", ["'active'", "'all'"])
        }
        "arp_all_targets" | "fail_over_mac" => beside("mode = 'active-backup', ", ["", ""]),
        "primary_reselect" => beside("mode = 'active-backup', ", ["'better'", "'failure'"]),
        "xmit_hash_policy" => beside("mode = 'balance-xor', ", ["'layer3+4'", "'layer2+3'"]),
        "missed_max" => Special { values: ["3", "4"], ..shown("arp_missed_max") },
        "num_grat_arp" => shown("num_peer_notif"),
        "lp_interval" | "packets_per_slave" | "min_links" => values(["2", "3"]),
        "lacp_rate" => Special { shown: "ad_lacp_rate", ..beside(LACP, ["'fast'", "'slow'"]) },
        "lacp_active" => Special { shown: "ad_lacp_active", ..beside(LACP, ["false", "true"]) },
        "ad_select" => beside(LACP, ["'bandwidth'", "'count'"]),
        "ad_actor_sys_prio" | "ad_user_port_key" => beside(LACP, ["7", "9"]),
        "tlb_dynamic_lb" => beside("mode = 'balance-tlb', ", ["false", "true"]),
        _ => Special::default(),
    }
}

fn special_of_bridges(key: &str) -> Special {
    match key {
        "group_fwd_mask" => values(["16384", "8"]),
        "mcast_router" => values(["2", "0"]),
        "mcast_last_member_count" => shown("mcast_last_member_cnt"),
        "mcast_startup_query_count" => shown("mcast_startup_query_cnt"),
        "mcast_last_member_interval" => shown("mcast_last_member_intvl"),
        "mcast_membership_interval" => shown("mcast_membership_intvl"),
        "mcast_querier_interval" => shown("mcast_querier_intvl"),
        "mcast_query_interval" => shown("mcast_query_intvl"),
        "mcast_query_response_interval" => shown("mcast_query_response_intvl"),
        "mcast_startup_query_interval" => shown("mcast_startup_query_intvl"),
        _ => Special::default(),
    }
}

/// What a kind's own table must say, in a document, whatever else is tried.
fn required(kind: &Kind, except: &[&str]) -> String {
    let values = [
        ("dev", "'below'"),
        ("id", "42"),
        ("table", "100"),
        ("local", "'192.0.2.1'"),
        ("remote", "'192.0.2.2'"),
    ];
    let is_tunnel = kind.position("remote").is_some();
    let given = values.iter().filter(|(name, _)| {
        let key = kind.position(name).map(|at| &kind.keys[at]);
        let is_wanted = key.is_some_and(|key| key.required) || (is_tunnel && *name != "dev");
        key.is_some() && is_wanted && !except.contains(name)
    });
    given.map(|(name, value)| format!("{name} = {value}, ")).collect()
}

/// Two values to try, as a document writes them: not the default first.
fn tried(key: &Key, special: Special) -> [String; 2] {
    if !special.values[0].is_empty() {
        return special.values.map(str::to_owned);
    }
    match key.value {
        ValueType::Bool if key.default == Some("true") => ["false".into(), "true".into()],
        ValueType::Bool => ["true".into(), "false".into()],
        ValueType::Number { min, max } => {
            // Multiples of a tenth of a second: no kernel's ticks round them.
            let step = if key.unit == Some("1/100 s") { 40 } else { 1 };
            let first = if min == 0 { 2 * step } else { min + step };
            [first.min(max).to_string(), (first + step).min(max).to_string()]
        }
        ValueType::Word(words) => {
            let others = words.iter().map(|(word, _)| *word);
            let mut others = others.filter(|word| Some(*word) != key.default);
            let first = others.next().expect("two words");
            [format!("'{first}'"), format!("'{}'", others.next().or(key.default).expect("two"))]
        }
        ValueType::Address | ValueType::Ipv4Address => {
            ["'198.51.100.1'".into(), "'198.51.100.2'".into()]
        }
        ValueType::Ports => ["'40000-50000'".into(), "'50000-50001'".into()],
        ValueType::Lower => ["'below'".into(), "'below2'".into()],
        ValueType::Peer | ValueType::Netns => unreachable!("no setting that `ip` shows"),
    }
}

/// What a document's value is to `ip`, in one form.
fn as_shown(key: &Key, value: &str) -> String {
    let value = value.trim_matches('\'');
    match (key.name, value) {
        ("ikey" | "okey", number) => format!("0.0.0.{number}"),
        _ => value.to_owned(),
    }
}

/// What `ip -j` shows, in that form: numbers may be hexadecimal text, and what is not shown is off.
fn normalised(key: &Key, shown: &Json) -> String {
    let text = match shown {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    match key.value {
        ValueType::Bool => match text.as_str() {
            "true" | "1" | "on" => "true".into(),
            "null" | "false" | "0" | "off" => "false".into(),
            _ => text,
        },
        ValueType::Ports => format!("{}-{}", shown["low"], shown["high"]),
        ValueType::Netns => name_of_netns(shown),
        ValueType::Number { .. } => match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).expect("a number").to_string(),
            None if text == "null" => "0".into(),
            None => text,
        },
        _ => text,
    }
}

/// The name of the namespace that `ip` shows by its number.
fn name_of_netns(nsid: &Json) -> String {
    let list = ip_json("netns list-id");
    let known = list.iter().find(|known| known["nsid"] == *nsid);
    known.and_then(|known| known["name"].as_str()).unwrap_or("none").to_owned()
}

/// The value of a key at the place where `ip` shows it: in `data`, or, after a slash, in the link
/// itself; `a/B` is whether the list `a` has `B`.
fn found(key: &Key, name: &str, link: &Json, data: &Json) -> String {
    if key.name == "flags" {
        let words = ["private", "vepa", "bridge"];
        let word = words.iter().find(|word| data[**word] != Json::Null || data["flags"] == **word);
        return word.map_or("none".into(), |word| (*word).to_owned());
    }
    if let Some((family @ ("ipv4" | "ipv6"), own)) = key.name.split_once('.') {
        if key.name == "ipv6.addr_gen_mode" {
            return normalised(key, &link["inet6_addr_gen_mode"]);
        }
        let file = if key.name == "ipv6.disable" { "disable_ipv6" } else { own };
        let link = link["ifname"].as_str().expect("a name");
        let path = format!("/proc/sys/net/{family}/conf/{link}/{file}");
        let text = std::fs::read_to_string(path).expect("a sysctl");
        return normalised(key, &Json::from(text.trim()));
    }
    match name.split_once('/') {
        Some(("", name)) if name.contains('/') => {
            let (list, word) = name.split_once('/').expect("a slash");
            let is_wanted = !word.starts_with('!');
            let word = word.trim_start_matches('!');
            let has = link[list].as_array().is_some_and(|list| list.iter().any(|it| it == word));
            (has == is_wanted).to_string()
        }
        Some(("", name)) => normalised(key, &link[name]),
        Some((list, word)) => {
            let has = data[list].as_array().is_some_and(|list| list.iter().any(|it| it == word));
            has.to_string()
        }
        None => normalised(key, &data[name]),
    }
}

/// How each document here begins.
const OWNER: &str = "version = 1\n[owner]\nname = 'keys'\n";

/// Applies a document; what the report says of it. `None` where the kernel has no such kind.
fn applied(applier: &mut Applier, text: &str, recreates: bool) -> Option<Result<(), String>> {
    let desired = Desired::from_toml("test.toml", &format!("{OWNER}{text}"));
    let desired = desired.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let desired = if recreates { desired.with_recreation() } else { desired };
    let report = applier.apply(&desired).expect("it goes on");
    for attempt in &report.attempts {
        if let Outcome::Refused(refusal) = &attempt.outcome {
            // EOPNOTSUPP, as for an unknown kind.
            if refusal.errno == 95 && matches!(attempt.step.change, Change::CreateLink(_)) {
                return None;
            }
        }
    }
    Some(if report.converged { Ok(()) } else { Err(format!("{report:#?}")) })
}

fn observed_has(applier: &Applier, link: &str, key: &Key, is_port: bool) -> bool {
    let found = applier.observed().links().find(|found| found.name.to_string() == link);
    let found = found.unwrap_or_else(|| panic!("no link {link}"));
    let settings = if is_port { found.port.map(|port| port.widened()) } else { found.settings };
    let settings = settings.filter(|settings| settings.by_name(key.name).is_some());
    let settings = settings.or(Some(found.common.widened()));
    settings.is_some_and(|settings| settings.by_name(key.name).is_some())
}

/// Tries one key: its first value, its second, and whether each is what `ip` shows.
///
/// `document` makes the whole of the kind's table, or of the port's.
fn try_key(
    applier: &mut Applier,
    key: &Key,
    table: &Kind,
    link: &str,
    document: &dyn Fn(&str) -> String,
) {
    let is_port = table.name.ends_with("_slave");
    let special = special(table.name, key.name);
    let name = if special.shown.is_empty() { key.name } else { special.shown };
    let what = format!("{} {}", table.name, key.name);
    let shown = || {
        let link = links().remove(link).unwrap_or_else(|| panic!("{what}: no link {link}"));
        let data = if is_port { "info_slave_data" } else { "info_data" };
        let data = link["linkinfo"][data].clone();
        (found(key, name, &link, &data), format!("{link:#}"))
    };
    let values = tried(key, special);
    for (at, value) in values.iter().enumerate() {
        let table = format!("{}{} = {value}", special.beside, key.name);
        let text = document(&table);
        if at > 0 && key.only_at_creation {
            let refused = applied(applier, &text, false).expect("the kind is known by now");
            let reason = refused.expect_err("it cannot be set");
            assert!(reason.contains("OnlyAtCreation"), "{what}: {reason}");
            assert_eq!(shown().0, as_shown(key, &values[0]), "{what}: left alone");
        }
        let Some(result) = applied(applier, &text, at > 0) else {
            eprintln!("skipped: {what}: this kernel refuses it");
            return;
        };
        if result.is_err() && !observed_has(applier, link, key, is_port) {
            eprintln!("skipped: {what}: this kernel does not show it");
            return;
        }
        result.unwrap_or_else(|report| panic!("{what} = {value}: {report}"));
        let (shown, link) = shown();
        // That it is so is known by our own reading alone, where `ip` is older than the key.
        if !IP_MAY_LACK.contains(&key.name) || link.contains(&format!("\"{name}\"")) {
            assert_eq!(shown, as_shown(key, value), "{what} = {value}: {link}");
        }
        let desired = Desired::from_toml("test.toml", &format!("{OWNER}{text}"));
        let plan = applier.plan(&desired.expect("a valid document")).expect("a plan");
        assert!(plan.is_empty(), "{what} = {value}: {plan:#?}");
        exported(applier, &format!("{what} = {value}"));
    }
}

/// What is there, written as a document, is what is there.
fn exported(applier: &mut Applier, what: &str) {
    let text = Desired::export(applier.observed(), |_| true);
    let desired = Desired::from_toml("export.toml", &text);
    let desired = desired.unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    let plan = applier.plan(&desired).expect("a plan");
    assert!(plan.is_empty(), "{what}: {plan:#?}\n{text}");
}

/// What the owner of all documents here has made goes, and nothing else.
fn destroyed(applier: &mut Applier) {
    let owner = Desired::from_toml("owner.toml", OWNER).expect("a valid document");
    let report = applier.apply(&owner.destroyed().expect("an owner")).expect("it goes on");
    assert!(report.converged, "{report:#?}");
    let left = links();
    assert!(!["x0", "m0", "v0"].iter().any(|made| left.contains_key(*made)), "{left:#?}");
}

fn ground() {
    for name in ["below", "below2"] {
        ip(&format!("link add {name} type ifb"));
        ip(&format!("link set {name} up"));
    }
}

/// Every key of a kind, each on a link of its own.
fn every_key(test: &str, kind: &str) {
    in_namespace(test, || {
        ground();
        let kind = Kind::by_name(kind.as_bytes()).expect("a kind");
        let mut applier = Applier::builder().open().expect("a ring");
        let bare =
            format!("[link.x0]\nkind = '{0}'\n{0} = {{ {1} }}\n", kind.name, required(kind, &[]));
        let bare = bare.replace(", }", " }");
        if kind.has_peer() {
            return;
        }
        let Some(result) = applied(&mut applier, &bare, false) else {
            eprintln!("skipped: this kernel cannot make a {}", kind.name);
            return;
        };
        result.unwrap_or_else(|report| panic!("{}: {report}", kind.name));
        assert_eq!(links()["x0"]["linkinfo"]["info_kind"], kind.name);
        for key in kind.keys {
            // What the last key left, where this kernel could make it.
            destroyed(&mut applier);
            let special = special(kind.name, key.name);
            let mut given = vec![key.name];
            given.extend(special.beside.split(", ").filter_map(|it| Some(it.split_once(" = ")?.0)));
            let others = required(kind, &given);
            let document = |own: &str| format!("[link.x0]\n{} = {{ {others}{own} }}\n", kind.name);
            try_key(&mut applier, key, kind, "x0", &document);
        }
        destroyed(&mut applier);
    });
}

#[test]
fn the_namespace_of_a_peer() {
    with_own_names(|| {
        let kind = Kind::by_name(b"veth").expect("a kind");
        let key = &kind.keys[kind.position("peer_netns").expect("a key")];
        ip("netns add blue");
        ip("netns add red");
        let mut applier = Applier::builder().open().expect("a ring");
        let document = |own: &str| format!("[link.x0]\nveth = {{ peer = 'q0', {own} }}\n");
        try_key(&mut applier, key, kind, "x0", &document);
        destroyed(&mut applier);
    });
}

/// Every key of a kind's ports, all on one port.
fn every_key_of_ports(test: &str, kind: &str, beside: &str) {
    in_namespace(test, || {
        let kind = Kind::by_name(kind.as_bytes()).expect("a kind");
        let port = kind.port.expect("a table");
        let mut applier = Applier::builder().open().expect("a ring");
        for key in port.keys {
            let document = |own: &str| {
                format!(
                    "[link.m0]\n{} = {{ {beside} }}\n\
                     [link.v0]\nveth = {{ peer = 'q0' }}\nmaster = 'm0'\nport = {{ {own} }}\n",
                    kind.name
                )
            };
            if applied(&mut applier, &document(""), false).is_none() {
                eprintln!("skipped: this kernel cannot make a {}", kind.name);
                return;
            }
            try_key(&mut applier, key, port, "v0", &document);
        }
        destroyed(&mut applier);
    });
}

macro_rules! kinds {
    ($($kind:ident: $test:ident,)*) => {
        const TESTED: &[&str] = &[$(stringify!($kind)),*];
        $(
            #[test]
            fn $test() {
                every_key(stringify!($test), stringify!($kind));
            }
        )*
    };
}

kinds! {
    bond: every_key_of_a_bond,
    bridge: every_key_of_a_bridge,
    dummy: every_key_of_a_dummy,
    geneve: every_key_of_a_geneve,
    gre: every_key_of_a_gre,
    gretap: every_key_of_a_gretap,
    ifb: every_key_of_an_ifb,
    ipip: every_key_of_an_ipip,
    ipvlan: every_key_of_an_ipvlan,
    macvlan: every_key_of_a_macvlan,
    macvtap: every_key_of_a_macvtap,
    sit: every_key_of_a_sit,
    veth: every_key_of_a_veth,
    vlan: every_key_of_a_vlan,
    vrf: every_key_of_a_vrf,
    vxlan: every_key_of_a_vxlan,
    wireguard: every_key_of_a_wireguard,
}

#[test]
fn every_kind_is_tested() {
    let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.name).collect();
    assert_eq!(TESTED, all);
}

#[test]
fn every_key_of_a_bridges_port() {
    every_key_of_ports("every_key_of_a_bridges_port", "bridge", "");
}

#[test]
fn every_key_of_a_bonds_port() {
    every_key_of_ports("every_key_of_a_bonds_port", "bond", "mode = 'active-backup'");
}

#[test]
fn every_key_of_every_link() {
    in_namespace("every_key_of_every_link", || {
        let mut applier = Applier::builder().open().expect("a ring");
        for key in Kind::LINK.keys {
            let document = |own: &str| format!("[link.v0]\nveth = {{ peer = 'q0' }}\n{own}\n");
            try_key(&mut applier, key, Kind::LINK, "v0", &document);
            destroyed(&mut applier);
        }
        // On a device that is not ours, and all at once.
        ip("link add i0 type ifb");
        let text = "[link.i0]\nstate = 'up'\ntxqueuelen = 7\narp = true\npromisc = true\n\
                    ipv4 = { forwarding = true, rp_filter = 2 }\nipv6 = { addr_gen_mode = 'none' }\n";
        let result = applied(&mut applier, text, false).expect("a link");
        result.unwrap_or_else(|report| panic!("{report}"));
        let link = &links()["i0"];
        assert_eq!((&link["txqlen"], &link["inet6_addr_gen_mode"]), (&7.into(), &"none".into()));
    });
}

#[test]
fn what_can_be_set_of_every_link_is_put_back() {
    in_namespace("what_can_be_set_of_every_link_is_put_back", || {
        ip("link add i0 type ifb");
        let text = "version = 1\n[link.i0]\nstate = 'up'\ntxqueuelen = 7\npromisc = true\n\
                    multicast = true\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let keeper = Keeper::spawn(Keeper::builder(desired)).expect("a ring");
        let is_as_declared = || {
            let link = links().remove("i0").expect("a link");
            let has =
                |flag: &str| link["flags"].as_array().expect("flags").iter().any(|it| it == flag);
            has("PROMISC") && has("MULTICAST") && link["txqlen"] == 7
        };
        assert!(eventually(PATIENCE, is_as_declared));
        // A change of the limits is told only with other news of the link.
        for drift in ["promisc off", "txqueuelen 9", "multicast off"] {
            ip(&format!("link set i0 {drift}"));
            assert!(eventually(PATIENCE, is_as_declared), "{drift}");
        }
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn an_applier_that_is_done_leaves_alone_what_comes_after() {
    in_namespace("an_applier_that_is_done_leaves_alone_what_comes_after", || {
        let text = "version = 1\n[link.br0]\nkind = 'bridge'\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut applier = Applier::builder().open().expect("a ring");
        assert!(applier.apply(&desired).expect("a bridge").converged);
        ip("link del br0");
        let plan = applier.plan(&desired).expect("a plan");
        assert_eq!(plan.steps.len(), 1, "{plan:#?}");
        assert!(!links().contains_key("br0"), "it was asked for a plan alone");
    });
}

#[test]
fn a_word_for_both_directions_sets_both() {
    in_namespace("a_word_for_both_directions_sets_both", || {
        let text = |words: &str| format!("[link.x0]\ngre = {{ remote = '192.0.2.2', {words} }}\n");
        let one = |words: &str| {
            Desired::from_toml("test.toml", &format!("version = 1\n{}", text(words)))
                .expect("valid")
        };
        assert_eq!(
            one("key = 7, csum = true"),
            one("ikey = 7, okey = 7, icsum = true, ocsum = true")
        );
        let mut applier = Applier::builder().open().expect("a ring");
        let Some(result) = applied(&mut applier, &text("key = 7, seq = true"), false) else {
            eprintln!("skipped: this kernel cannot make a gre");
            return;
        };
        result.unwrap_or_else(|report| panic!("{report}"));
        let data = &links()["x0"]["linkinfo"]["info_data"];
        assert_eq!((&data["ikey"], &data["okey"]), (&"0.0.0.7".into(), &"0.0.0.7".into()));
    });
}

#[test]
fn a_bond_takes_ports_that_are_up() {
    in_namespace("a_bond_takes_ports_that_are_up", || {
        ip("link add v1 type veth peer name q1");
        ip("link set v1 up");
        let mut applier = Applier::builder().open().expect("a ring");
        let text = "[link.b0]\nbond = { mode = 'active-backup', miimon = 100 }\n\
                    [link.v0]\nveth = { peer = 'q0' }\nmaster = 'b0'\n\
                    [link.v1]\nmaster = 'b0'\nstate = 'up'\nport = { queue_id = 3 }\n";
        let Some(result) = applied(&mut applier, text, false) else {
            eprintln!("skipped: this kernel cannot make a bond");
            return;
        };
        result.unwrap_or_else(|report| panic!("{report}"));
        for port in ["v0", "v1"] {
            let link = &links()[port];
            assert_eq!(link["master"], "b0", "{port}");
            assert!(link["flags"].as_array().is_some_and(|it| it.iter().any(|it| it == "UP")));
        }
        assert_eq!(links()["v1"]["linkinfo"]["info_slave_data"]["queue_id"], 3);
        // What only a bond that is down takes, while it is up and has ports.
        let lacp = |rate: &str| {
            text.replace(
                "mode = 'active-backup', miimon = 100",
                &format!("mode = '802.3ad', miimon = 100, lacp_rate = '{rate}'"),
            )
        };
        for rate in ["slow", "fast"] {
            let result = applied(&mut applier, &lacp(rate), true).expect("a bond");
            result.unwrap_or_else(|report| panic!("{rate}: {report}"));
            assert_eq!(links()["b0"]["linkinfo"]["info_data"]["ad_lacp_rate"], rate);
            assert_eq!(links()["v1"]["master"], "b0", "{rate}");
        }
    });
}

#[test]
fn settings_of_a_port_are_put_back_whoever_changed_them() {
    let name = "settings_of_a_port_are_put_back_whoever_changed_them";
    in_namespace(name, || {
        let text = "version = 1\n[link.br0]\nkind = 'bridge'\n\
                    [link.v0]\nveth = { peer = 'q0' }\nmaster = 'br0'\n\
                    port = { learning = false, cost = 7 }\n[link.q0]\nstate = 'up'\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let keeper = Keeper::spawn(Keeper::builder(desired)).expect("a ring");
        let is_as_declared = || {
            let links = links();
            let Some(port) = links.get("v0").map(|link| &link["linkinfo"]["info_slave_data"])
            else {
                return false;
            };
            port["learning"] == false && port["cost"] == 7
        };
        assert!(eventually(PATIENCE, is_as_declared), "{:#?}", keeper.status());
        ip("link set v0 type bridge_slave learning on");
        assert!(eventually(PATIENCE, is_as_declared), "by ip link");
        // The bridge itself tells of this one, in a message of family AF_BRIDGE alone.
        let words = ["link", "set", "dev", "v0", "cost", "9", "learning", "on"];
        let status = std::process::Command::new("bridge").args(words).status();
        assert!(status.expect("the tests need `bridge` of iproute2").success());
        assert!(eventually(PATIENCE, is_as_declared), "by bridge link");
        ip("link set v0 nomaster");
        assert!(eventually(PATIENCE, is_as_declared), "after it left");
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn a_link_of_another_kind_is_made_anew_only_where_that_is_allowed() {
    let name = "a_link_of_another_kind_is_made_anew_only_where_that_is_allowed";
    in_namespace(name, || {
        ip("link add x0 type ifb");
        ip("link add x1 link x0 type macvlan mode bridge");
        ip("link set x0 up");
        ip("addr add 198.51.100.1/24 dev x0");
        let mut applier = Applier::builder().open().expect("a ring");
        let text = "[link.x0]\nkind = 'bridge'\naddresses = ['192.0.2.1/24']\n";
        let refused = applied(&mut applier, text, false).expect("a bridge");
        assert!(refused.is_err_and(|report| report.contains("OtherKind")));
        assert_eq!(links()["x0"]["linkinfo"]["info_kind"], "ifb");
        let desired = Desired::from_toml("test.toml", &format!("version = 1\n{text}"));
        let desired = desired.expect("a valid document").with_recreation();
        let plan = applier.plan(&desired).expect("a plan");
        let first = &plan.steps[0];
        assert!(first.is_recreation(), "{plan:#?}");
        let along: Vec<_> = first.also_removes.iter().map(ToString::to_string).collect();
        assert!(along.contains(&"link x1".to_owned()), "{along:?}");
        assert!(along.contains(&"address 198.51.100.1/24 dev x0".to_owned()), "{along:?}");
        let result = applied(&mut applier, text, true).expect("a bridge");
        result.unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(links()["x0"]["linkinfo"]["info_kind"], "bridge");
        assert_eq!(common::addresses_of("x0")[0], "192.0.2.1/24");
        assert!(!links().contains_key("x1"), "it went along, as was said");
    });
}

#[test]
fn a_keeper_that_may_makes_a_link_anew_that_someone_replaced() {
    let name = "a_keeper_that_may_makes_a_link_anew_that_someone_replaced";
    in_namespace(name, || {
        let text = "version = 1\n[link.x0]\nkind = 'bridge'\naddresses = ['192.0.2.1/24']\n\
                    [[route]]\nto = '198.51.100.0/24'\nvia = '192.0.2.2'\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let keeper = Keeper::builder(desired.with_recreation());
        let keeper = Keeper::spawn(keeper).expect("a ring");
        let is_as_declared = || {
            let is_bridge =
                links().get("x0").is_some_and(|link| link["linkinfo"]["info_kind"] == "bridge");
            is_bridge && ip("route show 198.51.100.0/24").contains("via 192.0.2.2")
        };
        assert!(eventually(PATIENCE, is_as_declared), "{:#?}", keeper.status());
        // The keeper may be faster with the name: then it is tried again.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let batch = folder.path().join("batch");
        std::fs::write(&batch, "link del x0\nlink add x0 type ifb\n").expect("writable");
        let replace = || {
            let ip = Command::new("ip").arg("-batch").arg(&batch).status();
            ip.is_ok_and(|status| status.success())
        };
        assert!(eventually(4 * PATIENCE, replace), "the name is never free");
        assert!(eventually(4 * PATIENCE, is_as_declared), "{:#?}", keeper.status());
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn a_pair_with_another_end_is_made_anew_only_where_that_is_allowed() {
    let name = "a_pair_with_another_end_is_made_anew_only_where_that_is_allowed";
    in_namespace(name, || {
        ip("link add v0 type veth peer name other");
        ip("link add p0 type veth peer name stray");
        let mut applier = Applier::builder().open().expect("a ring");
        let text = "[link.v0]\nveth = { peer = 'p0' }\n[link.p0]\nmtu = 1400\nstate = 'up'\n";
        let refused = applied(&mut applier, text, false).expect("a pair");
        assert!(refused.is_err(), "two ends of other pairs have the names");
        assert_eq!(links()["v0"]["link"], "other");
        let result = applied(&mut applier, text, true).expect("a pair");
        result.unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(links()["v0"]["link"], "p0");
        assert_eq!(links()["p0"]["mtu"], 1400);
        assert!(!links().contains_key("other") && !links().contains_key("stray"));
    });
}

#[test]
fn a_device_that_nobody_made_is_never_deleted() {
    in_namespace("a_device_that_nobody_made_is_never_deleted", || {
        let mut applier = Applier::builder().open().expect("a ring");
        let desired = Desired::from_toml("test.toml", "version = 1\n[link.lo]\nkind = 'bridge'\n");
        let desired = desired.expect("a valid document").with_recreation();
        let plan = applier.plan(&desired).expect("a plan");
        assert!(plan.steps.is_empty(), "{plan:#?}");
        assert!(matches!(plan.blocked[0].reason, Reason::OtherKind { .. }), "{plan:#?}");
    });
}
