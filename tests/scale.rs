//! Thousands of links: made, kept and destroyed with work that grows with what happens, not with
//! what is there. Nothing here asks a clock; `benches/scale.rs` does.

#![cfg(feature = "document")]

mod common;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use common::{eventually, in_namespace, ip, ip_batch, work};
use ringlink::{Applier, Counters, Desired, Keeper, KeeperHandle};

/// Unless RINGLINK_LINKS says otherwise.
const LINKS: usize = 2_000;
const DRIFTS: usize = 100;
/// From as many links on they are set up together.
const MADE_DOWN_MIN: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// What a kept link with an address and a route may take, IPv6's own of it included, and what the
/// engine's buffers may.
const LINK_BYTES_MAX: u64 = 16 << 10;
const BUFFERS_BYTES_MAX: u64 = 24 << 20;
/// What the kernel tells of a link that is made and comes up with an address, a route, and what
/// IPv6 gives it; and of a drift.
const MESSAGES_A_LINK_MAX: u64 = 40;
const MESSAGES_A_DRIFT_MAX: u64 = 16;
const TURNS_A_DRIFT_MAX: u64 = 12;

fn links() -> usize {
    let told = std::env::var("RINGLINK_LINKS").ok().and_then(|it| it.parse().ok());
    told.unwrap_or_else(|| work(LINKS))
}

fn own(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits((10 << 24) + u32::try_from(number).expect("a small number"))
}

fn to(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits((11 << 24) + u32::try_from(number).expect("a small number"))
}

fn declared(count: usize) -> Desired {
    let mut text = String::from("version = 1\n[owner]\nname = \"test\"\n");
    for number in 0..count {
        let (own, to) = (own(number), to(number));
        let _ = write!(
            text,
            "[link.i{number}]\nkind = \"ifb\"\naddresses = [\"{own}/32\"]\n\
             [[route]]\nto = \"{to}/32\"\ndev = \"i{number}\"\n"
        );
    }
    Desired::from_toml("scale.toml", &text).expect("a sound document")
}

/// How many links are up, how many of the addresses and of the routes are there, as `ip` shows.
fn shown() -> [usize; 3] {
    [("-o link show up", ": i"), ("-o -4 addr show", " inet 10."), ("-4 route show", "11.")]
        .map(|(words, sign)| ip(words).lines().filter(|line| line.contains(sign)).count())
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("pages");
    pages * 4096
}

fn converged(keeper: &KeeperHandle) -> Counters {
    let is_converged = eventually(PATIENCE, || keeper.status().converged);
    assert!(is_converged, "{:?}", keeper.status());
    keeper.status().counters
}

#[test]
fn thousands_of_links_are_made_kept_and_destroyed() {
    in_namespace("thousands_of_links_are_made_kept_and_destroyed", || {
        let count = links();
        let n = count as u64;
        let desired = declared(count);
        let bytes = resident_bytes();
        let keeper = Keeper::spawn(Keeper::builder(desired.clone())).expect("it starts");
        let made = converged(&keeper);
        eprintln!("{count} links: {made:?}, {} KiB more", (resident_bytes() - bytes) >> 10);
        assert_eq!(shown(), [count; 3]);
        // A message for the link with its state, one for the address, one for the route. Where so
        // many are made that they are made down, one more sets them all up.
        let together = u64::from(count >= MADE_DOWN_MIN);
        assert_eq!(made.changes, 3 * n + together);
        assert!(made.overruns > 0 || made.messages <= MESSAGES_A_LINK_MAX * n, "{made:?}");
        let grown = resident_bytes().saturating_sub(bytes);
        assert!(grown <= BUFFERS_BYTES_MAX + LINK_BYTES_MAX * n, "{grown} bytes for {count} links");

        drift(&keeper, count);

        keeper.stop();
        keeper.join().expect("it ends");
        destroy(&desired, count);
    });
}

/// Each deleted address or route is put back by one request, and no table is read for it.
fn drift(keeper: &KeeperHandle, count: usize) {
    // What IPv6 does to a link that has come up is over by then.
    let mut before = converged(keeper);
    let is_quiet = || {
        std::thread::sleep(Duration::from_secs(1));
        let now = keeper.status().counters;
        std::mem::replace(&mut before, now) == now
    };
    assert!(eventually(PATIENCE, is_quiet), "it is never quiet");
    let turns = keeper.status().ring.enters;
    let drifts = work(DRIFTS);
    for drift in 0..drifts {
        let number = drift * 7 % count;
        match drift % 2 {
            0 => ip_batch(&format!("addr del {}/32 dev i{number}\n", own(number))),
            _ => ip_batch(&format!("route del {}/32 dev i{number}\n", to(number))),
        }
    }
    // With its last address a link loses its route too.
    let wanted = before.changes + (drifts + drifts.div_ceil(2)) as u64;
    let is_undone = || keeper.status().counters.changes >= wanted;
    assert!(eventually(PATIENCE, is_undone), "{:?}", keeper.status());
    let after = converged(keeper);
    let turns = keeper.status().ring.enters - turns;
    eprintln!("{drifts} drifts: {before:?} {after:?}, {turns} turns");
    // A turn is a system call; the news, the correction and its answer come in three or four.
    assert!(turns <= TURNS_A_DRIFT_MAX * drifts as u64, "{turns} turns");
    assert_eq!(shown(), [count; 3]);
    assert_eq!(after.changes, wanted);
    assert_eq!(after.dumps, before.dumps, "a table was read");
    assert!(after.messages <= before.messages + MESSAGES_A_DRIFT_MAX * drifts as u64, "{after:?}");
}

/// All of them by one request, and each is told.
fn destroy(desired: &Desired, count: usize) {
    let destroyed = desired.destroyed().expect("there is an owner");
    let mut applier = Applier::builder().open().expect("a ring");
    let report = applier.apply(&destroyed).expect("it goes on");
    assert!(report.converged);
    assert_eq!(shown(), [0; 3]);
    let links = report.attempts.iter().filter(|it| it.step.to_string().contains("delete link"));
    assert_eq!(links.count(), count);
    assert_eq!(applier.counters().changes, 1);
}
