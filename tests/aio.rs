//! The stream, under tokio and inside tokio-uring.

mod common;

use std::time::Duration;

use common::{eventually, in_namespace, ip, ip_batch, slowness};
use futures_util::StreamExt as _;
use ringlink::aio::Watcher;
use ringlink::model::object::{Event, Object, What};

/// How many numbered addresses are added.
const NUMBERS: u8 = 100;
/// How many are added at once to overrun a small buffer.
const LOST: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of an added address 10.0.0.n, where the event is one.
fn number(event: &Event) -> Option<u8> {
    let What::New(Object::Address(address)) = &event.what else { return None };
    match address.key.prefix.address {
        std::net::IpAddr::V4(address) if address.octets()[0] == 10 => Some(address.octets()[3]),
        _ => None,
    }
}

/// Adds the addresses from a thread in this namespace, a little apart.
fn add_addresses() -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        for number in 1..=NUMBERS {
            ip(&format!("addr add 10.0.0.{number}/32 dev lo"));
        }
    })
}

async fn next_number(watcher: &mut Watcher) -> u8 {
    loop {
        let event = watcher.next().await.expect("nobody cancels").expect("it goes on");
        if let Some(number) = number(&event) {
            return number;
        }
    }
}

/// The first links and addresses are told as events too; wait until they have been.
async fn settle(watcher: &mut Watcher) {
    while tokio::time::timeout(Duration::from_millis(300) * slowness(), watcher.next())
        .await
        .is_ok()
    {}
}

async fn events_come_in_order() {
    let mut watcher = Watcher::open().expect("a ring");
    settle(&mut watcher).await;
    let adder = add_addresses();
    for expected in 1..=NUMBERS {
        let number = tokio::time::timeout(PATIENCE * slowness(), next_number(&mut watcher)).await;
        assert_eq!(number.expect("an event in time"), expected);
    }
    adder.join().expect("the addresses were added");
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn events_come_in_order_under_tokio() {
    in_namespace("events_come_in_order_under_tokio", || {
        tokio_runtime().block_on(events_come_in_order());
    });
}

#[test]
fn events_come_in_order_inside_tokio_uring() {
    in_namespace("events_come_in_order_inside_tokio_uring", || {
        tokio_uring::start(events_come_in_order());
    });
}

#[test]
fn a_dropped_future_eats_no_event() {
    in_namespace("a_dropped_future_eats_no_event", || {
        tokio_uring::start(async {
            let mut watcher = Watcher::open().expect("a ring");
            settle(&mut watcher).await;
            let adder = add_addresses();
            let mut dropped = 0;
            let mut expected = 1;
            while expected <= NUMBERS || dropped < 300 {
                let wait = Duration::from_micros(200);
                match tokio::time::timeout(wait, watcher.next()).await {
                    Ok(event) => {
                        let event = event.expect("nobody cancels").expect("it goes on");
                        if let Some(number) = number(&event) {
                            assert_eq!(number, expected);
                            expected += 1;
                        }
                    }
                    Err(_) => dropped += 1,
                }
            }
            adder.join().expect("the addresses were added");
        });
    });
}

#[test]
fn a_cancel_ends_the_stream_once_and_it_goes_on() {
    in_namespace("a_cancel_ends_the_stream_once_and_it_goes_on", || {
        tokio_runtime().block_on(async {
            let mut watcher = Watcher::open().expect("a ring");
            settle(&mut watcher).await;
            let canceller = watcher.canceller();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                canceller.cancel();
            });
            assert!(watcher.next().await.is_none());
            thread.join().expect("the thread only cancels");
            ip("addr add 10.0.0.1/32 dev lo");
            assert_eq!(next_number(&mut watcher).await, 1);
        });
    });
}

/// The ports of all netlink sockets of this network namespace, as the kernel lists them.
fn netlink_ports() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("/proc is there");
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_dropped_watcher_leaves_no_socket() {
    in_namespace("a_dropped_watcher_leaves_no_socket", || {
        tokio_runtime().block_on(async {
            let before = netlink_ports();
            let mut watcher = Watcher::open().expect("a ring");
            settle(&mut watcher).await;
            assert_eq!(netlink_ports().len(), before.len() + 2);
            drop(watcher);
            // The kernel lets go of a cancelled request's socket a moment after its completion.
            let is_gone = eventually(PATIENCE, || netlink_ports() == before);
            assert!(is_gone, "{:?} are left of {before:?}", netlink_ports());
        });
    });
}

#[test]
fn an_overrun_is_told_and_the_mirror_is_whole_again() {
    in_namespace("an_overrun_is_told_and_the_mirror_is_whole_again", || {
        tokio_runtime().block_on(async {
            let builder = ringlink::Watcher::builder().receive_buffer_bytes(4096);
            let mut watcher = Watcher::from_builder(builder).expect("a ring");
            settle(&mut watcher).await;
            // Nobody reads meanwhile. The ring takes 512 notifications by itself, the socket few.
            let line = |n: usize| format!("addr add 10.0.{}.{}/32 dev lo\n", n / 250, n % 250);
            ip_batch(&(0..LOST).map(line).collect::<String>());
            let mut has_lost = false;
            let ours = |watcher: &Watcher| {
                let ours = watcher.observed().addresses().filter(|own| own.key.prefix.len == 32);
                ours.filter(|own| own.key.prefix.is_ipv4()).count()
            };
            while !has_lost || ours(&watcher) < LOST {
                let next = tokio::time::timeout(PATIENCE * slowness(), watcher.next()).await;
                let event = next.unwrap_or_else(|_| panic!("{} came, {has_lost}", ours(&watcher)));
                let event = event.expect("nobody cancels").expect("it goes on");
                has_lost |= matches!(event.what, What::Resync { .. });
            }
            assert_eq!(ours(&watcher), LOST);
        });
    });
}
