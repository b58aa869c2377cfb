//! What the tests against the real kernel share: a namespace of their own, and `ip` as oracle.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod churn;
#[cfg(feature = "document")]
pub(crate) mod declared;
pub(crate) mod netlink;
#[cfg(feature = "cli")]
pub(crate) mod program;
pub(crate) mod state;
pub(crate) mod truth;
pub(crate) mod watched;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// Set in the process that a test without privilege starts inside a user namespace.
const INSIDE: &str = "RINGLINK_TEST_INSIDE";

/// Runs `test` in a network namespace of its own, which ends with it.
///
/// Root moves the test's thread there. Anyone else runs the test again, by its `name`, as a
/// child inside a new user and network namespace.
pub(crate) fn in_namespace(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    if nix::unistd::geteuid().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        ip("link set lo up");
        return test();
    }
    let program = std::env::current_exe().expect("a test knows its own program");
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status();
    match status {
        Ok(status) => assert!(status.success(), "{name} failed inside its namespace"),
        Err(error) => eprintln!("skipped: {name} cannot enter a user namespace: {error}"),
    }
}

/// The same with a mount namespace and an empty `/run` of its own, so that named network namespaces
/// are no one else's. It takes CAP_SYS_ADMIN to have them, and to enter what it makes.
pub(crate) fn with_own_names(test: impl FnOnce()) {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if let Err(errno) = unshare(flags) {
        eprintln!("skipped: no network and mount namespace of its own ({errno}); run as root");
        return;
    }
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("an empty /run");
    ip("link set lo up");
    test();
}

/// Whether this is the inside of a user namespace, where receive buffers are capped.
pub(crate) fn is_nested() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs `ip` with these words and returns what it printed; panics where it fails.
pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output();
    let output = output.expect("the tests need `ip` of iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {errors}");
    String::from_utf8(output.stdout).expect("`ip` prints UTF-8")
}

/// Runs many `ip` commands in one process.
pub(crate) fn ip_batch(lines: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), lines).expect("a temporary file can be written");
    let output = Command::new("ip").arg("-batch").arg(file.path()).output();
    let output = output.expect("the tests need `ip` of iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip -batch: {errors}\n{lines}");
}

/// What `ip -j` prints for these words.
pub(crate) fn ip_json(words: &str) -> Vec<Value> {
    let text = ip(&format!("-j {words}"));
    if text.trim().is_empty() {
        return Vec::new();
    }
    match serde_json::from_str(&text) {
        Ok(Value::Array(entries)) => entries,
        other => panic!("ip -j {words} printed {other:?}"),
    }
}

/// `ip -d -j link`, by name.
pub(crate) fn links() -> BTreeMap<String, Value> {
    let named = |link: Value| (link["ifname"].as_str().unwrap_or_default().to_owned(), link);
    ip_json("-d link show").into_iter().map(named).collect()
}

/// The addresses of one link as `ip` shows them, `address/length`, in its order.
pub(crate) fn addresses_of(link: &str) -> Vec<String> {
    let shown = ip_json(&format!("addr show dev {link}"));
    let infos = shown.iter().filter_map(|entry| entry["addr_info"].as_array()).flatten();
    infos
        .filter(|info| info["local"].is_string())
        .map(|info| format!("{}/{}", info["local"].as_str().unwrap_or_default(), info["prefixlen"]))
        .collect()
}

/// Every route of both families and all tables, one line each, without what comes and goes.
pub(crate) fn routes() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        let shown = ip(&format!("{family} -N route show table all"));
        let lasting = |word: &&str| !matches!(*word, "linkdown" | "dead");
        lines.extend(
            shown
                .lines()
                .map(|line| line.split_whitespace().filter(lasting).collect::<Vec<_>>().join(" ")),
        );
    }
    lines.sort();
    lines
}

/// Says so when it is dropped, so that threads end with a test that fails.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many times slower than usual this machine is, by RINGLINK_SLOWNESS: `scripts/kernels` says
/// so of its guests. Waits last that much longer at most, and [`work`] is less by that.
pub(crate) fn slowness() -> u32 {
    let told = std::env::var("RINGLINK_SLOWNESS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(1).max(1)
}

/// How much of a lot of work to do here.
pub(crate) fn work(full: usize) -> usize {
    full / slowness() as usize
}

/// Looks until `holds` does, for at most `timeout` and longer on a slow machine; whether it did.
pub(crate) fn eventually(timeout: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout * slowness();
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
