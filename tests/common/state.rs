//! The network as three tellers tell it, in one form: `ip -j`, the library's `Network`, and the
//! folded lines of `ringlink watch --json`.
//!
//! What is not compared, and why, stands here and nowhere else:
//! * of links: what the library does not keep (queues, qdisc, statistics, aliases, ...);
//!   IFF_RUNNING, which `ip` only shows as NO-CARRIER; and M-DOWN, which `ip` makes up of the
//!   state of the link below;
//! * of addresses: labels, lifetimes, and IFA_PROTO, which this `ip` does not show;
//! * of routes: flags other than onlink, since they change without news; of IPv6 next hops the
//!   weight, which the library does not keep; metrics other than the priority.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringlink::model::address::{Address, FLAG_NAMES as ADDRESS_FLAG_NAMES};
use ringlink::model::kind;
use ringlink::model::link::{FLAG_NAMES, Link, OPER_NAMES};
use ringlink::model::network::Network;
use ringlink::model::object::{Event, Object, What};
use ringlink::model::route::Route;
use serde_json::Value;

use super::ip_json;

const IFF_UP: u64 = 0x1;
const IFF_RUNNING: u64 = 0x40;
const RTNH_F_ONLINK: u64 = 0x4;
const IFA_F_PERMANENT: u64 = 0x80;

/// The settings of a kind that are compared: our name, and that of `ip`.
const SETTINGS: &[(&str, &[(&str, &str)])] = &[
    (
        "bridge",
        &[
            ("stp_state", "stp_state"),
            ("priority", "priority"),
            ("ageing_time", "ageing_time"),
            ("vlan_filtering", "vlan_filtering"),
        ],
    ),
    ("macvlan", &[("mode", "mode")]),
    (
        "vxlan",
        &[
            ("id", "id"),
            ("local", "local"),
            ("remote", "remote"),
            ("dstport", "port"),
            ("ttl", "ttl"),
            ("learning", "learning"),
        ],
    ),
];

/// One line for each object, and how often it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<String, usize>);

impl State {
    fn add(&mut self, line: String) {
        *self.0.entry(line).or_default() += 1;
    }

    /// The lines that are only in this one or only in the other one.
    pub(crate) fn difference(&self, other: &Self, own: &str, others: &str) -> String {
        let mut text = String::new();
        let all: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        for line in all {
            let count = |state: &Self| state.0.get(line).copied().unwrap_or(0);
            match (count(self), count(other)) {
                (here, there) if here == there => Ok(()),
                (here, there) => writeln!(text, "{here} {own}, {there} {others}: {line}"),
            }
            .expect("a string takes text");
        }
        text
    }

    /// What of it a watcher with a filter is to hold.
    pub(crate) fn retain(mut self, wants: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|line, _| wants(line));
        self
    }

    /// Whether an address still waits for what the kernel does by itself.
    fn is_unfinished(&self) -> bool {
        self.0.keys().any(|line| line.starts_with("address") && line.contains("tentative"))
    }

    /// The lines of an object type (`link`, `address`, `route`) that hold all these words.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<&str> {
        let holds = |line: &&String| {
            words.iter().all(|word| line.split_whitespace().any(|candidate| candidate == *word))
        };
        self.0.keys().filter(holds).map(String::as_str).collect()
    }
}

/// The fields of a link that are compared.
struct LinkLine<'a> {
    index: u64,
    name: &'a str,
    kind: &'a str,
    flags: BTreeSet<String>,
    oper: String,
    mtu: u64,
    mac: String,
    master: String,
    lower: String,
    group: u64,
    settings: Vec<(&'static str, String)>,
}

impl LinkLine<'_> {
    fn line(&self) -> String {
        let Self { index, name, kind, oper, mtu, mac, master, lower, group, .. } = self;
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        let mut line = format!(
            "link {name} index {index} kind {kind} mtu {mtu} mac {mac} master {master} \
             lower {lower} group {group} oper {oper} flags {}",
            flags.join(",")
        );
        for (key, value) in &self.settings {
            let _ = write!(line, " {key} {value}");
        }
        line
    }
}

