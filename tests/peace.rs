//! A fight costs a bounded number of writes, hurts no other object, and is over when the others
//! give in; and what we did ourselves never makes us write.

#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::netlink::{Asker, RTM_DELADDR, RTM_DELROUTE, RTM_NEWLINK, Requests, RouteSpec};
use common::program::{document, ringlink, run, status};
use common::{Over, addresses_of, eventually, in_namespace, ip, ip_json};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many links are kept; the rivals want the first of them otherwise.
const LINKS: u8 = 50;
const RIVALS: u8 = 10;
const FIGHT: Duration = Duration::from_secs(6);

/// The program, with what it prints in a file.
struct Keeping {
    child: Child,
    output: PathBuf,
    _folder: tempfile::TempDir,
}

impl Keeping {
    fn start(path: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("output");
        let mut program = ringlink();
        program.args(["run", "--json", "--verbose"]).arg(path);
        program.stdout(File::create(&output).expect("a file")).stderr(Stdio::null());
        let child = program.spawn().expect("the program starts");
        let keeping = Self { child, output, _folder: folder };
        let has_converged = || !keeping.told("converged").is_empty();
        assert!(eventually(PATIENCE, has_converged), "it does not converge");
        keeping
    }

    /// The reports of that name so far.
    fn told(&self, report: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.output).expect("a file");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["report"] == report).collect()
    }

    /// User and system time so far, in clock ticks (proc_pid_stat(5)).
    fn cpu(&self) -> u64 {
        cpu_of(&self.child.id().to_string())
    }

    /// Ends it; how many changes it sent.
    fn end(mut self) -> u64 {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it lives");
        assert!(self.child.wait().expect("a child").success());
        let counters = self.told("counters");
        counters[0]["changes"].as_u64().expect("a count")
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu_of(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    let words = after_name.split_whitespace().skip(11).take(2);
    words.map(|word| word.parse::<u64>().expect("ticks")).sum()
}

/// What another process hears of the writes that put things right: how often each address and
/// route was made by each port, and how often each link came to have an mtu of 1400.
#[derive(Debug, Default)]
struct Heard {
    made: BTreeMap<(IpAddr, u32), usize>,
    mtus: BTreeMap<u32, (u32, usize)>,
}

impl Heard {
    fn made(&self, address: IpAddr, except: &[u32]) -> usize {
        let made =
            self.made.iter().filter(|((it, port), _)| *it == address && !except.contains(port));
        made.map(|(_, count)| count).sum()
    }

    fn hear(&mut self, port: u32, message: RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewAddress(it) => {
                let local = it.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Local(address) => Some(*address),
                    _ => None,
                });
                local.into_iter().for_each(|it| *self.made.entry((it, port)).or_default() += 1);
            }
            RouteNetlinkMessage::NewRoute(it) => {
                let to = it.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::Destination(RouteAddress::Inet(to)) => Some(IpAddr::V4(*to)),
                    _ => None,
                });
                // The kernel's own follow from addresses.
                let to = to.filter(|_| u8::from(it.header.protocol) == 82);
                to.into_iter().for_each(|it| *self.made.entry((it, port)).or_default() += 1);
            }
            RouteNetlinkMessage::NewLink(it) => {
                let mtu = it.attributes.iter().find_map(|attribute| match attribute {
                    LinkAttribute::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
                let (before, count) = self.mtus.entry(it.header.index).or_default();
                if let Some(mtu) = mtu {
                    *count += usize::from(mtu == 1400 && *before != 1400);
                    *before = mtu;
                }
            }
            _ => {}
        }
    }
}

/// A listener of its own, which does not lose anything.
struct Listener(Socket);

impl Listener {
    fn open() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
        socket.bind(&SocketAddr::new(0, 0)).expect("a port");
        socket.set_rx_buf_sz(32 << 20).expect("a large buffer");
        // Links, IPv4 addresses and IPv4 routes (rtnetlink(7)).
        for group in [1, 5, 7] {
            socket.add_membership(group).expect("a group");
        }
        socket.set_non_blocking(true).expect("a flag");
        Self(socket)
    }

    /// What has come since the last time.
    fn read(&self, heard: &mut Heard) {
        loop {
            let bytes = match self.0.recv_from_full() {
                Ok((bytes, _)) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("the listener: {error}"),
            };
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes);
            let message = message.expect("a message of the kernel");
            let port = message.header.port_number;
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                heard.hear(port, inner);
            }
        }
    }
}

