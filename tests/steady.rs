//! In the steady state the engine's thread does all its work through `io_uring_enter`.

#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::program::document;
use common::{addresses_of, eventually, in_namespace, ip, work};

const LINKS: usize = 50;
const DRIFTS: usize = 300;
/// What io_uring replaces: not one of these may come from the engine's thread.
const FORBIDDEN: &[&str] = &[
    "read",
    "readv",
    "pread64",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "write",
    "writev",
    "pwrite64",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
];

#[test]
fn the_engine_makes_no_system_call_but_io_uring_enter() {
    in_namespace("the_engine_makes_no_system_call_but_io_uring_enter", || {
        if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: strace is not installed");
            return;
        }
        let trace_folder = tempfile::tempdir().expect("a temporary folder");
        let trace = trace_folder.path().join("trace");
        let links = (0..LINKS).map(|n| {
            format!("[link.v{n}]\nveth = {{ peer = \"p{n}\" }}\naddresses = [\"10.0.{n}.1/24\"]\n")
        });
        let text = format!("version = 1\n{}", links.collect::<String>());
        let (_folder, document) = document(&text);
        let mut strace = Command::new("strace")
            .args(["-f", "-ttt", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_ringlink"))
            .arg("run")
            .arg(&document)
            .stdout(Stdio::null())
            .spawn()
            .expect("strace starts");
        let last = format!("v{}", LINKS - 1);
        let converged = eventually(Duration::from_secs(60), || {
            let shown = Command::new("ip").args(["-4", "addr", "show", "dev", &last]).output();
            shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains("10.0."))
        });
        assert!(converged, "it did not converge under strace");
        std::thread::sleep(Duration::from_secs(1));
        let start = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        for drift in 0..work(DRIFTS) {
            let n = drift % LINKS;
            match drift % 3 {
                0 => ip(&format!("addr del 10.0.{n}.1/24 dev v{n}")),
                1 => ip(&format!("link set v{n} down")),
                _ => ip(&format!("addr add 10.1.{n}.1/24 dev v{n}")),
            };
            let undone = eventually(Duration::from_secs(30), || {
                let is_up = ip(&format!("link show dev v{n} up")).contains("UP");
                let ours = |address: &String| address.starts_with("10.");
                let own: Vec<_> = addresses_of(&format!("v{n}")).into_iter().filter(ours).collect();
                is_up && own == [format!("10.0.{n}.1/24")]
            });
            assert!(undone, "drift {drift} on v{n} was not undone");
        }
        let end = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        stop(&trace);
        strace.wait().expect("strace ends");
        let trace = std::fs::read_to_string(&trace).expect("a trace");
        check(&trace, start.as_secs_f64(), end.as_secs_f64());
    });
}

/// Ends what is traced, whose id begins the trace; strace itself ignores the signal.
fn stop(trace: &std::path::Path) {
    let text = std::fs::read_to_string(trace).expect("a trace");
    let id = text.split_whitespace().next().and_then(|id| id.parse().ok()).expect("a process id");
    let pid = nix::unistd::Pid::from_raw(id);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it lives");
}

/// Counts the calls of the engine's thread between the two times.
fn check(trace: &str, start: f64, end: f64) {
    let named = |line: &&str| line.contains("PR_SET_NAME, \"ringlink-engine\"");
    let thread = trace.lines().find(named).and_then(|line| line.split_whitespace().next());
    let thread = thread.expect("the engine's thread names itself");
    let mut calls = BTreeMap::<&str, usize>::new();
    for line in trace.lines() {
        let mut words = line.split_whitespace();
        let (Some(id), Some(time), Some(call)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let time: f64 = time.parse().unwrap_or(0.0);
        let is_start = !call.starts_with("<...") && !call.starts_with("---");
        if id == thread && is_start && time > start && time < end {
            *calls.entry(call.split('(').next().unwrap_or(call)).or_default() += 1;
        }
    }
    eprintln!("calls of the engine's thread: {calls:?}");
    let enters = calls.get("io_uring_enter").copied().unwrap_or(0);
    assert!(enters >= work(DRIFTS), "too few turns to tell: {calls:?}");
    for call in FORBIDDEN {
        assert!(!calls.contains_key(call), "the engine's thread called {call}: {calls:?}");
    }
    // A call at all only where the clock cannot be read without one.
    let clock = calls.get("clock_gettime").copied().unwrap_or(0);
    let others = calls.values().sum::<usize>() - enters - clock;
    assert!(others * 100 <= enters, "more than 1 % other calls: {calls:?}");
}
