//! Neighbours, rules, next hops, netconf and namespace ids: what a watcher shows of them when all
//! is quiet is what `ip` shows, and its events add up to it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{eventually, in_namespace, ip, ip_json};
use ringlink::model::neighbour::{FLAG_NAMES, NUD_FAILED, STATE_NAMES};
use ringlink::model::netconf::{NetconfScope, RP_FILTER_NAMES};
use ringlink::model::network::{Network, Table, Tables};
use ringlink::model::object::{Cause, Event, Object, What};
use ringlink::model::route::Route;
use ringlink::model::rule::{FIB_RULE_INVERT, PortRange, Rule};
use ringlink::{Batch, Watcher, WatcherBuilder};
use serde_json::Value;

/// How long the watcher may take to agree, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watcher, and what its events add up to.
struct World {
    watcher: Watcher,
    batch: Batch,
    folded: Network,
    events: Vec<Event>,
}

impl World {
    fn open(builder: WatcherBuilder) -> Self {
        let watcher = builder.open().expect("a watcher");
        let (batch, folded) = (Batch::default(), Network::default());
        let mut world = Self { watcher, batch, folded, events: Vec::new() };
        assert!(world.watcher.sync(&mut world.batch).expect("a whole state"));
        world.take();
        world
    }

    fn take(&mut self) {
        for event in self.batch.drain() {
            self.folded.fold(&event.what);
            self.events.push(event);
        }
    }

    /// Reads what has been told, and waits a moment for more.
    fn read(&mut self) {
        loop {
            let deadline = Instant::now() + Duration::from_millis(20);
            self.watcher.next_before(&mut self.batch, Some(deadline)).expect("it goes on");
            if self.batch.is_empty() {
                return;
            }
            self.take();
        }
    }

    /// Waits until `holds` of the events since the last time that they were cleared.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let reached = eventually(PATIENCE, || {
            self.read();
            holds(self)
        });
        assert!(reached, "{what}: {:#?}", self.events);
    }

    /// Waits until what it shows is what `ip` shows, and checks that its events say the same.
    fn rest(&mut self, when: &str) {
        let mut differing = Vec::new();
        let agree = eventually(PATIENCE, || {
            self.read();
            differing = differences(self.watcher.observed());
            differing.is_empty()
        });
        assert!(agree, "{when}: {differing:#?}");
        assert!(self.folded == *self.watcher.observed(), "{when}: the events say something else");
    }
}

fn differences(network: &Network) -> Vec<String> {
    let mut differing = neighbours(network);
    for (ours, theirs) in [
        (network.rules().map(rule).collect(), rules_of_ip()),
        (nexthops(network), nexthops_of_ip()),
        (netconf(network), netconf_of_ip()),
        (network.nsids().map(|it| format!("nsid {}", it.id)).collect(), nsids_of_ip()),
        (routes(network), routes_of_ip()),
    ] {
        let ours: BTreeSet<String> = ours;
        differing.extend(theirs.difference(&ours).map(|it| format!("only ip: {it}")));
        differing.extend(ours.difference(&theirs).map(|it| format!("only ours: {it}")));
    }
    differing
}

fn dev(network: &Network, index: u32) -> String {
    network.name_of(index).map_or_else(|| "-".to_owned(), |name| name.to_string())
}

