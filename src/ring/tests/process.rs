//! What needs a process of its own. A sandbox must come before any second thread, and the test
//! harness always has one: so these start this program again, and do their work before its `main`.

use super::super::namespace::{enter_sandbox, has_net_admin};
use super::super::probe::probe;
use super::*;

/// Set in the processes that we start; says which child this is.
const CHILD: &str = "RINGLINK_TEST_CHILD";

#[test]
fn a_namespace_of_our_own_is_ours_to_change() {
    in_namespace(|| assert!(has_net_admin()));
}

#[test]
fn a_namespace_of_our_parents_is_not_ours_to_change() {
    // All-capable in a user namespace of our own, but the network stays the parent's.
    if let Some(output) = rerun("admin", &["unshare", "--user", "--map-root-user"]) {
        assert!(output.contains("net admin: false"), "{output}");
    }
}

#[test]
fn a_user_without_capabilities_may_not_change_the_network() {
    if let Some(output) = rerun("admin", NOBODY) {
        assert!(output.contains("net admin: false"), "{output}");
    }
}

#[test]
fn a_sandbox_has_a_loopback_that_is_up_and_obeys_us() {
    if let Some(output) = rerun("sandbox", &[]) {
        assert!(output.contains("sandbox: done"), "{output}");
    }
}

#[test]
fn a_sandbox_needs_no_root() {
    if let Some(output) = rerun("sandbox", NOBODY) {
        assert!(output.contains("sandbox: done"), "{output}");
    }
}

#[test]
fn a_sandbox_after_a_second_thread_is_refused_to_root_too() {
    if let Some(output) = rerun("late", &[]) {
        assert!(output.contains("before the process has a second thread"), "{output}");
    }
}

#[test]
fn cancels_and_rings_leave_no_descriptor() {
    if let Some(output) = rerun("descriptors", &[]) {
        assert!(output.contains("descriptors: as before"), "{output}");
    }
}

const NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Runs before `main`, when there is one thread yet; ends the process if it is one of ours.
#[used]
// SAFETY: the section holds functions that the C library calls once at the start, and this is one.
// It uses nothing of the standard library that `main` would have to set up first.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = child;

extern "C" fn child() {
    let Ok(child) = std::env::var(CHILD) else {
        return;
    };
    println!("child: started");
    match child.as_str() {
        "admin" => println!("net admin: {}", has_net_admin()),
        "sandbox" => {
            let outside = fs::read_link("/proc/self/ns/net").unwrap();
            enter_sandbox().unwrap();
            assert_ne!(fs::read_link("/proc/self/ns/net").unwrap(), outside);
            assert!(has_net_admin());
            let table = fs::read_to_string("/proc/self/net/fib_trie").unwrap();
            assert!(table.contains("127.0.0.1"), "the loopback is down");
            ip(&["link", "add", "name", "br0", "type", "bridge"]);
            let probe = probe();
            assert!(probe.is_usable(), "{probe:?}");
            println!("sandbox: done");
        }
        "descriptors" => {
            let count = || fs::read_dir("/proc/self/fd").unwrap().count();
            let before = count();
            for _ in 0..100 {
                let mut ring = open(&config());
                let _waker = ring.waker().unwrap();
                let socket = events(&mut ring, &[RTNLGRP_LINK], 1 << 16);
                let opened = count();
                for _ in 0..10 {
                    ring.arm(socket);
                    ring.disarm(socket);
                    turn_until(&mut ring, |c| matches!(c, Completion::Cancelled(_)));
                }
                assert_eq!(count(), opened);
                ring.arm(socket);
                ring.enter(Wait::None).unwrap();
            }
            assert_eq!(count(), before);
            println!("descriptors: as before");
        }
        "late" => thread::scope(|scope| {
            let error = scope.spawn(enter_sandbox).join().unwrap().unwrap_err();
            println!("late: {error}");
        }),
        other => panic!("no such child: {other}"),
    }
    std::process::exit(0);
}

/// Runs a [`child`] in a process of its own, under a command that changes who we are. None, with a
/// word about it, where that is not possible here.
fn rerun(child: &str, under: &[&str]) -> Option<String> {
    // A copy where everybody may read it: a build folder is often private.
    let folder = tempfile::Builder::new().prefix("ringlink-test").tempdir().unwrap();
    let open_to_all: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open_to_all.clone()).unwrap();
    let program = folder.path().join("tests");
    // By another process: what is open for writing in ours, and for a moment in those that other
    // tests start, cannot be executed (ETXTBSY in execve(2)).
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&program, open_to_all).unwrap();
    let mut command = match under.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
        None => Command::new(&program),
    };
    let output = match command.env(CHILD, child).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: {under:?} does not start here: {error}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if !text.contains("child: started") {
        eprintln!("skipped: {under:?} is refused here: {text}");
        return None;
    }
    assert!(output.status.success(), "{text}");
    Some(text)
}
