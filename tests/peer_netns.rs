//! Pairs whose other end is in another network namespace: made there, compared with where it is, and
//! made as that namespace comes and goes.

#![cfg(feature = "cli")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::program::{Running, document, json, ringlink, run, status, text};
use common::{addresses_of, eventually, ip, ip_json, links, with_own_names};
use nix::sys::signal::Signal;
use ringlink::plan::Reason;
use ringlink::reconcile::Report;
use ringlink::{Applier, Desired, Keeper};

const PATIENCE: Duration = Duration::from_secs(30);

/// Two pairs whose other ends have the same name, in two namespaces; and a device here that is
/// called so too.
const DOCUMENT: &str = r#"version = 1
[owner]
name = "across"
[link.v0]
veth = { peer = "p0", peer_netns = "blue" }
mtu = 1400
addresses = ["192.0.2.1/24"]
[link.v1]
veth = { peer = "p0", peer_netns = "/run/netns/red" }
[link.p0]
kind = "ifb"
"#;

/// The pair `v0` alone.
const ONE: &str = "version = 1\n[link.v0]\nveth = { peer = 'p0', peer_netns = 'blue' }\n";

/// What `ip` shows of a link in a named namespace.
fn link_in(netns: &str, link: &str) -> Option<serde_json::Value> {
    let shown = ip_json(&format!("-n {netns} -d link show"));
    shown.into_iter().find(|it| it["ifname"] == link)
}

/// The number that a named namespace has here, by `ip netns list-id`.
fn nsid_of(netns: &str) -> Option<i64> {
    let list = ip_json("netns list-id");
    let own = list.iter().find(|it| it["name"] == netns)?;
    own["nsid"].as_i64()
}

/// Whether `link` here has its other end there, as both sides show it.
fn is_across(link: &str, netns: &str, peer: &str) -> bool {
    let shown = links();
    let (Some(here), Some(there)) = (shown.get(link), link_in(netns, peer)) else { return false };
    let nsid = nsid_of(netns);
    nsid.is_some()
        && here["link_netnsid"].as_i64() == nsid
        && here["link_index"] == there["ifindex"]
        && there["link_index"] == here["ifindex"]
}

fn apply(document: &str, more: &[&str]) -> Output {
    let (_folder, path) = common::program::document(document);
    let path = path.to_string_lossy();
    run(&[&["apply", "--yes"], more, &[&path]].concat())
}

fn check(document: &str) -> Output {
    let (_folder, path) = common::program::document(document);
    run(&["check", &path.to_string_lossy()])
}

