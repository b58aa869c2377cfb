//! Draining a burst of notifications: our engine, which decodes and mirrors them, beside three
//! plain readers that look at nothing.
//!
//! `cargo bench --bench watch`. Every contender has its own socket with the same groups; a burst is
//! made by `ip -batch` and lies queued before the clock starts. The closing table gives the CPU time
//! of the reading thread for each event, as a ratio to epoll + recv.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use nix::sched::{CloneFlags, unshare};
use nix::sys::select::{FdSet, select};
use ringlink::{Batch, Watcher};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::time::{ClockId, clock_gettime};

/// Addresses that are added and deleted for one burst.
const ADDRESSES: usize = 500;
/// Each addition and deletion is told as an address and as a local route.
const EVENTS: usize = 4 * ADDRESSES;
/// The groups of links, addresses and routes, as the watcher joins them.
const GROUPS: u32 = 1 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10;
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
const BUFFER_BYTES: usize = 8 << 10;

/// The CPU time of all measured drains of each contender, and the events in them.
type Costs = RefCell<BTreeMap<&'static str, (Duration, usize)>>;

fn main() {
    enter_namespace();
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    let costs = Costs::default();
    bench(&mut criterion, &costs);
    criterion.final_summary();
    table(&costs.borrow());
}

/// A network namespace of its own; without root, inside a user namespace.
fn enter_namespace() {
    if std::env::var_os("INSIDE").is_none() && unshare(CloneFlags::CLONE_NEWNET).is_err() {
        let program = std::env::current_exe().expect("a program knows itself");
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net"])
            .arg(program)
            .args(std::env::args_os().skip(1))
            .env("INSIDE", "1")
            .status()
            .expect("without root this needs `unshare` and user namespaces");
        std::process::exit(status.code().unwrap_or(1));
    }
    run_ip(&["link", "set", "lo", "up"]);
}

fn run_ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("this needs `ip` of iproute2");
    assert!(status.success(), "ip {arguments:?}");
}

fn bench(criterion: &mut Criterion, costs: &Costs) {
    let mut lines = String::new();
    for verb in ["add", "del"] {
        for number in 1..=ADDRESSES {
            let (high, low) = (number / 250, number % 250);
            let _ = writeln!(lines, "addr {verb} 10.0.{high}.{low}/32 dev lo");
        }
    }
    let batch = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(batch.path(), lines).expect("a writable temporary file");
    let burst = || run_ip(&["-batch", &batch.path().to_string_lossy()]);

    let mut group = criterion.benchmark_group("drain a burst");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut measure = |name: &'static str, drain: &mut dyn FnMut()| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut wall = Duration::ZERO;
                for _ in 0..iterations {
                    burst();
                    let (start, cpu) = (Instant::now(), thread_cpu());
                    drain();
                    wall += start.elapsed();
                    let mut costs = costs.borrow_mut();
                    let (total, events) = costs.entry(name).or_default();
                    *total += thread_cpu() - cpu;
                    *events += EVENTS;
                }
                wall
            });
        });
    };
    measure(EPOLL, &mut epoll_and_recv());
    measure("ringlink, decoded and mirrored", &mut ringlink_engine());
    measure("tokio-uring's own read", &mut tokio_uring_read());
    measure("select and a unix-socket pipe (2018)", &mut select_and_pipe());
    group.finish();
}

const EPOLL: &str = "epoll and recv";

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.try_into().expect("time goes forward"),
        now.tv_nsec.try_into().expect("less than a second"),
    )
}

fn socket(flags: SocketFlags) -> OwnedFd {
    // NETLINK_ROUTE is 0, which is what no protocol means.
    let route = None;
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, route);
    let socket = socket.expect("a netlink socket");
    if net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
        net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES).expect("a buffer");
    }
    net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).expect("the groups can be joined");
    socket
}

/// Receives until nothing is left; how many datagrams there were.
fn receive_all(socket: &OwnedFd, buffer: &mut Vec<u8>) -> usize {
    let mut count = 0;
    loop {
        buffer.clear();
        match net::recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT) {
            Ok(_) => count += 1,
            Err(rustix::io::Errno::AGAIN) => return count,
            Err(error) => panic!("recv: {error}; a burst must fit the receive buffer"),
        }
    }
}

fn epoll_and_recv() -> impl FnMut() {
    let socket = socket(SocketFlags::NONBLOCK);
    let poll = epoll::create(epoll::CreateFlags::empty()).expect("an epoll");
    let data = epoll::EventData::new_u64(0);
    epoll::add(&poll, &socket, data, epoll::EventFlags::IN).expect("it can be polled");
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    move || {
        let mut count = 0;
        while count < EVENTS {
            let mut ready = Vec::with_capacity(1);
            epoll::wait(&poll, spare_capacity(&mut ready), None).expect("epoll_wait");
            count += receive_all(&socket, &mut buffer);
        }
        assert_eq!(count, EVENTS);
    }
}

fn ringlink_engine() -> impl FnMut() {
    let mut watcher = Watcher::builder().open().expect("a ring");
    let mut batch = Batch::default();
    watcher.sync(&mut batch).expect("a mirror");
    let mut seen = watcher.counters().messages;
    move || {
        let until = seen + EVENTS as u64;
        while watcher.counters().messages < until {
            watcher.next(&mut batch).expect("it goes on");
        }
        seen = watcher.counters().messages;
        assert_eq!(seen, until);
        assert_eq!(watcher.counters().overruns, 0);
    }
}

fn tokio_uring_read() -> impl FnMut() {
    let socket = socket(SocketFlags::empty());
    move || {
        let copy = socket.try_clone().expect("a descriptor to spare");
        tokio_uring::start(async {
            // Its read takes any descriptor; a stream of bytes is the nearest type that it has.
            let socket = tokio_uring::net::UnixStream::from_std(UnixStream::from(copy));
            let mut buffer = Vec::with_capacity(BUFFER_BYTES);
            for _ in 0..EVENTS {
                buffer.clear();
                let (result, back) = socket.read(buffer).await;
                result.expect("a burst must fit the receive buffer");
                buffer = back;
            }
        });
    }
}

fn select_and_pipe() -> impl FnMut() {
    let socket = socket(SocketFlags::NONBLOCK);
    let (wake, _waker) = UnixStream::pair().expect("a pair");
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    move || {
        let mut count = 0;
        while count < EVENTS {
            let mut ready = FdSet::new();
            ready.insert(socket.as_fd());
            ready.insert(wake.as_fd());
            select(None, Some(&mut ready), None, None, None).expect("select");
            // One receive for each wait, as that design had it.
            buffer.clear();
            net::recv(&socket, spare_capacity(&mut buffer), RecvFlags::DONTWAIT).expect("recv");
            count += 1;
        }
    }
}

fn table(costs: &BTreeMap<&str, (Duration, usize)>) {
    let cost = |(total, events): &(Duration, usize)| total.as_secs_f64() * 1e6 / *events as f64;
    let Some(peer) = costs.get(EPOLL).map(cost) else { return };
    println!("\nCPU of the reading thread for each event of a burst of {EVENTS}");
    for (name, entry) in costs {
        println!("{name:<40} {:6.3} us  {:5.2} x epoll", cost(entry), cost(entry) / peer);
    }
}