/// The settings of a kind, as `find` tells them by our name and `ip`'s.
fn settings(
    kind: &str,
    find: impl Fn(&str, &str) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let keys = SETTINGS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| *keys);
    keys.iter().filter_map(|&(own, ips)| Some((own, find(own, ips)?))).collect()
}

/// A number, a truth value or a word, the same for all three.
fn plain(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn words(value: &Value) -> impl Iterator<Item = String> + '_ {
    value.as_array().into_iter().flatten().filter_map(|word| word.as_str()).map(str::to_owned)
}

/// `ip` leaves IFF_RUNNING out, and says NO-CARRIER of a link that is up without it.
fn with_carrier(mut flags: BTreeSet<String>, number: u64) -> BTreeSet<String> {
    if number & IFF_UP != 0 && number & IFF_RUNNING == 0 {
        flags.insert("NO-CARRIER".to_owned());
    }
    flags
}

fn address_line(
    dev: &str,
    own: &str,
    peer: &str,
    scope: u64,
    is_permanent: bool,
    flags: BTreeSet<String>,
    label: &str,
) -> String {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let lasting = if is_permanent { "permanent" } else { "dynamic" };
    let flags = flags.join(" ");
    format!("address {own} peer {peer} dev {dev} scope {scope} {lasting} {flags} label {label}")
}

/// The bit of IFA_F_SECONDARY is IFA_F_TEMPORARY on IPv6.
fn address_flags(flags: impl Iterator<Item = String>, is_ipv4: bool) -> BTreeSet<String> {
    flags
        .filter(|flag| flag != "permanent")
        .map(|flag| if flag == "secondary" && !is_ipv4 { "temporary".to_owned() } else { flag })
        .collect()
}

/// The fields of a route that are compared.
#[derive(Clone)]
struct RouteLine {
    route_type: u64,
    to: String,
    hops: Vec<String>,
    table: u64,
    protocol: u64,
    scope: u64,
    metric: u64,
    source: String,
    nexthop_id: u64,
    is_onlink: bool,
    mtu: u64,
    advmss: u64,
}

impl RouteLine {
    fn line(&self) -> String {
        let Self { route_type, to, table, protocol, scope, metric, source, nexthop_id, .. } = self;
        let Self { mtu, advmss, .. } = self;
        let onlink = if self.is_onlink { " onlink" } else { "" };
        format!(
            "route {to} type {route_type} {} table {table} metric {metric} proto {protocol} \
             scope {scope} src {source} nhid {nexthop_id}{onlink} mtu {mtu} advmss {advmss}",
            self.hops.join(" ")
        )
    }
}

fn hop(via: &str, dev: &str) -> String {
    format!("via {via} dev {dev}")
}

/// With its length, and an address in its usual form.
fn prefix(text: &str, is_ipv4: bool) -> String {
    if text == "default" {
        return if is_ipv4 { "0.0.0.0/0".to_owned() } else { "::/0".to_owned() };
    }
    let (address, len) = text.split_once('/').unwrap_or((text, if is_ipv4 { "32" } else { "128" }));
    let address: IpAddr = address.parse().unwrap_or_else(|_| panic!("`{text}` is no prefix"));
    format!("{address}/{len}")
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("`{text}` is no number")),
        Value::Null => 0,
        other => other.as_u64().unwrap_or_else(|| panic!("{other} is no number")),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Waits until `ip` tells the same twice, with nothing of the kernel's own under way.
pub(crate) fn at_rest(timeout: Duration) -> State {
    at_rest_for(Duration::from_millis(150), timeout)
}

