//! `run --report-only` tells what differs and leaves it so.

#![cfg(feature = "cli")]

mod common;

use std::process::Command;

use common::program::{Running, copy_for_all, document};
use common::{in_namespace, ip, links};
use nix::sys::signal::Signal;

const DOCUMENT: &str = "version = 1\n\
    [link.br0]\nkind = \"bridge\"\nmac = \"02:00:00:00:00:01\"\nmtu = 1400\n\
    addresses = [\"192.0.2.1/24\"]\n\
    [link.absentee]\nmtu = 1400\n\
    [[route]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.254\"\ndev = \"br0\"\n";

/// The network as declared, made by someone else.
fn make() {
    ip("link add br0 address 02:00:00:00:00:01 mtu 1400 type bridge");
    ip("link set br0 up");
    ip("addr add 192.0.2.1/24 dev br0");
    ip("route add 198.51.100.0/24 via 192.0.2.254 proto 82");
}

#[test]
fn differences_are_told_as_they_come_and_go_and_nothing_is_corrected() {
    in_namespace("differences_are_told_as_they_come_and_go_and_nothing_is_corrected", || {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let mut running = Running::start(&["run", "--report-only", "-v", &path]);
        // A run may keep it meanwhile: who only reads needs no lock.
        let mut second = Running::start(&["run", "--report-only", "--json", &path]);
        second.line_with("br0");
        running.line_with("missing: link br0");
        make();
        running.line_with("as declared again: link br0");
        running.line_with("as declared again: route 198.51.100.0/24");
        ip("link set br0 mtu 1300");
        running.line_with("differs: link br0: mtu 1300, not 1400");
        ip("addr add 203.0.113.1/24 dev br0");
        running.line_with("not declared: address 203.0.113.1/24 dev br0");
        ip("addr del 203.0.113.1/24 dev br0");
        running.line_with("as declared again: address 203.0.113.1/24 dev br0");
        ip("link add absentee mtu 1400 type ifb");
        running.line_with("as declared again: link absentee");
        ip("addr del 192.0.2.1/24 dev br0");
        running.line_with("missing: address 192.0.2.1/24 dev br0");
        // It has the rest of the day to correct it, and does not: what follows is told too.
        ip("link set br0 mtu 1400");
        running.line_with("as declared again: link br0 (after ");
        assert_eq!(ip("route show"), "", "the route that went with its address stays away");
        assert!(!ip("addr show dev br0").contains("192.0.2.1"));
        ip("addr add 192.0.2.1/24 dev br0");
        ip("route add 198.51.100.0/24 via 192.0.2.254 proto 82");
        running.line_with("all is as declared");
        running.signal(Signal::SIGINT);
        let last = running.line_with("stopped: ");
        assert!(last.contains(" 0 left; nothing was changed"), "{last}");
        assert!(running.line().contains(" 0 changes sent"));
        assert_eq!(running.wait(), Some(0));

        ip("link set br0 mtu 1350");
        let line = second.line_with("\"from\":1350");
        for part in ["\"report\":\"differs\"", "\"mtu\":{\"from\":1350,\"to\":1400}"] {
            assert!(line.contains(part), "{line}");
        }
        ip("link set br0 mtu 1400");
        let line = second.line_with("as_declared");
        assert!(line.contains("\"name\":\"br0\"") && line.contains("took_us"), "{line}");
        assert_eq!(second.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn it_needs_no_privilege() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give its capabilities away here");
        return;
    }
    in_namespace("it_needs_no_privilege", || {
        let (folder, path) = document(DOCUMENT);
        // Nobody must be able to read what it is given.
        let program = copy_for_all(folder.path());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["run", "--report-only"]).arg(&path);
        let mut running = Running::of(&mut command);
        running.line_with("missing: link br0");
        make();
        running.line_with("as declared again: link br0");
        assert_eq!(links()["br0"]["mtu"], 1400);
        assert_eq!(running.end(Signal::SIGINT), Some(0));
    });
}

#[test]
fn objects_of_every_type_are_told() {
    in_namespace("objects_of_every_type_are_told", || {
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        let (_folder, path) = document(
            "version = 1\n[link.eth0]\naddresses = [\"192.0.2.1/24\"]\n\
             [[rule]]\npriority = 100\nfrom = \"192.0.2.0/24\"\ntable = 100\n\
             [[neighbour]]\ndev = \"eth0\"\naddress = \"192.0.2.9\"\nmac = \"02:00:00:00:00:09\"\n",
        );
        let mut running = Running::start(&["run", "--report-only", &path.to_string_lossy()]);
        let mut missing = [running.line(), running.line(), running.line()];
        missing.sort();
        for (line, part) in missing.iter().zip(["address 192.0.2.1/24", "neighbour", "rule"]) {
            assert!(line.starts_with(&format!("missing: {part}")), "{line}");
        }
        ip("addr add 192.0.2.1/24 dev eth0");
        running.line_with("as declared again: address 192.0.2.1/24 dev eth0");
        ip("rule add priority 100 from 192.0.2.0/24 table 100 protocol 82");
        running.line_with("as declared again: rule");
        ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:08 dev eth0 nud permanent");
        running.line_with("differs: neighbour");
        ip("neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
        running.line_with("as declared again: neighbour");
        running.line_with("all is as declared");
        assert_eq!(running.end(Signal::SIGINT), Some(0));
    });
}
