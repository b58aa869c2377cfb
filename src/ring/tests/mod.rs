//! The ring against the real kernel, each test in a network namespace of its own.

mod cancel;
mod filter;
mod lifetime;
mod overrun;
mod process;
mod receive;
mod wake;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::sched::{CloneFlags, unshare};

use super::{BufferGroup, Completion, Config, Ring, SocketConfig, SocketId, Wait};

pub(super) const RTNLGRP_LINK: u32 = 1;
pub(super) const RTNLGRP_IPV4_IFADDR: u32 = 5;
pub(super) const RTM_NEWADDR: u16 = 20;

/// Runs a test on a thread of its own, in a new network namespace whose loopback is up.
pub(super) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(move || {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: a new network namespace is refused here: {errno}");
            return;
        }
        ip(&["link", "set", "lo", "up"]);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip`, in the namespace of the calling thread.
pub(super) fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("the ip program");
    assert!(status.success(), "ip {arguments:?}");
}

/// Runs `ip -batch` over numbered addresses 10.x.y.z/32 on lo; `verb` is add or del.
pub(super) fn change_addresses(verb: &str, numbers: std::ops::Range<u32>) {
    let lines: String =
        numbers.map(|n| format!("addr {verb} {}/32 dev lo\n", address(n))).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), lines).unwrap();
    ip(&["-batch", file.path().to_str().unwrap()]);
}

fn address(number: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number)
}

pub(super) fn config() -> Config {
    Config {
        submission_entries: 16,
        completion_entries: 256,
        pollable: false,
        event_buffers: 64,
        event_buffer_bytes: 4096,
        reply_buffers: 4,
        reply_buffer_bytes: 32 << 10,
    }
}

pub(super) fn open(config: &Config) -> Ring {
    Ring::open(config).unwrap()
}

pub(super) fn events(ring: &mut Ring, groups: &[u32], receive_buffer_bytes: usize) -> SocketId {
    let config = SocketConfig { groups, receive_buffer_bytes, buffers: BufferGroup::Events };
    ring.open_socket(&config).unwrap()
}

pub(super) fn replies(ring: &mut Ring) -> SocketId {
    let config =
        SocketConfig { groups: &[], receive_buffer_bytes: 1 << 20, buffers: BufferGroup::Replies };
    ring.open_socket(&config).unwrap()
}

/// A dump of all links; with `index`, a request for that one.
pub(super) fn get_link(index: Option<u32>, sequence: u32) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&32_u32.to_ne_bytes());
    bytes.extend_from_slice(&18_u16.to_ne_bytes());
    let flags: u16 = if index.is_some() { 0x1 } else { 0x301 };
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&index.unwrap_or(0).to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// The message type of a datagram's first message.
pub(super) fn kind_of(bytes: &[u8]) -> u16 {
    u16::from_ne_bytes(bytes[4..6].try_into().unwrap())
}

/// The number of an address added by `change_addresses`, from its RTM_NEWADDR or RTM_DELADDR.
pub(super) fn number_of(bytes: &[u8]) -> u32 {
    let mut rest = &bytes[16 + 8..];
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        let kind = u16::from_ne_bytes([rest[2], rest[3]]);
        if kind == 1 {
            return u32::from_be_bytes(rest[4..8].try_into().unwrap()) - 0x0a00_0000;
        }
        rest = &rest[length.next_multiple_of(4)..];
    }
    panic!("no IFA_ADDRESS");
}

/// One turn of at most 100 ms.
pub(super) fn turn(ring: &mut Ring, handle: impl FnMut(Completion<'_>)) {
    let wait = Wait::One { timeout: Some(Duration::from_millis(100)), collect: None };
    ring.enter(wait).unwrap();
    ring.reap(handle);
}

/// Turns until `done` says so of one completion; panics after 600 turns.
pub(super) fn turn_until(ring: &mut Ring, mut done: impl FnMut(Completion<'_>) -> bool) {
    for _ in 0..600 {
        let mut ended = false;
        turn(ring, |completion| ended |= done(completion));
        if ended {
            return;
        }
    }
    panic!("it never came; {:?}", ring.counters());
}

/// Turns until nothing has come for a whole turn.
pub(super) fn turn_until_quiet(ring: &mut Ring, mut handle: impl FnMut(Completion<'_>)) {
    loop {
        let mut quiet = true;
        turn(ring, |completion| {
            quiet = false;
            handle(completion);
        });
        if quiet {
            return;
        }
    }
}

/// The ports of all netlink sockets in the calling thread's network namespace: what this test has
/// open, since a process's descriptors are shared with the other tests.
pub(super) fn netlink_ports() -> Vec<u32> {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(2)?.parse().ok())
        .filter(|&port| port != 0)
        .collect()
}

/// Waits until as many ports are open. The kernel lets go of a request's file after the request's
/// completion, and may leave the closing of the file to a thread of its own.
pub(super) fn await_netlink_ports(count: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    while netlink_ports().len() != count {
        assert!(Instant::now() < until, "{:?} are open, not {count}", netlink_ports());
        thread::sleep(Duration::from_millis(1));
    }
}
