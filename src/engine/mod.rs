//! The one loop: waits, reads the clock, and moves bytes between ring and host.
//!
//! An [`Engine`] is a value that is turned by its owner on the owner's thread. One turn is one
//! `io_uring_enter`: it submits what the last turn decided and waits for what comes next. There
//! are no rules here that a pure room could hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::host::{Host, Source};
use crate::limits::{
    COLLECT_AFTER_EVENTS, COLLECT_WINDOW, DRAIN_TURNS_MAX, EVENT_BUFFER_BYTES, EVENT_BUFFERS,
    RECEIVE_BUFFER_BYTES, REPLY_BUFFER_BYTES, REPLY_BUFFERS, REPLY_RECEIVE_BUFFER_BYTES,
};
use crate::ring::{
    BufferGroup, Completion, Config, DoorbellHandle, Ring, RingError, SocketConfig, SocketId, Wait,
    Waker,
};
use crate::wire::numbers::GROUPS;

/// What an engine is made with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whether the host keeps events for its owner.
    pub(crate) keeps_events: bool,
    /// What to ask of the kernel for the event socket, in bytes.
    pub(crate) receive_buffer_bytes: usize,
    /// Whether the ring can be polled, at the price of a dearer turn.
    pub(crate) pollable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { keeps_events: true, receive_buffer_bytes: RECEIVE_BUFFER_BYTES, pollable: false }
    }
}

/// The engine cannot go on.
#[derive(Debug, thiserror::Error)]
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

/// Ring and host of one network namespace, on the thread that made it.
#[derive(Debug)]
pub(crate) struct Engine {
    ring: Ring,
    events: SocketId,
    requests: SocketId,
    host: Host,
    canceller: Canceller,
    is_cancelling: bool,
    drain_turns: u32,
    /// How many datagrams the event socket brought in the last turn.
    burst: usize,
    spare: Option<BytesMut>,
}

impl Engine {
    /// Opens ring and sockets in the thread's network namespace, and joins the groups. Nothing
    /// is read before the first turn.
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
        let events = ring.open_socket(&SocketConfig {
            groups: GROUPS,
            receive_buffer_bytes: options.receive_buffer_bytes,
            buffers: BufferGroup::Events,
        })?;
        let requests = ring.open_socket(&SocketConfig {
            groups: &[],
            receive_buffer_bytes: REPLY_RECEIVE_BUFFER_BYTES,
            buffers: BufferGroup::Replies,
        })?;
        let waker = ring.waker()?;
        let receive_buffer_bytes = ring.receive_buffer_bytes(events);
        Ok(Self {
            host: Host::new(Instant::now(), options.keeps_events, receive_buffer_bytes),
            canceller: Canceller { waker, is_cancelled: Arc::default() },
            ring,
            events,
            requests,
            is_cancelling: false,
            drain_turns: 0,
            burst: 0,
            spare: None,
        })
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    /// The netlink port id that the requests are sent from.
    pub(crate) fn port(&self) -> u32 {
        self.ring.port(self.requests)
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
        if self.host.poll_timeout().is_some_and(|at| at <= now) {
            self.host.handle_timeout(now);
        }
        self.transmit(now);
        if self.canceller.is_cancelled.load(Ordering::Acquire) && !self.is_cancelling {
            // It is armed unless this is the first turn.
            self.ring.arm(self.events);
            self.is_cancelling = self.ring.disarm(self.events);
        } else if !self.is_cancelling {
            self.ring.arm(self.events);
        }
        self.ring.arm(self.requests);

        let was_draining = self.host.is_draining();
        let wait = self.wait(now, deadline, was_draining);
        self.ring.enter(wait)?;
        let now = Instant::now();
        let reaped = self.reap(now)?;
        if !self.is_cancelling {
            // Else it was not read, and may hold more.
            self.note_drain(now, was_draining, &reaped);
        }
        if let Some(failed) = self.host.poll_failure() {
            return Err(EngineError::Dump { errno: failed.errno });
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

    fn transmit(&mut self, now: Instant) {
        let mut buffer = self.spare.take().unwrap_or_default();
        if self.host.poll_transmit(now, &mut buffer) {
            self.ring.send(self.requests, buffer, 0);
        } else {
            self.spare = Some(buffer);
        }
    }

    fn wait(&self, now: Instant, deadline: Option<Instant>, is_draining: bool) -> Wait {
        // What was decided just now is told before the next wait.
        if is_draining || self.host.has_reports() {
            return Wait::None;
        }
        let until = [deadline, self.host.poll_timeout()].into_iter().flatten().min();
        let timeout = until.map(|until| until.saturating_duration_since(now));
        if timeout == Some(Duration::ZERO) {
            return Wait::None;
        }
        // Nothing else ends a collecting wait, so none while an answer is awaited.
        let collects = self.burst >= COLLECT_AFTER_EVENTS && !self.host.is_busy();
        Wait::One { timeout, collect: collects.then_some(COLLECT_WINDOW) }
    }

    fn reap(&mut self, now: Instant) -> Result<Reaped, EngineError> {
        let mut reaped = Reaped::default();
        let (host, events, spare) = (&mut self.host, self.events, &mut self.spare);
        self.ring.reap(|completion| match completion {
            Completion::Received(received) => {
                let source =
                    if received.socket == events { Source::Events } else { Source::Replies };
                reaped.datagrams += 1;
                reaped.events += usize::from(source == Source::Events);
                let (sender, truncated) = (received.sender, received.truncated);
                host.handle_datagram(now, source, sender, truncated, received.bytes);
            }
            Completion::Lost(lost) if lost.socket == events => host.handle_lost(lost.dropped),
            Completion::Lost(_) => host.handle_replies_lost(),
            Completion::Sent(sent) => {
                reaped.sends += 1;
                if let Err(errno) = sent.result {
                    host.handle_send_failed(now, errno);
                }
                let mut buffer = sent.buffer;
                buffer.clear();
                *spare = Some(buffer);
            }
            Completion::Woken => reaped.woken = true,
            Completion::Cancelled(socket) => reaped.cancelled |= socket == events,
            Completion::Failed { errno, .. } => reaped.failed = Some(errno),
        });
        self.burst = reaped.events;
        match reaped.failed {
            Some(errno) => Err(RingError::from_receive(errno).into()),
            None => Ok(reaped),
        }
    }

    /// A drain is over when a whole turn after its cause brought nothing.
    fn note_drain(&mut self, now: Instant, was_draining: bool, reaped: &Reaped) {
        if !was_draining {
            self.drain_turns = 0;
            return;
        }
        self.drain_turns += 1;
        // After a loss an empty turn is not enough: only an empty socket takes messages again.
        let is_empty =
            reaped.events == 0 && (!self.host.is_recovering() || self.ring.is_drained(self.events));
        if is_empty || self.drain_turns >= DRAIN_TURNS_MAX {
            self.drain_turns = 0;
            self.host.handle_drained(now);
        }
    }
}

/// What one reaping brought.
#[derive(Debug, Default)]
struct Reaped {
    datagrams: usize,
    events: usize,
    sends: usize,
    woken: bool,
    cancelled: bool,
    failed: Option<i32>,
}
