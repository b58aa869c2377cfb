//! Filters on the event socket: what is held back, that nothing else is, and that a keeper with
//! one does all that it does without.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{addresses_of, eventually, in_namespace, ip, ip_batch, ip_json, routes};
use ringlink::model::network::{Network, Table};
use ringlink::model::object::{Cause, Event, Object, What};
use ringlink::reconcile::Report;
use ringlink::{Applier, Batch, Desired, Filter, Keeper, KeeperHandle, Status, Watcher};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Duplicate address detection would keep addresses tentative for a second or two.
fn without_dad() {
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
    }
}

/// A pair with addresses, and that many kept routes of each family behind it.
fn document(count: usize) -> Desired {
    let mut text = "version = 1\n[link.v0]\nveth = { peer = \"p0\" }\n\
        addresses = [\"10.1.0.1/24\", \"2001:db8:1::1/64\"]\n[link.p0]\n"
        .to_owned();
    for number in 0..count {
        let _ = write!(
            text,
            "[[route]]\nto = \"10.2.{number}.0/24\"\nvia = \"10.1.0.2\"\ndev = \"v0\"\n\
             [[route]]\nto = \"2001:db8:2:{number}::/64\"\nvia = \"2001:db8:1::2\"\ndev = \"v0\"\n"
        );
    }
    Desired::from_toml("test.toml", &text).expect("a valid document")
}

/// Waits for the first convergence; `reports` are all that came by then.
fn converged(keeper: &mut KeeperHandle) {
    loop {
        match keeper.next_report(Some(PATIENCE)) {
            Some(Report::Converged) => return,
            Some(_) => {}
            None => panic!("it did not converge: {:?}", keeper.status()),
        }
    }
}

/// The routes that someone made; the kernel's own come and go a moment later.
fn made_routes() -> Vec<String> {
    routes().into_iter().filter(|route| !route.contains("proto 2 ")).collect()
}

/// What foreigners do to a kept route, `N` being its number.
const ASSAULTS: &[&str] = &[
    "route replace 10.2.N.0/24 via 10.1.0.3 dev v0",
    "route replace 10.2.N.0/24 dev v0",
    "route replace 10.2.N.0/24 via 10.1.0.2 dev v0",
    "route replace blackhole 10.2.N.0/24",
    "route del 10.2.N.0/24",
    "route del 10.2.N.0/24\nroute add 10.2.N.0/24 via 10.1.0.3 dev v0",
    "route replace 10.2.N.0/24 via 10.1.0.3 dev v0\nroute del 10.2.N.0/24",
    "route replace 2001:db8:2:N::/64 via 2001:db8:1::3 dev v0",
    "route replace 2001:db8:2:N::/64 dev v0",
    "route replace 2001:db8:2:N::/64 via 2001:db8:1::2 dev v0",
    "route append 2001:db8:2:N::/64 via 2001:db8:1::3 dev v0",
    "route prepend 2001:db8:2:N::/64 via 2001:db8:1::3 dev v0",
    "route del 2001:db8:2:N::/64",
    "route replace 2001:db8:2:N::/64 via 2001:db8:1::3 dev v0\nroute del 2001:db8:2:N::/64",
];