fn own(link: u8) -> IpAddr {
    Ipv4Addr::new(10, 1, link, 1).into()
}

fn to(link: u8) -> IpAddr {
    Ipv4Addr::new(10, 2, link, 0).into()
}

/// Fifty links with an address and a route each.
fn fifty_links() -> String {
    let mut text = "version = 1\n[owner]\nname = \"peace\"\n".to_owned();
    for link in 0..LINKS {
        let _ = write!(
            text,
            "[link.i{link}]\nkind = \"ifb\"\nmtu = 1400\naddresses = [\"{}/24\"]\n\
             [[route]]\nto = \"{}/24\"\ndev = \"i{link}\"\n",
            own(link),
            to(link)
        );
    }
    text
}

fn index_of(link: u8) -> u32 {
    let index = ip_json(&format!("link show dev i{link}"))[0]["ifindex"].as_u64();
    index.and_then(|index| u32::try_from(index).ok()).expect("an index")
}

/// One that wants one thing of its link to be otherwise, and says so all the time.
struct Rival {
    link: u8,
    dev: u32,
    asker: Asker,
}

impl Rival {
    fn new(link: u8) -> Self {
        Self { link, dev: index_of(link), asker: Asker::open() }
    }

    fn revert(&self) {
        let mut requests = Requests::default();
        match self.link % 3 {
            0 => requests.address(RTM_DELADDR, 0, self.dev, own(self.link), 24),
            1 => requests.route(
                RTM_DELROUTE,
                0,
                &RouteSpec {
                    to: to(self.link),
                    len: 24,
                    via: None,
                    dev: self.dev,
                    metric: 0,
                    table: 254,
                    protocol: 82,
                },
            ),
            _ => requests.link(RTM_NEWLINK, 0, self.dev, (0, 0), |it| {
                it.attribute(4, &1300u32.to_ne_bytes());
            }),
        }
        self.asker.send(&mut requests);
    }

    /// About a hundred times a second; two of ten far more often.
    fn pause(&self) -> Duration {
        Duration::from_millis(if self.link % 5 == 4 { 1 } else { 10 })
    }
}

/// How many writes I7 grants one object within `time`: five at once, then one after each delay.
fn granted(time: Duration) -> usize {
    let (mut delay, mut at, mut writes) = (Duration::from_millis(100), Duration::ZERO, 5);
    while at + delay <= time {
        at += delay;
        writes += 1;
        delay = (delay * 2).min(Duration::from_secs(30));
    }
    writes
}

/// Each fight was told, and where the kernel tells whose it is, with port and process.
fn expect_named(told: &[Value], ports: &[u32]) {
    // With its last address a link loses its routes, so these are fought over too.
    let link_of = |it: &Value| it["name"].as_str()?.rsplit('i').next()?.parse::<u8>().ok();
    let is_fought = |it: &&Value| link_of(it).is_some_and(|link| link < RIVALS);
    assert!(told.iter().all(|it| is_fought(&it)), "{told:#?}");
    for link in 0..RIVALS {
        let wanted = match link % 3 {
            0 => format!("{}/24 dev i{link}", own(link)),
            1 => format!("{}/24", to(link)),
            _ => format!("i{link}"),
        };
        let of_it = |it: &&Value| it["name"].as_str().is_some_and(|name| name.contains(&wanted));
        let of_it: Vec<_> = told.iter().filter(of_it).collect();
        assert!(!of_it.is_empty(), "{wanted}: {told:#?}");
        if link % 3 != 2 {
            let port = ports[usize::from(link)];
            assert!(of_it.iter().any(|it| it["sender"] == port), "{of_it:#?} by {port}");
            let is_known = |it: &&Value| it["sender"] == 0 || it["sender"] == port;
            assert!(of_it.iter().all(is_known), "{of_it:#?} by {port}");
            let pid = std::process::id();
            assert!(of_it.iter().any(|it| it["process"]["pid"] == pid), "{of_it:#?}");
        }
    }
}

