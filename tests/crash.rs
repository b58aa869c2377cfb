//! Killed after any k of a plan's messages, or in the middle of a resync, and started again: the
//! network comes out as if nothing had happened, and nothing stray is left.

#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::churn::{Random, seed};
use common::netlink::{Asker, CREATE, RTM_DELADDR, RTM_NEWADDR, Requests};
use common::program::{Running, document, run, status, text, write};
use common::{eventually, in_namespace, ip, ip_batch, ip_json, routes, slowness, work};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlink::{Applier, Desired};

/// Tells the test program that it is the one to be killed: after how many changes, and which state.
const VICTIM: &str = "RINGLINK_TEST_VICTIM";
const WORKERS: usize = 3;

/// How many pairs make [`network`] one of a hundred links.
const PAIRS: usize = 40;

/// Bridges with their ports, pairs with addresses and routes, and what stands on them. `later` is
/// the same document some time on: half of it is gone, and much is otherwise.
fn network(pairs: usize, later: bool) -> String {
    let mut text = "version = 1\n[owner]\nname = \"crash\"\ngroup = 4710\nprune = true\n\
                    protocol = 201\n"
        .to_owned();
    let mut add = |words: std::fmt::Arguments<'_>| text.write_fmt(words).expect("a string grows");
    let (mtu, own, via, priority) = if later { (1300, 9, 3, 4096) } else { (1400, 1, 2, 8192) };
    for bridge in 0..4 {
        add(format_args!(
            "[link.br{bridge}]\nbridge = {{ priority = {priority} }}\nmac = \"02:00:00:00:ff:0{bridge}\"\n\
             addresses = [\"192.0.{bridge}.1/24\", \"2001:db8:f:{bridge}::{own}/64\"]\n"
        ));
    }
    for pair in (0..pairs).filter(|pair| !later || pair % 2 == 0) {
        add(format_args!("[link.v{pair}]\nveth = {{ peer = \"p{pair}\" }}\nmtu = {mtu}\n"));
        if pair < pairs / 3 {
            let bridge = (pair + usize::from(later)) % 4;
            add(format_args!("master = \"br{bridge}\"\nport = {{ learning = {later} }}\n"));
        } else if pair < pairs * 3 / 4 {
            add(format_args!(
                "addresses = [\"10.1.{pair}.{own}/24\", \"2001:db8:1:{pair}::1/64\"]\n\
                 [[route]]\nto = \"10.2.{pair}.0/24\"\nvia = \"10.1.{pair}.{via}\"\n\
                 dev = \"v{pair}\"\n"
            ));
        }
        let state = if later && pair > pairs * 3 / 4 { "down" } else { "up" };
        add(format_args!("[link.p{pair}]\nstate = \"{state}\"\n"));
    }
    for at in (0..4).filter(|at| !later || *at == 3) {
        let mode = if later { "private" } else { "bridge" };
        let lower = pairs - 4 + at;
        add(format_args!(
            "[link.mv{at}]\nmacvlan = {{ dev = \"v{lower}\", mode = \"{mode}\" }}\n\
             addresses = [\"10.3.{at}.1/24\"]\n\
             [link.vx{at}]\nvxlan = {{ id = {at}, dev = \"br{at}\", remote = \"192.0.{at}.{via}\", \
             dstport = 4789 }}\n"
        ));
    }
    for at in (0..8).filter(|at| !later || *at > 5) {
        add(format_args!("[link.i{at}]\nkind = \"ifb\"\n"));
    }
    add(format_args!(
        "[link.eth0]\naddresses = [\"198.51.100.{own}/24\"]\n\
         [[route]]\nto = \"default\"\nvia = \"198.51.100.25{via}\"\ndev = \"eth0\"\n\
         [[rule]]\npriority = 10{via}\nfrom = \"192.0.2.0/28\"\ntable = 77\n\
         [[neighbour]]\naddress = \"198.51.100.7{via}\"\ndev = \"eth0\"\nmac = \"02:00:00:00:00:07\"\n"
    ));
    text
}

/// A namespace of its own for this thread, with what is nobody's of ours. The one before goes with
/// all that is in it, far sooner than by deleting its links.
fn fresh_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a test of a namespace may make another");
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
    }
    ip_batch(
        "link set lo up\nlink add eth0 type ifb\nlink set eth0 up\naddr add 203.0.113.1/24 dev eth0\n\
         link add foreign type veth peer name foreignp\nlink set foreign group 4711\n\
         link set foreign group 7\nroute add 10.99.0.0/16 via 203.0.113.9\n",
    );
}

