//! What it costs to keep a thousand links, and ten thousand: to start, in memory, and for each drift.
//!
//! `cargo bench --bench scale`, with LINKS="1000 10000" and DRIFTS to change. Beside each figure stands
//! what the kernel takes by itself, for with IPv6 that grows with the namespace: the bare dumps of
//! the tables that a mirror is made of, and the time that the request which makes the drift takes.
//! A drift is timed by the process that makes it, from before it asks for the deletion until it
//! hears of the restoration; this process listens to nothing else meanwhile. The CPU time that
//! ringlink spends has in it what it spins in the kernel for the lock that the deletion still holds:
//! its news come first, and the kernel's walk through the routes of an address follows.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringlink::{Applier, Desired};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

const LINKS: &str = "1000 10000";
const DRIFTS: u32 = 500;
const STARTS: usize = 7;
const BUFFER_BYTES: usize = 64 << 10;
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
const PROGRAM: &str = env!("CARGO_BIN_EXE_ringlink");

const RTM_GETLINK: u16 = 18;
const RTM_DELADDR: u16 = 21;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_DONE: u16 = 3;
const AF_INET: u8 = 2;
const GROUP_OF_ADDRESSES: u32 = 1 << 4;
const GROUP_OF_ROUTES: u32 = 1 << 6;