/// The same where nothing may change later either: the kernel looks at carriers once a second
/// (`linkwatch_schedule_work`), and what depends on them comes after that.
pub(crate) fn at_rest_for_good(timeout: Duration) -> State {
    at_rest_for(Duration::from_millis(1_500), timeout)
}

fn at_rest_for(quiet: Duration, timeout: Duration) -> State {
    let deadline = Instant::now() + timeout;
    let mut before = from_ip();
    loop {
        std::thread::sleep(quiet);
        let now = from_ip();
        if now == before && !now.is_unfinished() {
            return now;
        }
        let last = now.difference(&before, "now", "before");
        assert!(Instant::now() < deadline, "the namespace does not come to rest:\n{last}");
        before = now;
    }
}

/// What `ip` tells of this thread's namespace.
pub(crate) fn from_ip() -> State {
    let mut state = State::default();
    for link in ip_json("-d -N link show") {
        state.add(ip_link(&link));
    }
    for entry in ip_json("-d -N addr show") {
        for own in entry["addr_info"].as_array().into_iter().flatten() {
            // `ip` leaves an empty entry for a link without addresses.
            if own["local"].is_string() {
                state.add(ip_address(text(&entry["ifname"]), own));
            }
        }
    }
    for family in ["-4", "-6"] {
        for route in ip_json(&format!("{family} -d -N route show table all")) {
            ip_route(&route, family == "-4").iter().for_each(|it| state.add(it.line()));
        }
    }
    state
}

fn ip_link(link: &Value) -> String {
    let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or("-");
    let lower = match &link["link_index"] {
        Value::Null => text(&link["link"]).to_owned(),
        index => format!("{index}@{}", link["link_netnsid"]),
    };
    let data = &link["linkinfo"]["info_data"];
    LinkLine {
        index: number(&link["ifindex"]),
        name: text(&link["ifname"]),
        kind,
        flags: words(&link["flags"]).filter(|flag| flag != "M-DOWN").collect(),
        oper: text(&link["operstate"]).to_owned(),
        mtu: number(&link["mtu"]),
        mac: text(&link["address"]).to_owned(),
        master: text(&link["master"]).to_owned(),
        lower,
        group: number(&link["group"]),
        settings: settings(kind, |_, key| plain(&data[key])),
    }
    .line()
}

fn ip_address(dev: &str, own: &Value) -> String {
    let is_ipv4 = own["family"] == "inet";
    let names = ["temporary"].into_iter().chain(ADDRESS_FLAG_NAMES.iter().map(|(_, name)| *name));
    let flags = names.filter(|name| own[*name] == true).map(str::to_owned);
    let prefix = format!("{}/{}", text(&own["local"]), own["prefixlen"]);
    let scope = number(&own["scope"]);
    let is_permanent = own["dynamic"] != true;
    let flags = address_flags(flags, is_ipv4);
    let (peer, label) = (text(&own["address"]), text(&own["label"]));
    address_line(dev, &prefix, peer, scope, is_permanent, flags, label)
}

/// The routes of an entry: IPv6 next hops are routes of their own that `ip` shows together.
fn ip_route(route: &Value, is_ipv4: bool) -> Vec<RouteLine> {
    let via = |hop: &Value| match &hop["via"] {
        Value::Null => text(&hop["gateway"]).to_owned(),
        via => text(&via["host"]).to_owned(),
    };
    let has_flag = |of: &Value, name: &str| words(&of["flags"]).any(|flag| flag == name);
    let line = RouteLine {
        route_type: number(&route["type"]),
        to: prefix(text(&route["dst"]), is_ipv4),
        hops: vec![hop(&via(route), text(&route["dev"]))],
        table: number(&route["table"]),
        protocol: number(&route["protocol"]),
        scope: number(&route["scope"]),
        metric: number(&route["metric"]),
        source: text(&route["prefsrc"]).to_owned(),
        nexthop_id: number(&route["nhid"]),
        is_onlink: has_flag(route, "onlink"),
        mtu: metric_of(route, "mtu"),
        advmss: metric_of(route, "advmss"),
    };
    let Some(hops) = route["nexthops"].as_array() else {
        return vec![line];
    };
    if is_ipv4 {
        let weighed = |it: &Value| {
            let hop = hop(&via(it), text(&it["dev"]));
            weighed(&hop, number(&it["weight"]), has_flag(it, "onlink"))
        };
        let hops = hops.iter().map(weighed).collect();
        return vec![RouteLine { hops, ..line }];
    }
    let single = |it: &Value| {
        let hops = vec![hop(&via(it), text(&it["dev"]))];
        RouteLine { hops, is_onlink: has_flag(it, "onlink"), ..line.clone() }
    };
    hops.iter().map(single).collect()
}

