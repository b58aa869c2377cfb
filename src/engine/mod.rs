//! The one loop: waits, reads the clock, and moves bytes between ring and host.
//!
//! An [`Engine`] is a value that is turned by its owner on the owner's thread. One turn is one
//! `io_uring_enter`: it submits what the last turn decided and waits for what comes next. There
//! are no rules here that a pure room could hold.

mod filters;
mod follow;
mod members;
mod namespaces;
mod options;
mod reaping;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use self::follow::{Differences, Follow};
use self::members::{HOME, Member, Members, Slot};
pub(crate) use self::options::Options;
use self::reaping::{Reaped, Reaping};
pub(crate) use self::thread::EngineThread;
use crate::host::{Host, Transmit};
use crate::limits::{
    COLLECT_AFTER_EVENTS, COLLECT_WINDOW, DRAIN_TURNS_MAX, EVENT_BUFFER_BYTES, EVENT_BUFFERS,
    REPLY_BUFFER_BYTES, REPLY_BUFFERS, REPLY_RECEIVE_BUFFER_BYTES, SYSCTL_CHANGES_PER_TURN_MAX,
};
use crate::model::filter::Filter;
use crate::model::object::{Cause, Event, NetnsId, What};
use crate::ring::{
    BufferGroup, Config, DoorbellHandle, Identity, NamespaceError, Netns, OpenNetns, Ring,
    RingError, SocketConfig, Wait, Waker, named, own_identity, write_sysctl,
};

/// The engine cannot start, or cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The ring, or one of its sockets, could not be made or entered.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The kernel's tables could not be read.
    #[error("cannot read the kernel's network tables: {}", crate::model::refusal::Errno(*.errno))]
    Dump {
        /// The error number of the last attempt.
        errno: i32,
    },
    /// The thread that it was to run on could not be started.
    #[error("cannot start the engine's thread: {}", crate::model::refusal::Errno(*.errno))]
    Thread {
        /// The kernel's number.
        errno: i32,
    },
    /// The thread that it ran on panicked: a bug.
    #[error("the engine's thread panicked")]
    Panicked,
}

/// A time by which to be done, for those who may not ask the clock.
#[derive(Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// The time that is left; zero when it has passed.
    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// What a turn brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was read, sent or answered, or a timer ran.
    Worked,
    /// The deadline came first.
    Deadline,
    /// The armed read was cancelled and reaped.
    Cancelled,
    /// Someone rang, not to cancel.
    Woken,
}

/// Cancels the armed read of one engine, from any thread.
///
/// It reaches the ring by a message from ring to ring; after the engine is gone it does nothing.
/// Any number of cancels before the engine answers count as one.
#[derive(Debug, Clone)]
pub struct Canceller {
    waker: Waker,
    is_cancelled: Arc<AtomicBool>,
}

impl Canceller {
    /// Makes the current or next wait return as cancelled.
    pub fn cancel(&self) {
        if !self.is_cancelled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Wakes the engine without cancelling.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}

/// One ring, and the hosts of the network namespaces on it, on the thread that made it.
#[derive(Debug)]
pub(crate) struct Engine {
    ring: Ring,
    members: Members,
    follow: Option<Follow>,
    canceller: Canceller,
    is_cancelling: bool,
    /// How many datagrams the event sockets brought in the last turn.
    burst: usize,
    spare: Vec<BytesMut>,
    /// Whether the kernel has threads for what takes long to send, as far as is known.
    hands_over: bool,
    /// Those that a turn looks after; kept for its memory.
    current: Vec<Slot>,
    /// What namespaces are opened with.
    options: Options,
    last_id: NetnsId,
    /// What happened to the namespaces themselves.
    events: Vec<Event>,
    last_seq: u64,
}

impl Engine {
    /// Opens ring and sockets in a network namespace, or the thread's, and joins the groups.
    /// Nothing is read before the first turn.
    pub(crate) fn open(options: &Options) -> Result<Self, EngineError> {
        let mut ring = Ring::open(&Config {
            submission_entries: 64,
            completion_entries: 4096,
            pollable: options.pollable,
            event_buffers: EVENT_BUFFERS,
            event_buffer_bytes: EVENT_BUFFER_BYTES,
            reply_buffers: REPLY_BUFFERS,
            reply_buffer_bytes: REPLY_BUFFER_BYTES,
        })?;
        let waker = ring.waker()?;
        let netns = options.netns.as_ref().map(OpenNetns::open).transpose();
        let netns = netns.map_err(RingError::from)?;
        let own = netns.as_ref().map_or_else(own_identity, OpenNetns::identity);
        let mut home = open_member(&mut ring, netns.as_ref(), NetnsId::HOME, options)?;
        home.identity = own;
        let mut members = Members::default();
        members.insert(home);
        let mut engine = Self {
            canceller: Canceller { waker, is_cancelled: Arc::default() },
            ring,
            members,
            follow: None,
            is_cancelling: false,
            burst: 0,
            spare: Vec::new(),
            hands_over: true,
            current: Vec::new(),
            options: options.clone(),
            last_id: NetnsId::HOME,
            events: Vec::new(),
            last_seq: 0,
        };
        if options.follows_names {
            engine.follow_names(own)?;
        }
        Ok(engine)
    }