#[test]
fn the_other_end_is_made_there() {
    with_own_names(|| {
        ip("netns add blue");
        ip("netns add red");
        let applied = apply(DOCUMENT, &[]);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
        assert!(is_across("v0", "blue", "p0") && is_across("v1", "red", "p0"));
        let shown = links();
        assert_eq!(shown["v0"]["mtu"], 1400);
        assert_eq!(addresses_of("v0")[0], "192.0.2.1/24");
        assert_eq!(shown["p0"]["linkinfo"]["info_kind"], "ifb", "a name here is a link here");
        // The owner's mark is on both ends.
        assert!(shown["v0"]["group"].is_string());
        assert_eq!(link_in("blue", "p0").expect("made")["group"], shown["v0"]["group"]);
        assert_eq!(status(&check(DOCUMENT)), Some(0));
        let again = text(&apply(DOCUMENT, &["--json"]).stdout);
        assert!(again.contains(r#""changes":[]"#), "{again}");
        // The other end goes with this one.
        let (_folder, path) = document(DOCUMENT);
        assert_eq!(status(&run(&["destroy", "--yes", &path.to_string_lossy()])), Some(0));
        assert!(!links().contains_key("v0") && link_in("blue", "p0").is_none());
    });
}

#[test]
fn a_name_that_is_taken_there_is_told() {
    with_own_names(|| {
        ip("netns add blue");
        ip("-n blue link add p0 type ifb");
        let said = text(&apply(ONE, &[]).stdout);
        let wanted = "a link of its peer's name exists in that network namespace (File exists";
        assert!(said.contains(wanted), "{said}");
        assert!(!links().contains_key("v0"));
    });
}

#[test]
fn an_applier_keeps_no_namespace_alive() {
    with_own_names(|| {
        ip("netns add blue");
        let desired = Desired::from_toml("doc.toml", ONE).expect("a document");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("it applies");
        assert!(report.converged && is_across("v0", "blue", "p0"), "{report:?}");
        assert!(applier.apply(&desired).expect("it applies").attempts.is_empty());
        assert!(applier.plan(&desired).expect("it plans").is_empty());
        ip("netns del blue");
        assert!(eventually(PATIENCE, || !links().contains_key("v0")), "it lives on");
        let blocked = applier.plan(&desired).expect("it plans").blocked;
        assert!(blocked[0].reason.is_waiting() && blocked.len() == 1, "{blocked:?}");
    });
}

#[test]
fn a_namespace_that_is_missing_is_named_and_waited_for() {
    with_own_names(|| {
        let (_folder, path) = document(DOCUMENT);
        let path = path.to_string_lossy();
        let planned = text(&run(&["plan", &path]).stdout);
        let remedy = "link v0: waiting for network namespace blue, which does not exist; make it: \
                      ip netns add blue";
        assert!(planned.contains(remedy), "{planned}");
        assert!(planned.contains("waiting for network namespace /run/netns/red"), "{planned}");
        let mut running = Running::start(&["apply", "--wait", "2m", &path]);
        running.line_with("up to 120.0 s");
        assert!(links().contains_key("p0"), "what can be made is not waited with");
        ip("netns add blue");
        ip("netns add red");
        running.line_with("converged: ");
        assert_eq!(running.wait(), Some(0));
        assert!(is_across("v0", "blue", "p0") && is_across("v1", "red", "p0"));
    });
}

#[test]
fn a_pair_is_kept_as_its_namespace_comes_goes_and_comes_again() {
    with_own_names(|| {
        let (_folder, path) = document(DOCUMENT);
        let running = Running::start(&["run", &path.to_string_lossy()]);
        assert!(eventually(PATIENCE, || links().contains_key("p0")), "the rest is made");
        for _ in 0..3 {
            ip("netns add blue");
            assert!(eventually(PATIENCE, || is_across("v0", "blue", "p0")), "by name");
            ip("netns add red");
            assert!(eventually(PATIENCE, || is_across("v1", "red", "p0")), "by path");
            assert!(eventually(PATIENCE, || !addresses_of("v0").is_empty()));
            ip("link del v0");
            assert!(eventually(PATIENCE, || is_across("v0", "blue", "p0")), "drift is undone");
            ip("netns del blue");
            ip("netns del red");
            let are_gone = || !links().contains_key("v0") && !links().contains_key("v1");
            assert!(eventually(PATIENCE, are_gone), "nothing keeps a namespace that is deleted");
        }
        // A name that comes before what it stands for.
        std::fs::write("/run/netns/blue", "").expect("a file");
        let script = "mount --bind /proc/self/ns/net /run/netns/blue";
        let mounted = Command::new("unshare").args(["--net", "sh", "-c", script]).status();
        assert!(mounted.expect("unshare of util-linux").success());
        assert!(eventually(PATIENCE, || is_across("v0", "blue", "p0")), "a mount is found");
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn a_keeper_never_takes_what_it_made_for_something_else() {
    with_own_names(|| {
        ip("netns add blue");
        let desired = Desired::from_toml("doc.toml", ONE).expect("a document");
        let mut keeper = Keeper::spawn(Keeper::builder(desired)).expect("a ring");
        for _ in 0..3 {
            loop {
                match keeper.next_report(Some(PATIENCE)).expect("it converges") {
                    Report::Converged => break,
                    Report::Blocked(blocked) => {
                        // Between two namespaces of that name there is none.
                        assert!(matches!(blocked.reason, Reason::NoSuchNetns(_)), "{blocked}");
                        // Until it is gone the pair is that of the one before.
                        assert!(eventually(PATIENCE, || !links().contains_key("v0")));
                        ip("netns add blue");
                    }
                    _ => {}
                }
            }
            assert!(is_across("v0", "blue", "p0"));
            ip("netns del blue");
        }
    });
}

#[test]
fn an_other_end_elsewhere_is_a_difference_of_what_only_creation_sets() {
    with_own_names(|| {
        ip("netns add blue");
        ip("netns add red");
        for (made, from) in [
            ("link add v0 type veth peer name p0", "this one"),
            ("link add v0 type veth peer name p0 netns red", "nsid "),
        ] {
            ip(made);
            let index = links()["v0"]["ifindex"].clone();
            let refused = apply(ONE, &[]);
            assert_eq!(status(&refused), Some(1), "{}", text(&refused.stdout));
            let said = text(&refused.stdout);
            let wanted = format!("`peer_netns` is {from}");
            assert!(said.contains(&wanted) && said.contains("--recreate"), "{said}");
            assert_eq!(links()["v0"]["ifindex"], index, "it is left");
            let (_folder, path) = document(ONE);
            let path = path.to_string_lossy();
            let planned = json(&run(&["plan", "--json", "--recreate", &path]));
            let operations: Vec<_> =
                planned["changes"].as_array().expect("a list").iter().map(|it| &it["op"]).collect();
            assert_eq!(operations[..2], ["delete", "create"], "{planned}");
            let applied = apply(ONE, &["--recreate"]);
            assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
            assert!(is_across("v0", "blue", "p0"));
            assert_eq!(status(&check(ONE)), Some(0));
            ip("link del v0");
        }
    });
}

#[test]
fn a_pair_that_someone_else_makes_there_is_taken_as_it_is() {
    with_own_names(|| {
        ip("netns add blue");
        let (_folder, path) = document(ONE);
        let path = path.to_string_lossy();
        // Nothing has a number for the namespace until the pair is there.
        let mut running = Running::start(&["run", "--report-only", &path]);
        running.line_with("v0");
        assert_eq!(nsid_of("blue"), None);
        ip("link add v0 up type veth peer name other netns blue");
        running.line_with("as declared");
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn a_namespace_that_is_not_there_any_more_lets_nothing_be_deleted() {
    with_own_names(|| {
        ip("netns add blue");
        ip("link add v0 type veth peer name p0");
        ip("netns del blue");
        let applied = apply(ONE, &["--recreate"]);
        assert_eq!(status(&applied), Some(1));
        assert!(links().contains_key("p0"), "what cannot be made is not deleted for it");
    });
}

#[test]
fn a_try_that_is_taken_back_leaves_what_was() {
    with_own_names(|| {
        ip("netns add blue");
        let (_folder, path) = document(ONE);
        let path = path.to_string_lossy();
        let attempt = |more: &[&str]| {
            let words = [&["try", "--timeout", "60s"], more, &[&path]].concat();
            // A pipe that stays open and says nothing.
            let mut running = Running::of(ringlink().args(words).stdin(Stdio::piped()));
            assert!(eventually(PATIENCE, || is_across("v0", "blue", "p0")), "it is tried");
            let is_reverted = || status(&run(&["revert"])) == Some(0);
            assert!(eventually(PATIENCE, is_reverted), "it is taken back");
            assert_eq!(running.wait(), Some(1));
        };
        attempt(&[]);
        assert!(!links().contains_key("v0") && link_in("blue", "p0").is_none());
        ip("link add v0 type veth peer name p9");
        ip("link set p9 mtu 1300");
        attempt(&["--recreate"]);
        let shown = links();
        assert_eq!(shown["v0"]["link"], "p9");
        assert_eq!(shown["p9"]["mtu"], 1300);
        // Its end elsewhere could not be given back what it has there.
        ip("link del v0");
        ip("netns add red");
        ip("link add v0 type veth peer name p0 netns red");
        let refused = run(&["try", "--recreate", &path]);
        assert_eq!(status(&refused), Some(3), "{}", text(&refused.stderr));
        assert!(is_across("v0", "red", "p0"), "nothing is done");
    });
}

#[test]
fn the_own_namespace_is_no_other_one() {
    with_own_names(|| {
        let pid = std::process::id();
        let thread = nix::unistd::gettid();
        ip("netns add red");
        std::fs::write("/run/netns/blue", "").expect("a file");
        let own = format!("/proc/{pid}/task/{thread}/ns/net");
        let none = None::<&str>;
        let bind = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some(&*own), "/run/netns/blue", none, bind, none).expect("a mount");
        let applied = apply(ONE, &[]);
        assert_eq!(status(&applied), Some(1));
        let said = text(&applied.stdout);
        assert!(said.contains("network namespace blue is this one"), "{said}");
        assert!(!links().contains_key("v0"));
    });
}

#[test]
fn what_may_not_be_opened_or_changed_is_told() {
    with_own_names(|| {
        let closed = "version = 1\n[link.v0]\nveth = { peer = 'p0', peer_netns = '/run/c/blue' }\n";
        std::fs::create_dir("/run/c").expect("a folder");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions("/run/c", mode).expect("a folder of ours");
        let (folder, path) = document(closed);
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("a folder of ours");
        let nobody = ringlink().arg("plan").arg(&path).uid(65534).gid(65534).output();
        match nobody {
            Ok(planned) => {
                let said = text(&planned.stdout);
                assert_eq!(status(&planned), Some(0), "{}", text(&planned.stderr));
                let wanted = "cannot open the network namespace /run/c/blue: Permission denied";
                assert!(said.contains(wanted), "{said}");
            }
            Err(error) => eprintln!("skipped: another user cannot start the program: {error}"),
        }
        std::fs::write("/run/c/blue", "").expect("a file");
        let said = text(&run(&["plan", &path.to_string_lossy()]).stdout);
        assert!(said.contains("/run/c/blue, which does not exist"), "a file is none: {said}");
        let uts = closed.replace("/run/c/blue", "/proc/self/ns/uts");
        let said = text(&check(&uts).stdout);
        assert!(said.contains("/proc/self/ns/uts: Invalid argument"), "of another type: {said}");
        // A sandbox has no rights outside of it, which older kernels do not ask for.
        ip("netns add blue");
        let other = "link add v9 type veth peer name p9 netns blue";
        let made = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "ip"])
            .args(other.split(' '))
            .output()
            .expect("the tests need `unshare`");
        if made.status.success() {
            eprintln!("skipped: this kernel lets a sandbox make links in any open namespace");
            return;
        }
        let (_folder, path) = document(ONE);
        let refused = run(&["--sandbox", "apply", "--yes", &path.to_string_lossy()]);
        let said = text(&refused.stdout);
        assert_eq!(status(&refused), Some(1), "{said}{}", text(&refused.stderr));
        assert!(said.contains("Operation not permitted"), "{said}");
        assert!(link_in("blue", "p0").is_none());
    });
}

#[test]
fn an_export_says_what_it_leaves_out() {
    with_own_names(|| {
        ip("netns add blue");
        ip("link add v0 type veth peer name p0 netns blue");
        let exported = text(&run(&["export"]).stdout);
        assert!(exported.contains("Its other end is in another network namespace"), "{exported}");
        let (_folder, path) = document(&exported);
        assert_eq!(status(&run(&["check", &path.to_string_lossy()])), Some(0), "{exported}");
    });
}

#[test]
fn many_namespaces_are_made_in_with_few_open() {
    with_own_names(|| {
        let count = common::work(100);
        let mut text_of = String::from("version = 1\n");
        for at in 0..count {
            ip(&format!("netns add n{at}"));
            text_of += &format!("[link.v{at}]\nveth = {{ peer = 'p', peer_netns = 'n{at}' }}\n");
        }
        let applied = apply(&text_of, &[]);
        assert_eq!(status(&applied), Some(0), "{}", text(&applied.stdout));
        for at in [0, count / 2, count - 1] {
            assert!(is_across(&format!("v{at}"), &format!("n{at}"), "p"), "{at}");
        }
        assert_eq!(status(&check(&text_of)), Some(0));
    });
}
