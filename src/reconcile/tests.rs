//! Stories: what is declared, what happens, and what is sent and told.

mod labels;

use std::time::{Duration, Instant};

use super::{Mode, Reconcile, Report};
use crate::desired::{Desired, DesiredBuilder, LinkDeclaration, Owner, State};
use crate::limits::{QUIET_RESET, RETRY_DELAY_MIN, REVERTS_AT_ONCE_MAX};
use crate::model::address::{AddressKey, Prefix};
use crate::model::change::{Change, LinkUpdate};
use crate::model::kind::{Kind, Settings};
use crate::model::link::{IFF_UP, Link};
use crate::model::network::Network;
use crate::model::object::{Cause, Event, NetnsId, Object, What};
use crate::model::refusal::{Outcome, Refusal};
use crate::model::text::{KindName, LinkName, Mac};
use crate::plan::Reason;
use crate::plan::tests::model;
use crate::plan::tests::random::name;

/// A reconciler, the network that it sees, and the time.
struct Desk {
    reconcile: Reconcile,
    network: Network,
    now: Instant,
    told: Vec<Report>,
}

impl Desk {
    fn new(mode: Mode, desired: Desired) -> Self {
        let mut reconcile = Reconcile::new(mode, desired);
        let now = Instant::now();
        reconcile.handle_synced(now);
        Self { reconcile, network: Network::default(), now, told: Vec::new() }
    }

    /// One round: what is sent now, each answered as `answer` says; what is done, happens.
    fn round(&mut self, answer: impl Fn(&Change) -> Outcome) -> Vec<Change> {
        let mut sent = Vec::new();
        if self.reconcile.poll_reading() {
            self.reconcile.handle_synced(self.now);
        }
        while let Some(step) = self.reconcile.poll_step(self.now, &self.network) {
            sent.push(step.change);
            self.reconcile.handle_sent();
        }
        for change in &sent {
            let outcome = answer(change);
            if outcome == Outcome::Done {
                self.happens(|network| {
                    model::apply(network, change).expect("a change that can be made");
                });
            }
            self.reconcile.handle_result(self.now, outcome);
        }
        self.told.extend(std::iter::from_fn(|| self.reconcile.poll_report()));
        sent
    }

    /// Rounds in which everything is done, until nothing more is sent.
    fn settle(&mut self) -> Vec<Change> {
        let mut sent = Vec::new();
        loop {
            // The second one comes after a reading.
            let mut round = self.round(|_| Outcome::Done);
            if round.is_empty() {
                round = self.round(|_| Outcome::Done);
            }
            if round.is_empty() {
                return sent;
            }
            sent.extend(round);
            assert!(sent.len() < 100, "it does not settle: {sent:#?}");
        }
    }

    /// Something changes the network, and the events of it are heard.
    fn happens(&mut self, change: impl FnOnce(&mut Network)) {
        let before = self.network.clone();
        change(&mut self.network);
        for what in differences(&before, &self.network) {
            let event = Event {
                seq: 0,
                netns: NetnsId::HOME,
                cause: Cause::Notification,
                sender: 4711,
                what,
            };
            self.reconcile.handle_event(self.now, &event, &self.network);
        }
    }

    fn link_is(&mut self, link: Link) {
        let put = |network: &mut Network| {
            network.put_link(link);
        };
        self.happens(put);
    }

    fn wait(&mut self) -> Duration {
        let until = self.reconcile.poll_timeout().expect("something to wait for");
        let waited = until - self.now;
        self.now = until;
        waited
    }
}

/// The events between two networks, deletions first.
fn differences(before: &Network, after: &Network) -> Vec<What> {
    let objects = |network: &Network| -> Vec<Object> {
        let links = network.links().cloned().map(Object::Link);
        let addresses = network.addresses().copied().map(Object::Address);
        let routes = network.routes().cloned().map(Object::Route);
        routes.chain(addresses).chain(links).collect()
    };
    let is_same = |one: &Object, two: &Object| match (one, two) {
        (Object::Link(one), Object::Link(two)) => one.index == two.index,
        (Object::Address(one), Object::Address(two)) => one.key == two.key,
        (Object::Route(one), Object::Route(two)) => one.key == two.key,
        _ => false,
    };
    let (old, new) = (objects(before), objects(after));
    let mut whats = Vec::new();
    for gone in &old {
        if !new.iter().any(|it| is_same(it, gone)) {
            whats.push(What::Deleted(gone.clone()));
        }
    }
    for it in new.iter().rev() {
        match old.iter().find(|old| is_same(old, it)) {
            None => whats.push(What::New(it.clone())),
            Some(old) if old == it => {}
            Some(old) => whats.push(What::Changed { before: old.clone(), after: it.clone() }),
        }
    }
    whats
}

