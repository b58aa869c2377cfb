//! A host, its kernel, and the time that both know: one history, by one seed.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::super::{Host, Source, Transmit};
use super::check::{differences, fold, link_of};
use super::foreign;
use super::kernel::{Kernel, OWN_PORT, Put, Read, SimRoute, forged_deletion, overrun, stray_ack};
use crate::desired::Desired;
use crate::limits::READING_SUBJECTS_MIN;
use crate::model::filter::Filter;
use crate::model::network::Network;
use crate::model::object::{Cause, Event, What};
use crate::plan::Plan;
use crate::plan::tests::model;
use crate::plan::tests::random::{self, Random};
use crate::reconcile::Mode;
use crate::wire::filter;

/// The random turns of one history.
const STEPS: usize = 90;
/// The turns of a reading that others disturb.
const STORM_STEPS: usize = 60;
/// The changes of one slot that others crowd, at most.
const CROWD_STEPS: usize = 12;
/// How long a kept state is given to be reached: longer than the longest delays of a fight.
const PATIENCE: Duration = Duration::from_secs(200);
/// How many turns the end of a history may take to come to rest.
const TURNS_TO_REST_MAX: usize = 20_000;
/// Nothing overruns.
const UNLIMITED: usize = 1_000_000;
/// A link of others, with addresses and routes, that nobody ever touches.
const STABLE: &str = "stable0";

const DOCUMENT: &str = include_str!("document.toml");

pub(super) struct World {
    pub(super) host: Host,
    pub(super) kernel: Kernel,
    pub(super) random: Random,
    pub(super) desired: Desired,
    pub(super) now: Instant,
    filter: Filter,
    /// The fold of all events.
    replayed: Network,
    is_faulty: bool,
    /// In how many turns one of each socket is read: what waits is older than what is not late.
    event_odds: usize,
    reply_odds: usize,
    /// A long datagram that a thread of the kernel has not come to yet.
    sending: Option<BytesMut>,
    /// Whether the end of the latest long one is still to be told.
    is_sent: bool,
    /// Whether the news of the host's own routes are held back.
    is_deaf: bool,
    /// Whether there is a declared state; what was moved away is not put back.
    keeps: bool,
    stable: u32,
}

impl World {
    pub(super) fn new(seed: u64, is_faulty: bool) -> Self {
        let mut random = Random::new(seed);
        let now = Instant::now();
        let host = Host::new(now, true, 1 << 20).with_own_port(OWN_PORT);
        let desired = match random.one_in(4) {
            true => Desired::from_toml("sim.toml", DOCUMENT).expect("a valid document"),
            false => random::plain(&mut random),
        };
        let events_max = if is_faulty { 2 + random.below(14) } else { UNLIMITED };
        let replies_max =
            if is_faulty && random.one_in(3) { 1 + random.below(3) } else { UNLIMITED };
        let mut kernel = Kernel::new(events_max, replies_max);
        kernel.part_len = 1 + random.below(4);
        kernel.sysctls.promotes = random.one_in(2);
        kernel.sysctls.keeps_addresses = random.one_in(4);
        kernel.sysctls.skips_notify = random.one_in(4);
        let stable = make_stable(&mut kernel);
        for device in random::DEVICES {
            if !random.one_in(4) {
                kernel.plug_in(device);
            }
        }
        let (event_odds, reply_odds) = (1 + random.below(2), 1 + random.below(6));
        let (replayed, keeps) = (Network::default(), false);
        let filter = Filter::everything();
        Self {
            host,
            kernel,
            random,
            desired,
            now,
            filter,
            replayed,
            is_faulty,
            event_odds,
            reply_odds,
            sending: None,
            is_sent: false,
            is_deaf: false,
            keeps,
            stable,
        }
    }

    pub(super) fn keep(&mut self, mode: Mode) {
        self.keeps = true;
        self.host.set_desired(self.now, mode, self.desired.clone());
    }

    /// Watches all, or what has to be heard of to keep it, as the engine lets it.
    pub(super) fn watch(&mut self, is_filtered: bool) {
        let everything = Filter::everything;
        self.filter = if is_filtered { self.desired.filter() } else { everything() };
        self.kernel.program = filter::program(&self.filter, 1 + self.random.below(4));
        self.host.set_filter(self.now, self.filter.clone());
        self.listen();
    }