/// All that `ip` tells of it by names and values, save what comes anew with each link and what the
/// kernel makes by itself a moment later.
fn state() -> BTreeSet<String> {
    let mut state = BTreeSet::new();
    for link in ip_json("-d addr show") {
        let (name, info) = (&link["ifname"], &link["linkinfo"]);
        let is_up = link["flags"].as_array().is_some_and(|it| it.iter().any(|it| it == "UP"));
        let (data, port) = (&info["info_data"], &info["info_slave_data"]);
        state.insert(format!(
            "{name} {} up {is_up} mtu {} master {} group {} {} {} {} {} {}",
            info["info_kind"],
            link["mtu"],
            link["master"],
            link["group"],
            data["priority"],
            data["mode"],
            data["id"],
            data["remote"],
            port["learning"],
        ));
        for own in link["addr_info"].as_array().into_iter().flatten() {
            let local = own["local"].as_str().unwrap_or_default();
            if !local.starts_with("fe80") {
                state.insert(format!(
                    "{name} {local}/{} {} {} {}",
                    own["prefixlen"], own["label"], own["secondary"], own["protocol"]
                ));
            }
        }
    }
    let is_lasting = |line: &String| !line.contains("proto 2") || line.contains("proto 201");
    state.extend(routes().into_iter().filter(is_lasting));
    state.extend(ip("-4 -N rule").lines().map(str::to_owned));
    state.extend(ip("neigh show nud permanent").lines().map(str::to_owned));
    state
}

fn expect_equal(now: &BTreeSet<String>, wanted: &BTreeSet<String>, when: &str) {
    let lines = |from: &BTreeSet<String>, than: &BTreeSet<String>, mark: char| {
        from.difference(than).map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    assert!(now == wanted, "{when}:\n{}{}", lines(wanted, now, '-'), lines(now, wanted, '+'));
}

/// What is to be reached: a document, or the end of all that was made for it.
#[derive(Clone, Copy)]
struct Goal<'a> {
    path: &'a Path,
    destroys: bool,
}

impl Goal<'_> {
    fn desired(self) -> Desired {
        let desired = Desired::load(&[self.path.to_owned()]);
        let desired = desired.unwrap_or_else(|error| panic!("{error}"));
        if self.destroys { desired.destroyed().expect("an owner") } else { desired }
    }

    /// In this process; how many changes that took.
    fn reach(self) -> u64 {
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&self.desired()).expect("a report");
        assert!(report.converged, "{:#?}", report.remaining);
        applier.counters().changes
    }

    /// By a process that is killed when it has sent that many changes.
    fn reach_and_be_killed(self, changes: u64) {
        let verb = if self.destroys { "destroy" } else { "apply" };
        let order = format!("{changes} {verb} {}", self.path.display());
        let output = Command::new(std::env::current_exe().expect("a test knows its own program"))
            .args(["the_victim", "--exact", "--nocapture", "--test-threads=1"])
            .env(VICTIM, order)
            .output()
            .expect("the test program starts");
        let killed = output.status.signal() == Some(Signal::SIGKILL as i32);
        assert!(killed, "{}{}", text(&output.stdout), text(&output.stderr));
    }

    /// By the program itself.
    fn reach_again(self, when: &str) {
        let verb = if self.destroys { "destroy" } else { "apply" };
        let output = run(&[verb, "--yes", &self.path.to_string_lossy()]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(status(&output), Some(0), "{when}: {said}");
    }
}

/// The process that the others kill: no test, and not to be run alone.
#[test]
fn the_victim() {
    let Ok(order) = std::env::var(VICTIM) else { return };
    let mut words = order.splitn(3, ' ');
    let mut word = || words.next().expect("an order of three words");
    let changes = word().parse().expect("a number");
    let destroys = word() == "destroy";
    let path = PathBuf::from(word());
    let mut applier = Applier::builder().open().expect("a ring");
    applier.halt_after(changes);
    let goal = Goal { path: &path, destroys };
    applier.apply(&goal.desired()).expect("a report");
    assert_eq!(applier.counters().changes, changes, "the kernel has had that many messages");
    kill(Pid::this(), Signal::SIGKILL).expect("a process may kill itself");
}

/// Kills what leads from `from` to `goal` after each of its messages, and starts it again.
fn killed_after_each_message(from: Option<Goal<'_>>, goal: Goal<'_>) {
    let begin = || {
        fresh_namespace();
        from.map(Goal::reach);
        if goal.destroys {
            // What is left by an earlier run, so that the rest has to join it first.
            ip("link set i3 group 4711");
        }
    };
    begin();
    let before = state();
    let changes = goal.reach();
    let wanted = state();
    assert!(changes >= 20 && before != wanted, "only {changes} messages");
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    // A guest under emulation tries some of them.
                    let k = next.fetch_add(slowness().into(), Ordering::Relaxed);
                    if k > changes {
                        return;
                    }
                    begin();
                    goal.reach_and_be_killed(k);
                    let when = format!("killed after {k} of {changes} messages");
                    goal.reach_again(&when);
                    expect_equal(&state(), &wanted, &when);
                }
            });
        }
    });
}