fn word(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn has(value: &Value, key: &str) -> bool {
    value.as_object().is_some_and(|object| object.contains_key(key))
}

/// What differs among the neighbours. The kernel does not announce the ways into delay and into
/// being asked for.
fn neighbours(network: &Network) -> Vec<String> {
    let of_key = |it: &ringlink::model::neighbour::Neighbour| {
        (format!("{} dev {}", it.key.address, dev(network, it.key.index)), *it)
    };
    let mut ours: BTreeMap<_, _> = network.neighbours().map(of_key).collect();
    let mut differing = Vec::new();
    for theirs in ip_json("neigh show") {
        let key = format!("{} dev {}", word(&theirs, "dst"), word(&theirs, "dev"));
        let states = theirs["state"].as_array().map_or(&[][..], Vec::as_slice);
        let state = states.first().and_then(Value::as_str).unwrap_or("NONE");
        let found = ours.remove(&key);
        if matches!(state, "INCOMPLETE" | "NONE") {
            if found.is_some_and(|it| it.state != NUD_FAILED) {
                differing.push(format!("neighbour {key} is {state} to ip: {found:?}"));
            }
            continue;
        }
        let Some(found) = found else {
            differing.push(format!("neighbour {key} {state} is lacking"));
            continue;
        };
        let name = STATE_NAMES.iter().find(|(bit, _)| found.state == *bit);
        let name = name.map_or("NONE", |(_, name)| name);
        let has_state = match state {
            "DELAY" => matches!(name, "REACHABLE" | "STALE"),
            state => name == state,
        };
        let has_flags =
            FLAG_NAMES.iter().all(|(bit, name)| (found.flags & bit != 0) == has(&theirs, name));
        let mac = found.mac.map(|mac| mac.to_string());
        if !has_state || !has_flags || mac.as_deref() != theirs["lladdr"].as_str() {
            differing.push(format!("{found:?} is to ip: {theirs}"));
        }
    }
    differing.extend(ours.into_keys().map(|key| format!("neighbour {key} is unknown to ip")));
    differing
}

fn ports(ports: Option<PortRange>) -> String {
    ports.map_or_else(|| "-".to_owned(), |ports| format!("{}-{}", ports.first, ports.last))
}

fn rule(it: &Rule) -> String {
    let prefix = |prefix: Option<ringlink::model::address::Prefix>| match prefix {
        None => "all".to_owned(),
        Some(prefix) => prefix.to_string(),
    };
    let name = |bytes: &[u8]| match bytes {
        [] => "-".to_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    };
    let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    format!(
        "rule {} {} not {} from {} to {} iif {} oif {} mark {:#x}/{:#x} tos {:#x} proto {} \
         sport {} dport {} uid {:?} tun {} l3mdev {} action {} table {} goto {} suppress {} {} \
         realms {} by {}",
        if it.is_ipv6 { "-6" } else { "-4" },
        it.priority,
        it.flags & FIB_RULE_INVERT != 0,
        prefix(it.src),
        prefix(it.dst),
        name(it.iif.as_bytes()),
        name(it.oif.as_bytes()),
        it.fwmark,
        it.fwmask,
        it.tos,
        it.ip_protocol,
        ports(it.source_ports),
        ports(it.destination_ports),
        it.uids,
        it.tunnel_id,
        it.l3mdev,
        it.action,
        it.table,
        it.goto,
        number(it.suppress_prefix_len),
        number(it.suppress_group),
        it.realms,
        it.protocol,
    )
}

fn number_of(value: &Value, key: &str) -> u32 {
    let text = word(value, key);
    let text = text.trim_start_matches("ipproto-");
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).expect("a number"),
        None => text.parse().unwrap_or(0),
    }
}

fn rules_of_ip() -> BTreeSet<String> {
    let of = |family: &str| -> Vec<String> {
        let rules = ip_json(&format!("-N -d {family} rule show"));
        rules.iter().map(|it| rule_of_ip(family, it)).collect()
    };
    of("-4").into_iter().chain(of("-6")).collect()
}