    /// Watches one more namespace, beside those that are watched.
    pub(crate) fn add(&mut self, netns: &Netns) -> Result<NetnsId, EngineError> {
        let open = OpenNetns::open(netns).map_err(RingError::from)?;
        self.add_open(&open, netns)
    }

    fn add_open(&mut self, open: &OpenNetns, netns: &Netns) -> Result<NetnsId, EngineError> {
        let id = NetnsId(self.last_id.0 + 1);
        let mut member = open_member(&mut self.ring, Some(open), id, &self.options)?;
        let name = netns.to_string();
        member.name = Some(name.clone());
        self.last_id = id;
        self.members.insert(member);
        self.tell(id, What::NetnsAdded { name });
        Ok(id)
    }

    /// Lets go of a namespace, so that nothing of ours keeps it; `false` where there is none of
    /// that number, or it is the one that the engine was opened in.
    pub(crate) fn remove(&mut self, id: NetnsId) -> bool {
        let slot = self.members.slot_of(id).filter(|slot| *slot != HOME);
        let Some(mut member) = slot.and_then(|slot| self.members.remove(slot)) else {
            return false;
        };
        let from = self.events.len();
        member.host.poll_events(&mut self.events);
        self.events[from..].iter_mut().for_each(|event| event.netns = id);
        self.ring.close_socket(member.events);
        self.ring.close_socket(member.requests);
        self.tell(id, What::NetnsRemoved);
        true
    }

    fn tell(&mut self, netns: NetnsId, what: What) {
        self.events.push(Event { seq: 0, netns, cause: Cause::Notification, sender: 0, what });
    }

    /// Moves the events since the last call to the end of `batch`, numbered.
    pub(crate) fn poll_events(&mut self, batch: &mut Vec<Event>) {
        let start = batch.len();
        if !self.events.is_empty() {
            batch.append(&mut self.events);
        }
        while let Some(member) = self.members.pop_unread() {
            let from = batch.len();
            member.host.poll_events(batch);
            if member.id != NetnsId::HOME {
                batch[from..].iter_mut().for_each(|event| event.netns = member.id);
            }
        }
        for event in &mut batch[start..] {
            self.last_seq += 1;
            event.seq = self.last_seq;
        }
    }

    /// The host of the namespace that the engine was opened in.
    pub(crate) fn host(&self) -> &Host {
        &self.members.home().host
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        self.members.activate(HOME);
        &mut self.members.home_mut().host
    }

    /// The hosts of all namespaces, that one first.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (NetnsId, &Host)> {
        self.members.iter().map(|member| (member.id, &member.host))
    }

    /// How a namespace was named when it was added; none for the first one.
    pub(crate) fn netns_name(&self, id: NetnsId) -> Option<&str> {
        let member = self.members.iter().find(|member| member.id == id)?;
        member.name.as_deref()
    }

