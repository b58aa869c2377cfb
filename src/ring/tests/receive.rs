//! Datagrams arrive: whole, in order, from whom they say.

use super::super::{Completion, Config, Wait};
use super::*;

#[test]
fn a_request_is_answered() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = replies(&mut ring);
        assert_ne!(ring.port(socket), 0);
        ring.arm(socket);
        ring.send(socket, get_link(Some(1), 7), false, 99);
        let (mut answered, mut sent) = (false, false);
        while !(answered && sent) {
            turn_until(&mut ring, |completion| match completion {
                Completion::Received(received) => {
                    assert_eq!(received.socket, socket);
                    assert_eq!(received.sender, 0);
                    assert!(!received.truncated);
                    assert_eq!(kind_of(received.bytes), 16);
                    let length = u32::from_ne_bytes(received.bytes[..4].try_into().unwrap());
                    assert_eq!(length as usize, received.bytes.len());
                    answered = true;
                    true
                }
                Completion::Sent(done) => {
                    assert_eq!((done.socket, done.token, done.result), (socket, 99, Ok(32)));
                    assert_eq!(&done.buffer[..], &get_link(Some(1), 7)[..]);
                    sent = true;
                    true
                }
                other => panic!("{other:?}"),
            });
        }
        assert!(ring.is_armed(socket));
        assert_eq!(ring.counters().receives_armed, 1);
    });
}

#[test]
fn a_send_that_the_kernel_refuses_hands_its_buffer_back() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = replies(&mut ring);
        let bytes = ring.send_buffer_bytes(socket) + 1;
        ring.send(socket, BytesMut::zeroed(bytes), false, 5);
        turn_until(&mut ring, |completion| {
            let Completion::Sent(sent) = completion else { panic!("{completion:?}") };
            assert_eq!(sent.result, Err(libc::EMSGSIZE));
            assert_eq!(sent.buffer.len(), bytes);
            true
        });
    });
}

#[test]
fn more_sends_than_the_queue_holds_all_go_out() {
    in_namespace(|| {
        let mut ring = open(&Config { submission_entries: 4, ..config() });
        let socket = replies(&mut ring);
        for token in 0..500 {
            ring.send(socket, get_link(Some(1), token as u32), false, token);
        }
        let mut next = 0;
        while next < 500 {
            turn_until(&mut ring, |completion| {
                if let Completion::Sent(sent) = completion {
                    assert_eq!((sent.token, sent.result), (next, Ok(32)));
                    next += 1;
                }
                true
            });
        }
        assert_eq!(ring.counters().sends_in_flight, 0);
    });
}

#[test]
fn one_receive_brings_many_events() {
    for pollable in [false, true] {
        in_namespace(move || {
            let mut ring = open(&Config { pollable, ..config() });
            let socket = events(&mut ring, &[RTNLGRP_LINK], 1 << 20);
            ring.arm(socket);
            ring.enter(Wait::None).unwrap();
            for mtu in ["1400", "1401", "1402", "1403"] {
                ip(&["link", "set", "lo", "mtu", mtu]);
            }
            let mut seen = 0;
            while seen < 4 {
                turn_until(&mut ring, |completion| {
                    let Completion::Received(received) = completion else {
                        panic!("{completion:?}")
                    };
                    assert_eq!(kind_of(received.bytes), 16);
                    seen += 1;
                    true
                });
            }
            assert_eq!(ring.counters().receives_armed, 1);
        });
    }
}

#[test]
fn a_pollable_ring_wakes_a_poll() {
    in_namespace(|| {
        let mut ring = open(&Config { pollable: true, ..config() });
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 1 << 20);
        ring.arm(socket);
        ring.enter(Wait::None).unwrap();
        let waker = ring.waker().unwrap();
        for number in 1..6 {
            assert_eq!(poll(&ring, 0), 0);
            change_addresses("add", number..number + 1);
            assert_eq!(poll(&ring, 10_000), 1);
            ring.enter(Wait::None).unwrap();
            ring.reap(|completion| {
                let Completion::Received(received) = completion else { panic!("{completion:?}") };
                assert_eq!(number_of(received.bytes), number);
            });
            let waker = waker.clone();
            let other = thread::spawn(move || waker.wake());
            assert_eq!(poll(&ring, 10_000), 1);
            assert!(other.join().unwrap());
            ring.reap(|completion| assert!(matches!(completion, Completion::Woken)));
        }
    });
}

fn poll(ring: &Ring, timeout_ms: u16) -> i32 {
    use nix::poll::{PollFd, PollFlags};
    let mut descriptors = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut descriptors, timeout_ms).unwrap()
}