fn of_kind(link: &str, kind: &str) -> LinkDeclaration {
    let kind = Kind::by_name(kind.as_bytes()).expect("a known kind");
    LinkDeclaration::new(name(link)).settings(Settings::new(kind))
}

fn declared(links: impl IntoIterator<Item = LinkDeclaration>) -> Desired {
    links.into_iter().fold(Desired::builder(), |all, link| all.link(link)).build().expect("valid")
}

fn set_mtu(network: &mut Network, link: &str, mtu: u32) {
    let link = network.link_named(name(link)).expect("a link").clone();
    network.put_link(Link { mtu, ..link });
}

fn refused(change: &Change, errno: i32) -> Outcome {
    let (op, object) = (change.op(), change.object());
    Outcome::Refused(Refusal { op, object, errno, message: None, offset: None, sequence: 1 })
}

fn conflicts(told: &[Report]) -> Vec<(u32, Duration)> {
    let conflict = |report: &Report| match report {
        Report::Conflict { sender, retry_in, .. } => Some((*sender, *retry_in)),
        _ => None,
    };
    told.iter().filter_map(conflict).collect()
}

#[test]
fn five_reverts_are_made_at_once_and_the_sixth_waits_and_is_told() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge").mtu(1400)]));
    assert_eq!(desk.settle().len(), 1);
    assert!(desk.reconcile.is_converged());
    let set = Change::SetLink(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("br0")) });
    for _ in 0..REVERTS_AT_ONCE_MAX {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        assert_eq!(desk.settle(), [set]);
    }
    assert!(conflicts(&desk.told).is_empty());
    let mut expected = RETRY_DELAY_MIN;
    for _ in 0..3 {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        assert_eq!(desk.settle(), []);
        assert_eq!(conflicts(&desk.told), [(4711, expected)]);
        assert!(!desk.reconcile.is_converged());
        assert_eq!(desk.wait(), expected);
        assert_eq!(desk.settle(), [set]);
        assert!(desk.reconcile.is_converged());
        desk.told.clear();
        expected *= 2;
    }
}

#[test]
fn a_fight_over_one_object_leaves_others_alone() {
    let bridges = ["br0", "br1"].map(|link| of_kind(link, "bridge").mtu(1400));
    let mut desk = Desk::new(Mode::Keep, declared(bridges));
    desk.settle();
    for _ in 0..REVERTS_AT_ONCE_MAX {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        desk.settle();
    }
    desk.happens(|network| {
        set_mtu(network, "br0", 1300);
        set_mtu(network, "br1", 1300);
    });
    let set = Change::SetLink(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("br1")) });
    assert_eq!(desk.settle(), [set]);
}

#[test]
fn a_refused_change_is_tried_again_later_and_later() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge")]));
    let mut expected = RETRY_DELAY_MIN;
    for _ in 0..4 {
        let sent = desk.round(|change| refused(change, libc::EPERM));
        assert!(matches!(sent[..], [Change::CreateLink(_)]), "{sent:?}");
        assert_eq!(desk.round(|_| Outcome::Done), []);
        assert!(!desk.reconcile.is_settled());
        assert_eq!(desk.wait(), expected);
        expected *= 2;
    }
    assert_eq!(desk.settle().len(), 1);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn an_apply_gives_up_what_is_refused_and_ends() {
    let links = [of_kind("br0", "bridge"), of_kind("i0", "ifb")];
    let mut desk = Desk::new(Mode::Once, declared(links));
    let is_bridge = |change: &Change| change.object().to_string().contains("br0");
    let answer = |change: &Change| match is_bridge(change) {
        true => refused(change, libc::EPERM),
        false => Outcome::Done,
    };
    let mut attempts = 0;
    for _ in 0..20 {
        attempts += desk.round(answer).iter().filter(|change| is_bridge(change)).count();
    }
    // Once with the other, and once more because that one succeeded.
    assert_eq!(attempts, 2);
    assert!(desk.reconcile.is_settled());
    assert!(!desk.reconcile.is_converged());
}

