//! The host against a kernel made of values, with faults: many small histories, each by a seed.
//!
//! `RINGLINK_SEEDS=100000 cargo test --lib sim` runs more of them, `RINGLINK_SEED=7` one; a
//! failing seed is named in the output.

mod check;
mod foreign;
mod kernel;
mod world;

use std::fmt::Write as _;

use bytes::BytesMut;
use netlink_packet_route::link::{InfoData, InfoVxlan};

use self::world::World;
use super::Transmit;
use crate::desired::Desired;
use crate::limits::{BATCH_DEADLINE, READING_SUBJECTS_MIN, SILENT_REREAD};
use crate::reconcile::Mode;

/// How many histories the ordinary run makes of each kind.
const SEEDS: u64 = 2_000;

/// Runs a history by each seed: by one that is named, or by many.
fn for_each_seed(history: impl Fn(u64)) {
    /// Names the seed that was under way when a history failed.
    struct Named(u64);
    impl Drop for Named {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the history of RINGLINK_SEED={} failed", self.0);
            }
        }
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("RINGLINK_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("RINGLINK_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let _named = Named(seed);
        history(seed);
    }
}

#[test]
fn a_watched_mirror_is_true_after_any_history() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, true);
        world.live();
        world.come_to_rest();
        world.check_mirror();
        (0..3).for_each(|_| world.read_in_a_storm());
        assert_eq!(world.kernel.writes, 0, "who only watches writes nothing");
    });
}

#[test]
fn what_is_declared_holds_when_the_faults_stop() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, true);
        world.watch(seed % 2 == 0);
        world.keep(Mode::Keep);
        world.live();
        world.read_in_a_storm();
        let plan = world.check_kept();
        if plan.is_empty() {
            assert!(world.host.is_converged(), "it does not know that all is well");
        }
        let writes = world.kernel.writes;
        for _ in 0..20 {
            world.turn(usize::MAX, usize::MAX);
        }
        // What the kernel refuses is tried again and again, and may just be due.
        let has_written = world.kernel.writes != writes;
        assert!(!(plan.steps.is_empty() && has_written), "it writes though all is at rest");
    });
}

#[test]
fn an_apply_ends_and_a_second_one_only_reads() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, false);
        world.apply();
        world.check_mirror();
        let plan = world.check_kept();
        let writes = world.kernel.writes;
        world.apply();
        let repeated = world.kernel.writes - writes;
        assert!(plan.steps.len() as u64 >= repeated, "the second apply writes");
    });
}

/// Enough for the news of them to be held back, and for a batch to be filled ahead.
#[test]
fn of_many_routes_none_is_forgotten_and_none_is_sent_twice() {
    let mut text = "version = 1\n[link.i0]\nkind = 'ifb'\naddresses = ['10.9.0.1/24']\n".to_owned();
    for number in 0..READING_SUBJECTS_MIN + 300 {
        let to = std::net::Ipv4Addr::from_bits((10 << 24) + (64 << 16) + number as u32);
        let _ = write!(text, "[[route]]\nto = '{to}/32'\nvia = '10.9.0.2'\ndev = 'i0'\n");
    }
    let desired = Desired::from_toml("sim.toml", &text).expect("a valid document");
    for seed in 0..24 {
        let mut world = World::new(seed, false);
        world.desired = desired.clone();
        world.kernel.part_len = 100;
        let is_halted = seed % 2 == 0;
        world.apply_in_part(is_halted);
        world.check_mirror();
        assert_eq!(world.kernel.repeated, 0, "seed {seed}");
        match is_halted {
            true => assert_eq!(world.host.counters().changes, world.kernel.writes, "seed {seed}"),
            false => assert!(world.check_kept().is_empty(), "seed {seed}"),
        }
    }
}

#[test]
fn routes_are_held_in_the_first_reading_and_in_none_that_goes_on_by_itself() {
    let mut world = World::new(1, false);
    let settle = |world: &mut World| (0..50).for_each(|_| world.turn(usize::MAX, usize::MAX));
    world.host.hold_routes();
    settle(&mut world);
    assert!(world.host.is_held() && !world.host.is_synced() && !world.host.is_busy());
    world.host.release_routes(world.now);
    world.come_to_rest();
    world.check_mirror();
    // As after a doubt.
    world.host.dumps.start(world.now);
    world.host.hold_routes();
    settle(&mut world);
    assert!(world.host.is_synced() && world.host.dumps.is_idle());
}

