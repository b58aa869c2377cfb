//! Many links are set up by the group of their owner: just those that are declared, and where the
//! kernel refuses one, the others all the same.

#![cfg(feature = "cli")]

mod common;

use std::net::UdpSocket;
use std::path::Path;

use common::program::{document, run, status, text};
use common::{in_namespace, ip, links};

/// As many as are set up together, and more.
const MANY: usize = 150;
/// As many as are made down, to be set up together.
const A_GREAT_NUMBER: usize = 1_000;
const OWNER: &str = "version = 1\n[owner]\nname = \"host\"\ngroup = 4710\n";

fn ifbs(count: usize) -> String {
    (0..count).map(|at| format!("[link.i{at}]\nkind = \"ifb\"\n")).collect()
}

fn apply(path: &Path, wanted: i32) -> String {
    let output = run(&["apply", "--yes", &path.to_string_lossy()]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(status(&output), Some(wanted), "{said}");
    said
}

/// How many links `ip` shows whose name begins like that and that are up, or down.
fn count(prefix: &str, up: bool) -> usize {
    let links = links();
    let is_it = |(name, link): &(&String, &serde_json::Value)| {
        let flags = link["flags"].as_array().expect("flags");
        name.starts_with(prefix) && flags.iter().any(|flag| flag == "UP") == up
    };
    links.iter().filter(is_it).count()
}

#[test]
fn a_great_number_that_is_made_is_up() {
    in_namespace("a_great_number_that_is_made_is_up", || {
        let (_folder, path) = document(&(OWNER.to_owned() + &ifbs(A_GREAT_NUMBER)));
        let said = apply(&path, 0);
        assert_eq!(count("i", true), A_GREAT_NUMBER);
        assert!(said.contains(&format!("converged: {A_GREAT_NUMBER} changes")), "{said}");
        assert!(apply(&path, 0).contains("nothing to do"));
    });
}

#[test]
fn what_bears_the_mark_and_is_not_declared_stays_down() {
    in_namespace("what_bears_the_mark_and_is_not_declared_stays_down", || {
        let pair = |at| format!("[link.v{at}]\nveth = {{ peer = \"p{at}\" }}\n[link.p{at}]\n");
        let (_folder, path) =
            document(&(OWNER.to_owned() + &(0..MANY).map(pair).collect::<String>()));
        ip("link add stranger group 4710 type ifb");
        apply(&path, 0);
        assert_eq!((count("v", true), count("p", true)), (MANY, MANY));
        assert_eq!(count("stranger", false), 1, "nobody declared it");
        assert!(apply(&path, 0).contains("nothing to do"));
    });
}

#[test]
fn one_that_the_kernel_does_not_set_up_keeps_no_other_down() {
    in_namespace("one_that_the_kernel_does_not_set_up_keeps_no_other_down", || {
        let vxlan = "[link.a0]\nvxlan = { id = 42, dstport = 4789, remote = \"192.0.2.1\" }\n";
        let (_folder, path) = document(&(OWNER.to_owned() + vxlan + &ifbs(MANY)));
        // Made down, and before the others, so that it is the first of its group.
        ip("link add a0 group 4710 type vxlan id 42 dstport 4789 remote 192.0.2.1");
        for at in 0..MANY {
            ip(&format!("link add i{at} group 4710 type ifb"));
        }
        let holder = UdpSocket::bind("0.0.0.0:4789").expect("the port of the tunnel");
        let said = apply(&path, 1);
        assert!(said.contains("a0") && said.contains("Address already in use"), "{said}");
        assert_eq!((count("i", true), count("a0", false)), (MANY, 1));
        drop(holder);
        apply(&path, 0);
        assert_eq!(count("a0", true), 1);
    });
}
