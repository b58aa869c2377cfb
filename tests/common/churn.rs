//! Threads that change everything in the namespace as fast as the kernel takes it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::netlink::{
    APPEND, Asker, CREATE, EXCL, REPLACE, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR,
    RTM_NEWLINK, RTM_NEWROUTE, Requests, RouteSpec,
};
use super::{ip, ip_batch};

/// The links that stay: pairs `v0`/`p0`, ..., of these indices and the next.
const PAIRS: [u32; 3] = [10, 20, 30];
/// The links that come and go, always of the same few indices.
const PASSING: [u32; 4] = [100, 110, 120, 130];
const REQUESTS_A_DATAGRAM: usize = 32;
const IFF_UP: u32 = 0x1;

/// Random numbers by xorshift64*.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        u32::try_from(high % u64::from(bound)).expect("below a u32")
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(u32::try_from(of.len()).expect("a short list")) as usize]
    }
}

/// The seed of this run: `RINGLINK_SEED`, or another one each time; printed.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RINGLINK_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("a clock after 1970").as_nanos() as u64 % 1_000_000_000
    });
    eprintln!("RINGLINK_SEED={seed}");
    seed
}

/// The links that stay, up, with the first addresses. Nothing waits for duplicate address
/// detection: what is tentative changes by itself.
pub(crate) fn prepare() {
    for scope in ["all", "default"] {
        ip_sysctl(&format!("net/ipv6/conf/{scope}/dad_transmits"), "0");
        ip_sysctl(&format!("net/ipv6/conf/{scope}/accept_ra"), "0");
    }
    for (at, index) in PAIRS.iter().enumerate() {
        ip(&format!("link add v{at} index {index} type veth peer name p{at} index {}", index + 1));
        ip_batch(&format!("link set v{at} up\nlink set p{at} up\n"));
    }
}