/// One of several next hops.
fn weighed(hop: &str, weight: u64, is_onlink: bool) -> String {
    format!("{hop} weight {weight}{}", if is_onlink { " onlink" } else { "" })
}

/// A metric of a route, as `ip` shows it; 0 for none.
fn metric_of(route: &Value, name: &str) -> u64 {
    let mut metrics = route["metrics"].as_array().into_iter().flatten();
    metrics.find_map(|metric| metric[name].as_u64()).unwrap_or(0)
}

/// What the library tells.
pub(crate) fn from_network(network: &Network) -> State {
    let mut state = State::default();
    let name = |index: u32| match index {
        0 => "-".to_owned(),
        index => network.name_of(index).map_or_else(|| format!("?{index}"), |it| it.to_string()),
    };
    network.links().for_each(|link| state.add(own_link(link, &name)));
    for own in network.addresses() {
        state.add(own_address(own, &name(own.key.index)));
    }
    network.routes().for_each(|route| state.add(own_route(route, &name)));
    state
}

fn own_link(link: &Link, name: &impl Fn(u32) -> String) -> String {
    let flags = FLAG_NAMES.iter().filter(|(bit, _)| link.flags & bit != 0);
    let flags = flags.map(|(_, name)| (*name).to_owned()).collect();
    let lower = match link.lower_netns {
        None => name(link.lower),
        Some(id) => format!("{}@{id}", link.lower),
    };
    let kind = if link.kind.is_empty() { "-".to_owned() } else { link.kind.to_string() };
    let value = |own: &str, _: &str| {
        let settings = link.settings.as_ref()?;
        let key = &settings.kind.keys[settings.kind.position(own)?];
        Some(match settings.by_name(own)? {
            kind::Value::Bool(value) => u8::from(value).to_string(),
            kind::Value::Number(number) => number.to_string(),
            kind::Value::Word(number) => key.word(number).unwrap_or("?").to_owned(),
            kind::Value::Address(address) => address.to_string(),
            other => format!("{other:?}"),
        })
    };
    let mac = link.mac.to_string();
    LinkLine {
        index: link.index.into(),
        name: &link.name.to_string(),
        kind: &kind,
        flags: with_carrier(flags, link.flags.into()),
        oper: OPER_NAMES[usize::from(link.oper)].to_owned(),
        mtu: link.mtu.into(),
        mac: if mac.is_empty() { "-".to_owned() } else { mac },
        master: name(link.master),
        lower,
        group: link.group.into(),
        settings: settings(&kind, value),
    }
    .line()
}

fn own_address(own: &Address, dev: &str) -> String {
    let flags = ADDRESS_FLAG_NAMES.iter().filter(|(bit, _)| own.flags & bit != 0);
    let flags = flags.map(|(_, name)| (*name).to_owned());
    let flags = address_flags(flags, own.key.prefix.is_ipv4());
    let peer = own.key.peer.map_or("-".to_owned(), |peer| peer.to_string());
    let is_permanent = u64::from(own.flags) & IFA_F_PERMANENT != 0;
    let prefix = own.key.prefix.to_string();
    let label = if own.label.is_empty() { "-".to_owned() } else { own.label.to_string() };
    address_line(dev, &prefix, &peer, own.scope.into(), is_permanent, flags, &label)
}