    /// Whether the mirrors of all namespaces are whole.
    pub(crate) fn is_synced(&self) -> bool {
        self.members.iter().all(|member| member.host.is_synced())
    }

    #[cfg(feature = "aio")]
    /// Whether the next turn is due at once, and no readiness tells: a drain goes on, a dump waits
    /// for its end, or a receive that has ended goes out again with it.
    pub(crate) fn is_unfinished(&self) -> bool {
        let is_unfinished =
            |member: &Member| member.host.is_draining() || member.behind_since.is_some();
        self.ring.is_rearming() || self.members.iter().any(is_unfinished)
    }

    /// When the next turn is due if nothing comes before.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let follow = self.follow.as_ref().and_then(Follow::poll_timeout);
        [self.members.poll_timeout(), follow].into_iter().flatten().min()
    }

    /// The netlink port id that the requests are sent from.
    pub(crate) fn port(&self) -> u32 {
        self.ring.port(self.members.home().requests)
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Rings a consumer's doorbell with the next turn's system call.
    pub(crate) fn ring_doorbell(&mut self, doorbell: &DoorbellHandle) {
        self.ring.ring_doorbell(doorbell);
    }

    /// The clock that the host's deadlines are told by.
    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    /// Submits what is to be sent, waits until something comes or `deadline`, and handles it.
    pub(crate) fn turn(&mut self, deadline: Option<Instant>) -> Result<Turn, EngineError> {
        let now = Instant::now();
        if self.follow.as_ref().and_then(Follow::poll_timeout).is_some_and(|at| at <= now) {
            if let Err(error) = self.look_at_names(now) {
                // The rest goes on.
                tracing::error!(%error, "a network namespace cannot be watched");
            }
        }
        self.members.activate_due(now);
        let mut current = std::mem::take(&mut self.current);
        self.members.take_active(&mut current);
        let mut has_more = false;
        for slot in &current {
            has_more |= self.prepare(*slot, now);
        }
        self.arm_home();
        let wait = self.wait(now, deadline, has_more);
        self.ring.enter(wait)?;

        let now = Instant::now();
        let reaped = self.reap(now)?;
        for slot in current.drain(..) {
            self.note_drain(slot, now);
            self.hear(slot)?;
        }
        self.current = current;
        let mut at = 0;
        while let Some(slot) = self.members.active.get(at).copied() {
            self.hear(slot)?;
            at += 1;
        }
        if reaped.cancelled {
            self.is_cancelling = false;
            self.canceller.is_cancelled.store(false, Ordering::Release);
            return Ok(Turn::Cancelled);
        }
        let is_late = deadline.is_some_and(|deadline| deadline <= now);
        Ok(match reaped {
            Reaped { datagrams: 0, sends: 0, woken: true, .. } => Turn::Woken,
            Reaped { datagrams: 0, sends: 0, .. } if is_late => Turn::Deadline,
            _ => Turn::Worked,
        })
    }

    /// Turns without waiting until nothing more comes: what was queued has been read. `false`
    /// where it was cancelled.
    pub(crate) fn catch_up(&mut self) -> Result<bool, EngineError> {
        for _ in 0..DRAIN_TURNS_MAX {
            match self.turn(Some(Instant::now()))? {
                Turn::Cancelled => return Ok(false),
                Turn::Deadline => break,
                _ => {}
            }
        }
        Ok(true)
    }

    /// Queues what one namespace has to send and to receive; `true` where the turn must not wait.
    fn prepare(&mut self, slot: Slot, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(slot) else {
            return false;
        };
        if member.host.poll_timeout().is_some_and(|at| at <= now) {
            member.host.handle_timeout(now);
        }
        for _ in 0..SYSCTL_CHANGES_PER_TURN_MAX {
            let Some(writes) = member.host.poll_sysctls(now) else { break };
            let (name, index) = (writes.link.as_bytes(), writes.index);
            let refused = writes.files.iter().find_map(|(path, text)| {
                let errno = write_sysctl(path, text, name, index).err()?;
                Some((path.as_path(), errno))
            });
            member.host.handle_sysctls(now, &writes, refused);
        }
        member.open_namespaces(now);
        let mut buffer = self.spare.pop().unwrap_or_default();
        match member.host.poll_transmit(now, &mut buffer) {
            Transmit::Nothing => self.spare.push(buffer),
            transmit => {
                let is_long = transmit == Transmit::Long && self.hands_over;
                self.ring.send(member.requests, buffer, is_long, slot as u64);
            }
        }
        let is_deaf = member.host.is_deaf() && self.options.filter == Filter::everything();
        if is_deaf != member.is_deaf {
            let port = is_deaf.then(|| self.ring.port(member.requests));
            let holds_back = filters::hold_back(&mut self.ring, member.events, port);
            member.host.set_held_back(holds_back);
            member.is_deaf = is_deaf;
        }
        // A long dump would be read until the socket of events overflows, and be in vain. It waits
        // in the kernel, which makes its parts as they are fetched.
        let is_behind = member.may_be_behind(now)
            && self.ring.is_half_full(member.events)
            && self.ring.put_off(member.requests);
        if is_behind {
            member.behind_since.get_or_insert(now);
        } else {
            member.behind_since = None;
            self.ring.arm(member.requests);
        }
        if slot != HOME {
            self.ring.arm(member.events);
        }
        member.brought = 0;
        member.was_draining = member.host.is_draining();
        // What was decided just now is told before the next wait.
        let is_unfinished = member.host.is_unfinished() || member.host.has_reports();
        let has_more = is_behind || member.was_draining || is_unfinished;
        self.members.refresh(slot);
        has_more
    }

    /// The read of the first namespace is the one that a cancel ends.
    fn arm_home(&mut self) {
        let events = self.members.home().events;
        if self.canceller.is_cancelled.load(Ordering::Acquire) && !self.is_cancelling {
            // It is armed unless this is the first turn.
            self.ring.arm(events);
            self.is_cancelling = self.ring.disarm(events);
        } else if !self.is_cancelling {
            self.ring.arm(events);
        }
    }

    fn wait(&self, now: Instant, deadline: Option<Instant>, has_more: bool) -> Wait {
        if has_more {
            return Wait::None;
        }
        let until = [deadline, self.poll_timeout()].into_iter().flatten().min();
        let timeout = until.map(|until| until.saturating_duration_since(now));
        if timeout == Some(Duration::ZERO) {
            return Wait::None;
        }
        // Nothing else ends a collecting wait, so none while an answer is awaited.
        let collects = self.burst >= COLLECT_AFTER_EVENTS && !self.members.is_any_busy();
        Wait::One { timeout, collect: collects.then_some(COLLECT_WINDOW) }
    }

    fn reap(&mut self, now: Instant) -> Result<Reaped, EngineError> {
        let mut reaping = Reaping {
            now,
            members: &mut self.members,
            follow: self.follow.as_mut(),
            spare: &mut self.spare,
            reaped: Reaped::default(),
        };
        self.ring.reap(|completion| reaping.handle(completion));
        let mut reaped = reaping.reaped;
        self.burst = reaped.events;
        for (socket, errno) in reaped.failed.drain(..) {
            if let Some((slot, _)) = self.members.owner(socket) {
                self.give_up(slot, RingError::from_receive(errno).into())?;
            }
        }
        for sent in reaped.unsent.drain(..) {
            self.hands_over = false;
            self.ring.send(sent.socket, sent.buffer, false, sent.token);
        }
        Ok(reaped)
    }

    /// A drain is over when a whole turn after its cause brought nothing.
    fn note_drain(&mut self, slot: Slot, now: Instant) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let brought = member.brought;
        if !member.was_draining {
            member.drain_turns = 0;
            return;
        }
        // While its read is being cancelled it is not read, and may hold more.
        if slot != HOME || !self.is_cancelling {
            member.drain_turns += 1;
            // After a loss an empty turn is not enough: only an empty socket takes messages again.
            let is_empty = brought == 0
                && (!member.host.is_recovering() || self.ring.is_drained(member.events));
            if is_empty || member.drain_turns >= DRAIN_TURNS_MAX {
                member.drain_turns = 0;
                member.host.handle_drained(now);
            }
        }
        self.members.activate(slot);
    }

    /// Notes what a host waits for and has to tell, and whether it failed.
    fn hear(&mut self, slot: Slot) -> Result<(), EngineError> {
        self.members.refresh(slot);
        if let Some(member) = self.members.get_mut(slot) {
            member.close_namespaces();
        }
        let failure = self.members.get_mut(slot).and_then(|member| member.host.poll_failure());
        match failure {
            Some(failed) => self.give_up(slot, EngineError::Dump { errno: failed.errno }),
            None => Ok(()),
        }
    }

    /// One namespace cannot be watched any more. The first one ends the engine; any other is let
    /// go of, and the rest goes on.
    fn give_up(&mut self, slot: Slot, error: EngineError) -> Result<(), EngineError> {
        if slot == HOME {
            return Err(error);
        }
        if let Some(id) = self.members.get_mut(slot).map(|member| member.id) {
            tracing::error!(netns = id.0, %error, "a network namespace is watched no more");
            self.follow.iter_mut().for_each(|follow| follow.forget(id));
            self.remove(id);
        }
        Ok(())
    }

    /// From now on every name in `/run/netns` is watched. `own` is the engine's own namespace.
    fn follow_names(&mut self, own: Option<Identity>) -> Result<(), EngineError> {
        let own = own.ok_or(RingError::from(NamespaceError::NoProc))?;
        self.ring.watch_names()?;
        let now = self.now();
        self.follow = Some(Follow::new(own, now));
        self.look_at_names(now)
    }

    /// Takes in the names that have come, and lets go of those that have gone. The error is that
    /// of the first that cannot be watched.
    fn look_at_names(&mut self, now: Instant) -> Result<(), EngineError> {
        let Some(mut follow) = self.follow.take() else {
            return Ok(());
        };
        let Differences { gone, come, mut is_unfinished } = follow.compare(&named(follow.own()));
        for id in gone {
            self.remove(id);
        }
        let mut refused = None;
        for name in come {
            let netns = Netns::Name(name.clone());
            // It may have gone, or become another, since it was listed.
            let Ok(open) = OpenNetns::open(&netns) else {
                is_unfinished = true;
                continue;
            };
            let Some(identity) = open.identity() else {
                continue;
            };
            match self.add_open(&open, &netns) {
                Ok(id) => follow.insert(name, identity, Some(id)),
                Err(error) => {
                    follow.insert(name, identity, None);
                    refused.get_or_insert(error);
                }
            }
        }
        follow.handle_looked(now, is_unfinished);
        self.follow = Some(follow);
        refused.map_or(Ok(()), Err)
    }
}

fn open_member(
    ring: &mut Ring,
    netns: Option<&OpenNetns>,
    id: NetnsId,
    options: &Options,
) -> Result<Member, EngineError> {
    let open = |ring: &mut Ring, config: &SocketConfig<'_>| match netns {
        Some(netns) => ring.open_socket_in(netns, config),
        None => ring.open_socket(config),
    };
    let of_events = SocketConfig {
        groups: &options.groups(),
        receive_buffer_bytes: options.receive_buffer_bytes,
        buffers: BufferGroup::Events,
    };
    let of_requests = SocketConfig {
        groups: &[],
        receive_buffer_bytes: REPLY_RECEIVE_BUFFER_BYTES,
        buffers: BufferGroup::Replies,
    };
    let events = open(ring, &of_events)?;
    let requests = open(ring, &of_requests).inspect_err(|_| ring.close_socket(events))?;
    let receive_buffer_bytes = ring.receive_buffer_bytes(events);
    let mut host = options.host(receive_buffer_bytes).with_own_port(ring.port(requests));
    if options.filter != Filter::everything() {
        filters::attach(ring, events, &options.filter);
        host.set_filter(Instant::now(), options.filter.clone());
    }
    Ok(Member::new(id, events, requests, host))
}
