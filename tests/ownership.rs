//! Whose is what: one writer an owner, and what is the owner's goes when it is not declared.

#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::netlink::{Asker, RTM_NEWLINK, Requests};
use common::program::{document, ringlink, run, status, text};
use common::{Over, addresses_of, eventually, in_namespace, ip, links, routes};
use ringlink::{Applier, ApplyError, Desired};

const IFLA_GROUP: u16 = 27;

/// A process that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ringlink run`, once `link` is there.
fn keep(path: &Path, link: &str) -> Running {
    let mut program = ringlink();
    program.arg("run").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(program.spawn().expect("the program starts"));
    let is_there = || links().contains_key(link);
    assert!(eventually(Duration::from_secs(20), is_there), "{link} does not come");
    running
}

#[test]
fn one_owner_has_one_writer_and_the_other_is_told_who_it_is() {
    in_namespace("one_owner_has_one_writer_and_the_other_is_told_who_it_is", || {
        let text_of = |owner: &str, link: &str| {
            format!("version = 1\n{owner}[link.{link}]\nkind = \"ifb\"\n")
        };
        let (_folder, one) = document(&text_of("[owner]\nname = \"one\"\n", "a0"));
        let (_folder_two, two) = document(&text_of("[owner]\nname = \"two\"\n", "b0"));
        let (_folder_none, none) = document(&text_of("", "c0"));
        let running = keep(&one, "a0");
        let apply = |path: &Path| run(&["apply", &path.to_string_lossy()]);
        let refused = apply(&one);
        let said = text(&refused.stderr);
        assert_eq!(status(&refused), Some(3), "{said}");
        let pid = running.0.id();
        assert!(said.contains(&format!("process {pid} (`")) && said.contains(" run "), "{said}");
        assert!(said.contains("`one`") && said.contains("Nothing was changed"), "{said}");
        // Reading is for everyone, and so is writing for another owner.
        for verb in ["plan", "check"] {
            assert_eq!(status(&run(&[verb, &one.to_string_lossy()])), Some(0));
        }
        assert_eq!(status(&apply(&two)), Some(0));
        let unowned = keep(&none, "c0");
        let refused = apply(&none);
        assert_eq!(status(&refused), Some(3));
        assert!(text(&refused.stderr).contains("documents without an owner"));
        // The lock ends with the process, however that ended.
        drop((running, unowned));
        let free = || status(&apply(&one)) == Some(0) && status(&apply(&none)) == Some(0);
        assert!(eventually(Duration::from_secs(10), free));
    });
}

/// Owner `name`, with or without pruning, and `count` veth pairs `{prefix}N` and `{prefix}pN`.
fn pairs(owner: &str, prefix: &str, count: usize) -> String {
    let pair = |at| format!("[link.{prefix}{at}]\nveth = {{ peer = \"{prefix}p{at}\" }}\n");
    format!("version = 1\n[owner]\n{owner}\n") + &(0..count).map(pair).collect::<String>()
}

fn names() -> BTreeSet<String> {
    links().into_keys().filter(|name| name != "lo").collect()
}

fn expect(arguments: &[&str], path: &Path, wanted: i32) -> String {
    let path = path.to_string_lossy();
    let output = run(&[arguments, &[&path]].concat());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(status(&output), Some(wanted), "{arguments:?}: {said}");
    said
}