#[test]
fn a_device_that_comes_later_is_waited_for() {
    let device = LinkDeclaration::new(name("e0")).mtu(1400);
    let mut desk = Desk::new(Mode::Keep, declared([device]));
    assert_eq!(desk.settle(), []);
    let is_waiting = |report: &Report| matches!(report, Report::Blocked(blocked) if blocked.reason == Reason::NoSuchLink(name("e0")));
    assert_eq!(desk.told.iter().filter(|report| is_waiting(report)).count(), 1);
    desk.link_is(Link::new(7, name("e0")));
    let set = Change::SetLink(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("e0")) });
    assert_eq!(desk.settle(), [set]);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn a_link_that_was_renamed_is_renamed_back() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge")]));
    desk.settle();
    desk.happens(|network| {
        let link = network.link_named(name("br0")).expect("made").clone();
        network.put_link(Link { name: name("other"), ..link });
    });
    let rename = LinkUpdate { rename: Some(name("br0")), ..LinkUpdate::new(name("other")) };
    assert_eq!(desk.settle(), [Change::SetLink(rename)]);
    assert_eq!(desk.network.links().count(), 1);
}

#[test]
fn where_no_link_is_renamed_while_up_it_goes_down_for_that() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge")]));
    desk.settle();
    let renamed_by_other = |desk: &mut Desk| {
        desk.happens(|network| {
            let link = network.link_named(name("br0")).expect("made").clone();
            network.put_link(Link { name: name("other"), flags: IFF_UP, ..link });
        });
    };
    renamed_by_other(&mut desk);
    let rename = LinkUpdate { rename: Some(name("br0")), ..LinkUpdate::new(name("other")) };
    let sent = desk.round(|change| refused(change, libc::EBUSY));
    assert_eq!(sent, [Change::SetLink(rename)]);
    let down = LinkUpdate { up: Some(false), ..LinkUpdate::new(name("other")) };
    let rename = LinkUpdate { up: Some(true), ..rename };
    assert_eq!(desk.settle(), [Change::SetLink(down), Change::SetLink(rename)]);
    assert!(desk.reconcile.is_converged());
    // What was learnt holds for the next one.
    renamed_by_other(&mut desk);
    assert_eq!(desk.settle(), [Change::SetLink(down), Change::SetLink(rename)]);
    assert_eq!(desk.network.links().count(), 1);
}

#[test]
fn a_deleted_link_is_made_anew_with_what_stood_on_it() {
    let prefix = Prefix { address: [10, 0, 0, 1].into(), len: 24 };
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge").addresses([prefix])]));
    desk.settle();
    desk.happens(|network| {
        model::apply(network, &Change::DeleteLink(name("br0"))).expect("deleted");
    });
    let sent = desk.settle();
    assert!(matches!(sent[..], [Change::CreateLink(_), Change::PutAddress { .. }]), "{sent:?}");
    let index = desk.network.index_of(name("br0")).expect("made");
    assert!(desk.network.address(AddressKey { index, prefix, peer: None }).is_some());
    assert!(desk.reconcile.is_converged());
}

#[test]
fn a_link_that_was_moved_away_is_not_made_anew_until_it_is_back() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge")]));
    desk.settle();
    let link = desk.network.link_named(name("br0")).expect("made").clone();
    desk.reconcile.handle_moved(link.index);
    let index = link.index;
    desk.happens(|network| {
        network.remove_link(index);
    });
    assert_eq!(desk.settle(), []);
    let is_moved = |report: &Report| matches!(report, Report::Blocked(blocked) if blocked.reason == Reason::MovedAway);
    assert!(desk.told.iter().any(is_moved), "{:?}", desk.told);
    // It comes back bare and down.
    desk.link_is(Link { flags: 0, ..link });
    let sent = desk.settle();
    assert!(matches!(sent[..], [Change::SetLink(_)]), "{sent:?}");
    assert!(desk.reconcile.is_converged());
}