#[test]
fn a_datagram_longer_than_its_buffer_is_flagged() {
    in_namespace(|| {
        let mut ring = open(&Config { event_buffer_bytes: 128, ..config() });
        let socket = events(&mut ring, &[RTNLGRP_LINK], 1 << 20);
        ring.arm(socket);
        ring.enter(Wait::None).unwrap();
        ip(&["link", "set", "lo", "mtu", "1400"]);
        turn_until(&mut ring, |completion| {
            let Completion::Received(received) = completion else { panic!("{completion:?}") };
            assert!(received.truncated);
            assert_eq!(received.bytes.len(), 128);
            assert_eq!(kind_of(received.bytes), 16);
            true
        });
        assert_eq!(ring.counters().truncated, 1);
    });
}

#[test]
fn few_buffers_lose_nothing() {
    for (pollable, completion_entries) in [(false, 256), (true, 256), (false, 8), (true, 8)] {
        in_namespace(move || {
            let mut ring = open(&Config {
                pollable,
                completion_entries,
                submission_entries: 4,
                event_buffers: 4,
                event_buffer_bytes: 256,
                ..config()
            });
            let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 8 << 20);
            ring.arm(socket);
            ring.enter(Wait::None).unwrap();
            change_addresses("add", 1..1001);
            let mut next = 1;
            while next < 1001 {
                turn_until(&mut ring, |completion| {
                    let Completion::Received(received) = completion else {
                        panic!("{completion:?}")
                    };
                    assert_eq!(kind_of(received.bytes), RTM_NEWADDR);
                    assert_eq!(number_of(received.bytes), next);
                    next += 1;
                    true
                });
            }
            turn_until_quiet(&mut ring, |completion| panic!("{completion:?}"));
            let counters = ring.counters();
            assert!(counters.buffers_exhausted > 100, "{counters:?}");
            assert_eq!(counters.overruns, 0);
            assert_eq!(counters.free_event_buffers, 4);
        });
    }
}

#[test]
fn a_full_completion_queue_loses_nothing() {
    in_namespace(|| {
        let mut ring = open(&Config {
            submission_entries: 1,
            completion_entries: 4,
            event_buffers: 256,
            event_buffer_bytes: 256,
            ..config()
        });
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 8 << 20);
        change_addresses("add", 1..1001);
        ring.arm(socket);
        let mut next = 1;
        while next < 1001 {
            turn_until(&mut ring, |completion| {
                let Completion::Received(received) = completion else { panic!("{completion:?}") };
                assert_eq!(number_of(received.bytes), next);
                next += 1;
                true
            });
        }
        assert!(ring.counters().receives_armed > 1);
        assert_eq!(ring.counters().overruns, 0);
    });
}

#[test]
fn a_collecting_wait_gathers_what_comes_meanwhile() {
    in_namespace(|| {
        let mut ring = open(&config());
        if !ring.can_collect() {
            eprintln!("skipped: this kernel has no min_wait");
            return;
        }
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 8 << 20);
        ring.arm(socket);
        ring.enter(Wait::None).unwrap();
        change_addresses("add", 1..3);
        let started = std::time::Instant::now();
        let wait = Wait::One {
            timeout: Some(Duration::from_secs(60)),
            collect: Some(Duration::from_millis(5)),
        };
        ring.enter(wait).unwrap();
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(4) && took < Duration::from_secs(30), "{took:?}");
        let mut seen = 0;
        ring.reap(|_| seen += 1);
        assert_eq!(seen, 2);
    });
}

#[test]
fn a_collecting_wait_ends_by_what_comes_after_its_window() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 8 << 20);
        ring.arm(socket);
        ring.enter(Wait::None).unwrap();
        for number in 1..21 {
            // A child inherits this thread's namespace.
            let address = format!("{}/32", address(number));
            let script = "sleep 0.05; exec ip addr add \"$0\" dev lo";
            let mut child = Command::new("sh").args(["-c", script, &address]).spawn().unwrap();
            let started = std::time::Instant::now();
            let wait = Wait::One {
                timeout: Some(Duration::from_secs(10)),
                collect: Some(Duration::from_micros(200)),
            };
            ring.enter(wait).unwrap();
            let took = started.elapsed();
            let mut seen = 0;
            ring.reap(|_| seen += 1);
            assert!(child.wait().unwrap().success());
            assert!(took < Duration::from_secs(8), "{number}: {seen} after {took:?}");
            assert_eq!(seen, 1);
        }
    });
}
