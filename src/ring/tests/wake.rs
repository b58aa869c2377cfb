//! Waking a ring, and a consumer, from elsewhere.

use std::time::Instant;

use super::super::{Completion, Doorbell, Wait};
use super::*;

const LONG: Wait = Wait::One { timeout: Some(Duration::from_secs(120)), collect: None };

#[test]
fn ten_thousand_wakes_are_each_seen() {
    for pollable in [false, true] {
        let mut ring = open(&Config { pollable, ..config() });
        let waker = ring.waker().unwrap();
        let (answer, answered) = std::sync::mpsc::channel();
        let other = thread::spawn(move || {
            for _ in 0..10_000 {
                assert!(waker.wake());
                answered.recv().unwrap();
            }
        });
        for _ in 0..10_000 {
            let mut woken = 0;
            while woken == 0 {
                let started = Instant::now();
                ring.enter(LONG).unwrap();
                assert!(started.elapsed() < Duration::from_secs(60));
                ring.reap(|completion| {
                    assert!(matches!(completion, Completion::Woken));
                    woken += 1;
                });
            }
            assert_eq!(woken, 1);
            answer.send(()).unwrap();
        }
        other.join().unwrap();
    }
}

#[test]
fn wakes_before_a_wait_are_one() {
    let mut ring = open(&config());
    let waker = ring.waker().unwrap();
    for _ in 0..1000 {
        assert!(waker.clone().wake());
    }
    let mut woken = 0;
    turn(&mut ring, |_| woken += 1);
    ring.enter(Wait::None).unwrap();
    ring.reap(|_| woken += 1);
    assert_eq!(woken, 1);
    assert!(waker.wake());
    turn(&mut ring, |_| woken += 1);
    assert_eq!(woken, 2);
}

#[test]
fn a_waker_of_a_dropped_ring_does_nothing() {
    let ring = open(&config());
    let waker = ring.waker().unwrap();
    drop(ring);
    assert!(!waker.wake());
    // Another ring may have the descriptor's number by now.
    let mut other = open(&config());
    assert!(!waker.wake());
    other.enter(Wait::None).unwrap();
    other.reap(|completion| panic!("{completion:?}"));
}

#[test]
fn wakers_race_the_drop_of_their_ring() {
    for _ in 0..50 {
        let ring = open(&config());
        let waker = ring.waker().unwrap();
        let other = thread::spawn(move || while waker.wake() {});
        thread::sleep(Duration::from_micros(200));
        drop(ring);
        other.join().unwrap();
    }
}

#[test]
fn a_turn_rings_a_doorbell_on_its_way() {
    for pollable in [false, true] {
        let mut ring = open(&Config { pollable, ..config() });
        let mut doorbell = Doorbell::new().unwrap();
        let handle = doorbell.handle();
        let consumer = thread::spawn(move || {
            for _ in 0..1000 {
                assert!(doorbell.wait(Some(Duration::from_secs(60))).unwrap());
            }
            doorbell
        });
        while !consumer.is_finished() {
            ring.ring_doorbell(&handle);
            ring.enter(Wait::None).unwrap();
            ring.reap(|completion| panic!("{completion:?}"));
        }
        drop(consumer.join().unwrap());
        // Nobody hears it any more, and nobody is told.
        ring.ring_doorbell(&handle);
        drop(handle);
        ring.enter(Wait::None).unwrap();
        ring.reap(|completion| panic!("{completion:?}"));
    }
}
