//! Cancelling a wait from another thread loses no event and leaks nothing.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{in_namespace, ip, ip_batch, slowness, work};
use ringlink::model::object::{Event, Object, What};
use ringlink::{Batch, Canceller, Wake, Watcher};

const CANCELS: usize = 10_000;
/// Each number is added and deleted: 20,000 changes.
const NUMBERS: usize = 10_000;
/// How many are changed by one `ip -batch`.
const CHUNK: usize = 100;
/// How far the sender may be ahead of the reader: no receive buffer is too small for that.
const AHEAD_MAX: usize = 2 * CHUNK;

/// The tests of this file count the descriptors of their common process.
static ALONE: Mutex<()> = Mutex::new(());

/// A number as an address: 10.x.y.z/32.
fn address(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255)
}

/// What of an event is one of the numbered changes: whether it is an addition, and of what.
fn change(event: &Event) -> Option<(bool, String)> {
    let (is_new, object) = match &event.what {
        What::New(object) => (true, object),
        What::Deleted(object) => (false, object),
        _ => return None,
    };
    let Object::Address(address) = object else { return None };
    let text = address.key.prefix.address.to_string();
    text.starts_with("10.").then_some((is_new, text))
}

/// Adds and deletes the numbers, chunk by chunk, as the reader follows.
fn send(confirmed: &AtomicUsize) {
    for first in (1..=work(NUMBERS)).step_by(CHUNK) {
        for verb in ["add", "del"] {
            let mut lines = String::new();
            for number in first..first + CHUNK {
                let _ = writeln!(lines, "addr {verb} {}/32 dev lo", address(number));
            }
            let sent = 2 * (first - 1) + if verb == "add" { CHUNK } else { 2 * CHUNK };
            while sent.saturating_sub(confirmed.load(Ordering::Acquire)) > AHEAD_MAX {
                std::thread::yield_now();
            }
            ip_batch(&lines);
        }
    }
}

/// In the order in which they are made.
fn expected() -> impl Iterator<Item = (bool, String)> {
    (1..=work(NUMBERS)).step_by(CHUNK).flat_map(|first| {
        let chunk = move |is_new| (first..first + CHUNK).map(move |n| (is_new, address(n)));
        chunk(true).chain(chunk(false))
    })
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is there").count()
}

/// Cancels again and again, a little apart, so that many hit an armed read.
fn cancel_often(canceller: &Canceller) {
    for _ in 0..work(CANCELS) {
        canceller.cancel();
        std::thread::sleep(Duration::from_micros(20));
    }
}

#[test]
fn ten_thousand_cancels_lose_none_of_twenty_thousand_changes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    in_namespace("ten_thousand_cancels_lose_none_of_twenty_thousand_changes", || {
        let before_all = descriptors();
        let mut watcher = Watcher::builder().open().expect("a ring");
        let mut batch = Batch::default();
        assert!(watcher.sync(&mut batch).expect("a mirror"));
        let (fds, ring) = (descriptors(), watcher.ring_counters());

        let confirmed = Arc::new(AtomicUsize::new(0));
        let sender = std::thread::spawn({
            let confirmed = Arc::clone(&confirmed);
            move || send(&confirmed)
        });
        let canceller = watcher.canceller();
        let cancelling = std::thread::spawn(move || cancel_often(&canceller));

        let mut cancelled = 0;
        let mut told = BTreeMap::new();
        let mut expected = expected();
        let dumps = watcher.counters().dumps;
        let mut count = 0;
        let end = std::time::Instant::now() + Duration::from_secs(120) * slowness();
        while count < 2 * work(NUMBERS) || !cancelling.is_finished() {
            let deadline = std::time::Instant::now() + Duration::from_millis(200);
            assert!(deadline < end, "only {count} changes came");
            match watcher.next_before(&mut batch, Some(deadline)).expect("it goes on") {
                Wake::Cancelled => cancelled += 1,
                Wake::Events => {
                    // What a dump told first is out of the order, and no less told.
                    let in_order = watcher.counters().dumps == dumps;
                    for event in &batch {
                        let resync = matches!(event.what, What::Resync { .. });
                        assert!(!resync, "the sender was too fast for the buffer; prove nothing");
                        let Some((is_new, address)) = change(event) else { continue };
                        let changes = told.entry(address.clone()).or_insert(0);
                        assert_eq!(*changes, usize::from(!is_new), "{address}: {event:?}");
                        *changes += 1;
                        let next = expected.next();
                        assert!(!in_order || next == Some((is_new, address)), "after {count}");
                        count += 1;
                    }
                    confirmed.store(count, Ordering::Release);
                }
                _ => {}
            }
        }
        sender.join().expect("the sender ends");
        cancelling.join().expect("the canceller ends");
        assert_eq!(expected.next(), None);
        assert!(told.len() == work(NUMBERS) && told.values().all(|changes| *changes == 2));
        let after = watcher.ring_counters();
        let reads_cancelled = after.reads_cancelled - ring.reads_cancelled;
        eprintln!("{cancelled} waits and {reads_cancelled} reads were cancelled");
        // In a guest the threads take turns, and most cancels come between two waits.
        let least = if slowness() > 1 { 0 } else { 100 };
        assert!(cancelled > least, "only {cancelled} of the cancels ended a wait");
        assert!(reads_cancelled > least as u64, "only {reads_cancelled} reads were cancelled");
        // The last cancel may still be on its way; it ends one more wait at most.
        let deadline = std::time::Instant::now() + Duration::from_millis(200);
        watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
        let after = watcher.ring_counters();
        assert_eq!(descriptors(), fds);
        assert_eq!(after.free_event_buffers, ring.free_event_buffers);
        assert_eq!(after.free_reply_buffers, ring.free_reply_buffers);
        assert_eq!(after.receives_in_flight, ring.receives_in_flight);
        drop(watcher);
        assert_eq!(descriptors(), before_all);
    });
}

#[test]
fn any_number_of_cancels_before_a_wait_are_one() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    in_namespace("any_number_of_cancels_before_a_wait_are_one", || {
        let mut watcher = Watcher::builder().open().expect("a ring");
        let mut batch = Batch::default();
        assert!(watcher.sync(&mut batch).expect("a mirror"));
        let canceller = watcher.canceller();
        for _ in 0..1_000 {
            canceller.cancel();
        }
        assert_eq!(watcher.next(&mut batch).expect("it goes on"), Wake::Cancelled);
        ip("addr add 10.0.0.1/32 dev lo");
        let told = loop {
            assert_eq!(watcher.next(&mut batch).expect("it goes on"), Wake::Events);
            // The kernel may have news of its own.
            if let Some(told) = batch.iter().find_map(change) {
                break told;
            }
        };
        assert_eq!(told, (true, address(1)));
        drop(watcher);
        canceller.cancel();
    });
}