fn assaults_are_undone(is_filtered: bool) {
    without_dad();
    let desired = document(ASSAULTS.len() + 1);
    // Someone holds a declared place before the keeper comes, and tells nothing more of it.
    ip_batch(
        "link add v0 type veth peer name p0\nlink set v0 up\nlink set p0 up\n\
         addr add 10.1.0.1/24 dev v0\nroute add 10.2.0.0/24 via 10.1.0.9 dev v0\n",
    );
    let builder = Keeper::builder(desired.clone()).filter(is_filtered);
    let mut keeper = Keeper::spawn(builder).expect("a ring");
    converged(&mut keeper);
    let mut before = made_routes();
    assert_eq!(before.len(), 2 * (ASSAULTS.len() + 1), "{before:#?}");
    before.sort();
    for (number, assault) in ASSAULTS.iter().enumerate() {
        // The keeper may undo the first line before the second comes, which fails then.
        ip_forced(&assault.replace('N', &number.to_string()));
        let mut now = Vec::new();
        let undone = eventually(PATIENCE, || {
            now = made_routes();
            now == before
        });
        let mut reports = Vec::new();
        while let Some(report) = keeper.next_report(Some(Duration::ZERO)) {
            let is_noise = matches!(report, Report::WithoutEffect { .. } | Report::Conflict { .. });
            assert!(!is_noise, "{assault}: {report:?}");
            reports.push(report);
        }
        assert!(undone, "{assault}: {now:#?}, after {reports:#?}");
    }
    keeper.stop();
    keeper.join().expect("a clean end");
    let plan = Applier::builder().open().expect("a ring").plan(&desired).expect("a plan");
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn what_foreigners_do_to_kept_routes_is_undone_with_the_filter() {
    in_namespace("what_foreigners_do_to_kept_routes_is_undone_with_the_filter", || {
        assaults_are_undone(true);
    });
}

#[test]
fn what_foreigners_do_to_kept_routes_is_undone_without_the_filter() {
    in_namespace("what_foreigners_do_to_kept_routes_is_undone_without_the_filter", || {
        assaults_are_undone(false);
    });
}

/// Takes an address away and waits until it is back, so that the status is told anew.
fn status_after_a_correction(keeper: &mut KeeperHandle) -> Status {
    while keeper.next_report(Some(Duration::ZERO)).is_some() {}
    ip("addr del 10.1.0.1/24 dev v0");
    let is_back = || addresses_of("v0").contains(&"10.1.0.1/24".to_owned());
    assert!(eventually(PATIENCE, is_back), "{:?}", keeper.status());
    while !matches!(keeper.next_report(Some(PATIENCE)), Some(Report::Converged) | None) {}
    keeper.status()
}

/// Adds and deletes that many foreign routes of both families.
fn foreign_routes(count: usize) {
    for verb in ["add", "del"] {
        let mut lines = String::new();
        for number in 0..count / 2 {
            let (high, low) = (number / 256, number % 256);
            let _ = writeln!(lines, "route {verb} 172.{}.{high}.{low}/32 dev lo", 16);
            let _ = writeln!(lines, "route {verb} 2001:db8:f:{number:x}::/64 dev lo");
        }
        ip_batch(&lines);
    }
}

#[test]
fn fifty_thousand_foreign_routes_wake_no_keeper() {
    in_namespace("fifty_thousand_foreign_routes_wake_no_keeper", || {
        without_dad();
        let mut keeper = Keeper::spawn(Keeper::builder(document(4))).expect("a ring");
        converged(&mut keeper);
        let before = status_after_a_correction(&mut keeper);
        foreign_routes(50_000);
        let after = status_after_a_correction(&mut keeper);
        let messages = after.counters.messages - before.counters.messages;
        let enters = after.ring.enters - before.ring.enters;
        assert!(messages < 200 && enters < 200, "{messages} messages, {enters} waits");
        assert_eq!((after.counters.overruns, after.counters.dropped), (0, 0));
        keeper.stop();
        keeper.join().expect("a clean end");
    });
}

#[test]
fn without_the_filter_a_keeper_reads_every_foreign_route() {
    in_namespace("without_the_filter_a_keeper_reads_every_foreign_route", || {
        without_dad();
        let builder = Keeper::builder(document(4)).filter(false);
        let mut keeper = Keeper::spawn(builder).expect("a ring");
        converged(&mut keeper);
        let before = status_after_a_correction(&mut keeper);
        foreign_routes(1_000);
        let after = status_after_a_correction(&mut keeper);
        assert!(after.counters.messages - before.counters.messages >= 2_000);
    });
}

#[test]
fn another_document_is_kept_with_a_filter_of_its_own() {
    in_namespace("another_document_is_kept_with_a_filter_of_its_own", || {
        without_dad();
        let mut keeper = Keeper::spawn(Keeper::builder(document(1))).expect("a ring");
        converged(&mut keeper);
        // Foreign in the place of a route that is declared later: it was not heard of.
        ip("route add 10.2.1.0/24 via 10.1.0.3 dev v0");
        keeper.set(document(2));
        let is_made = || made_routes().iter().any(|it| it.starts_with("10.2.1.0/24 via 10.1.0.2"));
        assert!(eventually(PATIENCE, is_made), "{:#?}", made_routes());
        assert!(eventually(PATIENCE, || made_routes().len() == 4), "{:#?}", made_routes());
        ip("route replace 10.2.1.0/24 via 10.1.0.3 dev v0");
        assert!(eventually(PATIENCE, is_made), "{:#?}", made_routes());
    });
}

/// A watcher, and the network that its events add up to.
struct Reader {
    watcher: Watcher,
    batch: Batch,
    folded: Network,
}

impl Reader {
    fn open(filter: Filter) -> Self {
        let watcher = Watcher::builder().filter(filter).open().expect("a ring");
        Self { watcher, batch: Batch::default(), folded: Network::default() }
    }

    /// Reads for at most that long.
    fn read(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.watcher.next_before(&mut self.batch, Some(until)).expect("it goes on");
        self.fold();
    }

    fn sync(&mut self) {
        self.batch = Batch::default();
        self.watcher.sync(&mut self.batch).expect("it goes on");
        self.fold();
    }

    fn fold(&mut self) {
        for event in &self.batch {
            fold(&mut self.folded, event);
        }
    }

    /// Reads until the mirror holds what `ip` shows of the filter's objects, and the events add
    /// up to the mirror.
    fn check(&mut self, is_wanted: impl Fn(&str) -> bool, what: &str) {
        self.sync();
        let (mut shown, mut held) = (BTreeSet::new(), BTreeSet::new());
        let is_true = eventually(PATIENCE, || {
            self.read(Duration::from_millis(5));
            held = lines_of(self.watcher.observed());
            shown = lines_of_ip().into_iter().filter(|line| is_wanted(line)).collect();
            held == shown
        });
        let missing: Vec<_> = shown.difference(&held).take(20).collect();
        let stale: Vec<_> = held.difference(&shown).take(20).collect();
        assert!(is_true, "{what}: the mirror lacks {missing:#?} and invents {stale:#?}");
        assert_eq!(lines_of(&self.folded), held, "{what}: the events do not add up to the mirror");
    }
}

/// Applies an event to the network that the earlier ones made.
fn fold(network: &mut Network, event: &Event) {
    match event.what.clone() {
        What::New(object) | What::Changed { after: object, .. } => match object {
            Object::Link(link) => drop(network.put_link(link)),
            Object::Address(address) => drop(network.put_address(address)),
            Object::Route(route) => drop(network.put_route(route)),
            _ => {}
        },
        What::Deleted(object) => match object {
            Object::Link(link) => drop(network.remove_link(link.index)),
            Object::Address(address) => drop(network.remove_address(address.key)),
            Object::Route(route) => drop(network.remove_route(route.key)),
            _ => {}
        },
        _ => {}
    }
}

/// One line for each object, beginning with its type.
fn lines_of(network: &Network) -> BTreeSet<String> {
    let links = network.links().map(|link| format!("link {} {}", link.name, link.mtu));
    let addresses = network.addresses().map(|own| {
        let dev = network.name_of(own.key.index).expect("links are held with their addresses");
        format!("address {} dev {dev}", own.key.prefix)
    });
    let routes = network.routes().map(|route| {
        let (slot, protocol) = (route.key.slot, route.protocol);
        let dev = network.name_of(route.key.dev).map(|dev| dev.to_string()).unwrap_or_default();
        let via = route.key.via.map(|via| via.to_string()).unwrap_or_default();
        format!(
            "route {} via {via} dev {dev} table {} proto {protocol} metric {}",
            slot.to, slot.table, slot.metric
        )
    });
    links.chain(addresses).chain(routes).collect()
}

/// The same as `ip` shows it.
fn lines_of_ip() -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = BTreeSet::new();
    for link in ip_json("link show") {
        lines.insert(format!("link {} {}", text(&link["ifname"]), link["mtu"]));
    }
    for link in ip_json("addr show") {
        for own in link["addr_info"].as_array().into_iter().flatten() {
            let (local, dev) = (text(&own["local"]), text(&link["ifname"]));
            lines.insert(format!("address {local}/{} dev {dev}", own["prefixlen"]));
        }
    }
    for (family, unspecified, len) in [("-4", "0.0.0.0", 32), ("-6", "::", 128)] {
        for route in ip_json(&format!("{family} -N -d route show table all")) {
            let to = match text(&route["dst"]) {
                to if to == "default" => format!("{unspecified}/0"),
                to if to.contains('/') => to,
                to => format!("{to}/{len}"),
            };
            let table = route["table"].as_str().unwrap_or("254").to_owned();
            let (protocol, metric) = (text(&route["protocol"]), route["metric"].as_u64());
            let hops = route["nexthops"].as_array().cloned().unwrap_or(vec![route.clone()]);
            for hop in hops {
                lines.insert(format!(
                    "route {to} via {} dev {} table {table} proto {protocol} metric {}",
                    text(&hop["gateway"]),
                    text(&hop["dev"]),
                    metric.unwrap_or(0)
                ));
            }
        }
    }
    lines
}

