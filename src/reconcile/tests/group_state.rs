//! Many links set up or down as one: the owner's group, and when it is not taken.

use super::*;
use crate::limits::{MADE_DOWN_MIN, STATES_TOGETHER_MIN};
use crate::model::change::LinkUpdate;

/// That many links of an owner are declared, and shall be up.
fn declared(count: usize) -> (Desired, Owner) {
    let owner = Owner::new("host");
    let links = (0..count).map(|at| of_kind(&format!("i{at}"), "ifb"));
    let desired = links.fold(Desired::builder().owner(owner.clone()), |it, link| it.link(link));
    (desired.build().expect("valid"), owner)
}

/// The same, and there they are, down.
fn down(mode: Mode, count: usize) -> (Desk, Owner) {
    let (desired, owner) = declared(count);
    let mut desk = Desk::new(mode, desired);
    for at in 0..count {
        link_is_down(&mut desk, at, owner.group);
    }
    (desk, owner)
}

fn link_is_down(desk: &mut Desk, at: usize, group: u32) {
    let kind = KindName::truncated(b"ifb");
    let index = u32::try_from(10 + at).expect("few");
    desk.link_is(Link { kind, group, ..Link::new(index, name(&format!("i{at}"))) });
}

fn is_up(update: &LinkUpdate) -> bool {
    *update == LinkUpdate { up: Some(true), ..LinkUpdate::new(update.link) }
}

fn told_up(told: &[Report]) -> usize {
    let is_it = |told: &&Report| match told {
        Report::Attempted(attempt) => match &attempt.step.change {
            Change::SetLink(update) => is_up(update) && attempt.outcome == Outcome::Done,
            other => panic!("{other:?} is told"),
        },
        _ => false,
    };
    told.iter().filter(is_it).count()
}

#[test]
fn many_are_set_up_by_their_group_and_each_is_told() {
    let (mut desk, Owner { group, .. }) = down(Mode::Once, STATES_TOGETHER_MIN);
    assert_eq!(desk.settle(), [Change::SetGroup { group, up: true }]);
    assert_eq!(told_up(&desk.told), STATES_TOGETHER_MIN);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn many_are_set_down_by_their_group() {
    let owner = Owner::new("host");
    let down = |at| of_kind(&format!("i{at}"), "ifb").state(State::Down);
    let links = (0..STATES_TOGETHER_MIN).map(down);
    let desired = links.fold(Desired::builder().owner(owner.clone()), |it, link| it.link(link));
    let mut desk = Desk::new(Mode::Once, desired.build().expect("valid"));
    for at in 0..STATES_TOGETHER_MIN {
        let (kind, group, flags) = (KindName::truncated(b"ifb"), owner.group, IFF_UP);
        let index = u32::try_from(10 + at).expect("few");
        desk.link_is(Link { kind, group, flags, ..Link::new(index, name(&format!("i{at}"))) });
    }
    assert_eq!(desk.settle(), [Change::SetGroup { group: owner.group, up: false }]);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn a_few_are_set_up_one_by_one() {
    let (mut desk, _) = down(Mode::Once, STATES_TOGETHER_MIN - 1);
    let sent = desk.settle();
    assert_eq!(sent.len(), STATES_TOGETHER_MIN - 1);
    assert!(sent.iter().all(|it| matches!(it, Change::SetLink(update) if is_up(update))));
}

#[test]
fn nothing_is_set_up_that_bears_the_mark_and_is_not_declared() {
    let (mut desk, owner) = down(Mode::Once, STATES_TOGETHER_MIN);
    link_is_down(&mut desk, STATES_TOGETHER_MIN, owner.group);
    let sent = desk.round(|_| Outcome::Done);
    assert_eq!(sent.len(), STATES_TOGETHER_MIN, "without a reading first");
    assert!(sent.iter().all(|it| matches!(it, Change::SetLink(update) if is_up(update))));
    assert_eq!(desk.settle(), []);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn what_takes_the_mark_by_the_time_of_the_reading_is_not_set_up() {
    let (mut desk, owner) = down(Mode::Once, STATES_TOGETHER_MIN);
    assert_eq!(desk.round(|_| Outcome::Done), [], "the tables are read first");
    link_is_down(&mut desk, STATES_TOGETHER_MIN, owner.group);
    let sent = desk.settle();
    assert_eq!(sent.len(), STATES_TOGETHER_MIN);
    assert!(sent.iter().all(|it| matches!(it, Change::SetLink(update) if is_up(update))));
    assert!(desk.reconcile.is_converged());
}

#[test]
fn what_the_kernel_refuses_of_a_group_is_set_up_one_by_one() {
    let (mut desk, _) = down(Mode::Once, STATES_TOGETHER_MIN);
    for _ in 0..4 {
        desk.round(|change| match change {
            Change::SetGroup { .. } => refused(change, libc::ENETDOWN),
            _ => Outcome::Done,
        });
    }
    assert_eq!(told_up(&desk.told), STATES_TOGETHER_MIN);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn what_someone_else_sets_down_is_set_up_at_once() {
    let (mut desk, Owner { group, .. }) = down(Mode::Keep, STATES_TOGETHER_MIN);
    desk.settle();
    for at in 0..STATES_TOGETHER_MIN {
        link_is_down(&mut desk, at, group);
    }
    let sent = desk.settle();
    assert_eq!(sent.len(), STATES_TOGETHER_MIN);
    assert!(sent.iter().all(|it| matches!(it, Change::SetLink(update) if is_up(update))));
}

#[test]
fn of_a_great_number_none_is_made_down_where_another_is_to_stay_so() {
    let owner = Owner::new("host");
    let up = (0..MADE_DOWN_MIN).map(|at| of_kind(&format!("i{at}"), "ifb"));
    let links = up.chain([of_kind("d", "ifb").state(State::Down)]);
    let desired = links.fold(Desired::builder().owner(owner), |it, link| it.link(link));
    let mut desk = Desk::new(Mode::Once, desired.build().expect("valid"));
    let sent = desk.settle();
    let is_made_up = |it: &&Change| matches!(it, Change::CreateLink(new) if new.up);
    assert_eq!(sent.iter().filter(is_made_up).count(), MADE_DOWN_MIN);
    assert_eq!(sent.len(), MADE_DOWN_MIN + 1);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn a_great_number_is_made_down_and_told_as_declared() {
    let (desired, Owner { group, .. }) = declared(MADE_DOWN_MIN);
    let mut desk = Desk::new(Mode::Once, desired);
    let sent = desk.settle();
    let (last, made) = sent.split_last().expect("something");
    assert_eq!(*last, Change::SetGroup { group, up: true });
    assert_eq!(made.len(), MADE_DOWN_MIN);
    assert!(made.iter().all(|it| matches!(it, Change::CreateLink(new) if !new.up)));
    let told = desk.told.iter().filter(|it| matches!(it, Report::Attempted(_))).count();
    assert_eq!(told, MADE_DOWN_MIN, "their making alone");
    assert!(desk.reconcile.is_converged());
}