fn rule_of_ip(family: &str, it: &Value) -> String {
    let prefix = |key: &str| match word(it, key).as_str() {
        "-" | "all" => "all".to_owned(),
        address => {
            let whole = if address.contains(':') { 128 } else { 32 };
            format!("{address}/{}", it[format!("{key}len")].as_u64().unwrap_or(whole))
        }
    };
    let ports = |key: &str| match (&it[key], &it[format!("{key}_start")]) {
        (Value::Null, Value::Null) => "-".to_owned(),
        (Value::Null, first) => format!("{first}-{}", it[format!("{key}_end")]),
        (port, _) => format!("{port}-{port}"),
    };
    let uids = it["uid_start"].as_u64().zip(it["uid_end"].as_u64());
    let mark = number_of(it, "fwmark");
    let mask = match has(it, "fwmask") {
        true => number_of(it, "fwmask"),
        // Left out where it is whole.
        false if mark != 0 => u32::MAX,
        false => 0,
    };
    let action = match () {
        () if has(it, "goto") => 2,
        () if has(it, "nop") => 3,
        () if has(it, "action") => number_of(it, "action"),
        () => 1,
    };
    let realms = number_of(it, "flow_from") << 16 | number_of(it, "flow_to");
    format!(
        "rule {family} {} not {} from {} to {} iif {} oif {} mark {mark:#x}/{mask:#x} tos {:#x} \
         proto {} sport {} dport {} uid {uids:?} tun {} l3mdev {} action {action} table {} \
         goto {} suppress {} {} realms {realms} by {}",
        it["priority"],
        has(it, "not"),
        prefix("src"),
        prefix("dst"),
        word(it, "iif"),
        word(it, "oif"),
        number_of(it, "tos"),
        number_of(it, "ipproto"),
        ports("sport"),
        ports("dport"),
        number_of(it, "tun_id"),
        has(it, "l3mdev"),
        number_of(it, "table"),
        number_of(it, "goto"),
        word(it, "suppress_prefixlen"),
        word(it, "suppress_ifgroup"),
        number_of(it, "protocol"),
    )
}

fn nexthops(network: &Network) -> BTreeSet<String> {
    let line = |it: &ringlink::model::nexthop::Nexthop| {
        let group = it.group.iter().map(|member| format!("{}x{}", member.id, member.weight));
        let group: Vec<_> = group.collect();
        let via = it.via.map_or_else(|| "-".to_owned(), |via| via.to_string());
        format!(
            "nexthop {} via {via} dev {} scope {} by {} blackhole {} fdb {} group {group:?} \
             resilient {} onlink {}",
            it.id,
            dev(network, it.dev),
            it.scope,
            it.protocol,
            it.blackhole,
            it.fdb,
            it.group_type == 1,
            it.flags & 4 != 0,
        )
    };
    network.nexthops().map(line).collect()
}

fn nexthops_of_ip() -> BTreeSet<String> {
    let line = |it: &Value| {
        let group = it["group"].as_array().into_iter().flatten();
        let group: Vec<_> = group
            .map(|member| format!("{}x{}", member["id"], member["weight"].as_u64().unwrap_or(1)))
            .collect();
        let flags = it["flags"].as_array().into_iter().flatten();
        format!(
            "nexthop {} via {} dev {} scope {} by {} blackhole {} fdb {} group {group:?} \
             resilient {} onlink {}",
            it["id"],
            word(it, "gateway"),
            word(it, "dev"),
            number_of(it, "scope"),
            number_of(it, "protocol"),
            has(it, "blackhole"),
            has(it, "fdb"),
            it["type"] == "resilient",
            flags.into_iter().any(|flag| flag == "onlink"),
        )
    };
    ip_json("-N -d nexthop show").iter().map(line).collect()
}

fn netconf(network: &Network) -> BTreeSet<String> {
    let switch = |value: Option<i32>| value.map(|value| value != 0);
    let line = |it: &ringlink::model::netconf::Netconf| {
        let interface = match it.key.scope {
            NetconfScope::All => "all".to_owned(),
            NetconfScope::Default => "default".to_owned(),
            NetconfScope::Link(index) => dev(network, index),
        };
        let rp_filter = it.rp_filter.map_or("-", |it| RP_FILTER_NAMES[it as usize]);
        format!(
            "netconf {} {interface} {:?} {rp_filter} {:?} {:?} {:?}",
            if it.key.is_ipv6 { "inet6" } else { "inet" },
            switch(it.forwarding),
            switch(it.mc_forwarding),
            switch(it.proxy_neigh),
            switch(it.ignore_routes_with_linkdown),
        )
    };
    network.netconf().map(line).collect()
}