/// The links that the churn is done on.
fn lay_ground() {
    without_dad();
    ip_batch(
        "link add v0 type veth peer name p0\nlink add v1 type veth peer name p1\n\
         link set v0 up\nlink set p0 up\nlink set v1 up\nlink set p1 up\n\
         addr add 10.1.0.1/24 dev v0\naddr add 2001:db8:1::1/64 dev v0\n\
         addr add 10.2.0.1/24 dev v1\naddr add 2001:db8:2::1/64 dev v1\n",
    );
}

/// One round of changes by several protocols, in several tables, on both links; `round` makes
/// them differ. Some fail, as they may. A gateway goes with its protocol: of two IPv4 routes that
/// differ in nothing but that, which no one has, the mirror holds one.
fn churn(round: usize) {
    let mut lines = String::new();
    for number in 0..40 {
        let pick = (round * 7 + number * 3) % 11;
        let (protocol, table) = ([3, 4, 82, 186][pick % 4], [254, 77, 1000][number % 3]);
        let (verb, side) =
            (["replace", "append", "del", "add"][(pick + round) % 4], 1 + number % 2);
        let (dev, hop) = (side - 1, 2 + pick % 4);
        let end = if verb == "del" { String::new() } else { format!(" proto {protocol}") };
        let to = number / 2;
        let _ = writeln!(
            lines,
            "route {verb} 10.9.{to}.0/24 via 10.{side}.0.{hop} dev v{dev} table {table}{end}\n\
             route {verb} 2001:db8:9:{to}::/64 via 2001:db8:{side}::{hop} dev v{dev} \
             table {table}{end}",
        );
    }
    let address = if round % 2 == 0 { "add" } else { "del" };
    let _ = writeln!(lines, "addr {address} 10.3.0.1/24 dev v0\naddr {address} 10.3.0.2/24 dev v1");
    match round % 6 {
        3 => lines.push_str("link set v1 down\nlink set v1 mtu 1400\n"),
        5 => lines
            .push_str("link set v1 up\nlink set v1 mtu 1500\naddr add 2001:db8:2::1/64 dev v1\n"),
        _ => {}
    }
    ip_forced(&lines);
}

