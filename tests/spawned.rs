//! A watcher on a thread of its own: its reader may be as slow as it likes and still ends right.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use common::{eventually, in_namespace, ip, ip_batch, ip_json, slowness};
use ringlink::model::network::Network;
use ringlink::model::object::{NetnsId, What};
use ringlink::{Batch, Wake, Watcher, WatcherHandle};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a reader has: the network as the events add up to it.
#[derive(Default)]
struct Reader {
    network: Network,
    resyncs: usize,
    events: usize,
}

impl Reader {
    fn take(&mut self, batch: &Batch) {
        for event in batch {
            assert_eq!(event.netns, NetnsId::HOME);
            self.events += 1;
            assert_eq!(event.seq, self.events as u64);
            self.resyncs += usize::from(matches!(event.what, What::Resync { .. }));
            self.network.fold(&event.what);
        }
    }

    /// Reads on until the reader sees what `ip` shows.
    fn catch_up(&mut self, handle: &mut WatcherHandle) {
        let end = Instant::now() + PATIENCE * slowness();
        while !self.is_true() {
            assert!(Instant::now() < end, "the reader does not come to what ip shows");
            // A look at what `ip` shows takes longer than many events.
            let mut batch = Batch::default();
            loop {
                let wake = handle.next(&mut batch, Some(Duration::from_millis(50)));
                let has_events = wake.expect("it goes on") == Wake::Events;
                assert_eq!(has_events, !batch.is_empty());
                self.take(&batch);
                if !has_events {
                    break;
                }
            }
        }
    }

    fn is_true(&self) -> bool {
        let links: BTreeSet<_> = self.network.links().map(|link| link.name.to_string()).collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = ip_json("addr show");
        let shown: BTreeSet<_> = all.iter().map(|link| text(&link["ifname"])).collect();
        let infos = all.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
        let prefix = |info: &Value| format!("{}/{}", text(&info["local"]), info["prefixlen"]);
        let shown_addresses: BTreeSet<_> = infos.map(prefix).collect();
        let addresses: BTreeSet<_> =
            self.network.addresses().map(|it| it.key.prefix.to_string()).collect();
        links == shown && addresses == shown_addresses
    }
}

/// What waits in the rtnetlink sockets of this namespace: the column Rmem.
fn queued_bytes() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("/proc");
    let queued = |line: &str| line.split_whitespace().nth(4)?.parse::<u64>().ok();
    table.lines().filter_map(queued).sum()
}

#[test]
fn a_reader_that_sleeps_is_brought_up_by_the_differences() {
    const ADDRESSES: usize = 5_000;
    in_namespace("a_reader_that_sleeps_is_brought_up_by_the_differences", || {
        let mut handle = Watcher::spawn(Watcher::builder()).expect("a ring");
        let mut reader = Reader::default();
        ip("link add old type ifb");
        reader.catch_up(&mut handle);
        assert_eq!(reader.resyncs, 0);

        // More events than the queue holds, with nobody reading.
        let address = |number: usize| format!("10.1.{}.{}/32", number / 250, number % 250 + 1);
        for verb in ["add", "del"] {
            let mut lines = String::new();
            for number in 0..ADDRESSES {
                let _ = writeln!(lines, "addr {verb} {} dev lo", address(number));
            }
            ip_batch(&lines);
        }
        ip("link del old");
        ip("link add new type ifb");
        ip("addr add 192.0.2.1/24 dev lo");
        // The watcher's own thread has taken all of them from the kernel.
        assert!(eventually(PATIENCE * slowness(), || queued_bytes() == 0));
        let before = reader.events;
        reader.catch_up(&mut handle);
        assert!(reader.resyncs >= 1);
        let read = reader.events - before;
        assert!(read < 8_192 + 100, "{read} events: the queue was not bounded");

        // From here on it follows again.
        ip("addr del 192.0.2.1/24 dev lo");
        ip("link set new up");
        reader.catch_up(&mut handle);
    });
}

#[test]
fn a_handle_waits_no_longer_than_it_is_told_and_may_move_to_its_reader() {
    in_namespace("a_handle_waits_no_longer_than_it_is_told_and_may_move_to_its_reader", || {
        let mut handle = Watcher::spawn(Watcher::builder()).expect("a ring");
        Reader::default().catch_up(&mut handle);
        let mut batch = Batch::default();
        let wake = handle.next(&mut batch, Some(Duration::from_millis(10))).expect("it goes on");
        assert_eq!(wake, Wake::Deadline);
        assert!(batch.is_empty());
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || handle.next(&mut Batch::default(), None));
            while !reader.is_finished() {
                ip("link set lo mtu 1500");
                ip("link set lo mtu 1600");
            }
            assert_eq!(reader.join().expect("it reads").expect("it goes on"), Wake::Events);
        });
    });
}
