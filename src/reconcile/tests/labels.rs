//! Stories of labels: which link is meant when links change what they are called.

use super::*;
use crate::desired::LinkMatch;
use crate::model::glob::Glob;
use crate::model::identity::AltName;

/// A block that takes links by a pattern of their names, and one by an alternative name.
fn matching(label: &str, pattern: &str, is_altname: bool) -> LinkDeclaration {
    let glob = Some(Glob::new(pattern.as_bytes()).expect("a pattern"));
    let wanted = match is_altname {
        true => LinkMatch { altname: glob, ..LinkMatch::default() },
        false => LinkMatch { name: glob, ..LinkMatch::default() },
    };
    LinkDeclaration::new(name(label)).matching(wanted).mtu(1400)
}

fn device(index: u32, own: &str, altname: Option<&str>) -> Link {
    let link = Link { mtu: 1500, flags: IFF_UP, ..Link::new(index, name(own)) };
    let names = altname.map(|name| AltName::truncated(name.as_bytes()));
    link.with_identity(|identity| identity.altnames = names.into_iter().collect())
}

fn set_mtu(link: &str) -> Change {
    Change::from(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name(link)) })
}

#[test]
fn what_is_not_sent_yet_is_not_sent_to_a_link_that_a_label_means_no_more() {
    let mut desk = Desk::new(Mode::Keep, declared([matching("lan", "lan0", true)]));
    desk.link_is(device(1, "eth0", Some("lan0")));
    desk.link_is(device(2, "eth1", None));
    let step = desk.reconcile.poll_step(desk.now, &desk.network).expect("a step");
    assert_eq!(step.change, set_mtu("eth0"));
    // Before it is sent the name passes to another link.
    desk.link_is(device(1, "eth0", None));
    desk.link_is(device(2, "eth1", Some("lan0")));
    assert_eq!(desk.settle(), [set_mtu("eth1")]);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn links_that_come_are_set_up_and_the_others_keep_their_history() {
    let mut desk = Desk::new(Mode::Keep, declared([matching("any", "eth*", false)]));
    desk.round(|_| Outcome::Done);
    assert!(!desk.reconcile.is_converged(), "no link matches");
    desk.link_is(device(1, "eth0", None));
    assert_eq!(desk.settle(), [set_mtu("eth0")]);
    desk.link_is(device(2, "eth1", None));
    desk.link_is(device(3, "other", None));
    assert_eq!(desk.settle(), [set_mtu("eth1")]);
    assert!(desk.reconcile.is_converged());
    desk.link_is(device(1, "eth0", None));
    assert_eq!(desk.settle(), [set_mtu("eth0")]);
    let reverts = desk.told.iter().filter_map(|report| match report {
        Report::Attempted(attempt) => Some(attempt.is_revert),
        _ => None,
    });
    assert_eq!(reverts.collect::<Vec<_>>(), [false, false, true]);
    // The first of them goes, and the second stays what it is.
    desk.happens(|network| drop(network.remove_link(1)));
    assert_eq!(desk.settle(), []);
    assert!(desk.reconcile.is_converged());
    desk.link_is(device(2, "eth1", None));
    assert_eq!(desk.settle(), [set_mtu("eth1")]);
    // By another name it is none of them, and is not renamed back.
    desk.link_is(device(2, "left", None));
    assert_eq!(desk.settle(), []);
    assert!(!desk.reconcile.is_converged());
}

#[test]
fn a_link_that_a_block_names_is_renamed_back_from_a_name_that_another_matches() {
    let named = LinkDeclaration::new(name("wan")).mtu(1300);
    let mut desk = Desk::new(Mode::Keep, declared([matching("any", "eth*", false), named]));
    desk.link_is(device(1, "wan", None));
    desk.settle();
    desk.link_is(Link { mtu: 1300, ..device(1, "eth0", None) });
    let rename = LinkUpdate { rename: Some(name("wan")), ..LinkUpdate::new(name("eth0")) };
    assert_eq!(desk.settle(), [Change::from(rename)]);
    // Where another link bears the name, the one that bore it is free to be taken.
    desk.link_is(Link { mtu: 1300, ..device(1, "eth0", None) });
    desk.round(|change| refused(change, libc::EEXIST));
    desk.link_is(Link { mtu: 1300, ..device(2, "wan", None) });
    assert_eq!(desk.settle(), [set_mtu("eth0")]);
}

#[test]
fn what_cannot_be_sent_because_a_label_has_no_link_is_sent_when_it_has_one() {
    let port = LinkDeclaration::new(name("e0")).master(name("up"));
    let by_hardware =
        LinkMatch { mac: Some(Mac::new(&[2; 6]).expect("a mac")), ..LinkMatch::default() };
    let up = LinkDeclaration::new(name("up")).matching(by_hardware);
    let mut desk = Desk::new(Mode::Keep, declared([port, up]));
    desk.link_is(device(1, "e0", None));
    assert_eq!(desk.settle(), []);
    let bearer = |index, own| {
        let link = device(index, own, None);
        link.with_identity(|identity| identity.permanent_mac = Mac::new(&[2; 6]))
    };
    desk.link_is(bearer(2, "br7"));
    let joins = LinkUpdate { master: Some(name("br7")), ..LinkUpdate::new(name("e0")) };
    assert_eq!(desk.settle(), [Change::from(joins)]);
    // Two of them are none: what is, stays.
    desk.link_is(bearer(3, "br8"));
    assert_eq!(desk.settle(), []);
    let is_told = |report: &Report| matches!(report, Report::Blocked(it) if matches!(it.reason, Reason::SeveralMatch { .. }));
    assert!(desk.told.iter().any(is_told), "{:?}", desk.told);
}