/// Runs many `ip` commands in one process; those that fail may.
fn ip_forced(lines: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), lines).expect("a temporary file can be written");
    let mut command = std::process::Command::new("ip");
    command.args(["-force", "-batch"]).arg(file.path()).stderr(std::process::Stdio::null());
    command.status().expect("the tests need `ip` of iproute2");
}

/// Churns on another thread of this namespace until `work` has ended.
fn while_churning(work: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !is_over.load(Ordering::Relaxed) || round % 6 != 0 {
                churn(round);
                round += 1;
            }
        });
        work();
        is_over.store(true, Ordering::Relaxed);
    });
}

/// A filter, and whether it wants the object of a line.
type Wanted = (Filter, fn(&str) -> bool);

/// The filters that the tests go through; v0 has index `v0`.
fn filters(v0: u32) -> Vec<Wanted> {
    vec![
        (Filter::everything(), |_| true),
        (Filter::everything().protocols([4]), |line| {
            !line.starts_with("route") || line.contains(" proto 4 ")
        }),
        (Filter::everything().protocols([82, 186]).tables([77, 1000]), |line| {
            let is_table = line.contains(" table 77 ") || line.contains(" table 1000 ");
            let is_protocol = line.contains(" proto 82 ") || line.contains(" proto 186 ");
            !line.starts_with("route") || (is_table && is_protocol)
        }),
        (Filter::everything().tables([1000]), |line| {
            !line.starts_with("route") || line.contains(" table 1000 ")
        }),
        (Filter::everything().objects([Table::Links]), |line| line.starts_with("link")),
        (Filter::everything().objects([Table::Addresses]), |line| !line.starts_with("route")),
        (Filter::everything().links([v0]), |line| {
            line.starts_with("link v0 ") || line.ends_with(" dev v0") || line.contains(" dev v0 ")
        }),
    ]
}

fn index_of_v0() -> u32 {
    let link = ip_json("link show dev v0").remove(0);
    link["ifindex"].as_u64().and_then(|index| index.try_into().ok()).expect("an index")
}

#[test]
fn the_mirror_with_a_filter_is_the_dump_restricted_to_it() {
    in_namespace("the_mirror_with_a_filter_is_the_dump_restricted_to_it", || {
        lay_ground();
        let filters = filters(index_of_v0());
        let mut readers: Vec<_> =
            filters.iter().map(|(filter, _)| Reader::open(filter.clone())).collect();
        for quiet_point in 0..4 {
            while_churning(|| {
                let until = Instant::now() + Duration::from_millis(1_500);
                while Instant::now() < until {
                    readers.iter_mut().for_each(|reader| reader.read(Duration::from_millis(2)));
                }
            });
            for (reader, (filter, is_wanted)) in readers.iter_mut().zip(&filters) {
                reader.check(is_wanted, &format!("quiet point {quiet_point}, {filter:?}"));
            }
        }
    });
}

