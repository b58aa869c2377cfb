//! The two meanings of ENOBUFS, as the library's user sees them: used-up buffers lose nothing and
//! cause nothing, an overrun is told as a resync. Both at once are made in `ring/tests/overrun.rs`.

mod common;

use std::time::Instant;

use common::in_namespace;
use common::netlink::{Asker, CREATE, EXCL, RTM_DELROUTE, RTM_NEWROUTE, Requests, RouteSpec};
use common::truth::Mirror;
use ringlink::model::object::{Cause, Event, Object, What};
use ringlink::{Batch, Watcher};

/// Several times what the provided buffers hold (512), and a fraction of the socket's own (8 MiB).
const ROUTES: u32 = 3_000;
/// Holds more than the provided buffers, and less than [`ROUTES`].
const SMALL_BYTES: usize = 1 << 20;

fn route(number: u32) -> RouteSpec {
    let to = u32::to_be_bytes(0x0a00_0000 + (number << 8)).into();
    RouteSpec { to, len: 24, via: None, dev: 1, metric: 0, table: 254, protocol: 3 }
}

/// Adds the routes, in order, while nobody reads.
fn add_routes(count: u32) {
    let asker = Asker::open();
    let mut requests = Requests::default();
    for number in 0..count {
        requests.route(RTM_NEWROUTE, CREATE | EXCL, &route(number));
        if number % 100 == 99 {
            asker.send(&mut requests);
        }
    }
    asker.send(&mut requests);
}

/// The numbers of the routes that were told of, in that order.
fn told(events: &[Event], cause: Cause) -> Vec<u32> {
    let numbers = events.iter().filter_map(|event| match &event.what {
        What::New(Object::Route(new)) if event.cause == cause => match new.key.slot.to.address {
            std::net::IpAddr::V4(to) => Some((to.to_bits() - 0x0a00_0000) >> 8),
            std::net::IpAddr::V6(_) => None,
        },
        _ => None,
    });
    numbers.collect()
}

/// Adds the routes past a buffer of that size: they are told in order until the loss, and what was
/// lost by a dump. Also how many were told before it.
fn overrun(receive_buffer_bytes: usize) -> (Mirror, usize) {
    let builder = Watcher::builder().receive_buffer_bytes(receive_buffer_bytes);
    let mut mirror = Mirror::open(builder);
    mirror.becomes_true();
    mirror.events.clear();
    add_routes(ROUTES);
    mirror.becomes_true();
    let first = told(&mirror.events, Cause::Notification);
    let rest = told(&mirror.events, Cause::Dump);
    assert_eq!(first, Vec::from_iter(0..first.len() as u32), "in order until the loss");
    assert_eq!(first.len() + rest.len(), ROUTES as usize);
    assert_eq!(mirror.fold.dropped, rest.len() as u64);
    (mirror, first.len())
}

#[test]
fn used_up_buffers_lose_nothing_and_cause_nothing() {
    in_namespace("used_up_buffers_lose_nothing_and_cause_nothing", || {
        if common::is_nested() {
            eprintln!("skipped: a receive buffer of 8 MiB needs privilege");
            return;
        }
        let mut mirror = Mirror::open(Watcher::builder());
        mirror.becomes_true();
        let dumps = mirror.watcher.counters().dumps;
        mirror.events.clear();
        add_routes(ROUTES);
        mirror.becomes_true();
        assert_eq!(told(&mirror.events, Cause::Notification), Vec::from_iter(0..ROUTES));
        assert_eq!(mirror.fold.resyncs, 0);
        assert_eq!(mirror.watcher.counters().dumps, dumps);
        let ring = mirror.watcher.ring_counters();
        assert!(ring.buffers_exhausted > 0, "{ring:?}");
        assert_eq!(ring.overruns, 0, "{ring:?}");
    });
}

#[test]
fn an_overrun_is_told_and_then_exactly_what_differs() {
    in_namespace("an_overrun_is_told_and_then_exactly_what_differs", || {
        let (mirror, _) = overrun(2048);
        assert_eq!(mirror.fold.resyncs, 1);
        let resync = |event: &Event| matches!(event.what, What::Resync { .. });
        let at = mirror.events.iter().position(resync).expect("it was counted");
        let of_dumps = mirror.events[..at].iter().filter(|event| event.cause == Cause::Dump);
        assert_eq!(of_dumps.count(), 0, "what differs comes after the resync");
        let ring = mirror.watcher.ring_counters();
        assert_eq!((ring.buffers_exhausted, ring.overruns), (0, 1), "{ring:?}");
    });
}

#[test]
fn an_overrun_with_more_queued_than_there_are_buffers() {
    in_namespace("an_overrun_with_more_queued_than_there_are_buffers", || {
        let (mirror, before) = overrun(SMALL_BYTES);
        let ring = mirror.watcher.ring_counters();
        assert!(ring.overruns > 0, "{ring:?}");
        // Else the socket, without privilege, held less than the buffers.
        assert!(before > 512 || common::is_nested(), "{ring:?}");
    });
}

/// Of so many routes the dump takes several turns.
const MANY_ROUTES: u32 = 16_000;
/// The kernel's default, which holds 256 notifications of routes.
const DEFAULT_BYTES: usize = 212_992;
/// Changes come by the reader's own clock: one for so many messages that it has read. A dump read
/// at a stretch is worth 660 of them, a turn with four parts of it fewer than a hundred.
const READ_PER_CHANGE: u64 = 24;

/// Such a reader keeps up with the changes easily, and is not to be overrun because a long dump
/// keeps it from reading them.
#[test]
fn a_long_dump_does_not_end_in_an_overrun() {
    in_namespace("a_long_dump_does_not_end_in_an_overrun", || {
        add_routes(MANY_ROUTES);
        let builder = Watcher::builder().receive_buffer_bytes(DEFAULT_BYTES);
        let mut watcher = builder.open().expect("a ring");
        let asker = Asker::open();
        let (mut requests, mut batch) = (Requests::default(), Batch::default());
        let mut changes = 0;
        while !watcher.is_synced() {
            watcher.next_before(&mut batch, Some(Instant::now())).expect("it goes on");
            let counters = watcher.counters();
            assert_eq!(counters.overruns, 0, "{counters:?}");
            while changes < counters.messages / READ_PER_CHANGE {
                let turns = [(RTM_NEWROUTE, CREATE | EXCL), (RTM_DELROUTE, 0)];
                let (message_type, flags) = turns[usize::from(changes % 2 == 1)];
                requests.route(message_type, flags, &route(MANY_ROUTES));
                changes += 1;
            }
            asker.send(&mut requests);
        }
        assert!(changes > 660, "only {changes} changes");
    });
}
