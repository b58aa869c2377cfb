//! `try`: whatever ends it, the network is what it was or what was confirmed.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use common::program::{document, ringlink, run, status, text};
use common::{eventually, in_namespace, ip, links, routes, work};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a try is killed; RINGLINK_TRIES asks for more.
const TRIES: usize = 25;

/// Changes, makes, deletes and takes over; `doomed` and what stands on it go.
const DOCUMENT: &str = r#"version = 1
[owner]
name = "trial"
[link.eth0]
mtu = 1400
addresses = ["192.0.2.9/24", "2001:db8::9/64"]
extra_addresses = "remove"
[link.doomed]
state = "absent"
[link.br0]
kind = "bridge"
addresses = ["10.9.0.1/24"]
[link.v0]
veth = { peer = "p0" }
master = "br0"
[link.port]
master = "br0"
[[route]]
to = "10.0.0.0/8"
via = "192.0.2.77"
[[route]]
to = "10.10.0.0/16"
via = "10.9.0.7"
[[rule]]
priority = 100
from = "192.0.2.0/28"
table = 77
"#;

/// What is there before: a device with addresses and routes, a vxlan with a macvlan on it.
fn set_up() {
    for words in [
        "link add eth0 type ifb",
        "link set eth0 up",
        "addr add 192.0.2.1/24 dev eth0",
        "addr add 192.0.2.2/24 dev eth0 label eth0:two",
        "addr add 2001:db8::1/64 dev eth0 nodad",
        "route add 10.0.0.0/8 via 192.0.2.254 proto static",
        "route add 10.0.0.0/8 via 192.0.2.253 metric 7 mtu 1300",
        "route add 2001:db8:7::/48 via 2001:db8::7",
        "link add doomed type vxlan id 42 remote 192.0.2.7 dstport 4789 ttl 9",
        "link set doomed up",
        "addr add 203.0.113.1/24 dev doomed",
        "link add mv0 link doomed type macvlan mode bridge",
        "link set mv0 up",
        "addr add 203.0.113.129/32 dev mv0",
        "route add 11.0.0.0/8 via 203.0.113.7",
        "link add old type bridge",
        "link add port type ifb",
        "link set port master old",
        "neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
    ] {
        ip(words);
    }
}

/// All that `ip` tells of it, save what comes anew with each link: numbers, random hardware
/// addresses and what follows from them, and the kernel's own routes.
fn state() -> Vec<String> {
    let mut lines = Vec::new();
    for (name, link) in links() {
        let info = &link["linkinfo"];
        let (id, ttl, mode) =
            (&info["info_data"]["id"], &info["info_data"]["ttl"], &info["info_data"]["mode"]);
        let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|it| it == "UP"));
        lines.push(format!(
            "{name} {} {} {up} {} {id} {ttl} {mode}",
            info["info_kind"], link["mtu"], link["master"]
        ));
        for own in common::ip_json(&format!("addr show dev {name}")) {
            for info in own["addr_info"].as_array().into_iter().flatten() {
                let local = info["local"].as_str().unwrap_or_default();
                if !local.starts_with("fe80") {
                    let (label, secondary) = (&info["label"], &info["secondary"]);
                    lines.push(format!("{name} {local}/{} {label} {secondary}", info["prefixlen"]));
                }
            }
        }
    }
    lines.extend(routes().into_iter().filter(|line| !line.contains("proto 2")));
    lines.extend(ip("rule").lines().map(str::to_owned));
    lines.extend(ip("neigh show nud permanent").lines().map(str::to_owned));
    lines
}

struct Trial {
    child: Child,
    input: Option<ChildStdin>,
}