#[test]
fn what_stands_between_next_hops_is_held_as_it_is_shown() {
    for_each_seed(|seed| {
        let mut world = World::new(seed, false);
        let links = ["x0", "x1"].map(|name| world.kernel.plug_in(name));
        world.come_to_rest();
        (0..4).for_each(|phase| world.crowd(links, phase == 2));
    });
}

#[test]
fn a_dump_of_routes_is_judged_when_the_news_queued_by_its_end_are_read() {
    let mut world = World::new(1, false);
    while !world.host.is_draining() {
        world.turn(0, 1);
        assert!(!world.host.is_synced(), "nobody knows what disturbed it");
    }
    world.come_to_rest();
    assert!(world.host.is_synced());
}

#[test]
fn a_loss_that_the_judgement_of_a_dump_brings_to_light_waits_for_a_drain_of_its_own() {
    let mut world = World::new(1, false);
    while !world.host.is_draining() {
        world.turn(0, 1);
    }
    world.host.handle_lost(1);
    world.host.handle_drained(world.now);
    assert!(world.host.is_recovering(), "the socket has not been read empty since");
    let mut buffer = BytesMut::new();
    let transmit = world.host.poll_transmit(world.now, &mut buffer);
    assert_eq!(transmit, Transmit::Nothing, "nothing is dumped before that");
    world.come_to_rest();
    world.check_mirror();
}

#[test]
fn what_was_not_answered_is_unknown_and_the_tables_are_read() {
    let mut world = World::new(1, false);
    world.keep(Mode::Keep);
    // Not even the answer that closes a batch fits.
    world.kernel.replies.len_max = 0;
    while world.kernel.writes == 0 {
        world.turn(usize::MAX, usize::MAX);
    }
    assert!(world.host.is_synced());
    world.now += BATCH_DEADLINE;
    world.turn(usize::MAX, 0);
    assert!(!world.host.is_synced(), "it may have been made, or not");
    world.come_to_rest();
    world.check_mirror();
}

/// A world that keeps a document, and is at rest.
fn keeping(document: &str) -> World {
    let mut world = World::new(1, false);
    let text = format!("version = 1\n{document}");
    world.desired = Desired::from_toml("sim.toml", &text).expect("a valid document");
    world.keep(Mode::Keep);
    world.come_to_rest();
    world
}

#[test]
fn what_is_changed_in_silence_is_put_back_after_the_interval() {
    let mut world = keeping(
        "[link.x0]\nstate = 'down'\n\
         vxlan = { id = 7, remote = '192.0.2.1', dstport = 4789 }\n",
    );
    let index = world.kernel.index_of("x0").expect("it was made");
    let (dumps, writes) = (world.host.counters().dumps, world.kernel.writes);
    let remote = |world: &mut World, change: Option<InfoVxlan>| {
        let data = &mut world.kernel.links.get_mut(&index).expect("a link").data;
        let Some(InfoData::Vxlan(infos)) = data else { panic!("no vxlan") };
        let is_it = |info: &InfoVxlan| matches!(info, InfoVxlan::Group(_));
        let own = infos.iter_mut().find(|info| is_it(info)).expect("a remote");
        if let Some(change) = change {
            *own = change;
        }
        own.clone()
    };
    let declared = remote(&mut world, None);
    // Of a link that is down nobody is told.
    let other = InfoVxlan::Group([198, 51, 100, 9].into());
    assert_ne!(remote(&mut world, Some(other)), declared);
    let turns = |world: &mut World| (0..20).for_each(|_| world.turn(usize::MAX, usize::MAX));
    turns(&mut world);
    assert_eq!(world.kernel.writes, writes, "it cannot know");
    world.now += SILENT_REREAD;
    turns(&mut world);
    assert_eq!(remote(&mut world, None), declared);
    assert!(world.host.is_converged(), "what was put back is not told either, and is read");
    let writes = world.kernel.writes;
    world.now += SILENT_REREAD;
    turns(&mut world);
    assert_eq!(world.kernel.writes, writes, "what is as declared is left alone");
    assert_eq!(world.host.counters().dumps, dumps, "one link is read, and no table");
}

#[test]
fn where_nothing_silent_is_declared_nothing_is_read_again() {
    let mut world = keeping("[link.br0]\nkind = 'bridge'\nmtu = 1400\n");
    assert_eq!(world.host.poll_timeout(), None, "it waits for events alone");
    world.now += 10 * SILENT_REREAD;
    (0..20).for_each(|_| world.turn(usize::MAX, usize::MAX));
    assert_eq!(world.host.counters().looks, 0);
}