#[test]
fn a_change_of_unknown_outcome_is_compared_again_before_it_is_repeated() {
    for was_made in [false, true] {
        let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge")]));
        let sent = desk.round(|_| Outcome::Unknown);
        assert_eq!(sent.len(), 1);
        if was_made {
            desk.happens(|network| model::apply(network, &sent[0]).expect("made"));
        }
        desk.reconcile.handle_synced(desk.now);
        assert_eq!(desk.settle().len(), usize::from(!was_made));
        assert!(desk.reconcile.is_converged());
    }
}

#[test]
fn a_change_without_effect_is_told_and_retried_with_a_delay() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge").mtu(1400)]));
    desk.settle();
    desk.happens(|network| set_mtu(network, "br0", 1300));
    let mut sent = 0;
    while desk.reconcile.poll_step(desk.now, &desk.network).is_some() {
        sent += 1;
        desk.reconcile.handle_sent();
        // Acknowledged, and the link stays as it is.
        desk.reconcile.handle_result(desk.now, Outcome::Done);
        assert!(sent < 50, "it never stops");
    }
    let told: Vec<_> = std::iter::from_fn(|| desk.reconcile.poll_report()).collect();
    let in_vain = |report: &Report| matches!(report, Report::WithoutEffect { .. });
    assert!(told.iter().any(in_vain), "{told:?}");
    assert!(desk.wait() >= RETRY_DELAY_MIN);
}

/// Nothing is declared, and an owner made `i1` to `i9`; `i0` bears no mark.
fn ten_strays(mode: Mode) -> (Desk, Owner) {
    strays_beside(mode, Desired::builder())
}

/// The same beside `kept`, which is declared and the owner's.
fn ten_strays_beside_a_kept_link(mode: Mode) -> (Desk, Owner) {
    strays_beside(mode, Desired::builder().link(of_kind("kept", "ifb")))
}

fn strays_beside(mode: Mode, desired: DesiredBuilder) -> (Desk, Owner) {
    let owner = Owner { prune: true, ..Owner::new("host") };
    let desired = desired.owner(owner.clone()).build().expect("valid");
    let has_kept = !desired.links.is_empty();
    let mut desk = Desk::new(mode, desired);
    let mut link_is = |index, own_name: &str, group| {
        let (kind, flags) = (KindName::truncated(b"ifb"), IFF_UP);
        desk.link_is(Link { kind, flags, group, ..Link::new(index, name(own_name)) });
    };
    for at in 0..10 {
        link_is(10 + at, &format!("i{at}"), if at == 0 { 0 } else { owner.group });
    }
    if has_kept {
        link_is(30, "kept", owner.group);
    }
    (desk, owner)
}

fn deletions(told: &[Report]) -> Vec<(LinkName, Outcome)> {
    let deletion = |report: &Report| match report {
        Report::Attempted(attempt) => match attempt.step.change {
            Change::DeleteLink(name) => Some((name, attempt.outcome.clone())),
            _ => panic!("{} is told", attempt.step),
        },
        _ => None,
    };
    told.iter().filter_map(deletion).collect()
}