#[test]
fn killed_after_any_message_of_a_creation_it_is_made_by_the_next() {
    in_namespace("killed_after_any_message_of_a_creation_it_is_made_by_the_next", || {
        let (_folder, path) = document(&network(PAIRS, false));
        killed_after_each_message(None, Goal { path: &path, destroys: false });
    });
}

#[test]
fn killed_after_any_message_of_a_change_with_deletions_it_is_made_by_the_next() {
    in_namespace(
        "killed_after_any_message_of_a_change_with_deletions_it_is_made_by_the_next",
        || {
            let (folder, path) = document(&network(PAIRS, true));
            let before = folder.path().join("before.toml");
            write(&before, &network(PAIRS, false));
            let from = Goal { path: &before, destroys: false };
            killed_after_each_message(Some(from), Goal { path: &path, destroys: false });
        },
    );
}

#[test]
fn killed_after_any_message_of_a_destruction_it_is_finished_by_the_next() {
    in_namespace("killed_after_any_message_of_a_destruction_it_is_finished_by_the_next", || {
        let (_folder, path) = document(&network(PAIRS / 4, false));
        let from = Goal { path: &path, destroys: false };
        killed_after_each_message(Some(from), Goal { path: &path, destroys: true });
    });
}

/// How often a resync is killed; each at another moment.
const RESYNCS: usize = 12;
/// More notifications of addresses than the 16 MiB hold that the kernel makes of 8.
const FLOOD: usize = 30_000;

/// `run`, once it has converged, overrun with news and drift while it is stopped.
fn overrun(path: &Path) -> Running {
    let mut program = Running::start(&["run", &path.to_string_lossy()]);
    program.line_with("converged");
    program.signal(Signal::SIGSTOP);
    ip_batch(
        "link del v3\nlink set v9 down\nlink set br0 down\nlink set v8 mtu 1280\nlink del mv2\n\
         addr flush dev v10\nroute del 10.2.11.0/24\nlink add i9 type ifb\nlink set i9 group 4710\n",
    );
    let dev = ip_json("link show dev lo")[0]["ifindex"].as_u64().expect("an index");
    let dev = u32::try_from(dev).expect("an index of 32 bits");
    let (asker, mut requests) = (Asker::open(), Requests::default());
    for at in 0..FLOOD {
        let message_type = if at % 2 == 0 { RTM_NEWADDR } else { RTM_DELADDR };
        requests.address(message_type, CREATE, dev, [127, 9, 9, 9].into(), 32);
        if at % 100 == 99 {
            asker.send(&mut requests);
        }
    }
    program
}

#[test]
fn killed_in_the_middle_of_a_resync_it_converges_at_the_next_start() {
    in_namespace("killed_in_the_middle_of_a_resync_it_converges_at_the_next_start", || {
        let (_folder, path) = document(&network(PAIRS / 2, false));
        fresh_namespace();
        let mut program = overrun(&path);
        let wanted_links = 2 * PAIRS / 2 + 4 + 8 + 8;
        // One that is left alone tells how long it takes, and what comes of it.
        let start = Instant::now();
        program.signal(Signal::SIGCONT);
        program.line_with("resync:");
        let mut said = String::new();
        let check = || {
            let output = run(&["check", &path.to_string_lossy()]);
            said = text(&output.stdout) + &text(&output.stderr);
            status(&output) == Some(0)
        };
        assert!(eventually(Duration::from_secs(30), check), "{said}");
        let took = start.elapsed();
        assert_eq!(program.end(Signal::SIGTERM), Some(0));
        let wanted = state();
        let is_ours = |line: &&String| line.contains(" group \"4710\"");
        assert_eq!(wanted.iter().filter(is_ours).count(), wanted_links, "{wanted:#?}");
        let mut random = Random::new(seed());
        for at in 0..work(RESYNCS).max(2) {
            fresh_namespace();
            let program = overrun(&path);
            program.signal(Signal::SIGCONT);
            let delay = took.mul_f64(f64::from(random.below(1_000)) / 1_000.0);
            std::thread::sleep(delay);
            program.end(Signal::SIGKILL);
            let mut program = Running::start(&["run", &path.to_string_lossy()]);
            program.line_with("converged");
            let is_so = eventually(Duration::from_secs(30), || state() == wanted);
            let when = format!("resync {at} killed after {delay:?}");
            if !is_so {
                expect_equal(&state(), &wanted, &when);
            }
            assert_eq!(program.end(Signal::SIGTERM), Some(0));
        }
    });
}