impl Trial {
    fn start(path: &Path, timeout: &str) -> Self {
        let mut program = ringlink();
        program.args(["try", "--timeout", timeout]).arg(path);
        program.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = program.spawn().expect("the program starts");
        let input = child.stdin.take();
        Self { child, input }
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    fn exit(mut self) -> Option<i32> {
        let mut status = None;
        let ended = eventually(Duration::from_secs(30), || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        assert!(ended, "it does not end");
        drop(self.input);
        status.and_then(|status| status.code())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = run(&["revert"]);
    }
}

/// Ends the guard of a test that fails.
struct Guarded;

fn is_applied() -> bool {
    ip("route show 10.10.0.0/16").contains("via 10.9.0.7") && ip("rule").contains("100:")
}

fn applied() {
    assert!(eventually(Duration::from_secs(20), is_applied), "it is not applied");
}

/// Once no guard is left to change anything.
fn at_its_end() {
    let no_guard = || text(&run(&["confirm"]).stdout).contains("no `try` is under way");
    // A confirmation could keep it: so one is only given where the first process is gone.
    assert!(eventually(Duration::from_secs(30), no_guard), "the guard stays");
}

#[test]
fn whatever_ends_it_but_a_confirmation_leads_back() {
    in_namespace("whatever_ends_it_but_a_confirmation_leads_back", || {
        set_up();
        let _guarded = Guarded;
        let (_folder, path) = document(DOCUMENT);
        let before = state();
        let back = |how: &str, wanted: Option<i32>, exit: Option<i32>| {
            assert_eq!(exit, wanted, "{how}");
            assert_eq!(state(), before, "{how}");
        };
        let trial = Trial::start(&path, "1s");
        back("the time", Some(1), trial.exit());
        for (how, signal) in [("Ctrl-C", Signal::SIGINT), ("a lost terminal", Signal::SIGHUP)] {
            let trial = Trial::start(&path, "60s");
            applied();
            trial.send(signal);
            back(how, Some(130), trial.exit());
        }
        let trial = Trial::start(&path, "60s");
        applied();
        let second = Trial::start(&path, "60s");
        assert_eq!(second.exit(), Some(3), "one at a time");
        assert_eq!(status(&run(&["revert"])), Some(0));
        back("a word", Some(1), trial.exit());
        let mut trial = Trial::start(&path, "60s");
        applied();
        // The end of its input is no Enter.
        trial.input = None;
        std::thread::sleep(Duration::from_millis(100));
        assert!(is_applied());
        trial.send(Signal::SIGTERM);
        back("the end", Some(130), trial.exit());
        assert_eq!(status(&run(&["revert"])), Some(1), "none is left");
    });
}

#[test]
fn a_confirmation_keeps_it() {
    in_namespace("a_confirmation_keeps_it", || {
        set_up();
        let _guarded = Guarded;
        let (_folder, path) = document(DOCUMENT);
        let trial = Trial::start(&path, "60s");
        applied();
        let kept = || status(&run(&["confirm"])) == Some(0);
        assert!(eventually(Duration::from_secs(10), kept));
        assert_eq!(trial.exit(), Some(0));
        assert_eq!(status(&run(&["check", &path.to_string_lossy()])), Some(0));
        assert!(!links().contains_key("mv0"));
        ip("link set eth0 mtu 1450");
        let mut trial = Trial::start(&path, "60s");
        assert!(eventually(Duration::from_secs(20), || links()["eth0"]["mtu"] == 1400));
        use std::io::Write as _;
        let input = trial.input.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("it reads");
        assert_eq!(trial.exit(), Some(0));
        assert_eq!(links()["eth0"]["mtu"], 1400);
    });
}

#[test]
fn killed_at_any_moment_it_leads_back() {
    in_namespace("killed_at_any_moment_it_leads_back", || {
        set_up();
        let _guarded = Guarded;
        let (_folder, path) = document(DOCUMENT);
        let before = state();
        // One that is killed at its end tells how long one takes.
        let start = Instant::now();
        let trial = Trial::start(&path, "60s");
        applied();
        let took = start.elapsed();
        trial.send(Signal::SIGKILL);
        trial.exit();
        at_its_end();
        assert_eq!(state(), before, "a kill at the end");
        let tries = std::env::var("RINGLINK_TRIES").ok().and_then(|text| text.parse().ok());
        let mut seed = 0x9e37_79b9_u64;
        for at in 0..tries.unwrap_or_else(|| work(TRIES).max(3)) {
            // From before the first change to well after the last (xorshift64).
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let delay = took.mul_f64(1.2 * (seed % 1_000) as f64 / 1_000.0);
            let trial = Trial::start(&path, "60s");
            std::thread::sleep(delay);
            trial.send(Signal::SIGKILL);
            trial.exit();
            at_its_end();
            assert_eq!(state(), before, "kill {at} after {delay:?}");
        }
    });
}

#[test]
fn what_could_not_be_undone_is_not_begun() {
    in_namespace("what_could_not_be_undone_is_not_begun", || {
        ip("tuntap add dev tun0 mode tun");
        ip("link add eth0 type ifb");
        let (_folder, path) =
            document("version = 1\n[link.tun0]\nstate = \"absent\"\n[link.eth0]\nmtu = 1400\n");
        let output = run(&["try", &path.to_string_lossy()]);
        let said = text(&output.stderr);
        assert_eq!(status(&output), Some(3), "{said}");
        assert!(said.contains("link tun0") && said.contains("Nothing was changed"), "{said}");
        assert_eq!(links()["eth0"]["mtu"], 1500);
    });
}