    /// One turn as the engine makes it: timers, one transmission, then some of what is queued,
    /// in the order of each socket and in none of the two.
    pub(super) fn turn(&mut self, events: usize, replies: usize) {
        if self.host.poll_timeout().is_some_and(|at| at <= self.now) {
            self.host.handle_timeout(self.now);
        }
        let was_draining = self.host.is_draining();
        let mut buffer = BytesMut::new();
        let transmit = self.host.poll_transmit(self.now, &mut buffer);
        self.hold_back();
        match transmit {
            Transmit::Nothing => {
                let is_late = self.host.poll_timeout().is_some_and(|at| at <= self.now);
                assert!(!is_late, "it would turn without end: nothing is due that it does");
            }
            _ if self.strikes(200) => self.host.handle_sent(self.now, Err(libc::ENOBUFS)),
            Transmit::Short => {
                self.kernel.request(&buffer);
                self.host.handle_sent(self.now, Ok(()));
            }
            Transmit::Long => {
                assert!(self.sending.is_none() && !self.is_sent, "two batches at once");
                self.sending = Some(buffer);
            }
        }
        self.go_on_sending();
        let (mut events, mut replies) = (events, replies);
        if was_draining {
            events = usize::MAX;
        }
        let mut events_read = 0;
        while events > 0 || replies > 0 {
            if replies == 0 || (events > 0 && self.random.one_in(2)) {
                let has_read = self.read_event();
                events_read += usize::from(has_read);
                events = if has_read { events - 1 } else { 0 };
            } else {
                replies = if self.read_reply() { replies - 1 } else { 0 };
            }
        }
        // Now and then the next turn comes so soon that nothing has happened since.
        if was_draining && (events_read == 0 || self.random.one_in(2)) {
            self.host.handle_drained(self.now);
        }
        self.listen();
    }

    /// As the engine does it, before anything is sent.
    fn hold_back(&mut self) {
        let is_deaf = self.host.is_deaf() && self.filter == Filter::everything();
        if is_deaf != self.is_deaf {
            self.kernel.program = is_deaf.then(|| filter::without_routes_of(OWN_PORT));
            self.host.set_held_back(is_deaf);
            self.is_deaf = is_deaf;
        }
    }

    /// A thread of the kernel sends a long datagram when it comes to it, and tells so later.
    fn go_on_sending(&mut self) {
        if self.random.one_in(2) {
            return;
        }
        if let Some(datagram) = self.sending.take() {
            self.kernel.request(&datagram);
            self.is_sent = true;
        } else if std::mem::take(&mut self.is_sent) {
            self.host.handle_sent(self.now, Ok(()));
        }
    }

    fn read_event(&mut self) -> bool {
        let (now, is_cut) = (self.now, self.strikes(150));
        match self.kernel.events.read() {
            None => return false,
            Some(Read::Overrun(dropped)) => self.host.handle_lost(dropped),
            Some(Read::Datagram(event)) if is_cut => {
                let event = event.get(..8).unwrap_or_default();
                self.host.handle_datagram(now, Source::Events, 0, true, event);
            }
            // In the place of what did not fit.
            Some(Read::Datagram(_)) if self.strikes(200) => {
                self.host.handle_datagram(now, Source::Events, 0, false, &overrun());
            }
            Some(Read::Datagram(event)) => {
                self.noise(Source::Events);
                self.host.handle_datagram(now, Source::Events, 0, false, &event);
            }
        }
        true
    }

    fn read_reply(&mut self) -> bool {
        let (now, is_cut) = (self.now, self.strikes(80));
        match self.kernel.read_reply() {
            None => return false,
            Some(Read::Overrun(_)) => self.host.handle_replies_lost(self.now),
            Some(Read::Datagram(reply)) if is_cut => {
                let reply = reply.get(..8).unwrap_or_default();
                self.host.handle_datagram(now, Source::Replies, 0, true, reply);
            }
            Some(Read::Datagram(_)) if self.strikes(80) => self.host.handle_replies_lost(self.now),
            Some(Read::Datagram(reply)) => {
                self.noise(Source::Replies);
                self.host.handle_datagram(now, Source::Replies, 0, false, &reply);
            }
        }
        true
    }

