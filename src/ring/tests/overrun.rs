//! A socket whose queue overflowed says so, and goes on.

use super::super::{Completion, Wait};
use super::*;

#[test]
fn an_overrun_is_reported_with_its_drops_and_the_receive_goes_on() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 4096);
        assert!(ring.receive_buffer_bytes(socket) < 16 << 10);
        ring.arm(socket);
        // Submitted, but nothing is received while the kernel is not entered.
        ring.enter(Wait::None).unwrap();
        change_addresses("add", 1..101);
        let (mut lost, mut received, mut reports) = (0, 0, 0);
        turn_until_quiet(&mut ring, |completion| match completion {
            Completion::Lost(report) => {
                assert_eq!(report.socket, socket);
                lost += report.dropped;
                reports += 1;
            }
            Completion::Received(_) => received += 1,
            other => panic!("{other:?}"),
        });
        assert!(lost > 0 && received > 0, "{lost} lost, {received} received");
        assert_eq!(lost + received, 100);
        assert_eq!(ring.counters().overruns, reports);
        assert!(ring.is_armed(socket));
        assert!(ring.is_drained(socket));

        change_addresses("add", 101..102);
        turn_until(&mut ring, |completion| {
            let Completion::Received(received) = completion else { panic!("{completion:?}") };
            number_of(received.bytes) == 101
        });
    });
}

#[test]
fn an_overrun_beside_exhausted_buffers_is_reported_too() {
    in_namespace(|| {
        let mut ring = open(&Config { event_buffers: 2, ..config() });
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 16 << 10);
        ring.arm(socket);
        let (mut lost, mut received) = (0, 0);
        for round in 0..20 {
            ring.enter(Wait::None).unwrap();
            change_addresses("add", 1 + round * 100..101 + round * 100);
            turn_until_quiet(&mut ring, |completion| match completion {
                Completion::Lost(report) => lost += report.dropped,
                Completion::Received(_) => received += 1,
                other => panic!("{other:?}"),
            });
        }
        assert!(lost > 0);
        assert_eq!(lost + received, 2000);
        assert!(ring.counters().buffers_exhausted > 0);
    });
}

#[test]
fn a_socket_with_something_queued_is_not_drained() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 1 << 20);
        assert!(ring.is_drained(socket));
        change_addresses("add", 1..2);
        assert!(!ring.is_drained(socket));
        ring.arm(socket);
        ring.enter(Wait::None).unwrap();
        // Out of the socket, but its completion waits to be reaped.
        assert!(!ring.is_drained(socket));
        let mut seen = 0;
        ring.reap(|_| seen += 1);
        assert_eq!(seen, 1);
        assert!(ring.is_drained(socket));
    });
}
