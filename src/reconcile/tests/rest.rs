//! Routes that are compared as the round goes.

use std::net::Ipv4Addr;

use super::*;
use crate::desired::RouteDeclaration;
use crate::limits::{IN_VAIN_MAX, LONG_BATCH_REQUESTS_MIN, ROUND_STEPS};
use crate::model::change::RouteChange;
use crate::model::route::PROTOCOL_BOOT;

const ROUTES: usize = 3 * ROUND_STEPS;

fn to(number: usize) -> Prefix {
    Prefix { address: Ipv4Addr::from_bits((10 << 24) + number as u32).into(), len: 32 }
}

/// Routes through one bridge, every other one by a gateway.
fn declaration(routes: usize) -> Desired {
    let gateway = Prefix { address: [192, 0, 2, 1].into(), len: 24 };
    let bridge = of_kind("br0", "bridge").addresses([gateway]);
    let routes = (0..routes).map(|number| {
        let route = RouteDeclaration::new(to(number)).dev(name("br0"));
        if number % 2 == 0 { route.via([192, 0, 2, 2].into()) } else { route }
    });
    let all = Desired::builder().link(bridge);
    routes.fold(all, DesiredBuilder::route).build().expect("valid")
}

/// The bridge is there, and these of the routes as another made them.
fn desk(of_another: &[usize]) -> Desk {
    let mut made = Desk::new(Mode::Once, declaration(0));
    made.settle();
    let mut desk = Desk::new(Mode::Once, declaration(ROUTES));
    desk.network = made.network;
    for number in of_another {
        let dev = Some(name("br0"));
        let route = RouteChange { dev, ..RouteChange::new(to(*number), PROTOCOL_BOOT) };
        model::apply(&mut desk.network, &Change::CreateRoute(route)).expect("it can be made");
    }
    desk
}

#[test]
fn none_is_forgotten_and_those_by_gateways_come_last() {
    // One among the first, two that are compared late, and the last of all.
    for of_another in [&[][..], &[4], &[ROUTES - 3, ROUTES - 2], &[ROUTES - 2]] {
        let mut desk = desk(of_another);
        let first = desk.round(|_| Outcome::Done);
        assert!(first.len() >= READING_SUBJECTS_MIN);
        let sent: Vec<_> = first.into_iter().chain(desk.settle()).collect();
        let routes = sent.iter().filter_map(|change| match change {
            Change::CreateRoute(route) | Change::ReplaceRoute(route) => Some(route),
            _ => None,
        });
        let has_gateway: Vec<_> = routes.map(|route| route.via.is_some()).collect();
        assert_eq!((sent.len(), has_gateway.len()), (ROUTES, ROUTES));
        assert!(has_gateway.is_sorted(), "a gateway may be made reachable by what goes by none");
        assert!(desk.reconcile.is_converged());
    }
}

#[test]
fn the_first_are_sent_before_the_rest_is_compared() {
    let mut desk = desk(&[]);
    for _ in 0..LONG_BATCH_REQUESTS_MIN {
        assert!(desk.reconcile.poll_step(desk.now, &desk.network).is_some());
        desk.reconcile.handle_sent(&desk.network);
    }
    // By then others have made one of the last.
    let dev = Some(name("br0"));
    let route = RouteChange { dev, ..RouteChange::new(to(ROUTES - 2), PROTOCOL_BOOT) };
    desk.happens(|network| {
        model::apply(network, &Change::CreateRoute(route)).expect("it can be made");
    });
    let mut sent = LONG_BATCH_REQUESTS_MIN;
    while desk.reconcile.poll_step(desk.now, &desk.network).is_some() {
        desk.reconcile.handle_sent(&desk.network);
        sent += 1;
    }
    assert_eq!(sent, ROUTES - 1);
}

#[test]
fn where_nothing_of_the_rest_can_be_sent_it_is_not_forgotten() {
    // All after the first thousand are another's.
    let of_another: Vec<_> = (0..ROUTES).filter(|number| number % 2 == 0).collect();
    let mut desk = desk(&of_another);
    let sent = desk.settle();
    let is_new = |change: &&Change| matches!(change, Change::CreateRoute(_));
    assert_eq!((sent.len(), sent.iter().filter(is_new).count()), (ROUTES, ROUTES / 2));
    assert!(desk.reconcile.is_converged());
}

#[test]
fn what_is_to_be_replaced_does_not_wait_for_what_comes_to_nothing() {
    let of_another: Vec<_> = (0..ROUTES).filter(|number| number % 2 == 0).collect();
    let mut desk = desk(&of_another);
    let mut replaced = 0;
    // New ones are acknowledged and never seen, until they are made no more.
    for _ in 0..2 * IN_VAIN_MAX {
        if desk.reconcile.poll_reading() {
            desk.reconcile.handle_synced(desk.now);
        }
        let mut sent = 0;
        while let Some(step) = desk.reconcile.poll_step(desk.now, &desk.network) {
            replaced += usize::from(matches!(step.change, Change::ReplaceRoute(_)));
            desk.reconcile.handle_sent(&desk.network);
            sent += 1;
        }
        (0..sent).for_each(|_| desk.reconcile.handle_result(desk.now, Outcome::Done));
    }
    assert!(replaced >= of_another.len(), "{replaced}");
}
