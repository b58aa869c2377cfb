//! Settings that the kernel changes without a word, and those that no message sets: declared, they
//! hold, and nothing is read for their sake where none is declared.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{addresses_of, eventually, in_namespace, ip, links};
use ringlink::reconcile::Report;
use ringlink::{Applier, Desired, Keeper, KeeperHandle};

const PATIENCE: Duration = Duration::from_secs(20);
/// Short, so that the tests are; the default is half a minute.
const REREAD: Duration = Duration::from_millis(100);
/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(3600);

fn desired(text: &str) -> Desired {
    Desired::from_toml("test.toml", &format!("version = 1\n{text}")).expect("a valid document")
}

fn sysctl(family: &str, link: &str, file: &str) -> String {
    let path = format!("/proc/sys/net/{family}/conf/{link}/{file}");
    fs::read_to_string(path).expect("a sysctl").trim().to_owned()
}

fn write(family: &str, link: &str, file: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{family}/conf/{link}/{file}"), value).expect("a sysctl");
}

/// A keeper of the document, once all is as declared.
fn kept(text: &str, reread: Duration) -> KeeperHandle {
    let builder = Keeper::builder(desired(text)).silent_reread(reread);
    let mut keeper = Keeper::spawn(builder).expect("a ring");
    let deadline = Instant::now() + PATIENCE * common::slowness();
    while keeper.next_report(Some(PATIENCE)) != Some(Report::Converged) {
        assert!(Instant::now() < deadline, "it does not converge");
    }
    keeper
}

#[test]
fn what_is_changed_in_silence_is_put_back_within_the_interval() {
    in_namespace("what_is_changed_in_silence_is_put_back_within_the_interval", || {
        ip("link add i0 type ifb");
        let text = "[link.i0]\nstate = 'up'\ngso_max_segs = 100\n\
                    ipv4 = { arp_ignore = 2, accept_redirects = false }\n\
                    ipv6 = { accept_ra = 0, hop_limit = 33 }\n";
        let keeper = kept(text, REREAD);
        let dumps = keeper.status().counters.dumps;
        write("ipv6", "i0", "accept_ra", "2");
        assert!(eventually(PATIENCE, || sysctl("ipv6", "i0", "accept_ra") == "0"));
        write("ipv4", "i0", "arp_ignore", "0");
        assert!(eventually(PATIENCE, || sysctl("ipv4", "i0", "arp_ignore") == "2"));
        ip("link set i0 gso_max_segs 300");
        assert!(eventually(PATIENCE, || links()["i0"]["gso_max_segs"] == 100));
        assert_eq!(keeper.status().counters.dumps, dumps, "one link is read, and no table");
    });
}

#[test]
fn what_is_told_otherwise_is_put_back_without_a_reading_by_the_clock() {
    in_namespace("what_is_told_otherwise_is_put_back_without_a_reading_by_the_clock", || {
        ip("link add v0 type veth peer name p0");
        ip("link set p0 up");
        let text = "[link.v0]\nstate = 'up'\naddresses = ['2001:db8::1/64']\n\
                    ipv4 = { forwarding = true, rp_filter = 2 }\n\
                    ipv6 = { forwarding = true, proxy_ndp = true, disable = false }\n";
        let _keeper = kept(text, NEVER);
        for (family, file, other, wanted) in [
            ("ipv4", "forwarding", "0", "1"),
            ("ipv4", "rp_filter", "1", "2"),
            ("ipv6", "forwarding", "0", "1"),
            ("ipv6", "proxy_ndp", "0", "1"),
            ("ipv6", "disable_ipv6", "1", "0"),
        ] {
            write(family, "v0", file, other);
            let is_back = || sysctl(family, "v0", file) == wanted;
            assert!(eventually(PATIENCE, is_back), "{family} {file}");
        }
        // What went with IPv6 comes back too.
        let has_address = || addresses_of("v0").contains(&"2001:db8::1/64".to_owned());
        assert!(eventually(PATIENCE, has_address));
    });
}

/// Applies a document; the changes that it took, as a person reads them.
fn applied(text: &str) -> Vec<String> {
    let mut applier = Applier::builder().open().expect("a ring");
    let report = applier.apply(&desired(text)).expect("it goes on");
    assert!(report.converged, "{report:#?}");
    report.attempts.iter().map(|attempt| attempt.step.to_string()).collect()
}

#[test]
fn settings_of_ipv6_are_there_before_a_new_link_comes_up() {
    in_namespace("settings_of_ipv6_are_there_before_a_new_link_comes_up", || {
        let text = "[link.v0]\nveth = { peer = 'p0' }\nipv6 = { addr_gen_mode = 'none' }\n\
                    [link.p0]\nipv6 = { disable = true }\n\
                    [link.'a.b;c']\nkind = 'ifb'\nipv6 = { accept_ra = 0, addr_gen_mode = 'none' }\n";
        applied(text);
        let made_link_local = |link: &str| addresses_of(link).iter().any(|it| it.contains("fe80"));
        // The last is one that has a carrier as soon as it is up.
        assert!(!["v0", "p0", "a.b;c"].into_iter().any(made_link_local));
        assert_eq!(sysctl("ipv6", "a.b;c", "accept_ra"), "0");
        assert_eq!(links()["p0"]["operstate"], "UP");
        assert_eq!(applied(text), [""; 0], "a second one finds nothing to do");
    });
}

#[test]
fn a_plan_that_turns_ipv6_off_shows_what_goes_with_it() {
    in_namespace("a_plan_that_turns_ipv6_off_shows_what_goes_with_it", || {
        ip("link add i0 type ifb");
        ip("link set i0 up");
        ip("addr add 2001:db8::1/64 dev i0 nodad");
        ip("addr add 192.0.2.1/24 dev i0");
        ip("route add 2001:db8:9::/48 via 2001:db8::9 dev i0");
        let desired = desired("[link.i0]\nipv6 = { disable = true }\n");
        let mut applier = Applier::builder().open().expect("a ring");
        let plan = applier.plan(&desired).expect("a plan");
        let gone: Vec<_> = plan.steps[0].also_removes.iter().map(ToString::to_string).collect();
        assert!(gone.iter().any(|it| it.contains("2001:db8::1/64")), "{gone:?}");
        assert!(gone.iter().any(|it| it.contains("2001:db8:9::/48")), "{gone:?}");
        assert_eq!(gone.len(), 2, "{gone:?}");
        let undo = applier.way_back(&desired).expect("a reading").expect("there is one");
        assert!(applier.apply(&desired).expect("it goes on").converged);
        assert_eq!(addresses_of("i0"), ["192.0.2.1/24"]);
        assert!(applier.undo(&undo).expect("it goes on"));
        assert_eq!(sysctl("ipv6", "i0", "disable_ipv6"), "0");
        assert!(addresses_of("i0").contains(&"2001:db8::1/64".to_owned()));
        assert!(ip("-6 route show").contains("2001:db8:9::/48"));
    });
}

#[test]
fn a_setting_of_a_link_without_ipv6_is_refused_with_the_reason() {
    in_namespace("a_setting_of_a_link_without_ipv6_is_refused_with_the_reason", || {
        ip("link add i0 mtu 1000 type ifb");
        let desired = desired("[link.i0]\nipv6 = { accept_ra = 0 }\n");
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("it goes on");
        let said = format!("{:?}", report.attempts);
        assert!(!report.converged && said.contains("MTU is below 1280"), "{said}");
    });
}