fn own_route(route: &Route, name: &impl Fn(u32) -> String) -> String {
    let via = |via: Option<IpAddr>| via.map_or("-".to_owned(), |via| via.to_string());
    let slot = route.key.slot;
    let hops = match &*route.hops {
        [] => vec![hop(&via(route.key.via), &name(route.key.dev))],
        hops => hops
            .iter()
            .map(|it| weighed(&hop(&via(it.via), &name(it.dev)), it.weight.into(), it.onlink))
            .collect(),
    };
    RouteLine {
        route_type: route.key.route_type.into(),
        to: slot.to.to_string(),
        hops,
        table: slot.table.into(),
        protocol: route.protocol.into(),
        scope: route.scope.into(),
        metric: slot.metric.into(),
        source: via(route.source),
        nexthop_id: route.nexthop_id.into(),
        is_onlink: route.hops.is_empty() && u64::from(route.flags) & RTNH_F_ONLINK != 0,
        mtu: route.metrics.mtu.into(),
        advmss: route.metrics.advmss.into(),
    }
    .line()
}

/// Adds up the library's events, and takes nothing amiss: what is new was not there, what
/// changes or goes was.
#[derive(Debug, Default)]
pub(crate) struct EventFold {
    pub(crate) network: Network,
    last: u64,
    pub(crate) resyncs: u64,
    pub(crate) dropped: u64,
}

impl EventFold {
    pub(crate) fn take(&mut self, event: &Event) {
        self.last += 1;
        assert_eq!(event.seq, self.last, "an event is missing");
        match &event.what {
            What::New(object) => assert!(self.put(object).is_none(), "known: {event:?}"),
            What::Changed { before, after } => {
                assert_eq!(self.put(after).as_ref(), Some(before), "otherwise: {event:?}");
            }
            What::Deleted(object) => {
                assert_eq!(self.remove(object).as_ref(), Some(object), "otherwise: {event:?}");
            }
            What::Resync { dropped } => {
                self.resyncs += 1;
                self.dropped += dropped;
            }
            other => panic!("no such event was known: {other:?}"),
        }
    }

    fn put(&mut self, object: &Object) -> Option<Object> {
        let network = &mut self.network;
        match object {
            Object::Link(it) => network.put_link(it.clone()).map(Object::Link),
            Object::Address(it) => network.put_address(*it).map(Object::Address),
            Object::Route(it) => network.put_route(it.clone()).map(Object::Route),
            other => panic!("no such object was known: {other:?}"),
        }
    }

    fn remove(&mut self, object: &Object) -> Option<Object> {
        let network = &mut self.network;
        match object {
            Object::Link(it) => network.remove_link(it.index).map(Object::Link),
            Object::Address(it) => network.remove_address(it.key).map(Object::Address),
            Object::Route(it) => network.remove_route(it.key).map(Object::Route),
            other => panic!("no such object was known: {other:?}"),
        }
    }
}

/// Adds up the lines of `ringlink watch --json --dump`, with the same strictness.
#[derive(Debug, Default)]
pub(crate) struct LineFold {
    objects: BTreeMap<String, Value>,
    last: u64,
    pub(crate) resyncs: u64,
}

