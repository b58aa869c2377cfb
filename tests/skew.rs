//! A route that is there all along is never reported gone, whatever a dump leaves out.
//!
//! The kernel walks its route tables while they change, and skips some that were there throughout;
//! for routes it does not even say so (NLM_F_DUMP_INTR).

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::churn::Random;
use common::netlink::{Asker, CREATE, EXCL, RTM_DELROUTE, RTM_NEWROUTE, Requests, RouteSpec};
use common::{in_namespace, ip, ip_batch};
use ringlink::model::object::{Event, Object, What};
use ringlink::{Batch, Watcher};

/// Unless RINGLINK_RESYNCS says otherwise.
const RESYNCS: u64 = 8;
/// It holds some thousand notifications: a burst overruns it, single changes do not.
const BUFFER_BYTES: usize = 512 << 10;
const BURST: u32 = 4_000;
/// How many routes of each family come and go together while a dump is read.
const SHIFT: u32 = 20;
const DEV: u32 = 10;
/// How many messages the reader reads for each that the churn makes. However slow it is, and
/// however busy the machine, it is faster than the changes then, and each reading ends.
const READ_PER_CHANGE: u64 = 8;
/// The least time between two changes of the churn.
const PAUSE: Duration = Duration::from_millis(3);
/// How often the reader tells how far it is, at least.
const LOOK: Duration = Duration::from_millis(1);
/// The stable routes: of one IPv4 prefix these metrics, of IPv6 that many prefixes.
const METRICS: std::ops::Range<u32> = 1_000..1_600;
const PREFIXES: u32 = 1_500;

fn resyncs() -> u64 {
    std::env::var("RINGLINK_RESYNCS").ok().and_then(|it| it.parse().ok()).unwrap_or(RESYNCS)
}

fn v4(metric: u32) -> RouteSpec {
    RouteSpec {
        to: IpAddr::V4([10, 60, 0, 0].into()),
        len: 24,
        via: None,
        dev: DEV,
        metric,
        table: 254,
        protocol: 4,
    }
}

/// The stable ones have even numbers.
fn v6(number: u32) -> RouteSpec {
    let to = (0x2001_0db8_0060_u128 << 80) + (u128::from(number) << 64);
    RouteSpec { to: IpAddr::V6(to.into()), len: 64, metric: 1024, ..v4(0) }
}

fn is_stable(object: &Object) -> bool {
    let Object::Route(route) = object else { return false };
    match route.key.slot.to.address {
        IpAddr::V4(to) => {
            to.octets()[..3] == [10, 60, 0] && METRICS.contains(&route.key.slot.metric)
        }
        IpAddr::V6(to) => to.segments()[..3] == [0x2001, 0xdb8, 0x60] && to.segments()[3] % 2 == 0,
    }
}

/// A route that comes or goes among the stable ones.
fn change(random: &mut Random, out: &mut Requests) {
    let route = if random.below(2) == 0 {
        v4(if random.below(2) == 0 { 1 + random.below(900) } else { 1_600 + random.below(900) })
    } else {
        v6(2 * random.below(PREFIXES) + 1)
    };
    match random.below(2) {
        0 => out.route(RTM_NEWROUTE, CREATE | EXCL, &route),
        _ => out.route(RTM_DELROUTE, 0, &route),
    }
}

/// Routes come and go at the front of what is dumped, while another thread reads the dump: the
/// kernel goes on by counting.
struct Churn {
    /// How many messages were read so far; past the end of all it stops.
    read: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Churn {
    /// In the namespace of this thread.
    fn start() -> Self {
        let read = Arc::new(AtomicU64::new(0));
        let thread = std::thread::spawn({
            let read = Arc::clone(&read);
            move || shift(&read)
        });
        Self { read, thread }
    }

    fn stop(self) {
        self.read.store(u64::MAX, Ordering::Relaxed);
        self.thread.join().expect("the churn goes on");
    }
}

fn shift(read: &AtomicU64) {
    let asker = Asker::open();
    let mut requests = Requests::default();
    let mut made = 0;
    let turns = [(RTM_NEWROUTE, CREATE | EXCL), (RTM_DELROUTE, 0)];
    for (message_type, flags) in turns.into_iter().cycle() {
        for number in 0..SHIFT {
            requests.route(message_type, flags, &v4(1 + number));
            requests.route(message_type, flags, &v6(2 * number + 1));
        }
        asker.send(&mut requests);
        made += 2 * u64::from(SHIFT);
        loop {
            std::thread::sleep(PAUSE);
            match read.load(Ordering::Relaxed) {
                u64::MAX => return,
                read if read >= made * READ_PER_CHANGE => break,
                _ => {}
            }
        }
    }
}

/// Reads until the mirror is whole, and lets the churn go on meanwhile.
fn read(watcher: &mut Watcher, churn: &Churn, mut heard: impl FnMut(&Event)) {
    let mut batch = Batch::default();
    loop {
        let wake = watcher.next_before(&mut batch, Some(Instant::now() + LOOK));
        wake.expect("it goes on");
        churn.read.store(watcher.counters().messages, Ordering::Relaxed);
        batch.iter().for_each(&mut heard);
        if watcher.is_synced() {
            return;
        }
    }
}

fn stable(watcher: &Watcher) -> usize {
    let routes = watcher.observed().routes();
    routes.filter(|it| is_stable(&Object::Route((*it).clone()))).count()
}

#[test]
fn a_stable_route_is_never_reported_gone() {
    in_namespace("a_stable_route_is_never_reported_gone", || {
        ip(&format!("link add v0 index {DEV} type veth peer name p0"));
        ip_batch("link set v0 up\nlink set p0 up\naddr add 10.1.0.1/24 dev v0\n");
        let asker = Asker::open();
        let mut requests = Requests::default();
        let all = METRICS.map(v4).chain((0..PREFIXES).map(|number| v6(2 * number)));
        for route in all {
            requests.route(RTM_NEWROUTE, CREATE | EXCL, &route);
            asker.send(&mut requests);
        }
        let mut watcher =
            Watcher::builder().receive_buffer_bytes(BUFFER_BYTES).open().expect("a ring");
        assert!(watcher.sync(&mut Batch::default()).expect("a mirror"));
        let count = METRICS.len() + PREFIXES as usize;
        assert_eq!(stable(&watcher), count);

        let churn = Churn::start();
        let mut random = Random::new(2);
        let mut done = 0;
        while done < resyncs() {
            let overruns = watcher.counters().overruns;
            for _ in 0..BURST / 100 {
                (0..100).for_each(|_| change(&mut random, &mut requests));
                asker.send(&mut requests);
            }
            read(&mut watcher, &churn, |event| {
                if let What::Deleted(object) = &event.what {
                    assert!(!is_stable(object), "in resync {done}: {event:?}");
                }
            });
            done += u64::from(watcher.counters().overruns > overruns);
            if done % 100 == 0 {
                eprintln!("{done} resyncs");
            }
        }
        churn.stop();
        assert_eq!(stable(&watcher), count);
        eprintln!("{done} resyncs, {:?}", watcher.counters());
    });
}
