//! `apply --wait` goes on as what it waits for comes, and ends when it has waited long enough.

#![cfg(feature = "cli")]

mod common;

use common::program::{Running, document, json, ringlink, run, status, text};
use common::{addresses_of, in_namespace, ip, links};
use nix::sys::signal::Signal;

/// Two devices that come by themselves, a link on one of them, and a route through it.
const DOCUMENT: &str = "version = 1\n\
    [link.br0]\nkind = \"bridge\"\n\
    [link.eth0]\nmtu = 1400\naddresses = [\"192.0.2.1/24\"]\n\
    [link.mv0]\nmacvlan = { dev = \"eth1\" }\naddresses = [\"203.0.113.1/24\"]\n\
    [[route]]\nto = \"198.51.100.0/24\"\nvia = \"203.0.113.2\"\n";

#[test]
fn devices_that_come_are_taken_in_as_they_come() {
    in_namespace("devices_that_come_are_taken_in_as_they_come", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let mut running = Running::start(&["apply", "--wait", "2m", &path]);
        let line = running.line_with("up to 120.0 s");
        assert!(line.contains("which does not exist (and "), "{line}");
        assert!(links().contains_key("br0"), "what can be made is not waited with");
        ip("link add eth0 type veth peer name eth1");
        // An address on a device that is down stands all the same; its link is to be brought up.
        ip("link set eth0 up");
        ip("link set eth1 up");
        let last = running.line_with("converged: ");
        assert!(last.contains(" changes in "), "{last}");
        assert_eq!(running.wait(), Some(0));
        assert_eq!(links()["eth0"]["mtu"], 1400);
        assert_eq!(addresses_of("mv0")[0], "203.0.113.1/24");
        assert!(ip("route show").contains("198.51.100.0/24 via 203.0.113.2 dev mv0"));
        assert_eq!(status(&run(&["check", &path])), Some(0));
    });
}

#[test]
fn what_is_still_missing_at_the_end_is_told() {
    in_namespace("what_is_still_missing_at_the_end_is_told", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        let applied = run(&["apply", "--wait", "200ms", "--json", &path]);
        assert_eq!(status(&applied), Some(1), "{}", text(&applied.stderr));
        let report = json(&applied);
        assert_eq!(report["converged"], false);
        let blocked = report["blocked"].as_array().expect("a list");
        let names: Vec<_> = blocked.iter().map(|it| it["name"].as_str()).collect();
        assert!(names.contains(&Some("mv0")) && !names.contains(&Some("eth0")), "{names:?}");
        assert!(blocked.iter().any(|it| it["waiting"] == true), "{blocked:?}");
        let said = text(&run(&["apply", "--wait", "200ms", &path]).stdout);
        assert!(said.contains("waiting for link eth1, which does not exist"), "{said}");
        assert!(said.contains("not converged"), "{said}");
        for word in ["5", "soon", "25h"] {
            assert_eq!(status(&run(&["apply", "--wait", word, &path])), Some(2), "{word}");
        }
    });
}

#[test]
fn a_wait_is_ended_by_a_signal_with_a_report() {
    in_namespace("a_wait_is_ended_by_a_signal_with_a_report", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let mut running = Running::start(&["apply", "--wait", "2m", &path]);
        running.line_with("up to ");
        running.signal(Signal::SIGINT);
        running.line_with("create link br0");
        running.line_with("interrupted: ");
        assert_eq!(running.wait(), Some(130));
        // With nothing made there is nothing to tell.
        let mut again = Running::start(&["apply", "--wait", "2m", &path]);
        again.line_with("up to ");
        assert_eq!(again.end(Signal::SIGINT), Some(130));
    });
}

#[test]
fn what_comes_is_asked_about_and_guarded_as_what_was_there() {
    in_namespace("what_comes_is_asked_about_and_guarded_as_what_was_there", || {
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        let (_folder, path) = document(
            "version = 1\n[link.br0]\nkind = \"bridge\"\n[link.eth0]\nmaster = \"br9\"\n\
             [link.eth1]\naddresses = []\nextra_addresses = \"remove\"\n",
        );
        let mut command = ringlink();
        command.args(["apply", "--yes", "--wait", "2m"]).arg(&path);
        command.env("SSH_CONNECTION", "198.51.100.7 50022 192.0.2.1 22");
        let stderr = tempfile::NamedTempFile::new().expect("a temporary file");
        command.stderr(stderr.reopen().expect("the same file"));
        let mut running = Running::of(&mut command);
        running.line_with("up to ");
        ip("link add br9 type bridge");
        running.line_with("create link br0");
        assert_eq!(running.wait(), Some(3));
        let said = std::fs::read_to_string(stderr.path()).expect("readable");
        assert!(said.contains("set link eth0: master br9"), "{said}");
        assert!(said.contains("What was made before stays."), "{said}");
        assert!(links()["eth0"]["master"].is_null());

        ip("link del br9");
        let mut command = ringlink();
        command.args(["apply", "--wait", "2m"]).arg(&path);
        command.stderr(stderr.reopen().expect("the same file"));
        let mut running = Running::of(&mut command);
        running.line_with("up to ");
        common::ip_batch(
            "link add peer1 type veth peer name eth9\naddr add 203.0.113.1/24 dev eth9\nlink set eth9 name eth1\n",
        );
        assert_eq!(running.wait(), Some(3));
        assert!(addresses_of("eth1").contains(&"203.0.113.1/24".to_owned()));
    });
}
