//! A hundred thousand routes of a document made, beside a bare sender of the same messages.
//!
//! `cargo bench --bench routes`, with ROUTES and RUNS to change. The sender knows its messages
//! beforehand, puts 512 into a datagram with the ack asked of the last, and reads nothing but these
//! acks: no program that makes routes can do less. What it cannot say is whether they are there. A
//! program that does has to read them, so the kernel's part of that is timed too: a dump of which
//! only the lengths are looked at. Every run has a network namespace of its own, the two take
//! turns, and what they made is counted by `ip`. Printed are medians, and the ratios.
//!
//! The kernel could also show them while it makes the next: a thread that looks at the lengths alone
//! kept up with the sender on two CPUs, and both had ended 1 to 9 % later than the sender alone.
//! ringlink reads them when all are made: doing so meanwhile gained 4 % of 14 runs in turns, and
//! nothing of 14 with smaller parts, as what it decodes and stores then slows the sender.
//! Of 600 ms where the sender took 435, 28 passed before the first datagram, 452 until the last was
//! taken, of which the kernel worked 390, and 121 after that, half of them the kernel's dump.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use ringlink::{Applier, Desired};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const ROUTES: u32 = 100_000;
const RUNS: usize = 5;
/// As many as ringlink sends at once; more gain nothing.
const REQUESTS_A_DATAGRAM: u32 = 512;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// What the kernel makes the parts of a dump for, and no more.
const REPLY_BYTES: usize = 32 * 1024;

fn main() {
    let routes = setting("ROUTES").and_then(|it| it.parse().ok()).unwrap_or(ROUTES);
    let runs = setting("RUNS").and_then(|it| it.parse().ok()).unwrap_or(RUNS);
    enter_user_namespace();
    let text = document(routes);
    let mut phases: [Vec<Duration>; 7] = Default::default();
    for _ in 0..runs {
        let bare_phases = in_namespace(|| bare(routes, false));
        let ours = in_namespace(|| ringlink(routes, &text));
        let [heard, _] = in_namespace(|| bare(routes, true));
        let run = bare_phases.into_iter().chain(ours).chain([heard]);
        phases.iter_mut().zip(run).for_each(|(all, one)| all.push(one));
    }
    let [bare, dump, read, plan, make, check, heard] =
        phases.map(|all| median(all).as_secs_f64() * 1e3);
    println!(
        "routes: {routes}: a bare sender {bare:.0} ms, {heard:.0} ms where someone listens, and \
         {dump:.0} ms to dump them; ringlink reads the document in {read:.0} ms, plans in {plan:.0} ms, \
         makes and verifies them in {make:.0} ms, finds nothing to do in {check:.0} ms; made and \
         verified to sent, ratio {:.2}, to sent and dumped {:.2}; sent and dumped to sent, which none \
         that sends them in this order and then reads them back goes below, {:.2}",
        make / bare,
        make / (bare + dump),
        (bare + dump) / bare,
    );
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// Without root, network namespaces are made inside a user namespace.
fn enter_user_namespace() {
    if setting("INSIDE").is_none() && !rustix::process::geteuid().is_root() {
        let program = std::env::current_exe().expect("a program knows itself");
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user"])
            .arg(program)
            .env("INSIDE", "1")
            .status()
            .expect("without root this needs `unshare` and user namespaces");
        std::process::exit(status.code().unwrap_or(1));
    }
}

/// On a thread of its own, in a network namespace of its own with a link to route through.
fn in_namespace<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let result = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            ip(&["link", "add", "r0", "type", "ifb"]);
            ip(&["link", "set", "r0", "up"]);
            ip(&["addr", "add", "192.0.2.1/24", "dev", "r0"]);
            run()
        });
        thread.join().expect("the run ends")
    });
    // The namespace is torn down in the background, under the lock that the next run needs.
    thread::sleep(Duration::from_secs(1));
    result
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("this needs `ip` of iproute2");
    assert!(output.status.success(), "ip {arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn check_count(routes: u32) {
    let shown = ip(&["-4", "route", "show", "via", &GATEWAY.to_string()]);
    assert_eq!(shown.lines().count(), routes as usize, "routes that `ip` shows");
}

fn destination(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((10 << 24) + number)
}

fn document(routes: u32) -> String {
    let mut text = String::from("version = 1\n");
    for number in 0..routes {
        let to = destination(number);
        let _ = write!(text, "[[route]]\nto = \"{to}/32\"\nvia = \"{GATEWAY}\"\ndev = \"r0\"\n");
    }
    text
}

