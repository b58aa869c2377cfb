//! What a ring holds goes with it: sockets, ports, memory.

use super::super::Completion;
use super::*;

#[test]
fn a_dropped_ring_gives_its_ports_back() {
    in_namespace(|| {
        let before = netlink_ports().len();
        let mut ring = open(&config());
        let first = events(&mut ring, &[RTNLGRP_LINK], 1 << 20);
        let second = replies(&mut ring);
        ring.arm(first);
        ring.arm(second);
        ring.send(second, get_link(None, 1), false, 1);
        turn(&mut ring, |_| ());
        // Queued and not submitted.
        ring.send(second, get_link(Some(1), 2), true, 2);
        assert_eq!(netlink_ports().len(), before + 2);
        drop(ring);
        await_netlink_ports(before);
    });
}

#[test]
fn a_closed_socket_is_silent_and_its_slot_is_reused() {
    in_namespace(|| {
        let before = netlink_ports().len();
        let mut ring = open(&config());
        let kept = replies(&mut ring);
        for _ in 0..100 {
            let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 1 << 20);
            assert_eq!(socket, SocketId(1));
            ring.arm(socket);
            turn(&mut ring, |completion| panic!("{completion:?}"));
            ring.close_socket(socket);
            assert_eq!(ring.port(socket), 0);
            ring.arm(socket);
            ring.send(socket, BytesMut::new(), false, 0);
            for _ in 0..2 {
                ring.enter(super::super::Wait::None).unwrap();
                ring.reap(|completion| panic!("{completion:?}"));
            }
        }
        assert_eq!(ring.counters().sockets, 1);
        await_netlink_ports(before + 1);
        ring.arm(kept);
        ring.send(kept, get_link(Some(1), 1), true, 1);
        turn_until(&mut ring, |completion| matches!(completion, Completion::Received(_)));
    });
}

#[test]
fn a_hundred_rings_leave_no_port() {
    in_namespace(|| {
        let before = netlink_ports().len();
        for _ in 0..100 {
            let mut ring = open(&config());
            let socket = events(&mut ring, &[RTNLGRP_LINK], 1 << 16);
            ring.arm(socket);
            let _waker = ring.waker().unwrap();
        }
        await_netlink_ports(before);
    });
}

#[test]
fn a_panic_in_the_callback_leaves_a_ring_that_works() {
    in_namespace(|| {
        let mut ring = open(&Config { event_buffers: 2, ..config() });
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 1 << 20);
        ring.arm(socket);
        ring.enter(super::super::Wait::None).unwrap();
        change_addresses("add", 1..2);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            turn(&mut ring, |_| panic!("on purpose"));
        }));
        assert!(outcome.is_err());
        change_addresses("add", 2..10);
        let mut last = 0;
        turn_until(&mut ring, |completion| {
            if let Completion::Received(received) = completion {
                last = number_of(received.bytes);
            }
            last == 9
        });
    });
}
