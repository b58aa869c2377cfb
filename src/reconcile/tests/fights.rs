//! Others that change back what is put right.

use super::*;

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
    let set = [Change::from(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("br0")) })];
    for _ in 0..REVERTS_AT_ONCE_MAX {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        assert_eq!(desk.settle(), set);
    }
    assert!(conflicts(&desk.told).is_empty());
    let mut expected = RETRY_DELAY_MIN;
    for _ in 0..3 {
        desk.happens(|network| set_mtu(network, "br0", 1300));
        assert_eq!(desk.settle(), []);
        assert_eq!(conflicts(&desk.told), [(4711, expected)]);
        assert!(!desk.reconcile.is_converged());
        assert_eq!(desk.wait(), expected);
        assert_eq!(desk.settle(), set);
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
    let set = [Change::from(LinkUpdate { mtu: Some(1400), ..LinkUpdate::new(name("br1")) })];
    assert_eq!(desk.settle(), set);
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