fn netconf_of_ip() -> BTreeSet<String> {
    let line = |it: &Value| {
        format!(
            "netconf {} {} {:?} {} {:?} {:?} {:?}",
            word(it, "family"),
            word(it, "interface"),
            it["forwarding"].as_bool(),
            word(it, "rp_filter"),
            it["mc_forwarding"].as_bool(),
            it["proxy_neigh"].as_bool(),
            it["ignore_routes_with_linkdown"].as_bool(),
        )
    };
    let is_ip = |it: &&Value| matches!(it["family"].as_str(), Some("inet" | "inet6"));
    ip_json("netconf show").iter().filter(is_ip).map(line).collect()
}

fn nsids_of_ip() -> BTreeSet<String> {
    ip_json("netns list-id").iter().map(|it| format!("nsid {}", it["nsid"])).collect()
}

/// The IPv4 routes that use a next hop object.
fn routes(network: &Network) -> BTreeSet<String> {
    let hop = |via: Option<std::net::IpAddr>, index| {
        format!(" {} {}", via.map_or("-".to_owned(), |via| via.to_string()), dev(network, index))
    };
    let line = |it: &Route| {
        let hops: String = match it.hops.is_empty() {
            true => hop(it.key.via, it.key.dev),
            false => it.hops.iter().map(|it| hop(it.via, it.dev)).collect(),
        };
        format!("route {} nhid {}{hops}", it.key.slot.to, it.nexthop_id)
    };
    let of_objects = network.routes().filter(|it| it.is_ipv4() && it.nexthop_id != 0);
    of_objects.map(line).collect()
}

fn routes_of_ip() -> BTreeSet<String> {
    let hop = |it: &Value| format!(" {} {}", word(it, "gateway"), word(it, "dev"));
    let line = |it: &Value| {
        let hops: String = match it["nexthops"].as_array() {
            Some(hops) => hops.iter().map(hop).collect(),
            None => hop(it),
        };
        format!("route {} nhid {}{hops}", word(it, "dst"), it["nhid"])
    };
    let shown = ip_json("-4 route show table all");
    shown.iter().filter(|it| has(it, "nhid")).map(line).collect()
}

