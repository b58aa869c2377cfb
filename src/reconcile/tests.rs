//! Stories: what is declared, what happens, and what is sent and told.

mod bulk;
mod fights;
mod group_state;
mod labels;
mod rest;
mod undone;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Mode, Reconcile, Report};
use crate::desired::{Desired, DesiredBuilder, LinkDeclaration, Owner, State};
use crate::limits::{QUIET_RESET, READING_SUBJECTS_MIN, RETRY_DELAY_MIN, REVERTS_AT_ONCE_MAX};
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
    /// Whom the news name.
    sender: u32,
    told: Vec<Report>,
}

impl Desk {
    fn new(mode: Mode, desired: Desired) -> Self {
        let mut reconcile = Reconcile::new(mode, desired);
        let now = Instant::now();
        reconcile.handle_synced(now);
        Self { reconcile, network: Network::default(), now, sender: 4711, told: Vec::new() }
    }

    /// One round: what is sent now, each answered as `answer` says; what is done, happens.
    fn round(&mut self, answer: impl Fn(&Change) -> Outcome) -> Vec<Change> {
        let mut sent = Vec::new();
        if self.reconcile.poll_reading() {
            self.reconcile.handle_synced(self.now);
        }
        while let Some(step) = self.reconcile.poll_step(self.now, &self.network) {
            sent.push(step.change.clone());
            self.reconcile.handle_sent(&self.network);
        }
        let outcomes: Vec<_> = sent.iter().map(answer).collect();
        self.happens(|network| {
            for (change, _) in sent.iter().zip(&outcomes).filter(|(_, it)| **it == Outcome::Done) {
                model::apply(network, change).expect("a change that can be made");
            }
        });
        for outcome in outcomes {
            self.reconcile.handle_result(self.now, outcome);
        }
        self.told.extend(std::iter::from_fn(|| self.reconcile.poll_report()));
        sent
    }

    /// Rounds in which everything is done, until nothing more is sent.
    fn settle(&mut self) -> Vec<Change> {
        let mut sent = Vec::new();
        for _ in 0..50 {
            // The second one comes after a reading.
            let mut round = self.round(|_| Outcome::Done);
            if round.is_empty() {
                round = self.round(|_| Outcome::Done);
            }
            if round.is_empty() {
                return sent;
            }
            sent.extend(round);
        }
        panic!("it does not settle: {sent:#?}");
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
                sender: self.sender,
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
    let by_key = |network: &Network| -> HashMap<_, _> {
        network.objects().map(|object| (object.key(), object)).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let mut whats = Vec::new();
    for gone in before.objects().rev().filter(|it| !new.contains_key(&it.key())) {
        whats.push(What::Deleted(gone));
    }
    for it in after.objects() {
        match old.get(&it.key()) {
            None => whats.push(What::New(it)),
            Some(old) if *old == it => {}
            Some(old) => whats.push(What::Changed { before: old.clone(), after: it }),
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
    let refusal = Refusal { op, object, errno, message: None, offset: None, sequence: 1 };
    Outcome::Refused(refusal.into())
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
fn an_apply_of_many_reads_the_tables_before_it_compares_any() {
    for (count, is_read) in [(READING_SUBJECTS_MIN, true), (READING_SUBJECTS_MIN - 1, false)] {
        let links = (0..count).map(|number| of_kind(&format!("i{number}"), "ifb"));
        let mut desk = Desk::new(Mode::Once, declared(links));
        let mut sent = Vec::new();
        while let Some(step) = desk.reconcile.poll_step(desk.now, &desk.network) {
            sent.push(step.change.clone());
            desk.reconcile.handle_sent(&desk.network);
        }
        assert_eq!(sent.len(), count);
        for _ in &sent {
            desk.reconcile.handle_result(desk.now, Outcome::Done);
        }
        assert_eq!(desk.reconcile.poll_reading(), is_read);
        // None of it is seen yet but the news of one: compared now, it would be made once more.
        let what = What::New(Object::Link(Link::new(7, name("i0"))));
        let (cause, sender) = (Cause::Notification, 4711);
        let event = Event { seq: 0, netns: NetnsId::HOME, cause, sender, what };
        desk.reconcile.handle_event(desk.now, &event, &desk.network);
        let is_again = desk.reconcile.poll_step(desk.now, &desk.network).is_some();
        assert_eq!(is_again, !is_read);
        if !is_read {
            continue;
        }
        assert!(!desk.reconcile.is_settled());
        for change in &sent {
            model::apply(&mut desk.network, change).expect("a change that can be made");
        }
        desk.reconcile.handle_synced(desk.now);
        assert!(desk.reconcile.poll_step(desk.now, &desk.network).is_none());
        assert!(desk.reconcile.is_converged());
    }
}

#[test]
fn a_device_that_comes_later_is_waited_for() {
    let device = LinkDeclaration::new(name("e0")).mtu(1400);
    let mut desk = Desk::new(Mode::Keep, declared([device]));
    assert_eq!(desk.settle(), []);
    let is_waiting = |report: &Report| matches!(report, Report::Blocked(blocked) if blocked.reason == Reason::NoSuchLink(name("e0")));
    assert_eq!(desk.told.iter().filter(|report| is_waiting(report)).count(), 1);
    desk.link_is(Link::new(7, name("e0")));
    let set = Change::from(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("e0")) });
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
    assert_eq!(desk.settle(), [Change::from(rename)]);
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
    assert_eq!(sent, [Change::from(rename)]);
    let down = LinkUpdate { up: Some(false), ..LinkUpdate::new(name("other")) };
    let rename = LinkUpdate { up: Some(true), ..rename };
    assert_eq!(desk.settle(), [Change::from(down), Change::from(rename)]);
    assert!(desk.reconcile.is_converged());
    // What was learnt holds for the next one.
    renamed_by_other(&mut desk);
    assert_eq!(desk.settle(), [Change::from(down), Change::from(rename)]);
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
        desk.reconcile.handle_sent(&desk.network);
        // Acknowledged, and the link stays as it is.
        desk.reconcile.handle_result(desk.now, Outcome::Done);
        assert!(sent < 50, "it never stops");
    }
    let told: Vec<_> = std::iter::from_fn(|| desk.reconcile.poll_report()).collect();
    let in_vain = |report: &Report| matches!(report, Report::WithoutEffect { .. });
    assert!(told.iter().any(in_vain), "{told:?}");
    assert!(desk.wait() >= RETRY_DELAY_MIN);
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
