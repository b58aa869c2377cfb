//! No verb cuts the SSH session that it is typed in, unless it is told to.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::program::{Running, document, ringlink, status, text};
use common::{addresses_of, in_namespace, ip, links};
use nix::sys::signal::Signal;

const SESSION: &str = "198.51.100.7 50022 192.0.2.1 22";

/// An uplink with the session's address and a way to its client; another device that has neither.
fn host() {
    ip("link add eth0 type ifb");
    ip("link set eth0 up");
    ip("addr add 192.0.2.1/24 dev eth0");
    ip("route add default via 192.0.2.254");
    ip("link add eth1 type ifb");
    ip("link set eth1 up");
    ip("addr add 203.0.113.1/24 dev eth1");
}

fn run_in(session: &str, arguments: &[&str], path: &Path) -> Output {
    let mut program = ringlink();
    program.args(arguments).arg(path).env("SSH_CONNECTION", session).stdin(Stdio::null());
    program.output().expect("the program starts")
}

/// It is refused with a message that names all of these, and changed nothing.
fn assert_refused(output: &Output, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(status(output), Some(3), "{said}{}", text(&output.stdout));
    let always = ["198.51.100.7", "192.0.2.1", "`ringlink try`", "--cut-session", "Nothing was"];
    for part in parts.iter().chain(&always) {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_would_cut_the_session_is_refused_by_every_writing_verb() {
    in_namespace("what_would_cut_the_session_is_refused_by_every_writing_verb", || {
        host();
        let before = (links(), ip("route show"), ip("rule show"), ip("neigh show"));
        for (text, step) in [
            ("[link.eth0]\nstate = \"down\"\n", "set link eth0: admin up -> down"),
            ("[link.eth0]\nstate = \"absent\"\n", "delete link eth0"),
            ("[link.eth0]\nmac = \"02:00:00:00:00:09\"\n", "set link eth0: mac"),
            ("[link.br0]\nkind = \"bridge\"\n[link.eth0]\nmaster = \"br0\"\n", "master br0"),
            (
                "[link.eth0]\naddresses = [\"192.0.2.77/32\"]\nextra_addresses = \"remove\"\n",
                "delete address 192.0.2.1/24 dev eth0",
            ),
            (
                "[[route]]\nto = \"default\"\nvia = \"192.0.2.253\"\ndev = \"eth0\"\n",
                "via 192.0.2.254 -> 192.0.2.253",
            ),
            (
                "[[rule]]\npriority = 100\nfrom = \"192.0.2.0/24\"\naction = \"blackhole\"\n",
                "create rule",
            ),
            (
                "[[neighbour]]\ndev = \"eth0\"\naddress = \"192.0.2.254\"\n\
                 mac = \"02:00:00:00:00:09\"\n",
                "neighbour 192.0.2.254",
            ),
        ] {
            let (_folder, path) = document(&format!("version = 1\n{text}"));
            for verb in [&["apply", "--yes"][..], &["apply"], &["run"]] {
                assert_refused(&run_in(SESSION, verb, &path), &[step]);
            }
            let as_json = run_in(SESSION, &["apply", "--json", "--yes"], &path);
            assert_eq!(status(&as_json), Some(3));
            assert!(text_of_error(&as_json).contains("--cut-session"));
        }
        assert_eq!((links(), ip("route show"), ip("rule show"), ip("neigh show")), before);
    });
}

fn text_of_error(output: &Output) -> String {
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
    error["error"].as_str().expect("a text").to_owned()
}

#[test]
fn destroy_spares_the_session_until_it_is_told_not_to() {
    in_namespace("destroy_spares_the_session_until_it_is_told_not_to", || {
        let (_folder, path) = document(
            "version = 1\n[owner]\nname = \"own\"\n[link.br0]\nkind = \"bridge\"\n\
             addresses = [\"192.0.2.1/24\"]\n[link.v0]\nveth = { peer = \"p0\" }\n\
             master = \"br0\"\n",
        );
        assert_eq!(status(&run_in(SESSION, &["apply"], &path)), Some(0), "it is not there yet");
        assert_refused(&run_in(SESSION, &["destroy", "--yes"], &path), &["delete link br0 (and "]);
        assert!(links().contains_key("br0") && links().contains_key("v0"));
        let destroyed = run_in(SESSION, &["destroy", "--yes", "--cut-session"], &path);
        assert_eq!(status(&destroyed), Some(0), "{}", text(&destroyed.stderr));
        assert!(!links().contains_key("br0"));
    });
}

#[test]
fn what_does_not_touch_the_session_is_made_and_so_is_what_is_asked_for() {
    in_namespace("what_does_not_touch_the_session_is_made_and_so_is_what_is_asked_for", || {
        host();
        let harmless = "version = 1\n[link.eth0]\nmtu = 1400\naddresses = [\"192.0.2.9/24\"]\n\
                        [link.eth1]\nstate = \"down\"\nextra_addresses = \"remove\"\naddresses = []\n";
        let (_folder, path) = document(harmless);
        let applied = run_in(SESSION, &["apply", "--yes"], &path);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stderr));
        assert_eq!(links()["eth0"]["mtu"], 1400);
        assert_eq!(addresses_of("eth1").iter().filter(|it| !it.contains(':')).count(), 0);
        // A session of another host's address, and what is none.
        let (_cut_folder, cut) = document("version = 1\n[link.eth0]\nstate = \"down\"\n");
        for (session, flags) in [
            ("198.51.100.7 50022 192.0.2.99 22", &["apply", "--yes"][..]),
            ("nonsense", &["apply", "--yes"]),
            (SESSION, &["apply", "--yes", "--cut-session"]),
        ] {
            ip("link set eth0 up");
            let applied = run_in(session, flags, &cut);
            assert_eq!(status(&applied), Some(0), "{}", text(&applied.stderr));
            assert_eq!(links()["eth0"]["operstate"], "DOWN");
        }
        ip("link set eth0 up");
        let mut command = ringlink();
        command.args(["run", "--cut-session"]).arg(&cut).env("SSH_CONNECTION", SESSION);
        let mut running = Running::of(&mut command);
        running.line_with("converged");
        assert_eq!(running.end(Signal::SIGINT), Some(0));
        assert_eq!(links()["eth0"]["operstate"], "DOWN");
    });
}

#[test]
fn the_session_of_an_ancestor_counts() {
    in_namespace("the_session_of_an_ancestor_counts", || {
        host();
        let (_folder, path) = document("version = 1\n[link.eth0]\nstate = \"down\"\n");
        // As `sudo` does: the variable is the shell's, and the program does not get it.
        let script = "env -u SSH_CONNECTION \"$0\" apply --yes \"$1\"; exit $?";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_ringlink")]).arg(&path);
        let output = shell.env("SSH_CONNECTION", SESSION).output().expect("sh");
        assert_refused(&output, &["set link eth0: admin up -> down"]);
    });
}
