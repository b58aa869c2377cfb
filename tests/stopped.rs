//! A reader that is stopped, or sleeps, or is lied to, ends up with the truth.

#![cfg(feature = "cli")]

mod common;

use std::time::{Duration, Instant};

use common::churn::{self, Churn};
use common::netlink::{
    Asker, CREATE, EXCL, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK,
    RTM_NEWROUTE, Requests, RouteSpec,
};
use common::truth::Mirror;
use common::watched::Watched;
use common::{eventually, in_namespace, ip_batch, ip_json};
use nix::sys::signal::Signal;
use ringlink::Watcher;

/// How long the reader is away, at least.
const AWAY: Duration = Duration::from_secs(3);
/// How much is asked of the kernel meanwhile, at least: more than any receive buffer holds.
const REQUESTS: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns when the reader has been away for long and missed much.
fn churn_on(churn: &Churn) {
    let start = Instant::now();
    let is_enough = || start.elapsed() >= AWAY && churn.requests() >= REQUESTS;
    assert!(eventually(PATIENCE, is_enough), "only {} requests", churn.requests());
}

#[test]
fn a_stopped_program_tells_the_truth_when_it_goes_on() {
    in_namespace("a_stopped_program_tells_the_truth_when_it_goes_on", || {
        churn::prepare();
        let lines = Watched::start();
        lines.becomes_true();
        let churn = Churn::start(churn::seed());
        lines.signal(Signal::SIGSTOP);
        churn_on(&churn);
        lines.signal(Signal::SIGCONT);
        let (now, more) = (churn.requests(), REQUESTS / 60);
        assert!(eventually(PATIENCE, || churn.requests() >= now + more));
        churn.stop();
        lines.becomes_true();
        assert!(lines.resyncs() > 0, "nothing was lost, so nothing is proved");
    });
}

#[test]
fn a_program_whose_reader_sleeps_tells_the_truth_when_it_wakes() {
    in_namespace("a_program_whose_reader_sleeps_tells_the_truth_when_it_wakes", || {
        churn::prepare();
        let lines = Watched::start();
        lines.becomes_true();
        lines.sleep(true);
        let churn = Churn::start(churn::seed());
        churn_on(&churn);
        churn.stop();
        lines.sleep(false);
        lines.becomes_true();
        assert!(lines.resyncs() > 0, "nothing was lost, so nothing is proved");
    });
}

#[test]
fn a_watcher_that_nobody_turned_for_long_tells_the_truth() {
    in_namespace("a_watcher_that_nobody_turned_for_long_tells_the_truth", || {
        churn::prepare();
        let mut mirror = Mirror::open(Watcher::builder());
        let churn = Churn::start(churn::seed());
        churn_on(&churn);
        churn.stop();
        mirror.becomes_true();
        assert!(mirror.fold.resyncs > 0, "nothing was lost, so nothing is proved");
    });
}

/// The ports of the netlink sockets of this namespace, as the kernel lists them.
fn ports() -> Vec<u32> {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("/proc is there");
    let ports = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2));
    ports.filter_map(|port| port.parse().ok()).filter(|port| *port != 0).collect()
}

/// News that would change the mirror, if it believed them.
fn lies(index: u32) -> Vec<Vec<u8>> {
    let route = RouteSpec {
        to: [10, 7, 0, 0].into(),
        len: 24,
        via: Some([10, 1, 0, 9].into()),
        dev: index,
        metric: 0,
        table: 254,
        protocol: 3,
    };
    let invented = RouteSpec { to: [10, 8, 0, 0].into(), ..route.clone() };
    let lie = |tell: &dyn Fn(&mut Requests)| {
        let mut lie = Requests::default();
        tell(&mut lie);
        lie.into_notifications()
    };
    vec![
        lie(&|it| {
            it.link(RTM_NEWLINK, 0, 999, (1, 0), |link| {
                link.name("forged");
                link.attribute(4, &1500_u32.to_ne_bytes());
            });
        }),
        lie(&|it| it.link(RTM_DELLINK, 0, index, (0, 0), |link| link.name("v0"))),
        lie(&|it| it.link(RTM_NEWLINK, 0, index, (0, 0), |link| link.name("v0"))),
        lie(&|it| it.address(RTM_DELADDR, 0, index, [10, 1, 0, 1].into(), 24)),
        lie(&|it| it.address(RTM_NEWADDR, CREATE | EXCL, index, [10, 1, 0, 66].into(), 24)),
        lie(&|it| it.route(RTM_DELROUTE, 0, &route)),
        lie(&|it| it.route(RTM_NEWROUTE, CREATE | EXCL, &invented)),
        // Not a message at all.
        vec![0xff; 64],
    ]
}

#[test]
fn forged_news_change_nothing_and_are_counted() {
    in_namespace("forged_news_change_nothing_and_are_counted", || {
        ip_batch(
            "link add v0 type veth peer name p0\nlink set v0 up\nlink set p0 up\n\
             addr add 10.1.0.1/24 dev v0\nroute add 10.7.0.0/24 via 10.1.0.9\n",
        );
        let index = ip_json("link show dev v0")[0]["ifindex"].as_u64().expect("an index");
        let lines = Watched::start();
        lines.becomes_true();
        let before = ports();
        let mut mirror = Mirror::open(Watcher::builder());
        mirror.becomes_true();
        mirror.events.clear();
        let theirs: Vec<_> = ports().into_iter().filter(|port| !before.contains(port)).collect();
        assert_eq!(theirs.len(), 2, "the sockets of news and of requests");

        let forger = Asker::open();
        let (mut unicast, mut multicast) = (0, 0);
        for lie in lies(u32::try_from(index).expect("an index")) {
            for port in before.iter().chain(&theirs) {
                forger.send_to(&lie, *port, 0);
            }
            unicast += theirs.len() as u64;
            // RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE.
            for group in [1, 5, 7, 9, 11] {
                forger.send_to(&lie, 0, group);
                multicast += 1;
            }
        }
        mirror.becomes_true();
        lines.becomes_true();
        assert!(mirror.events.is_empty(), "{:#?}", mirror.events);
        let counters = mirror.watcher.counters();
        assert_eq!(counters.forged, unicast + multicast, "{counters:?}");
        assert_eq!(counters.malformed, 0);
        assert_eq!(lines.resyncs(), 0);
    });
}