impl LineFold {
    pub(crate) fn take(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).expect("a line is JSON");
        self.last += 1;
        assert_eq!(event["seq"], self.last, "a line is missing");
        let Some(object_type) = event["object"].as_str() else {
            assert_eq!(event["event"], "resync", "{line}");
            self.resyncs += 1;
            return;
        };
        let object = &event[object_type];
        let key = key(object_type, object);
        let before = match text(&event["event"]) {
            "deleted" => self.objects.remove(&key),
            _ => self.objects.insert(key, object.clone()),
        };
        assert_eq!(event["event"] != "new", before.is_some(), "{line}\n{before:?}");
    }

    /// What the lines add up to.
    pub(crate) fn state(&self) -> State {
        let of = |wanted: &'static str| {
            let starts = move |(key, _): &(&String, &Value)| key.starts_with(wanted);
            self.objects.iter().filter(starts).map(|(_, object)| object)
        };
        let names: BTreeMap<_, _> =
            of("link").map(|link| (number(&link["index"]), text(&link["name"]))).collect();
        let name = |link: &Value| match link {
            Value::Null => "-".to_owned(),
            link => match names.get(&number(&link["index"])) {
                Some(name) => (*name).to_owned(),
                None => format!("?{}", link["index"]),
            },
        };
        let mut state = State::default();
        of("link").for_each(|link| state.add(line_of_link(link, &name)));
        of("address").for_each(|own| state.add(line_of_address(own, &name)));
        of("route").for_each(|route| state.add(line_of_route(route, &name)));
        state
    }
}

fn key(object_type: &str, object: &Value) -> String {
    let fields: &[&str] = match object_type {
        "link" => return format!("link {}", object["index"]),
        "address" => &["address", "peer"],
        _ => &["table", "to", "tos", "metric", "via", "type_number"],
    };
    let dev = if object_type == "address" { "link" } else { "dev" };
    let mut key = format!("{object_type} {}", object[dev]["index"]);
    for field in fields {
        let _ = write!(key, " {}", object[*field]);
    }
    key
}

fn line_of_link(link: &Value, name: &impl Fn(&Value) -> String) -> String {
    let kind = text(&link["kind"]);
    let lower = match &link["lower"]["netns_id"] {
        Value::Null => name(&link["lower"]),
        id => format!("{}@{id}", link["lower"]["index"]),
    };
    LinkLine {
        index: number(&link["index"]),
        name: text(&link["name"]),
        kind,
        flags: with_carrier(words(&link["flags"]).collect(), number(&link["flags_number"])),
        oper: text(&link["oper"]).to_uppercase(),
        mtu: number(&link["mtu"]),
        mac: text(&link["mac"]).to_owned(),
        master: name(&link["master"]),
        lower,
        group: number(&link["group"]),
        settings: settings(kind, |own, _| plain(&link[kind][own])),
    }
    .line()
}

fn line_of_address(own: &Value, name: &impl Fn(&Value) -> String) -> String {
    let prefix = text(&own["address"]);
    let flags = address_flags(words(&own["flags"]), !prefix.contains(':'));
    let is_permanent = number(&own["flags_number"]) & IFA_F_PERMANENT != 0;
    let scope = number(&own["scope_number"]);
    let (peer, label) = (text(&own["peer"]), text(&own["label"]));
    address_line(&name(&own["link"]), prefix, peer, scope, is_permanent, flags, label)
}

fn line_of_route(route: &Value, name: &impl Fn(&Value) -> String) -> String {
    let single = |it: &Value| hop(text(&it["via"]), &name(&it["dev"]));
    let hops = match route["hops"].as_array() {
        None => vec![single(route)],
        Some(hops) => {
            let of = |it: &Value| weighed(&single(it), number(&it["weight"]), it["onlink"] == true);
            hops.iter().map(of).collect()
        }
    };
    let is_onlink = route["hops"].is_null() && number(&route["flags_number"]) & RTNH_F_ONLINK != 0;
    RouteLine {
        route_type: number(&route["type_number"]),
        to: text(&route["to"]).to_owned(),
        hops,
        table: number(&route["table"]),
        protocol: number(&route["protocol"]),
        scope: number(&route["scope_number"]),
        metric: number(&route["metric"]),
        source: text(&route["source"]).to_owned(),
        nexthop_id: number(&route["nexthop_id"]),
        is_onlink,
        mtu: number(&route["mtu"]),
        advmss: number(&route["advmss"]),
    }
    .line()
}