/// A process in a network namespace of its own, to be the other end.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sleep", "1000"])
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare of util-linux");
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let own = of("thread-self");
        let pid = child.id().to_string();
        let arrived = eventually(PATIENCE, || of(&pid).is_some_and(|it| Some(it) != own));
        if !arrived {
            let _ = child.kill();
        }
        assert!(arrived, "it does not enter a namespace");
        Self(child)
    }

    fn ip(&self, words: &str) {
        let pid = self.0.id().to_string();
        let mut command = Command::new("nsenter");
        let command = command.args(["-t", &pid, "-n", "ip"]).args(words.split_whitespace());
        assert!(command.status().expect("nsenter of util-linux").success(), "{words}");
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes a setting below /proc/sys/net of this thread's namespace.
fn sysctl(path: &str, value: &str) {
    let path = format!("/proc/sys/net/{path}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Runs many `ip` commands in one process; what fails, fails.
fn try_batch(lines: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), lines).expect("a writable file");
    let mut command = Command::new("ip");
    let command = command.args(["-force", "-batch"]).arg(file.path());
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("ip of iproute2");
}

fn make_links() {
    ip("link add v0 type veth peer name v1");
    ip("link add v2 type veth peer name v3");
    for link in ["v0", "v1", "v2", "v3"] {
        ip(&format!("link set {link} up"));
    }
    ip("addr add 192.0.2.1/24 dev v0");
    ip("addr add 198.51.100.1/24 dev v2");
    ip("-6 addr add 2001:db8::1/64 dev v0 nodad");
}

/// Knuth's MMIX generator: the same churn in every run, unless RINGLINK_SEED says otherwise.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("RINGLINK_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(1);
        eprintln!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// One command that changes something, if it can.
fn churn(random: &mut Random) -> String {
    let (number, id) = (random.below(12), 1 + random.below(12));
    let link = random.pick(&["v0", "v2"]);
    let net = if link == "v0" { "192.0.2" } else { "198.51.100" };
    match random.below(16) {
        0..=2 => {
            let state = random.pick(&["permanent", "reachable", "stale", "delay", "probe"]);
            let state = random.pick(&[state, state, "noarp", "incomplete"]);
            let more = random.pick(&["", "", "router", "extern_learn"]);
            format!(
                "neigh replace {net}.{} lladdr 02:00:00:00:00:{:02x} dev {link} nud {state} {more}",
                10 + number,
                random.below(3)
            )
        }
        3 => format!("neigh replace 2001:db8::{number} lladdr 02::{id:x} dev v0 nud stale"),
        // Of one that is not there yet this would not be announced.
        4 if id < 5 => format!("neigh change {net}.{} dev {link} nud failed", 10 + number),
        4 => format!("neigh del {net}.{} dev {link}", 10 + number),
        5 => {
            let more = random.pick(&["table 100", "goto 32766", "blackhole", "table 7 realms 3/4"]);
            let more =
                random.pick(&[more, "suppress_prefixlength 0 table main", "nop", "prohibit"]);
            let mark = random.pick(&["", "fwmark 7", "fwmark 7/15", "not iif v9", "oif v0"]);
            format!("rule add from 10.{number}.0.0/16 {mark} pref {id} {more}")
        }
        6 => {
            let more = random.pick(&["uidrange 5-9", "ipproto 6 sport 5-9", "dport 80", "tos 8"]);
            format!("-6 rule add to 2001:db8:{number}::/48 {more} pref {id} table {id}")
        }
        7 => format!("{} rule del pref {id}", random.pick(&["-4", "-6"])),
        8 => {
            let verb = random.pick(&["add", "replace"]);
            format!("nexthop {verb} id {id} via {net}.{} dev {link}", 100 + number)
        }
        9 => {
            let other = 1 + random.below(12);
            let weights = random.pick(&["", ",3"]);
            let how = random.pick(&["", "", "type resilient buckets 8"]);
            format!("nexthop replace id {} group {id}{weights}/{other} {how}", 20 + number)
        }
        10 => format!("nexthop add id {} {}", 40 + number, random.pick(&["blackhole", "dev v0"])),
        11 => format!("nexthop del id {}", random.pick(&["1", "3", "5", "21", "23", "41"])),
        12 => format!("route replace 10.{number}.0.0/16 nhid {}", random.pick(&["1", "3", "21"])),
        13 => format!("route del 10.{number}.0.0/16"),
        14 => format!("link set {} {}", random.pick(&["v0", "v1"]), random.pick(&["up", "down"])),
        _ => format!("link set {} {}", random.pick(&["v2", "v3"]), random.pick(&["up", "down"])),
    }
}

/// Settings as someone might write them; nothing else makes the kernel announce them.
fn churn_settings(random: &mut Random) {
    let link = random.pick(&["v0", "v2", "lo", "all", "default"]);
    let value = random.pick(&["0", "1"]);
    match random.below(4) {
        0 => sysctl(&format!("ipv4/conf/{link}/forwarding"), value),
        1 => sysctl(&format!("ipv4/conf/{link}/rp_filter"), random.pick(&["0", "1", "2"])),
        2 => sysctl(&format!("ipv6/conf/{link}/forwarding"), value),
        _ => sysctl(&format!("ipv4/conf/{link}/proxy_arp"), value),
    }
}

fn batch(random: &mut Random, lines: usize) -> String {
    let mut text = String::new();
    for line in 0..lines {
        // Most of it needs a link that is up.
        if line % 20 == 0 {
            text.push_str("link set v0 up\nlink set v1 up\nlink set v2 up\nlink set v3 up\n");
        }
        let _ = writeln!(text, "{}", churn(random));
    }
    text
}

#[test]
fn at_every_quiet_point_all_tables_are_those_of_ip() {
    in_namespace("at_every_quiet_point_all_tables_are_those_of_ip", || {
        make_links();
        let mut world = World::open(Watcher::builder().tables(Tables::ALL));
        let mut random = Random::new();
        for round in 0..30 {
            let elsewhere = Elsewhere::new();
            ip(&format!("link add w{round} type veth peer name x netns {}", elsewhere.0.id()));
            try_batch(&batch(&mut random, 100));
            (0..4).for_each(|_| churn_settings(&mut random));
            world.rest(&format!("round {round}"));
            drop(elsewhere);
        }
        world.rest("at the end");
        for table in
            [Table::Nexthops, Table::Neighbours, Table::Rules, Table::Netconf, Table::Nsids]
        {
            let of_table = |event: &&Event| match &event.what {
                What::New(it) | What::Deleted(it) => it.table() == table,
                _ => false,
            };
            assert!(
                world.events.iter().filter(of_table).count() > 10,
                "{table:?} was hardly tested"
            );
        }
    });
}

#[test]
fn what_a_small_buffer_lost_is_found_again_in_every_table() {
    in_namespace("what_a_small_buffer_lost_is_found_again_in_every_table", || {
        make_links();
        let builder = Watcher::builder().tables(Tables::ALL).receive_buffer_bytes(1);
        let mut world = World::open(builder);
        let mut random = Random::new();
        for round in 0..6 {
            // Nobody reads meanwhile.
            try_batch(&batch(&mut random, 200));
            (0..10).for_each(|_| churn_settings(&mut random));
            world.rest(&format!("round {round}"));
        }
        assert!(world.watcher.counters().overruns > 0, "nothing was lost");
    });
}

#[test]
fn neighbours_that_the_kernel_asks_by_itself_are_followed() {
    in_namespace("neighbours_that_the_kernel_asks_by_itself_are_followed", || {
        let elsewhere = Elsewhere::new();
        let pid = elsewhere.0.id();
        ip(&format!("link add v0 type veth peer name v1 netns {pid}"));
        ip("link set v0 up");
        ip("addr add 192.0.2.1/24 dev v0");
        elsewhere.ip("link set v1 up");
        elsewhere.ip("addr add 192.0.2.2/24 dev v1");
        // From reachable to stale within seconds, where it is not used for longer than the delay;
        // from there to delay, and to probe a second later.
        for (name, value) in [
            ("base_reachable_time_ms", "2000"),
            ("retrans_time_ms", "20"),
            ("delay_first_probe_time", "1"),
        ] {
            sysctl(&format!("ipv4/neigh/v0/{name}"), value);
        }
        let mut world = World::open(Watcher::builder().tables(Tables::ALL));
        let socket = std::net::UdpSocket::bind("192.0.2.1:0").expect("a socket");
        let told = |world: &World, address: &str, state: &str| {
            world.events.iter().any(|event| match &event.what {
                What::New(Object::Neighbour(it))
                | What::Changed { after: Object::Neighbour(it), .. } => {
                    let name = STATE_NAMES.iter().find(|(bit, _)| it.state & bit != 0);
                    it.key.address.to_string() == address
                        && name.is_some_and(|(_, name)| *name == state)
                }
                _ => false,
            })
        };
        for (address, state) in [
            ("192.0.2.2", "REACHABLE"),
            ("192.0.2.2", "STALE"),
            ("192.0.2.3", "FAILED"),
            ("192.0.2.2", "PROBE"),
        ] {
            world.until(&format!("{address} {state}"), |world| {
                // One that is used is asked instead of growing stale. A dead port answers with an
                // error, which the next send brings.
                if state != "STALE" {
                    let _ = socket.send_to(b"x", format!("{address}:9"));
                }
                told(world, address, state)
            });
            world.rest(state);
        }
        let unannounced = |event: &Event| match &event.what {
            What::New(Object::Neighbour(it)) => it.state & 0x09 != 0,
            What::Changed { after: Object::Neighbour(it), .. } => it.state & 0x09 != 0,
            _ => false,
        };
        assert!(!world.events.iter().any(unannounced), "neither delay nor incomplete is told");
        ip("link set v0 down");
        world.until("its neighbours are gone", |world| {
            world.watcher.observed().neighbours().next().is_none()
        });
        world.rest("down");
    });
}

/// What the events say is gone, and how that was learnt.
fn gone(world: &World, table: Table) -> Vec<Cause> {
    let cause = |event: &Event| match &event.what {
        What::Deleted(object) if object.table() == table => Some(event.cause),
        _ => None,
    };
    world.events.iter().filter_map(cause).collect()
}

#[test]
fn a_lost_carrier_takes_next_hops_and_their_routes_in_silence() {
    in_namespace("a_lost_carrier_takes_next_hops_and_their_routes_in_silence", || {
        make_links();
        for line in [
            "id 5 via 192.0.2.50 dev v0",
            "id 6 via 198.51.100.6 dev v2",
            "id 7 group 5,2/6",
            "id 8 group 5",
            "id 9 via 198.51.100.9 dev v2",
            "id 10 group 9/6",
        ] {
            ip(&format!("nexthop add {line}"));
        }
        for (net, id) in [(1, 5), (2, 7), (3, 8), (4, 6), (5, 10)] {
            ip(&format!("route add 10.{net}.0.0/16 nhid {id}"));
        }
        let mut all = World::open(Watcher::builder().tables(Tables::ALL));
        all.rest("before");
        let mut three = World::open(Watcher::builder());
        let has_true_routes = |world: &World| routes(world.watcher.observed()) == routes_of_ip();
        // The routes of a group lose a hop in silence when a member of it is deleted.
        ip("nexthop del id 9");
        all.rest("a group is smaller");
        three.until("a route has one hop less", has_true_routes);
        ip("route del 10.5.0.0/16");
        ip("nexthop del id 10");
        all.rest("that group is gone");
        all.events.clear();
        ip("link set v1 down");
        all.rest("without carrier");
        assert_eq!(gone(&all, Table::Nexthops), [Cause::Derived; 2]);
        let left: Vec<_> = all.watcher.observed().nexthops().map(|it| it.id).collect();
        assert_eq!(left, [6, 7]);
        three.until("the same where next hops are not followed", has_true_routes);
        assert_eq!(three.watcher.observed().nexthops().count(), 0);

        // One that is deleted takes its routes, and they are not announced.
        all.events.clear();
        three.events.clear();
        ip("nexthop del id 6");
        all.rest("deleted");
        three.until("the routes are gone", |world| gone(world, Table::Routes).len() == 2);
        assert_eq!(gone(&three, Table::Routes)[0], Cause::Derived);
        assert!(routes(three.watcher.observed()).is_empty() && routes_of_ip().is_empty());
    });
}

#[test]
fn of_two_rules_alike_one_remains_when_the_other_goes() {
    in_namespace("of_two_rules_alike_one_remains_when_the_other_goes", || {
        let mut from_start = World::open(Watcher::builder().tables(Tables::ALL));
        let add = || {
            // `ip` would refuse the second: struct fib_rule_hdr to table 100, and FRA_PRIORITY 5.
            let payload = [2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0, 8, 0, 6, 0, 5, 0, 0, 0];
            let mut message = Vec::new();
            message.extend(36_u32.to_ne_bytes());
            message.extend(32_u16.to_ne_bytes());
            // NLM_F_REQUEST, _ACK and _CREATE, and not _EXCL.
            message.extend(0x405_u16.to_ne_bytes());
            message.extend([0; 8]);
            message.extend(payload);
            let mut socket = rtnetlink::sys::Socket::new(0).expect("a socket");
            socket.bind_auto().expect("a port");
            socket.send(&message, 0).expect("a request");
            let (answer, _) = socket.recv_from_full().expect("an answer");
            assert_eq!(answer[16..20], [0; 4], "refused");
        };
        add();
        add();
        assert_eq!(ip_json("rule show").iter().filter(|it| it["priority"] == 5).count(), 2);
        from_start.rest("two alike");
        let mut later = World::open(Watcher::builder().tables(Tables::ALL));
        later.rest("two alike, found");
        for world in [&mut from_start, &mut later] {
            world.events.clear();
        }
        ip("rule del pref 5");
        ip("rule add pref 9 table 9");
        for world in [&mut from_start, &mut later] {
            world.until("another rule is there", |world| {
                world.watcher.observed().rules().any(|it| it.priority == 9)
            });
            world.rest("one left");
            assert_eq!(gone(world, Table::Rules), []);
        }
        ip("rule del pref 5");
        for world in [&mut from_start, &mut later] {
            world.until("both are gone", |world| gone(world, Table::Rules).len() == 1);
            world.rest("none left");
        }
    });
}

#[test]
fn only_what_is_asked_for_is_followed() {
    in_namespace("only_what_is_asked_for_is_followed", || {
        make_links();
        ip("nexthop add id 5 via 192.0.2.50 dev v0");
        let tables = Tables::NONE.with(Table::Rules);
        let mut world = World::open(Watcher::builder().tables(tables));
        let observed = world.watcher.observed();
        assert_eq!(observed.rules().count(), 5);
        assert!(observed.links().count() >= 5, "links are always known");
        assert_eq!(observed.addresses().count() + observed.routes().count(), 0);
        assert_eq!(observed.netconf().count() + observed.nexthops().count(), 0);
        assert_eq!(world.watcher.counters().dumps, 2);
        ip("addr add 192.0.2.9/24 dev v0");
        ip("nexthop del id 5");
        ip("rule add pref 9 table 9");
        world.until("the rule", |world| world.watcher.observed().rules().count() == 6);
        let is_other = |event: &Event| match &event.what {
            What::New(it) | What::Deleted(it) => !matches!(it.table(), Table::Rules | Table::Links),
            _ => false,
        };
        assert!(!world.events.iter().any(is_other), "{:#?}", world.events);
    });
}

#[test]
fn unknown_messages_are_handed_out_where_asked_for_and_never_an_error() {
    in_namespace("unknown_messages_are_handed_out_where_asked_for_and_never_an_error", || {
        // RTNLGRP_MDB, whose messages are RTM_NEWMDB and RTM_DELMDB.
        let (group, new_mdb) = (26, 84);
        ip("link add b0 type bridge mcast_snooping 1");
        ip("link add v0 type veth peer name v1");
        ip("link set v0 master b0 up");
        ip("link set b0 up");
        let mut with = World::open(Watcher::builder().raw_groups(&[group]));
        let mut without = World::open(Watcher::builder());
        let mdb = ["mdb", "add", "dev", "b0", "port", "v0", "grp", "239.1.1.1", "permanent"];
        let added = Command::new("bridge").args(mdb).status();
        if !added.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no bridge command, or a kernel without multicast snooping");
            return;
        }
        let raw = |world: &World| {
            world.events.iter().any(|event| match &event.what {
                What::Raw(raw) => {
                    raw.message_type == new_mdb
                        && raw.payload.windows(4).any(|it| it == [239, 1, 1, 1])
                }
                _ => false,
            })
        };
        with.until("the message as it came", raw);
        ip("link set v0 mtu 1400");
        for world in [&mut with, &mut without] {
            world.until("it goes on", |world| {
                world.watcher.observed().links().any(|link| link.mtu == 1400)
            });
            assert_eq!(world.watcher.counters().malformed, 0);
            assert!(world.folded == *world.watcher.observed());
        }
        assert!(!without.events.iter().any(|event| matches!(event.what, What::Raw(_))));
    });
}