#[test]
fn what_left_the_document_is_removed_and_nothing_of_anyone_else() {
    in_namespace("what_left_the_document_is_removed_and_nothing_of_anyone_else", || {
        ip("link add foreign type veth peer name foreignp");
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        let routes_of = |owner: &str, number: u8| {
            format!(
                "[[route]]\nto = \"10.{number}.0.0/16\"\nvia = \"192.0.2.{number}\"\ndev = \"eth0\"\n\
                 [link.{owner}0]\naddresses = [\"10.0.{number}.1/24\"]\nkind = \"ifb\"\n\
                 [[route]]\nto = \"10.9.{number}.0/24\"\ndev = \"{owner}0\"\n"
            )
        };
        let other = "version = 1\n[owner]\nname = \"other\"\n".to_owned() + &routes_of("o", 7);
        let (_other_folder, other) = document(&other);
        expect(&["apply"], &other, 0);
        let owner = "name = \"own\"\nprune = true";
        let all = pairs(owner, "v", 3) + &routes_of("w", 8);
        let (_folder, path) = document(&all);
        expect(&["apply"], &path, 0);
        let foreign = || {
            // The kernel's own come and go with addresses, some a moment later.
            let is_foreign = |line: &String| !line.contains("10.9.8.") && !line.contains("proto 2");
            routes().into_iter().filter(is_foreign).collect::<Vec<_>>()
        };
        let before = foreign();
        std::fs::write(&path, pairs(owner, "v", 1)).expect("a writable folder");
        let planned = expect(&["plan"], &path, 0);
        assert!(planned.contains("- link v2") && planned.contains("- link w0"), "{planned}");
        let refused = expect(&["apply"], &path, 3);
        assert!(refused.contains("--yes"), "{refused}");
        expect(&["apply", "--yes"], &path, 0);
        let left = ["foreign", "foreignp", "eth0", "o0", "v0", "vp0"].map(str::to_owned);
        assert_eq!(names(), BTreeSet::from(left));
        // Owners share the protocol, so a route through a device that is nobody's stays.
        assert_eq!(foreign(), before);
        expect(&["check"], &path, 0);
        // With a protocol of its own the owner knows its routes wherever they lead.
        let owner = "name = \"own\"\nprune = true\nprotocol = 201";
        std::fs::write(&path, pairs(owner, "v", 1) + &routes_of("w", 8)).expect("writable");
        expect(&["apply", "--yes"], &path, 0);
        assert!(ip("route show proto 201").contains("10.8.0.0/16"));
        std::fs::write(&path, pairs(owner, "v", 1)).expect("writable");
        expect(&["apply", "--yes"], &path, 0);
        assert_eq!(ip("route show proto 201"), "");
        assert!(ip("route show").contains("10.7.0.0/16 via 192.0.2.7 dev eth0"));
    });
}

#[test]
fn destroy_removes_what_the_owner_made_and_tells_what_goes_along() {
    in_namespace("destroy_removes_what_the_owner_made_and_tells_what_goes_along", || {
        ip("link add eth0 type ifb");
        ip("link set eth0 up");
        ip("addr add 198.51.100.1/24 dev eth0");
        let all = pairs("name = \"own\"", "v", 20)
            + "[link.eth0]\naddresses = [\"192.0.2.1/24\"]\n\
               [[route]]\nto = \"10.7.0.0/16\"\nvia = \"192.0.2.7\"\ndev = \"eth0\"\n";
        let (_folder, path) = document(&all);
        expect(&["apply"], &path, 0);
        ip("link add mv0 link v3 type macvlan");
        ip("route add 10.8.0.0/16 via 198.51.100.2");
        let planned = expect(&["plan", "--destroy"], &path, 0);
        assert!(planned.contains("also removes link mv0"), "{planned}");
        assert_eq!(names().len(), 42);
        let said = expect(&["destroy", "--yes"], &path, 0);
        assert!(said.contains("delete link v19") && said.contains("destroyed: "), "{said}");
        assert_eq!(names(), BTreeSet::from(["eth0".to_owned()]));
        assert!(!addresses_of("eth0").contains(&"192.0.2.1/24".to_owned()));
        assert!(addresses_of("eth0").contains(&"198.51.100.1/24".to_owned()));
        assert_eq!(ip("route show proto 82"), "");
        assert!(ip("route show").contains("10.8.0.0/16"));
        assert!(expect(&["destroy", "--yes"], &path, 0).contains("nothing to do"));
        let (_none_folder, none) = document("version = 1\n[link.a0]\nkind = \"ifb\"\n");
        assert!(expect(&["destroy", "--yes"], &none, 2).contains("has no owner"));
    });
}

