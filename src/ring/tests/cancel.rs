//! Disarming a receive loses nothing and leaks nothing.

use super::super::Completion;
use super::*;

#[test]
fn a_disarmed_socket_keeps_what_comes_meanwhile() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 8 << 20);
        let mut next = 1;
        for round in 0..20 {
            ring.arm(socket);
            change_addresses("add", 1 + round * 20..11 + round * 20);
            assert!(ring.disarm(socket));
            assert!(!ring.is_armed(socket));
            turn_until(&mut ring, |completion| match completion {
                Completion::Received(received) => {
                    assert_eq!(number_of(received.bytes), next);
                    next += 1;
                    false
                }
                Completion::Cancelled(cancelled) => {
                    assert_eq!(cancelled, socket);
                    true
                }
                other => panic!("{other:?}"),
            });
            change_addresses("add", 11 + round * 20..21 + round * 20);
            turn(&mut ring, |completion| panic!("{completion:?}"));
        }
        ring.arm(socket);
        while next < 401 {
            turn_until(&mut ring, |completion| {
                let Completion::Received(received) = completion else { panic!("{completion:?}") };
                assert_eq!(number_of(received.bytes), next);
                next += 1;
                true
            });
        }
        assert_eq!(ring.counters().reads_cancelled, 20);
    });
}

#[test]
fn a_thousand_cancels_leave_all_as_it_was() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_LINK], 1 << 20);
        let before = (ring.counters(), netlink_ports().len());
        for _ in 0..1000 {
            ring.arm(socket);
            ring.disarm(socket);
            turn_until(&mut ring, |completion| matches!(completion, Completion::Cancelled(_)));
        }
        let after = ring.counters();
        assert_eq!(after.reads_cancelled, 1000);
        assert_eq!(after.receives_in_flight, 0);
        assert_eq!(after.free_event_buffers, before.0.free_event_buffers);
        assert_eq!(after.free_reply_buffers, before.0.free_reply_buffers);
        assert_eq!(netlink_ports().len(), before.1);
    });
}

#[test]
fn armed_again_while_disarming_it_goes_on_after_cancelled() {
    in_namespace(|| {
        let mut ring = open(&config());
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 1 << 20);
        assert!(!ring.disarm(socket));
        ring.arm(socket);
        turn(&mut ring, |completion| panic!("{completion:?}"));
        ring.disarm(socket);
        ring.arm(socket);
        turn_until(&mut ring, |completion| matches!(completion, Completion::Cancelled(_)));
        assert!(ring.is_armed(socket));
        change_addresses("add", 1..2);
        turn_until(&mut ring, |completion| matches!(completion, Completion::Received(_)));
    });
}

#[test]
fn cancels_under_churn_lose_nothing() {
    in_namespace(|| {
        let mut ring = open(&Config { event_buffers: 8, completion_entries: 16, ..config() });
        let socket = events(&mut ring, &[RTNLGRP_IPV4_IFADDR], 32 << 20);
        let churn = {
            // In this thread's namespace, which a child inherits.
            let lines: String =
                (1..5001).map(|n| format!("addr add {}/32 dev lo\n", address(n))).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), lines).unwrap();
            let child =
                Command::new("ip").arg("-batch").arg(file.path()).spawn().expect("the ip program");
            (child, file)
        };
        let (mut next, mut cancelled) = (1, 0);
        while next < 5001 {
            ring.arm(socket);
            turn(&mut ring, |completion| read_in_order(completion, &mut next, &mut cancelled));
            if !ring.disarm(socket) {
                continue;
            }
            let so_far = cancelled;
            while cancelled == so_far {
                turn(&mut ring, |completion| read_in_order(completion, &mut next, &mut cancelled));
            }
        }
        let (mut child, _file) = churn;
        assert!(child.wait().unwrap().success());
        assert!(cancelled > 10, "{cancelled}");
        assert_eq!(ring.counters().overruns, 0);
    });
}

fn read_in_order(completion: Completion<'_>, next: &mut u32, cancelled: &mut u32) {
    match completion {
        Completion::Received(received) => {
            assert_eq!(number_of(received.bytes), *next);
            *next += 1;
        }
        Completion::Cancelled(_) => *cancelled += 1,
        other => panic!("{other:?}"),
    }
}
