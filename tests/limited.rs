//! What works where a host allows the program little.

#![cfg(feature = "cli")]

mod common;

use std::fmt::Write as _;
use std::process::Command;

use common::program::{copy_for_all, document, text};

/// A user with room for three more of these: the shell, the program and its thread for signals.
const THREADS_MAX: &str = "--nproc=3";
/// Nobody's, so that no other process counts.
const NOBODYS: &str = "64999";

#[test]
fn where_no_thread_can_be_made_to_send_long_batches_they_are_sent_all_the_same() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: threads are counted by user, and only root can be another one");
        return;
    }
    let links = 20;
    let mut content = "version = 1\n".to_owned();
    for number in 0..links {
        writeln!(content, "[link.i{number}]\nkind = \"ifb\"").expect("a string");
    }
    let (folder, path) = document(&content);
    let program = copy_for_all(folder.path());
    let script = format!("{} apply --yes {}; ip -o link", program.display(), path.display());
    let output = Command::new("setpriv")
        .args(["--reuid", NOBODYS, "--regid", NOBODYS, "--clear-groups"])
        .args(["unshare", "--user", "--map-root-user", "--net", "prlimit", THREADS_MAX])
        .args(["sh", "-c", &script])
        .output()
        .expect("the tests need `setpriv` of util-linux");
    let (told, error) = (text(&output.stdout), text(&output.stderr));
    if error.contains("unshare failed") {
        eprintln!("skipped: no user namespace: {error}");
        return;
    }
    assert!(told.contains(&format!("converged: {links} changes")), "{told}{error}");
    let made = told.lines().filter(|line| line.contains(": i")).count();
    assert_eq!(made, links, "{told}");
}