/// Reads the document, plans, makes the routes, and finds nothing to do the next time.
fn ringlink(routes: u32, text: &str) -> [Duration; 4] {
    let mut phases = [Duration::ZERO; 4];
    let mut timed = |phase: usize, run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        phases[phase] = start.elapsed();
    };
    let mut desired = None;
    timed(0, &mut || desired = Some(Desired::from_toml("routes.toml", text).expect("sound")));
    let desired = desired.expect("it was read");
    timed(1, &mut || {
        let mut applier = Applier::builder().open().expect("a ring");
        assert_eq!(applier.plan(&desired).expect("a plan").steps.len(), routes as usize);
    });
    timed(2, &mut || {
        let mut applier = Applier::builder().open().expect("a ring");
        let report = applier.apply(&desired).expect("it goes on");
        assert!(report.converged && report.attempts.len() == routes as usize);
    });
    check_count(routes);
    timed(3, &mut || {
        let mut applier = Applier::builder().open().expect("a ring");
        assert!(applier.apply(&desired).expect("it goes on").attempts.is_empty());
    });
    phases
}

/// Makes the routes, and dumps them.
fn bare(routes: u32, is_heard: bool) -> [Duration; 2] {
    let group_of_routes = 1 << 6;
    let _listener = is_heard.then(|| socket(group_of_routes));
    let device: u32 = {
        let shown = ip(&["-o", "link", "show", "dev", "r0"]);
        shown.split(':').next().and_then(|index| index.parse().ok()).expect("an index")
    };
    let start = Instant::now();
    let socket = socket(0);
    let (mut bytes, mut reply) = (Vec::new(), vec![0; REPLY_BYTES]);
    for first in (0..routes).step_by(REQUESTS_A_DATAGRAM as usize) {
        let last = (first + REQUESTS_A_DATAGRAM).min(routes) - 1;
        bytes.clear();
        (first..=last).for_each(|number| route(&mut bytes, number, device, number == last));
        net::send(&socket, &bytes, SendFlags::empty()).expect("the kernel takes a datagram");
        let (len, _) = net::recv(&socket, &mut reply[..], RecvFlags::empty()).expect("an ack");
        let errno = reply.get(16..20).and_then(|it| it.try_into().ok()).map(i32::from_ne_bytes);
        assert!(len >= 36 && errno == Some(0), "the kernel refuses with {errno:?}");
    }
    let sent = start.elapsed();
    check_count(routes);
    let start = Instant::now();
    dump(&socket, &mut reply);
    [sent, start.elapsed()]
}

/// RTM_GETROUTE of IPv4, read to its end.
fn dump(socket: &OwnedFd, reply: &mut [u8]) {
    const RTM_GETROUTE: u16 = 26;
    const NLMSG_DONE: [u8; 2] = 3_u16.to_ne_bytes();
    let mut request = [0; 28];
    request[..4].copy_from_slice(&28_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_GETROUTE.to_ne_bytes());
    // NLM_F_REQUEST and NLM_F_DUMP; AF_INET.
    request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
    request[16] = 2;
    net::send(socket, &request, SendFlags::empty()).expect("the kernel takes a datagram");
    let mut type_of_last = None;
    while type_of_last != Some(NLMSG_DONE) {
        let (len, _) = net::recv(socket, &mut *reply, RecvFlags::empty()).expect("a part");
        let mut rest = &reply[..len];
        while let [a, b, c, d, kind @ ..] = rest {
            let bytes = u32::from_ne_bytes([*a, *b, *c, *d]) as usize;
            type_of_last = kind.first_chunk().copied();
            rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn socket(groups: u32) -> OwnedFd {
    // NETLINK_ROUTE is 0, which is what no protocol means.
    let (flags, route) = (SocketFlags::empty(), None);
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, route);
    let socket = socket.expect("a netlink socket");
    net::bind(&socket, &SocketAddrNetlink::new(0, groups)).expect("the groups can be joined");
    socket
}

/// RTM_NEWROUTE as ringlink sends it (rtnetlink(7)).
fn route(bytes: &mut Vec<u8>, number: u32, device: u32, is_last: bool) {
    const RTM_NEWROUTE: u16 = 24;
    // NLM_F_REQUEST, NLM_F_EXCL and NLM_F_CREATE; NLM_F_ACK.
    let flags = 0x601_u16 | if is_last { 4 } else { 0 };
    bytes.extend(60_u32.to_ne_bytes());
    bytes.extend(RTM_NEWROUTE.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend((number + 1).to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    // AF_INET, /32, the main table, protocol 82, RT_SCOPE_UNIVERSE, RTN_UNICAST.
    bytes.extend([2, 32, 0, 0, 254, 82, 0, 1, 0, 0, 0, 0]);
    let mut attribute = |kind: u16, value: [u8; 4]| {
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
    };
    attribute(1, destination(number).octets());
    attribute(4, device.to_ne_bytes());
    attribute(5, GATEWAY.octets());
    attribute(15, 254_u32.to_ne_bytes());
}
