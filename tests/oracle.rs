//! The mirror equals what `ip` shows, however much was lost on the way.
//!
//! Two threads change links, addresses and routes as fast as the kernel takes it, the watcher's
//! receive buffer holds next to nothing, and whenever all is quiet three tellers must agree with
//! `ip`: the mirror, the library's events added up, and the lines of the program added up.

#![cfg(feature = "cli")]

mod common;

use std::time::{Duration, Instant};

use common::churn::{self, Churn};
use common::in_namespace;
use common::state::{EventFold, at_rest, from_ip, from_network};
use common::watched::Watched;
use ringlink::{Batch, Wake, Watcher};

/// How often all is quiet, and looked at.
const ROUNDS: u64 = 12;
/// In all rounds together, unless RINGLINK_OVERRUNS says otherwise.
const OVERRUNS: u64 = 300;
/// How many drops for each overrun.
const DROPS_AN_OVERRUN: u64 = 334;
/// The kernel makes it a few KiB: two or three notifications.
const BUFFER_BYTES: usize = 2048;
/// How often all is quiet, and how much is asked of the kernel before, where nothing is lost.
const NEWS_ROUNDS: u64 = 10;
const NEWS_REQUESTS: u64 = 1500;
const PATIENCE: Duration = Duration::from_secs(30);

fn overruns() -> u64 {
    std::env::var("RINGLINK_OVERRUNS").ok().and_then(|it| it.parse().ok()).unwrap_or(OVERRUNS)
}

/// Reads until nothing more comes.
fn settle(watcher: &mut Watcher, fold: &mut EventFold) {
    let mut batch = Batch::default();
    loop {
        let deadline = Instant::now() + Duration::from_millis(100);
        let wake = watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
        batch.iter().for_each(|event| fold.take(event));
        if wake == Wake::Deadline && watcher.sync(&mut batch).expect("it goes on") {
            batch.iter().for_each(|event| fold.take(event));
            return;
        }
    }
}

/// Whether the mirror and its events agree with `ip`, as they must soon after the rest.
fn becomes_true(watcher: &mut Watcher, fold: &mut EventFold) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = at_rest(PATIENCE);
        settle(watcher, fold);
        let told = from_network(watcher.observed());
        assert!(&fold.network == watcher.observed(), "the events do not add up to the mirror");
        if from_ip() == before {
            if told == before {
                return;
            }
            let difference = told.difference(&before, "in the mirror", "in ip");
            assert!(Instant::now() < deadline, "the mirror is not true:\n{difference}");
        }
    }
}

#[test]
fn at_every_quiet_point_all_tell_the_same_as_ip() {
    in_namespace("at_every_quiet_point_all_tell_the_same_as_ip", || {
        churn::prepare();
        let seed = churn::seed();
        let builder = Watcher::builder().receive_buffer_bytes(BUFFER_BYTES);
        let mut watcher = builder.open().expect("a ring");
        let mut fold = EventFold::default();
        settle(&mut watcher, &mut fold);
        let lines = Watched::start();
        let mut requests = 0;
        for round in 1..=ROUNDS {
            churn::ip_sysctl(
                "net/ipv4/conf/all/promote_secondaries",
                if round % 2 == 0 { "1" } else { "0" },
            );
            // The program loses something too where nobody takes its lines.
            lines.sleep(round % 3 == 0);
            let churn = Churn::start(seed + round);
            let wanted = overruns() * round / ROUNDS;
            let deadline = Instant::now() + PATIENCE;
            let mut batch = Batch::default();
            loop {
                let counters = watcher.counters();
                let is_enough =
                    counters.overruns >= wanted && counters.dropped >= wanted * DROPS_AN_OVERRUN;
                if is_enough {
                    break;
                }
                assert!(Instant::now() < deadline, "too little is lost: {counters:?}");
                let soon = Instant::now() + Duration::from_millis(100);
                watcher.next_before(&mut batch, Some(soon)).expect("it goes on");
                batch.iter().for_each(|event| fold.take(event));
            }
            requests += churn.requests();
            churn.stop();
            lines.sleep(false);
            becomes_true(&mut watcher, &mut fold);
            lines.becomes_true();
        }
        let counters = watcher.counters();
        let resyncs = lines.resyncs();
        eprintln!("{requests} requests, {counters:?}, {resyncs} resyncs of the program");
        assert!(resyncs > 0 || overruns() < OVERRUNS, "the program has lost nothing");
        assert_eq!(counters.forged + counters.malformed, 0);
        assert_eq!(fold.dropped, counters.dropped);
    });
}

/// With a buffer that holds all, every line of the mirror is by the news alone.
#[test]
fn without_a_loss_the_news_alone_are_true() {
    in_namespace("without_a_loss_the_news_alone_are_true", || {
        churn::prepare();
        let seed = churn::seed();
        let mut watcher = Watcher::builder().open().expect("a ring");
        let mut fold = EventFold::default();
        settle(&mut watcher, &mut fold);
        for round in 0..NEWS_ROUNDS {
            let churn = Churn::start_with(seed + round, NEWS_REQUESTS);
            let mut batch = Batch::default();
            while !churn.is_finished() {
                let soon = Instant::now() + Duration::from_millis(10);
                watcher.next_before(&mut batch, Some(soon)).expect("it goes on");
                batch.iter().for_each(|event| fold.take(event));
            }
            churn.stop();
            becomes_true(&mut watcher, &mut fold);
        }
        let counters = watcher.counters();
        eprintln!("{counters:?}");
        assert_eq!(counters.forged + counters.malformed, 0);
    });
}