    /// What a sound host takes no notice of: datagrams of others, and nonsense.
    fn noise(&mut self, source: Source) {
        let (mut sender, mut truncated) = (0, false);
        let bytes = match self.random.below(200) {
            0 => {
                sender = 4711;
                forged_deletion()
            }
            1 => {
                (sender, truncated) = (4711, true);
                vec![0; 8]
            }
            2 => vec![0xff; 1 + self.random.below(40)],
            3 => stray_ack(libc::EPERM),
            // A link message without a body, and of a type that nobody knows.
            4 => [20_u32.to_ne_bytes(), 16_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat(),
            5 => [20_u32.to_ne_bytes(), 999_u32.to_ne_bytes(), [0; 4], [0; 4], [1; 4]].concat(),
            _ => return,
        };
        if self.is_faulty {
            self.host.handle_datagram(self.now, source, sender, truncated, &bytes);
        }
    }

    /// Hears what the host tells, and holds it to its word.
    fn listen(&mut self) {
        while self.host.poll_report().is_some() {}
        let mut told = Vec::new();
        self.host.poll_events(&mut told);
        for event in told {
            self.check_event(&event);
            fold(&mut self.replayed, &event);
        }
    }

    /// What existed throughout is never told deleted, nor changed.
    fn check_event(&self, event: &Event) {
        if event.cause == Cause::Filter {
            return;
        }
        if let What::Deleted(object) | What::Changed { before: object, .. } = &event.what {
            let link = link_of(object);
            assert!(link != 1 && link != self.stable, "nobody touched it: {event:?}");
        }
    }

    fn strikes(&mut self, odds: usize) -> bool {
        self.is_faulty && self.random.one_in(odds)
    }

    /// Applies what is declared, once.
    pub(super) fn apply(&mut self) {
        self.keep(Mode::Once);
        let mut turns = 0;
        while !self.host.is_done(self.now) {
            let (events, replies) = (self.random.below(4), self.random.below(3));
            self.turn(events, replies);
            self.now += Duration::from_millis(1);
            turns += 1;
            assert!(turns < TURNS_TO_REST_MAX, "the apply does not end");
        }
    }

    /// Applies what is declared, and reads what nobody has heard of: to the end, while others
    /// change what they like and news are lost, or alone and to a random turn, with the answers
    /// to what was sent.
    pub(super) fn apply_in_part(&mut self, is_halted: bool) {
        self.keep(Mode::Once);
        let halted_at = if is_halted { self.random.below(30) } else { TURNS_TO_REST_MAX };
        for turn in 0..TURNS_TO_REST_MAX {
            if turn == halted_at {
                self.host.halt();
            }
            let is_ended = match self.host.is_halted() {
                true => !self.host.is_busy(),
                false => self.host.is_done(self.now),
            };
            if is_ended {
                break;
            }
            // What comes later may come after the last look.
            if !is_halted && self.host.counters().changes < READING_SUBJECTS_MIN as u64 {
                if self.random.one_in(4) {
                    foreign::change(&mut self.kernel, &mut self.random, self.stable, self.keeps);
                }
                if self.random.one_in(8) {
                    self.kernel.events.fail();
                }
            }
            let (events, replies) = (self.random.below(40), self.random.below(8));
            self.turn(events, replies);
            self.now += Duration::from_micros(100);
        }
        if self.host.is_deaf() {
            self.host.read_anew(self.now);
        }
        for _ in 0..TURNS_TO_REST_MAX {
            if self.host.is_synced() && !self.host.is_busy() && self.kernel.is_idle() {
                return;
            }
            self.turn(usize::MAX, usize::MAX);
            self.now += Duration::from_millis(1);
        }
        panic!("it does not come to rest: {:?}", self.host.counters());
    }

    /// A history of random turns, foreign changes and faults.
    pub(super) fn live(&mut self) {
        for _ in 0..STEPS {
            match self.random.below(120) {
                0 => self.kernel.faults.busy = true,
                1 => self.kernel.faults.lose_ack = true,
                2 => self.kernel.events.fail(),
                3 => {
                    let is_filtered = self.random.one_in(2);
                    self.watch(is_filtered);
                }
                _ => {}
            }
            // Now and then a storm, which no queue of this size holds.
            let storm = if self.random.one_in(20) { 8 } else { self.random.below(2) };
            for _ in 0..storm {
                foreign::change(&mut self.kernel, &mut self.random, self.stable, self.keeps);
            }
            if self.random.one_in(4) {
                self.now += Duration::from_millis(self.random.below(500) as u64);
            }
            self.lazy_turn();
        }
    }

    fn lazy_turn(&mut self) {
        let is_due = |random: &mut Random, odds| usize::from(random.one_in(odds));
        let events = self.random.below(6) * is_due(&mut self.random, self.event_odds);
        let replies = self.random.below(4) * is_due(&mut self.random, self.reply_odds);
        self.turn(events, replies);
    }

    /// One loss, and changes by others while the tables are read: no later loss and no later
    /// reading heals what this one gets wrong.
    pub(super) fn read_in_a_storm(&mut self) {
        self.end_faults();
        self.kernel.events.fail();
        for _ in 0..STORM_STEPS {
            // Most of it while routes are dumped, which nobody says was disturbed.
            let is_time = self.kernel.dumps_routes() || self.random.one_in(20);
            for _ in 0..self.random.below(if is_time { 3 } else { 1 }) {
                foreign::change(&mut self.kernel, &mut self.random, self.stable, self.keeps);
            }
            self.now += Duration::from_micros(100);
            self.lazy_turn();
        }
        self.come_to_rest();
        self.check_mirror();
    }

    /// Others crowd one slot, with a loss first or with none.
    pub(super) fn crowd(&mut self, links: [u32; 2], is_lossy: bool) {
        if is_lossy {
            self.kernel.events.fail();
        }
        for _ in 0..self.random.below(CROWD_STEPS) {
            foreign::crowd(&mut self.kernel, &mut self.random, links);
            // Now and then long enough for what is in doubt to be read.
            self.now += Duration::from_millis(self.random.below(30) as u64);
            self.lazy_turn();
        }
        self.come_to_rest();
        self.check_mirror();
    }

    fn end_faults(&mut self) {
        self.kernel.faults = Default::default();
        (self.kernel.events.len_max, self.kernel.replies.len_max) = (UNLIMITED, UNLIMITED);
        self.is_faulty = false;
    }

    /// No more faults and no more strangers: turns until nothing is queued and nothing to do,
    /// or until only what the kernel keeps refusing is tried again and again.
    pub(super) fn come_to_rest(&mut self) {
        self.end_faults();
        let patience = self.now + PATIENCE;
        for _ in 0..TURNS_TO_REST_MAX {
            let (events, replies) = (self.random.below(4), self.random.below(4));
            self.turn(events, replies);
            let is_at_rest = self.host.is_settled()
                || (self.now > patience && self.host.is_synced() && !self.host.is_busy());
            if self.kernel.is_idle() && is_at_rest {
                return;
            }
            // Time is short while something is on its way, and jumps to the next timer else.
            match self.host.poll_timeout().filter(|_| self.kernel.is_idle()) {
                Some(at) => self.now = self.now.max(at),
                None => self.now += Duration::from_micros(50),
            }
        }
        panic!("it does not come to rest: {:?}", self.host.counters());
    }

    /// What the declared state still lacks is what the kernel refuses.
    pub(super) fn check_kept(&self) -> Plan {
        let network = self.host.network();
        let plan = Plan::new(&self.desired, network);
        for step in &plan.steps {
            let could_be_made = model::apply(&mut network.clone(), &step.change).is_ok();
            assert!(!could_be_made, "it is left undone: {step}");
        }
        plan
    }

    /// The mirror is what the kernel has, and the events add up to it.
    pub(super) fn check_mirror(&self) {
        let differences = differences(&self.kernel, self.host.network(), &self.filter);
        assert!(differences.is_empty(), "the mirror is not true: {differences:#?}");
        assert!(self.replayed == *self.host.network(), "the events do not add up to the mirror");
    }
}

/// A link that is up, with addresses and many routes.
fn make_stable(kernel: &mut Kernel) -> u32 {
    let stable = kernel.plug_in(STABLE);
    kernel.update(stable, |link| link.up = true);
    kernel.set_address((stable, [10, 250, 0, 1].into(), 24), true);
    kernel.set_address((stable, [10, 250, 0, 2].into(), 24), true);
    kernel.set_address((stable, [0x2001, 0xdb8, 250, 0, 0, 0, 0, 1].into(), 64), true);
    for number in 0..4 {
        let via = Some([10, 250, 0, 9].into());
        let slot = (254, [10, 251, number, 0].into(), 24, u32::from(number));
        kernel.set_route(slot, SimRoute::through(via, stable), Put::Append);
        let to = [0x2001, 0xdb8, 251, u16::from(number), 0, 0, 0, 0].into();
        kernel.set_route((254, to, 64, 1024), SimRoute::through(None, stable), Put::Append);
    }
    kernel.foreign.insert(stable);
    kernel.events.forget();
    stable
}
