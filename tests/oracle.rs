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
use common::truth::Mirror;
use common::watched::Watched;
use ringlink::Watcher;
use ringlink::model::filter::Filter;

/// How often all is quiet, and looked at.
const ROUNDS: u64 = 12;
/// In all rounds together, unless RINGLINK_OVERRUNS says otherwise; fewer on a slow machine.
const OVERRUNS: u64 = 300;
/// How many drops for each overrun.
const DROPS_AN_OVERRUN: u64 = 334;
/// The kernel makes it a few KiB: two or three notifications.
const BUFFER_BYTES: usize = 2048;
/// How often all is quiet, and how much is asked of the kernel before, where nothing is lost.
const NEWS_ROUNDS: u64 = 10;
const NEWS_REQUESTS: u64 = 1500;
const PATIENCE: Duration = Duration::from_secs(120);

fn overruns() -> u64 {
    let told = std::env::var("RINGLINK_OVERRUNS").ok().and_then(|it| it.parse().ok());
    told.unwrap_or(common::work(OVERRUNS as usize) as u64)
}

#[test]
fn at_every_quiet_point_all_tell_the_same_as_ip() {
    in_namespace("at_every_quiet_point_all_tell_the_same_as_ip", || {
        churn::prepare();
        let seed = churn::seed();
        let builder = Watcher::builder().receive_buffer_bytes(BUFFER_BYTES);
        let mut mirror = Mirror::open(builder);
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
            lose(&mut mirror, overruns() * round / ROUNDS);
            requests += churn.requests();
            churn.stop();
            lines.sleep(false);
            mirror.becomes_true();
            lines.becomes_true();
        }
        let counters = mirror.watcher.counters();
        let resyncs = lines.resyncs();
        eprintln!("{requests} requests, {counters:?}, {resyncs} resyncs of the program");
        assert!(resyncs > 0 || overruns() < OVERRUNS, "the program has lost nothing");
        assert_eq!(counters.forged + counters.malformed, 0);
        assert_eq!(mirror.fold.dropped, counters.dropped);
    });
}

/// The same of a watcher that lets the kernel hold back what others' protocols route.
#[test]
fn at_every_quiet_point_a_filtered_mirror_tells_the_same_as_ip() {
    in_namespace("at_every_quiet_point_a_filtered_mirror_tells_the_same_as_ip", || {
        churn::prepare();
        let seed = churn::seed();
        let filter = Filter::everything().protocols([3]);
        let builder = Watcher::builder().receive_buffer_bytes(BUFFER_BYTES).filter(filter);
        let mut mirror = Mirror::open_filtered(builder, |line| {
            !line.starts_with("route") || line.contains(" proto 3 ")
        });
        for round in 1..=ROUNDS {
            let churn = Churn::start(seed + round);
            lose(&mut mirror, overruns() * round / ROUNDS);
            churn.stop();
            mirror.becomes_true();
        }
        let counters = mirror.watcher.counters();
        eprintln!("{counters:?}");
        assert_eq!(counters.forged + counters.malformed, 0);
    });
}

/// Reads until that many overruns have happened in all.
fn lose(mirror: &mut Mirror, wanted: u64) {
    let deadline = Instant::now() + PATIENCE * common::slowness();
    loop {
        let counters = mirror.watcher.counters();
        if counters.overruns >= wanted && counters.dropped >= wanted * DROPS_AN_OVERRUN {
            return;
        }
        assert!(Instant::now() < deadline, "too little is lost: {counters:?}");
        mirror.turn(Duration::from_millis(100));
    }
}

/// With a buffer that holds all, every line of the mirror is by the news alone.
#[test]
fn without_a_loss_the_news_alone_are_true() {
    in_namespace("without_a_loss_the_news_alone_are_true", || {
        churn::prepare();
        let seed = churn::seed();
        let mut mirror = Mirror::open(Watcher::builder());
        for round in 0..NEWS_ROUNDS {
            let churn = Churn::start_with(seed + round, NEWS_REQUESTS);
            while !churn.is_finished() {
                mirror.turn(Duration::from_millis(10));
            }
            churn.stop();
            mirror.becomes_true();
        }
        let counters = mirror.watcher.counters();
        eprintln!("{counters:?}");
        assert_eq!(counters.forged + counters.malformed, 0);
    });
}