#[test]
fn what_an_earlier_run_had_doomed_is_finished_or_taken_back() {
    in_namespace("what_an_earlier_run_had_doomed_is_finished_or_taken_back", || {
        let (_folder, path) = document(&pairs("name = \"own\"\ngroup = 4710", "v", 10));
        expect(&["apply"], &path, 0);
        for at in 0..10 {
            ip(&format!("link set v{at} group 4711"));
            ip(&format!("link set vp{at} group 4711"));
        }
        // Neither a card nor a loopback is ever ours, whatever its group.
        ip("link set lo group 4711");
        std::fs::write(&path, pairs("name = \"own\"\ngroup = 4710", "v", 2)).expect("writable");
        expect(&["apply", "--yes"], &path, 0);
        assert_eq!(names(), ["v0", "vp0", "v1", "vp1"].map(str::to_owned).into());
        let groups: BTreeSet<_> =
            names().iter().map(|name| links()[name]["group"].to_string()).collect();
        assert_eq!(groups, BTreeSet::from(["\"4710\"".to_owned()]));
        ip("link set lo group 0");
        expect(&["destroy", "--yes"], &path, 0);
        assert!(names().is_empty());
    });
}

/// The kernel refuses a group whole where one of it cannot be deleted, as the loopback.
#[test]
fn one_among_the_doomed_that_cannot_be_deleted_costs_nothing_else() {
    in_namespace("one_among_the_doomed_that_cannot_be_deleted_costs_nothing_else", || {
        ip("link add foreign type veth peer name foreignp");
        let (_folder, path) = document(&pairs("name = \"own\"\ngroup = 4710", "v", 6));
        let is_over = AtomicBool::new(false);
        let joins_and_leaves = || {
            let (asker, mut requests) = (Asker::open(), Requests::default());
            for turn in 0.. {
                // Of everyone, of the owner, of the doomed.
                let is_last = is_over.load(Ordering::Relaxed);
                let turn = if is_last { 0 } else { turn % 3 };
                let group = [0u32, 4710, 4711][turn];
                requests.link(RTM_NEWLINK, 0, 1, (0, 0), |it| {
                    it.attribute(IFLA_GROUP, &group.to_ne_bytes());
                });
                asker.send(&mut requests);
                if is_last {
                    return;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(joins_and_leaves);
            // However this ends.
            let _over = Over(&is_over);
            for _ in 0..5 {
                expect(&["apply"], &path, 0);
                expect(&["destroy", "--yes"], &path, 0);
                assert_eq!(names(), ["foreign", "foreignp"].map(str::to_owned).into());
            }
        });
        assert!(addresses_of("lo").contains(&"127.0.0.1/8".to_owned()));
        let groups = links().into_values().map(|link| link["group"].to_string());
        assert!(groups.into_iter().all(|group| group == "\"default\""), "{:?}", links());
    });
}

#[test]
fn a_link_that_comes_back_into_the_group_is_removed_while_running() {
    in_namespace("a_link_that_comes_back_into_the_group_is_removed_while_running", || {
        let (_folder, path) =
            document(&pairs("name = \"own\"\ngroup = 4710\nprune = true", "v", 1));
        let _running = keep(&path, "v0");
        ip("link add stray type ifb");
        ip("link set stray group 4710");
        ip("link set stray up");
        assert!(eventually(Duration::from_secs(10), || !names().contains("stray")));
        assert_eq!(names(), ["v0", "vp0"].map(str::to_owned).into());
    });
}

#[test]
fn root_obeys_only_what_is_roots() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    in_namespace("root_obeys_only_what_is_roots", || {
        if common::is_nested() {
            return eprintln!("skipped: root_obeys_only_what_is_roots needs root");
        }
        let (folder, path) = document("version = 1\n[link.i0]\nkind = \"ifb\"\n");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
        };
        mode(&path, 0o666);
        let said = expect(&["apply"], &path, 2);
        assert!(said.contains("others may write it") && said.contains("chmod go-w"), "{said}");
        assert!(names().is_empty());
        // Reading it aloud is no harm, nor is what stays in a sandbox.
        expect(&["plan"], &path, 0);
        expect(&["apply", "--sandbox"], &path, 0);
        mode(&path, 0o644);
        chown(&path, Some(12345), None).expect("we are root");
        assert!(expect(&["apply"], &path, 2).contains("belongs to user 12345"));
        let by_sudo = ringlink().arg("apply").arg(&path).env("SUDO_UID", "12345").output();
        assert_eq!(by_sudo.expect("it starts").status.code(), Some(0));
        assert!(names().contains("i0"));
        chown(&path, Some(0), None).expect("we are root");
        expect(&["apply"], &path, 0);
        mode(folder.path(), 0o777);
        assert!(expect(&["apply"], folder.path(), 2).contains("this directory"));
    });
}