#[test]
fn a_changed_filter_opens_no_gap() {
    in_namespace("a_changed_filter_opens_no_gap", || {
        lay_ground();
        let filters = filters(index_of_v0());
        let mut reader = Reader::open(Filter::everything());
        let mut number = 0;
        for quiet_point in 0..4 {
            while_churning(|| {
                let until = Instant::now() + Duration::from_millis(1_500);
                let enough = number + 30;
                while number < enough || Instant::now() < until {
                    number += 1;
                    reader.watcher.set_filter(&filters[number * 3 % filters.len()].0);
                    // Sometimes it is read whole, sometimes it is changed again before that.
                    if number % 3 == 0 {
                        reader.sync();
                    }
                    reader.read(Duration::from_millis(number as u64 % 8));
                }
            });
            // The one that was set last, and each of the others.
            for next in 0..=filters.len() {
                let (filter, is_wanted) = &filters[(number * 3 + next) % filters.len()];
                reader.watcher.set_filter(filter);
                reader.check(is_wanted, &format!("quiet point {quiet_point}, {filter:?}"));
            }
        }
    });
}

/// What happens to the routes of protocol 4, and whether a dump has to tell what came of it.
const ENCOUNTERS: &[(&str, bool)] = &[
    (
        "route add 10.9.0.0/24 via 10.1.0.2 proto 4\nroute add 10.9.1.0/24 via 10.1.0.2 proto 4",
        false,
    ),
    ("route add 2001:db8:9::/64 via 2001:db8:1::2 proto 4", false),
    // Foreign, elsewhere, however it is flagged.
    ("route replace 10.9.2.0/24 via 10.1.0.2\nroute append 10.9.2.0/24 via 10.1.0.3", false),
    ("route replace 2001:db8:8::/64 via 2001:db8:1::2", false),
    ("route append 2001:db8:8::/64 via 2001:db8:1::3", false),
    ("route append 10.9.0.0/24 via 10.1.0.3", false),
    // Foreign, in their place.
    ("route replace 10.9.1.0/24 via 10.1.0.2", true),
    ("route replace 2001:db8:9::/64 via 2001:db8:1::3", true),
    ("route replace 10.9.0.0/24 via 10.1.0.4", true),
    // And back.
    ("route replace 10.9.1.0/24 via 10.1.0.2 proto 4", false),
    ("route replace 2001:db8:9::/64 via 2001:db8:1::2 proto 4", false),
    ("route del 10.9.1.0/24\nroute del 2001:db8:9::/64", false),
];

#[test]
fn foreign_routes_are_not_held_and_take_the_place_of_those_that_are() {
    in_namespace("foreign_routes_are_not_held_and_take_the_place_of_those_that_are", || {
        lay_ground();
        let mut reader = Reader::open(Filter::everything().protocols([4]));
        let is_wanted = |line: &str| !line.starts_with("route") || line.contains(" proto 4 ");
        reader.check(is_wanted, "the start");
        for (encounter, takes_a_dump) in ENCOUNTERS {
            let dumps = reader.watcher.counters().dumps;
            ip_batch(encounter);
            // The last that it hears of what was done.
            let mark = if reader.watcher.observed().links().any(|it| it.mtu == 1401) {
                1402
            } else {
                1401
            };
            ip(&format!("link set p1 mtu {mark}"));
            let has_heard = eventually(PATIENCE, || {
                reader.read(Duration::from_millis(5));
                reader.watcher.observed().links().any(|it| it.mtu == mark)
            });
            assert!(has_heard, "{encounter}: it has fallen silent");
            reader.check(is_wanted, encounter);
            let has_dumped = reader.watcher.counters().dumps > dumps;
            assert_eq!(has_dumped, *takes_a_dump, "{encounter}");
        }
    });
}

#[test]
fn what_a_filter_wants_no_more_is_told_as_that() {
    in_namespace("what_a_filter_wants_no_more_is_told_as_that", || {
        lay_ground();
        let mut reader = Reader::open(Filter::everything());
        reader.check(|_| true, "everything");
        reader.watcher.set_filter(&Filter::everything().objects([Table::Links]));
        reader.batch = Batch::default();
        reader.watcher.sync(&mut reader.batch).expect("it goes on");
        let is_told = |event: &&Event| matches!(event.what, What::Deleted(_));
        let deleted: Vec<_> = reader.batch.iter().filter(is_told).collect();
        assert!(deleted.len() > 10);
        assert!(deleted.iter().all(|event| event.cause == Cause::Filter), "{deleted:#?}");
    });
}