#[test]
fn ten_rivals_cost_a_few_writes_and_no_one_elses_rights() {
    in_namespace("ten_rivals_cost_a_few_writes_and_no_one_elses_rights", || {
        let (_folder, path) = document(&fifty_links());
        let keeping = Keeping::start(&path);
        let rivals: Vec<_> = (0..RIVALS).map(Rival::new).collect();
        let ports: Vec<_> = rivals.iter().map(|rival| rival.asker.port()).collect();
        let (listener, mut heard) = (Listener::open(), Heard::default());
        let indices: Vec<_> = (0..RIVALS).map(index_of).collect();
        let cpu = keeping.cpu();
        let (is_over, start) = (AtomicBool::new(false), Instant::now());
        let (mut undone, mut sent) = (0, 0);
        std::thread::scope(|scope| {
            let fight = |rival: Rival| {
                let is_over = &is_over;
                move || {
                    let mut count = 0usize;
                    while !is_over.load(Ordering::Relaxed) {
                        rival.revert();
                        count += 1;
                        std::thread::sleep(rival.pause());
                    }
                    count
                }
            };
            let rivals: Vec<_> = rivals.into_iter().map(|it| scope.spawn(fight(it))).collect();
            let over = Over(&is_over);
            while start.elapsed() < FIGHT {
                listener.read(&mut heard);
                // More often would be a fight over that one too.
                if undone >= 5 * (LINKS - RIVALS) {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                let link = RIVALS + undone % (LINKS - RIVALS);
                ip(&format!("addr del {}/24 dev i{link}", own(link)));
                let is_back = || {
                    listener.read(&mut heard);
                    addresses_of(&format!("i{link}")).contains(&format!("{}/24", own(link)))
                };
                assert!(eventually(PATIENCE, is_back), "i{link} suffers from others' fight");
                undone += 1;
            }
            drop(over);
            sent = rivals.into_iter().map(|rival| rival.join().expect("a rival")).sum::<usize>();
        });
        let took = start.elapsed();
        let cpu = keeping.cpu() - cpu;
        listener.read(&mut heard);
        eprintln!("in {took:?} {sent} reverts by rivals, and {undone} drifts undone");
        // Ten times what the rivals and the listener pay would be a storm.
        assert!(cpu <= 10 * cpu_of("self") + 10, "{cpu} ticks, and {} of theirs", cpu_of("self"));
        assert!(sent > 10 * usize::from(RIVALS) * granted(took), "no fight: {sent} reverts");
        for link in 0..RIVALS {
            let count = match link % 3 {
                0 => heard.made(own(link), &ports),
                1 => heard.made(to(link), &ports),
                _ => heard.mtus.get(&indices[usize::from(link)]).map_or(0, |(_, count)| *count),
            };
            assert!((5..=granted(took)).contains(&count), "i{link}: {count} writes: {heard:#?}");
        }
        expect_named(&keeping.told("conflict"), &ports);
        // They have given in: once their delays are over, all is as declared.
        let check = || status(&run(&["check", &path.to_string_lossy()])) == Some(0);
        assert!(eventually(PATIENCE, check), "it is not put right");
        keeping.end();
    });
}

#[test]
fn what_is_made_is_written_once_and_its_own_news_cause_nothing() {
    in_namespace("what_is_made_is_written_once_and_its_own_news_cause_nothing", || {
        let (listener, mut heard) = (Listener::open(), Heard::default());
        let (_folder, path) = document(&fifty_links());
        let keeping = Keeping::start(&path);
        let (no_address, no_route) = ([3, 9, 27], [4, 10]);
        // With its last address a link loses its routes.
        for link in no_address {
            ip(&format!("addr del {}/24 dev i{link}", own(link)));
        }
        for link in no_route {
            ip(&format!("route del {}/24 dev i{link}", to(link)));
        }
        let check = || status(&run(&["check", &path.to_string_lossy()])) == Some(0);
        assert!(eventually(PATIENCE, check), "it is not put right");
        // Whatever it might still write for no reason.
        std::thread::sleep(Duration::from_millis(500));
        let changes = keeping.end();
        listener.read(&mut heard);
        for link in 0..LINKS {
            let of_address = 1 + usize::from(no_address.contains(&link));
            let of_route = of_address + usize::from(no_route.contains(&link));
            assert_eq!(heard.made(own(link), &[]), of_address, "the address of i{link}");
            assert_eq!(heard.made(to(link), &[]), of_route, "the route of i{link}");
        }
        // A link, an address and a route each, and what was put back.
        let put_back = 2 * no_address.len() + no_route.len();
        assert_eq!(changes, u64::from(LINKS) * 3 + put_back as u64);
    });
}