fn main() {
    let links = setting("LINKS").unwrap_or_else(|| LINKS.to_owned());
    for links in links.split_whitespace() {
        // Each in a process and a network namespace of its own.
        if setting("INSIDE").is_some() {
            return measure(links.parse().expect("LINKS is a list of numbers"));
        }
        let mut words = vec!["unshare", "--net"];
        if !rustix::process::geteuid().is_root() {
            words.extend(["--user", "--map-root-user"]);
        }
        let status = Command::new(words[0])
            .args(&words[1..])
            .arg(std::env::current_exe().expect("a program knows itself"))
            .envs([("INSIDE", "1"), ("LINKS", links)])
            .status();
        assert!(status.expect("this needs `unshare`").success(), "with {links} links");
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn measure(links: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let document = folder.path().join("document.toml");
    std::fs::write(&document, text(links)).expect("a writable folder");
    let start = Instant::now();
    run(&document, "apply");
    println!(
        "scale: {links} links with an address and a route each: made in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    check(links);

    let (mut bare, mut ours, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        bare.push(timed(dump_all));
        ours.push(mirror());
        idle.push(timed(|| run(&document, "apply")));
    }
    let [bare, ours, idle] = [bare, ours, idle].map(|all| ms(median(all)));
    println!(
        "start: {links} links: mirror complete after {ours:.1} ms, bare dumps {bare:.1} ms, ratio {:.2}; \
         apply with nothing to do {idle:.1} ms, ratio to bare dumps {:.2}",
        ours / bare,
        idle / bare
    );
    keep(links, &document);
    check(links);
}

fn keep(links: u32, document: &Path) {
    let mut keeper = Keeper::start(document);
    println!("memory: {links} links: ringlink run holds {:.1} MiB", keeper.resident_mib());
    let drifts = setting("DRIFTS").and_then(|it| it.parse().ok()).unwrap_or(DRIFTS);
    for (what, group, drift) in [
        ("address", GROUP_OF_ADDRESSES, address as fn(u32) -> Vec<u8>),
        ("route", GROUP_OF_ROUTES, route),
    ] {
        let socket = socket(group);
        let (mut took, mut bare) = (Vec::new(), Vec::new());
        let spent = keeper.spent();
        for at in 0..drifts {
            let number = at * 7 % links;
            let request = drift(number);
            let start = Instant::now();
            net::send(&socket, &request, SendFlags::empty()).expect("the kernel takes it");
            bare.push(start.elapsed());
            let (gone, back) = match what {
                "address" => (RTM_DELADDR, RTM_NEWADDR),
                _ => (RTM_DELROUTE, RTM_NEWROUTE),
            };
            await_message(&socket, gone, number);
            await_message(&socket, back, number);
            took.push(start.elapsed());
        }
        let spent = us(keeper.spent() - spent) / f64::from(drifts);
        took.sort_unstable();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "drift: {links} links: a deleted {what} is back after p50 {:.0} us, p99 {:.0} us, of which the \
             deletion's own request p50 {:.0} us; ringlink spends {spent:.0} us CPU for each of {drifts}",
            us(p50),
            us(p99),
            us(median(bare))
        );
    }
    keeper.stop();
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn text(links: u32) -> String {
    let mut text = String::from("version = 1\n[owner]\nname = \"bench\"\n");
    for number in 0..links {
        let (own, to) = (own(number), to(number));
        let _ = write!(
            text,
            "[link.i{number}]\nkind = \"ifb\"\naddresses = [\"{own}/32\"]\n\
             [[route]]\nto = \"{to}/32\"\ndev = \"i{number}\"\n"
        );
    }
    text
}

fn own(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((10 << 24) + number)
}

fn to(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((11 << 24) + number)
}

fn run(document: &Path, verb: &str) {
    let mut command = Command::new(PROGRAM);
    let status = command.args([verb, "--yes"]).arg(document).stdout(Stdio::null()).status();
    assert!(status.expect("it starts").success(), "{verb}");
}

/// Whether `ip` shows what is declared.
fn check(links: u32) {
    for (words, sign) in [
        ("-o link show up", ": i"),
        ("-o -4 addr show", " inet 10."),
        ("-4 route show proto 82", "11."),
    ] {
        let output = Command::new("ip").args(words.split(' ')).output().expect("`ip` of iproute2");
        let shown = String::from_utf8(output.stdout).expect("text");
        let count = shown.lines().filter(|line| line.contains(sign)).count();
        assert_eq!(count, links as usize, "ip {words}");
    }
}

/// Until the mirror is whole, from nothing; not until it is gone again. A route of a link that is not
/// there is declared, so that the routes are read too.
fn mirror() -> Duration {
    let document = "version = 1\n[[route]]\nto = \"198.51.100.0/24\"\ndev = \"absent\"\n";
    let desired = Desired::from_toml("absent.toml", document).expect("sound");
    let start = Instant::now();
    let mut applier = Applier::builder().open().expect("a ring");
    assert!(applier.plan(&desired).expect("a mirror").steps.is_empty());
    let took = start.elapsed();
    assert!(applier.observed().routes().next().is_some());
    took
}

/// The same tables, read and thrown away.
fn dump_all() {
    let socket = socket(0);
    let mut buffer = vec![0; BUFFER_BYTES];
    for request in [RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE] {
        net::send(&socket, &message(request, NLM_F_DUMP, &[0; 16]), SendFlags::empty())
            .expect("the kernel takes it");
        loop {
            let (len, _) = net::recv(&socket, &mut buffer[..], RecvFlags::empty()).expect("a part");
            if buffer[..len].get(4..6) == Some(&NLMSG_DONE.to_ne_bytes()) {
                break;
            }
        }
    }
}

fn message(message_type: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(16 + payload.len()).expect("a short message");
    let mut bytes = len.to_ne_bytes().to_vec();
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    bytes.extend(8_u16.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
}

/// RTM_DELADDR (rtnetlink(7)).
fn address(number: u32) -> Vec<u8> {
    let mut payload = vec![AF_INET, 32, 0, 0];
    payload.extend(index(number).to_ne_bytes());
    attribute(&mut payload, 2, own(number).octets());
    message(RTM_DELADDR, 0, &payload)
}

/// RTM_DELROUTE from the main table, with any scope.
fn route(number: u32) -> Vec<u8> {
    let mut payload = vec![AF_INET, 32, 0, 0, 254, 82, 255, 1, 0, 0, 0, 0];
    attribute(&mut payload, 1, to(number).octets());
    message(RTM_DELROUTE, 0, &payload)
}

fn index(number: u32) -> u32 {
    nix::net::if_::if_nametoindex(format!("i{number}").as_str()).expect("it is there")
}

/// Waits for the news of that link's address or route.
fn await_message(socket: &OwnedFd, message_type: u16, number: u32) {
    let mut buffer = [0; 4096];
    loop {
        let (len, _) = net::recv(socket, &mut buffer[..], RecvFlags::empty()).expect("news");
        let bytes = &buffer[..len];
        let names = |wanted: Ipv4Addr| bytes[16..].windows(4).any(|it| it == wanted.octets());
        if bytes.get(4..6) == Some(&message_type.to_ne_bytes())
            && (names(own(number)) || names(to(number)))
        {
            return;
        }
    }
}

fn socket(groups: u32) -> OwnedFd {
    // NETLINK_ROUTE is 0, which is what no protocol means.
    let (flags, route) = (SocketFlags::empty(), None);
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, route);
    let socket = socket.expect("a netlink socket");
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES);
    let timeout = Some(Duration::from_secs(30));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, timeout).expect("a timeout");
    net::bind(&socket, &SocketAddrNetlink::new(0, groups)).expect("the groups can be joined");
    socket
}

/// `ringlink run`, converged.
struct Keeper {
    child: Child,
}

impl Keeper {
    fn start(document: &Path) -> Self {
        let log = document.with_extension("log");
        let out = std::fs::File::create(&log).expect("a writable folder");
        let child = Command::new(PROGRAM).arg("run").arg(document).stdout(out).spawn();
        let keeper = Self { child: child.expect("it starts") };
        let start = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("converged")) {
            assert!(start.elapsed() < Duration::from_secs(60), "it does not converge");
            std::thread::sleep(Duration::from_millis(10));
        }
        keeper
    }

    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("/proc is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")).and_then(|it| it.parse().ok());
        kib.map_or(0.0, |kib: f64| kib / 1024.0)
    }

    /// The CPU time of all its threads.
    fn spent(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let time = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
        };
        tasks.expect("/proc is there").filter_map(time).sum()
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}