#[test]
fn a_link_is_in_the_group_that_it_is_given() {
    in_namespace("a_link_is_in_the_group_that_it_is_given", || {
        ip("link add uplink group 7 type ifb");
        ip("link add downlink group 7 type ifb");
        let text_of = |owner: &str, rest: &str| {
            format!(
                "version = 1\n{owner}[link.uplink]\ngroup = 2000000000\n[link.downlink]\n\
                 group = \"default\"\n{rest}"
            )
        };
        // A device that nobody owns keeps its own beside the owner's.
        let owned =
            text_of("[owner]\nname = \"one\"\ngroup = 4711\n", "[link.a0]\nkind = \"ifb\"\n");
        let made = "[link.v0]\nveth = { peer = \"p0\" }\ngroup = 9\n[link.p0]\ngroup = 10\n";
        let unowned = text_of("", made);
        // `ip` prints the name where the group has one.
        let group_of = |link: &str| match &links()[link]["group"] {
            serde_json::Value::String(name) => name.clone(),
            number => number.to_string(),
        };
        for text in [&owned, &unowned] {
            let (_folder, path) = document(text);
            let path = path.to_string_lossy();
            let output = run(&["apply", &path]);
            assert_eq!(status(&output), Some(0), "{}", text_of_output(&output));
            assert_eq!(status(&run(&["check", &path])), Some(0));
            assert_eq!((&*group_of("uplink"), &*group_of("downlink")), ("2000000000", "default"));
        }
        assert_eq!(group_of("a0"), "4711");
        assert_eq!((&*group_of("v0"), &*group_of("p0")), ("9", "10"));
        ip("link set v0 group 77");
        let (_folder, path) = document(&unowned);
        assert_eq!(status(&run(&["apply", &path.to_string_lossy()])), Some(0));
        assert_eq!(group_of("v0"), "9");
        let exported = text(&run(&["export"]).stdout);
        assert!(exported.contains("group = 2000000000") && exported.contains("group = 9"));
    });
}

fn text_of_output(output: &std::process::Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn routes_that_are_all_that_is_left_are_destroyed_too() {
    in_namespace("routes_that_are_all_that_is_left_are_destroyed_too", || {
        let owner = "version = 1\n[owner]\nname = \"test\"\nprotocol = 200\n";
        let (_folder, path) = document(owner);
        ip("link set lo up");
        ip("route add 198.51.100.0/24 dev lo proto 200");
        assert!(expect(&["plan"], &path, 0).contains("nothing to do"));
        assert!(expect(&["plan", "--destroy"], &path, 0).contains("- route 198.51.100.0/24"));
        // Nor does what was begun for another document leave them out.
        let desired = Desired::from_toml("owner.toml", owner).expect("valid");
        let mut applier = Applier::builder().open().expect("a ring");
        applier.canceller().cancel();
        assert!(matches!(applier.plan(&desired), Err(ApplyError::Cancelled(_))));
        let destroyed = desired.destroyed().expect("it has an owner");
        assert_eq!(applier.plan(&destroyed).expect("a plan").steps.len(), 1);

        expect(&["destroy", "--yes"], &path, 0);
        assert_eq!(ip("route show proto 200"), "");
    });
}
