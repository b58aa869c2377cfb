//! Many deletions at once: the group of the doomed, and what the kernel refuses of it.

use super::*;

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

/// Rounds in which the kernel deletes no group and not that link.
fn rounds_with_a_stubborn_link(desk: &mut Desk) -> LinkName {
    let stubborn = name("i5");
    let answer = |change: &Change| match change {
        Change::DeleteGroup(_) => refused(change, libc::EOPNOTSUPP),
        Change::DeleteLink(link) if *link == stubborn => refused(change, libc::EOPNOTSUPP),
        _ => Outcome::Done,
    };
    for _ in 0..20 {
        desk.round(answer);
    }
    stubborn
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
    let stubborn = rounds_with_a_stubborn_link(&mut desk);
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
    let stubborn = rounds_with_a_stubborn_link(&mut desk);
    let left: Vec<_> = desk.network.links().map(|link| (link.name, link.group)).collect();
    assert_eq!(left, [(name("i0"), 0), (stubborn, owner.group)]);
    assert!(desk.reconcile.is_settled());
}