#[test]
fn a_group_that_goes_whole_is_not_moved_first() {
    let (mut desk, owner) = ten_strays(Mode::Once);
    assert_eq!(desk.settle(), [Change::DeleteGroup(owner.group)]);
    let left: Vec<_> = desk.network.links().map(|link| link.name).collect();
    assert_eq!(left, [name("i0")]);
    assert_eq!(deletions(&desk.told).len(), 9);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn an_owner_that_prunes_nothing_loses_what_was_meant_alone() {
    let owner = Owner::new("host");
    let absent = |at| LinkDeclaration::new(name(&format!("i{at}"))).state(State::Absent);
    let desired =
        (1..10).map(absent).fold(Desired::builder().owner(owner.clone()), |it, link| it.link(link));
    let mut desk = Desk::new(Mode::Once, desired.build().expect("valid"));
    for at in 1..10 {
        let (kind, group) = (KindName::truncated(b"ifb"), owner.group);
        desk.link_is(Link { kind, group, ..Link::new(10 + at, name(&format!("i{at}"))) });
    }
    let sent = desk.settle();
    assert!(sent.contains(&Change::DeleteGroup(owner.doomed())), "{sent:?}");
    assert!(!sent.contains(&Change::DeleteGroup(owner.group)), "{sent:?}");
}

#[test]
fn many_strays_are_deleted_as_one_group_and_each_is_told() {
    let (mut desk, owner) = ten_strays_beside_a_kept_link(Mode::Once);
    let sent = desk.settle();
    let moves = sent.iter().filter(
        |change| matches!(change, Change::SetLink(update) if update.group == Some(owner.doomed())),
    );
    assert_eq!(moves.count(), 9);
    assert_eq!(sent.last(), Some(&Change::DeleteGroup(owner.doomed())));
    assert_eq!(sent.len(), 10);
    let left: Vec<_> = desk.network.links().map(|link| link.name).collect();
    assert_eq!(left, [name("i0"), name("kept")]);
    let told = deletions(&desk.told);
    assert_eq!(told.len(), 9);
    assert!(told.iter().all(|(_, outcome)| *outcome == Outcome::Done));
    assert!(desk.reconcile.is_converged());
}

#[test]
fn what_the_kernel_refuses_in_a_group_is_found_alone_and_goes_back() {
    let (mut desk, owner) = ten_strays_beside_a_kept_link(Mode::Once);
    let stubborn = name("i5");
    let answer = |change: &Change| match change {
        Change::DeleteGroup(_) => refused(change, libc::EOPNOTSUPP),
        Change::DeleteLink(link) if *link == stubborn => refused(change, libc::EOPNOTSUPP),
        _ => Outcome::Done,
    };
    for _ in 0..20 {
        desk.round(answer);
    }
    assert!(desk.reconcile.is_settled());
    let left: Vec<_> = desk.network.links().map(|link| (link.name, link.group)).collect();
    assert_eq!(left, [(name("i0"), 0), (stubborn, owner.group), (name("kept"), owner.group)]);
    let told = deletions(&desk.told);
    assert_eq!(told.iter().filter(|(_, outcome)| *outcome == Outcome::Done).count(), 8);
    assert!(told.iter().any(|(link, outcome)| *link == stubborn && *outcome != Outcome::Done));
}

#[test]
fn a_group_that_holds_what_is_not_meant_is_not_deleted() {
    let (mut desk, owner) = ten_strays_beside_a_kept_link(Mode::Once);
    let moved = desk.round(|_| Outcome::Done);
    assert_eq!(moved.len(), 9);
    // A device without a kind, which ringlink cannot have made.
    desk.link_is(Link { group: owner.doomed(), ..Link::new(2, name("eth0")) });
    let sent = desk.settle();
    assert!(!sent.contains(&Change::DeleteGroup(owner.doomed())), "{sent:?}");
    let left: Vec<_> = desk.network.links().map(|link| link.name).collect();
    assert_eq!(left, [name("eth0"), name("i0"), name("kept")]);
}

#[test]
fn a_link_that_became_another_is_left_alone() {
    let (mut desk, owner) = ten_strays_beside_a_kept_link(Mode::Once);
    desk.round(|_| Outcome::Done);
    let other = desk.network.link_named(name("i4")).expect("a link").clone();
    let mac = Mac::new(&[2, 0, 0, 0, 0, 9]).expect("a mac");
    desk.link_is(Link { mac, group: 0, ..other });
    desk.settle();
    let left: Vec<_> = desk.network.links().map(|link| link.name).collect();
    assert_eq!(left, [name("i0"), name("i4"), name("kept")]);
    assert!(desk.network.links().all(|link| link.group != owner.doomed()));
}

#[test]
fn a_declared_link_under_another_name_is_no_stray() {
    let owner = Owner { prune: true, ..Owner::new("host") };
    let desired = Desired::builder().owner(owner.clone()).link(of_kind("br0", "bridge"));
    let mut desk = Desk::new(Mode::Keep, desired.build().expect("valid"));
    desk.settle();
    let link = desk.network.link_named(name("br0")).expect("a link").clone();
    assert_eq!(link.group, owner.group);
    desk.link_is(Link { name: name("moved"), ..link });
    desk.settle();
    let left: Vec<_> = desk.network.links().map(|link| (link.index, link.name)).collect();
    assert_eq!(left, [(link.index, name("br0"))]);
}

#[test]
fn what_is_only_reported_is_told_once_and_nothing_is_sent() {
    let mut desk = Desk::new(Mode::Report, declared([of_kind("br0", "bridge").mtu(1400)]));
    let mut says = |happens: &dyn Fn(&mut Network)| {
        desk.happens(happens);
        assert_eq!(desk.round(|_| Outcome::Done), [], "nothing is sent");
        assert_eq!(desk.reconcile.poll_timeout(), None, "nothing is tried later");
        std::mem::take(&mut desk.told)
    };
    let differs = |told: &[Report], sender: u32, text: &str| match told {
        [Report::Differs(it)] => {
            assert!(it.step.to_string().starts_with(text), "{}", it.step);
            assert_eq!(it.sender, sender);
        }
        other => panic!("{other:#?}"),
    };
    differs(&says(&|_| {}), 0, "create link br0");
    assert_eq!(says(&|_| {}), []);
    let make = |network: &mut Network, mtu: u32| {
        let settings = Settings::new(Kind::by_name(b"bridge").expect("a known kind"));
        let kind = KindName::truncated(b"bridge");
        let link = Link::new(7, name("br0"));
        let (flags, settings) = (IFF_UP, Some(settings));
        network.put_link(Link { kind, mtu, flags, settings, ..link });
    };
    differs(&says(&|network| make(network, 1300)), 4711, "set link br0: mtu 1300 -> 1400");
    differs(&says(&|network| make(network, 1200)), 4711, "set link br0: mtu 1200 -> 1400");
    let told = says(&|network| make(network, 1400));
    let object = crate::model::object::ObjectId::Link(name("br0"));
    assert!(
        matches!(&told[..], [Report::AsDeclared { object: it, sender: 4711, .. }, Report::Converged]
            if *it == object),
        "{told:#?}"
    );
    differs(
        &says(&|network| {
            network.remove_link(7);
        }),
        4711,
        "create link br0",
    );
}

#[test]
fn a_link_that_stays_though_its_deletion_is_acknowledged_leaves_the_group_of_the_doomed() {
    for mode in [Mode::Once, Mode::Keep] {
        let (mut desk, owner) = ten_strays(mode);
        let fallback = name("i5");
        // Else the owner's group would be deleted as it is.
        let first = desk.network.link_named(name("i1")).expect("a link").clone();
        desk.link_is(Link { group: owner.doomed(), ..first });
        // The fallback devices of tunnels are such.
        for _ in 0..20 {
            let kept = desk.network.link_named(fallback).cloned();
            let sent = desk.round(|_| Outcome::Done);
            let stays = |change: &Change| match change {
                Change::DeleteGroup(group) => kept.as_ref().is_some_and(|it| it.group == *group),
                change => *change == Change::DeleteLink(fallback),
            };
            if let Some(link) = kept.clone().filter(|_| sent.iter().any(stays)) {
                desk.link_is(link);
            }
        }
        let left: Vec<_> = desk.network.links().map(|link| (link.name, link.group)).collect();
        assert_eq!(left, [(name("i0"), 0), (fallback, owner.group)], "{mode:?}");
        // Here it goes and comes back, which looks like someone's doing.
        let is_told = |report: &Report| matches!(report, Report::Conflict { .. });
        assert!(desk.told.iter().any(is_told), "{:#?}", desk.told);
        assert_eq!(desk.reconcile.is_settled(), mode == Mode::Once);
    }
}

#[test]
fn what_an_earlier_run_doomed_and_the_kernel_refuses_leaves_the_group_of_the_doomed() {
    let (mut desk, owner) = ten_strays(Mode::Once);
    for at in 1..10 {
        let link = desk.network.link_named(name(&format!("i{at}"))).expect("a link").clone();
        desk.link_is(Link { group: owner.doomed(), ..link });
    }
    let stubborn = name("i5");
    let answer = |change: &Change| match change {
        Change::DeleteGroup(_) => refused(change, libc::EOPNOTSUPP),
        Change::DeleteLink(link) if *link == stubborn => refused(change, libc::EOPNOTSUPP),
        _ => Outcome::Done,
    };
    for _ in 0..20 {
        desk.round(answer);
    }
    let left: Vec<_> = desk.network.links().map(|link| (link.name, link.group)).collect();
    assert_eq!(left, [(name("i0"), 0), (stubborn, owner.group)]);
    assert!(desk.reconcile.is_settled());
}

/// Someone changes the mtu back each time, until a delay of `until` has been told.
fn fought_until(desk: &mut Desk, until: Duration) {
    for _ in 0..30 {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        desk.settle();
        let waits = conflicts(&desk.told).last().map(|(_, retry_in)| *retry_in);
        if waits.is_some_and(|retry_in| retry_in >= until) {
            return;
        }
        if waits.is_some() {
            desk.wait();
            desk.settle();
        }
    }
    panic!("no such delay: {:#?}", desk.told);
}

#[test]
fn a_fight_that_no_one_goes_on_with_is_over_after_a_minute() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge").mtu(1400)]));
    desk.settle();
    fought_until(&mut desk, 4 * RETRY_DELAY_MIN);
    assert_eq!(desk.reconcile.conflicts(), 1);
    desk.wait();
    assert_eq!(desk.settle().len(), 1);
    let last_attempt = desk.now;
    assert!(desk.reconcile.is_converged() && desk.reconcile.is_settled());
    let is_over = |report: &Report| matches!(report, Report::ConflictOver { .. });
    while desk.reconcile.poll_timeout().is_some() {
        assert!(!desk.told.iter().any(is_over), "too early: {:?}", desk.now - last_attempt);
        desk.wait();
        assert_eq!(desk.settle(), []);
    }
    assert_eq!(desk.now - last_attempt, QUIET_RESET);
    assert_eq!(desk.told.iter().filter(|report| is_over(report)).count(), 1);
    assert_eq!(desk.reconcile.conflicts(), 0);
    desk.told.clear();
    for _ in 0..REVERTS_AT_ONCE_MAX {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        assert_eq!(desk.settle().len(), 1);
    }
    assert_eq!(conflicts(&desk.told), []);
}

