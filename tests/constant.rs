//! Descriptors, memory and buffers stay the same over any number of resyncs and cancels.

mod common;

use std::sync::mpsc;

use common::in_namespace;
use common::netlink::{Asker, CREATE, EXCL, RTM_DELROUTE, RTM_NEWROUTE, Requests, RouteSpec};
use ringlink::{Batch, RingCounters, Wake, Watcher};

/// Unless RINGLINK_RESYNCS says otherwise.
const RESYNCS: u64 = 1_000;
const CANCELS: u64 = 10_000;
/// Before the first measurement: until each provided buffer has been used once.
const WARM_UP: u64 = 500;
/// What the allocator may keep more than before: less than sixteen bytes for each of 10,000.
const GROWTH_MAX: u64 = 128 << 10;
/// Next to nothing: two or three notifications.
const BUFFER_BYTES: usize = 2048;
/// In one datagram, so that most of them are dropped.
const BURST: u32 = 40;

fn resyncs() -> u64 {
    std::env::var("RINGLINK_RESYNCS").ok().and_then(|it| it.parse().ok()).unwrap_or(RESYNCS)
}

#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    resident_bytes: u64,
    ring: RingCounters,
}

/// What this process holds; there is one test in it.
fn held(watcher: &Watcher) -> Held {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("pages");
    Held {
        descriptors: std::fs::read_dir("/proc/self/fd").expect("/proc is there").count(),
        resident_bytes: pages * 4096,
        ring: watcher.ring_counters(),
    }
}

#[track_caller]
fn assert_same(before: &Held, after: &Held) {
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.ring.free_event_buffers, before.ring.free_event_buffers);
    assert_eq!(after.ring.free_reply_buffers, before.ring.free_reply_buffers);
    assert_eq!(after.ring.receives_in_flight, before.ring.receives_in_flight);
    let (before, after) = (before.resident_bytes, after.resident_bytes);
    assert!(after <= before + GROWTH_MAX, "resident memory grew from {before} to {after}");
}

/// Makes and removes routes until that many overruns have been recovered from.
fn resync(watcher: &mut Watcher, asker: &Asker, count: u64) {
    let mut batch = Batch::default();
    let mut requests = Requests::default();
    let wanted = watcher.counters().overruns + count;
    let turns = [(RTM_NEWROUTE, CREATE | EXCL), (RTM_DELROUTE, 0)];
    for (message_type, flags) in turns.into_iter().cycle() {
        if watcher.counters().overruns >= wanted && message_type == RTM_NEWROUTE {
            break;
        }
        for number in 0..BURST {
            let to = u32::to_be_bytes(0x0a32_0000 + (number << 8)).into();
            let (via, dev, metric, table, protocol) = (None, 1, 0, 254, 3);
            let route = RouteSpec { to, len: 24, via, dev, metric, table, protocol };
            requests.route(message_type, flags, &route);
        }
        asker.send(&mut requests);
        watcher.next(&mut batch).expect("it goes on");
        watcher.sync(&mut batch).expect("it goes on");
        let is_last = message_type == RTM_NEWROUTE;
        let routes = watcher.observed().routes().filter(|it| it.key.slot.table == 254).count();
        assert_eq!(routes, if is_last { BURST as usize } else { 0 }, "after {batch:?}");
    }
}

#[test]
fn nothing_grows_over_resyncs_and_cancels() {
    in_namespace("nothing_grows_over_resyncs_and_cancels", || {
        let asker = Asker::open();
        let builder = Watcher::builder().receive_buffer_bytes(BUFFER_BYTES);
        let mut watcher = builder.open().expect("a ring");
        let mut batch = Batch::default();
        assert!(watcher.sync(&mut batch).expect("a mirror"));

        resync(&mut watcher, &asker, WARM_UP);
        let before = held(&watcher);
        resync(&mut watcher, &asker, resyncs());
        let after = held(&watcher);
        eprintln!("{} resyncs: {before:?}\n{after:?}", resyncs());
        assert_same(&before, &after);

        let canceller = watcher.canceller();
        let (go, gone) = mpsc::sync_channel::<()>(0);
        let thread = std::thread::spawn(move || gone.iter().for_each(|()| canceller.cancel()));
        let mut cancel = |count: u64| {
            for _ in 0..count {
                go.send(()).expect("the thread cancels until the end");
                assert_eq!(watcher.next(&mut batch).expect("it goes on"), Wake::Cancelled);
            }
            held(&watcher)
        };
        let before = cancel(WARM_UP);
        let after = cancel(CANCELS);
        eprintln!("{CANCELS} cancels: {before:?}\n{after:?}");
        assert_same(&before, &after);
        drop(go);
        thread.join().expect("the thread cancels until the end");
    });
}
