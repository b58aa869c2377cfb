//! `doctor FILE` finds other managers of the document's links.

#![cfg(feature = "cli")]

mod common;

use std::fs;

use common::program::{document, json, run, status, text};
use common::{in_namespace, ip, links};

const DOCUMENT: &str = "version = 1\n[link.eth0]\nmtu = 1400\n[link.br0]\nkind = \"bridge\"\n";

#[test]
fn doctor_prints_what_makes_another_manager_leave_the_links_alone() {
    in_namespace("doctor_prints_what_makes_another_manager_leave_the_links_alone", || {
        ip("link add other type ifb");
        ip("link add eth0 type ifb");
        let index = links()["eth0"]["ifindex"].as_u64().expect("an index");
        let root = tempfile::tempdir().expect("a temporary folder");
        let write = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, content).expect("writable");
        };
        let (_folder, path) = document(DOCUMENT);
        let (path, root_text) = (path.to_string_lossy(), root.path().to_string_lossy());
        let doctor =
            |extra: &[&str]| run(&[&["doctor", "--root", &root_text], extra, &[&*path]].concat());
        let nobody = doctor(&[]);
        assert_eq!(status(&nobody), Some(0), "{}", text(&nobody.stdout));
        assert!(text(&nobody.stdout).contains("no other manager was found"));

        write("proc/77/comm", "systemd-network\n");
        write("proc/77/cmdline", "/usr/lib/systemd/systemd-networkd\0");
        let state = "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/20-all.network\n";
        write(&format!("run/systemd/netif/links/{index}"), state);
        let found = doctor(&[]);
        assert_eq!(status(&found), Some(1));
        let said = text(&found.stdout);
        for part in [
            "managed eth0: by systemd-networkd: eth0 by /etc/systemd/network/20-all.network",
            "/etc/systemd/network/00-ringlink.network",
            "Name=eth0 br0",
            "Unmanaged=yes",
            "networkctl reload",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let as_json = doctor(&["--json"]);
        assert_eq!(status(&as_json), Some(1));
        let value = json(&as_json);
        assert_eq!(value["managed"][0]["manager"], "systemd-networkd");
        assert_eq!(value["managed"][0]["links"][0], "eth0");
        assert_eq!(value["managed"][0]["links"].as_array().map(Vec::len), Some(1));
        assert_eq!(value["fit"], true);
    });
}

#[test]
fn a_document_with_an_error_is_told_as_by_every_verb() {
    let (_folder, path) = document("version = 1\n[link.br0]\nkind = \"bridg\"\n");
    let output = run(&["doctor", &path.to_string_lossy()]);
    assert_eq!(status(&output), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("bridge"));
}