#[test]
fn our_own_news_name_no_one() {
    let mut desk = Desk::new(Mode::Keep, declared([of_kind("br0", "bridge").mtu(1400)]));
    desk.reconcile.set_own_port(4711);
    desk.settle();
    for _ in 0..=REVERTS_AT_ONCE_MAX {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        desk.settle();
    }
    assert_eq!(conflicts(&desk.told), [(0, RETRY_DELAY_MIN)]);
}

#[test]
fn another_extra_address_each_time_is_a_fight_too() {
    let prefix = |last| Prefix { address: [10, 0, 0, last].into(), len: 24 };
    let link = of_kind("br0", "bridge").addresses([prefix(1)]);
    let mut desk = Desk::new(Mode::Keep, declared([link]));
    desk.settle();
    let mut sent = 0;
    for last in 2..100 {
        let add = Change::PutAddress {
            link: name("br0"),
            prefix: prefix(last),
            protocol: 0,
            replace: false,
            peer: None,
            with: Default::default(),
        };
        desk.happens(|network| model::apply(network, &add).expect("an address"));
        sent += desk.settle().len();
    }
    assert_eq!(sent, REVERTS_AT_ONCE_MAX);
    // All that came meanwhile goes at once, when it is time.
    desk.wait();
    assert_eq!(desk.settle().len(), 98 - REVERTS_AT_ONCE_MAX);
    assert_eq!(desk.reconcile.conflicts(), 1);
}

#[test]
fn an_apply_does_not_wait_for_a_rival_to_give_in() {
    let mut desk = Desk::new(Mode::Once, declared([of_kind("br0", "bridge").mtu(1400)]));
    desk.settle();
    for _ in 0..20 {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        desk.settle();
    }
    assert!(desk.reconcile.is_settled());
    assert_eq!(desk.reconcile.poll_timeout().filter(|at| *at < desk.now + QUIET_RESET), None);
}