/// Sets what a file below /proc/sys holds, for the namespace of this thread.
pub(crate) fn ip_sysctl(path: &str, value: &str) {
    let path = format!("/proc/sys/{path}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Two threads that change links, addresses and routes until they are stopped.
#[derive(Debug)]
pub(crate) struct Churn {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Churn {
    /// In the namespace of this thread, until it is stopped.
    pub(crate) fn start(seed: u64) -> Self {
        Self::start_with(seed, u64::MAX)
    }

    /// Until it is stopped, or that many requests have been made.
    pub(crate) fn start_with(seed: u64, requests_max: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicU64::new(0));
        let threads = (0..2).map(|thread| {
            let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
            std::thread::spawn(move || {
                let asker = Asker::open();
                let mut random = Random::new(seed * 2 + thread);
                let mut datagram = Requests::default();
                while !stop.load(Ordering::Relaxed)
                    && requests.load(Ordering::Relaxed) < requests_max
                {
                    for _ in 0..REQUESTS_A_DATAGRAM {
                        change(&mut random, &mut datagram);
                    }
                    asker.send(&mut datagram);
                    requests.fetch_add(REQUESTS_A_DATAGRAM as u64, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Self { stop, requests, threads }
    }

    /// How many requests the kernel has answered so far, yes or no.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether all requests have been made.
    pub(crate) fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Returns when nothing more is asked of the kernel.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("the churn goes on"));
    }
}

/// Anything at all, mostly a route.
fn change(random: &mut Random, out: &mut Requests) {
    match random.below(1000) {
        0..450 => route_v4(random, out),
        450..750 => route_v6(random, out),
        750..986 => address(random, out),
        986..992 => up_or_down(random, out),
        992..998 => setting(random, out),
        _ => come_or_go(random, out),
    }
}

fn any_link(random: &mut Random) -> u32 {
    random.pick(&PAIRS) + random.below(2)
}

fn route_change(random: &mut Random, out: &mut Requests, route: &RouteSpec) {
    // An IPv6 replacement without a gateway can leave the same route twice, which neither `ip` nor
    // the mirror can tell from one.
    let is_direct = !route.to.is_ipv4() && route.via.is_none();
    let first = if is_direct { 2 } else { 0 };
    match first + random.below(10 - first) {
        0..2 => out.route(RTM_NEWROUTE, CREATE | REPLACE, route),
        2..5 => out.route(RTM_NEWROUTE, CREATE | EXCL, route),
        5 => out.route(RTM_NEWROUTE, CREATE | APPEND, route),
        6 => {
            // Whichever is the first of that destination and metric.
            let (via, dev, protocol) = (None, 0, 0);
            out.route(RTM_DELROUTE, 0, &RouteSpec { via, dev, protocol, ..route.clone() });
        }
        _ => out.route(RTM_DELROUTE, 0, route),
    }
}

fn route_v4(random: &mut Random, out: &mut Requests) {
    let pair = random.below(3);
    let gateway = random.below(3);
    let via = gateway.min(1) * (0x0a01_0000 + (pair << 8) + 100 + gateway);
    let route = RouteSpec {
        to: IpAddr::V4((0x0a32_0000 + (random.below(48) << 8)).into()),
        len: 24,
        via: (via != 0).then(|| IpAddr::V4(via.into())),
        dev: PAIRS[pair as usize],
        metric: random.pick(&[0, 0, 7]),
        table: random.pick(&[254, 254, 77]),
        protocol: 3,
    };
    route_change(random, out, &route);
}

fn route_v6(random: &mut Random, out: &mut Requests) {
    let pair = random.below(3);
    let base = 0x2001_0db8_u128 << 96;
    let gateway = u128::from(random.below(3));
    let via = base + (u128::from(pair) << 64) + 0x100 + gateway;
    let route = RouteSpec {
        to: IpAddr::V6((base + (0x50_u128 << 80) + (u128::from(random.below(48)) << 64)).into()),
        len: 64,
        via: (gateway != 0).then(|| IpAddr::V6(via.into())),
        dev: PAIRS[pair as usize],
        metric: random.pick(&[1024, 1024, 7]),
        table: random.pick(&[254, 254, 77]),
        protocol: 3,
    };
    route_change(random, out, &route);
}

/// Few subnets with many addresses each, so that primaries go and secondaries follow.
fn address(random: &mut Random, out: &mut Requests) {
    let pair = random.below(3);
    let host = 1 + random.below(8);
    let (own, len) = if random.below(2) == 0 {
        (IpAddr::V4((0x0a01_0000 + (pair << 8) + host).into()), 24)
    } else {
        let base = 0x2001_0db8_u128 << 96;
        (IpAddr::V6((base + (u128::from(pair) << 64) + u128::from(host)).into()), 64)
    };
    let dev = PAIRS[pair as usize];
    match random.below(5) {
        0..2 => out.address(RTM_NEWADDR, CREATE | EXCL, dev, own, len),
        2 => out.address(RTM_NEWADDR, CREATE | REPLACE, dev, own, len),
        _ => out.address(RTM_DELADDR, 0, dev, own, len),
    }
}

fn up_or_down(random: &mut Random, out: &mut Requests) {
    let index = if random.below(4) == 0 { random.pick(&PASSING) } else { any_link(random) };
    // More often up: a link that is down takes few routes.
    let set = if random.below(4) == 0 { 0 } else { IFF_UP };
    out.link(RTM_NEWLINK, 0, index, (set, IFF_UP), |_| {});
}

fn setting(random: &mut Random, out: &mut Requests) {
    let index = if random.below(3) == 0 { random.pick(&PASSING) } else { any_link(random) };
    let value = random.below(100);
    match random.below(5) {
        0 => out.link(RTM_NEWLINK, 0, index, (0, 0), |link| {
            link.attribute(4, &(1300 + value).to_ne_bytes());
        }),
        1 => out.link(RTM_NEWLINK, 0, index, (0, 0), |link| {
            link.attribute(1, &[2, 0, 0, 0, 1, u8::try_from(value).expect("below 100")]);
        }),
        2 => out.link(RTM_NEWLINK, 0, index, (0, 0), |link| {
            link.name(&format!("n{}", value % 20));
        }),
        3 => out.link(RTM_NEWLINK, 0, index, (0, 0), |link| {
            let master = if value % 2 == 0 { 0 } else { PASSING[0] };
            link.attribute(10, &u32::to_ne_bytes(master));
        }),
        _ => out.link(RTM_NEWLINK, 0, index, (value.min(1), IFF_UP), |link| {
            link.attribute(4, &(1400 + value).to_ne_bytes());
        }),
    }
}

/// Links that come and go under the same indices and in other kinds.
fn come_or_go(random: &mut Random, out: &mut Requests) {
    let index = random.pick(&PASSING);
    if random.below(2) == 0 {
        return out.link(RTM_DELLINK, 0, index, (0, 0), |_| {});
    }
    let name = format!("c{}", random.below(4));
    let lower = PAIRS[0];
    let kind = if index == PASSING[0] { 0 } else { 1 + random.below(3) };
    out.link(RTM_NEWLINK, CREATE | EXCL, index, (IFF_UP, IFF_UP), |link| {
        link.name(&name);
        match kind {
            0 => link.kind("bridge"),
            1 => link.kind("ifb"),
            2 => link.veth(index + 1, &format!("{name}p")),
            _ => {
                link.attribute(5, &lower.to_ne_bytes());
                link.kind("macvlan");
            }
        }
    });
}
