//! Keeps the network as declared, on a thread of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::desired::Desired;
use crate::engine::{Canceller, Deadline, Engine, EngineError, EngineThread, Options};
use crate::host::Counters;
use crate::limits::{REPORTS_MAX, SILENT_REREAD};
use crate::reconcile::{Mode, Report};
use crate::ring::{Doorbell, DoorbellHandle};

/// Keeps a declared state until it is stopped. See [`Keeper::spawn`].
#[derive(Debug)]
pub struct Keeper;

/// What a keeper is made with; it can be sent to another thread.
#[derive(Debug, Clone)]
pub struct KeeperBuilder {
    desired: Desired,
    options: Options,
    is_filtered: bool,
    mode: Mode,
    silent_reread: Duration,
}

/// A running keeper. Dropping it stops the keeper and leaves the network as it is.
#[derive(Debug)]
pub struct KeeperHandle {
    shared: Arc<Shared>,
    doorbell: Doorbell,
    canceller: Canceller,
    thread: Option<EngineThread>,
}

/// How a keeper is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether every declared object is as declared.
    pub converged: bool,
    /// How many objects others keep changing back, so that they are put right less and less often.
    pub conflicts: usize,
    /// What was counted so far.
    pub counters: Counters,
    /// What the ring counted so far.
    pub ring: crate::ring::Counters,
}

/// Keeping cannot start, or could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct KeepError(#[from] pub EngineError);

/// What the engine's thread and the handle share. The lock is held for moments only.
#[derive(Debug, Default)]
struct Shared {
    mailbox: Mutex<Mailbox>,
    /// Whether the mailbox holds something for the engine; looked at in every turn.
    has_orders: AtomicBool,
}

#[derive(Debug, Default)]
struct Mailbox {
    reports: VecDeque<Report>,
    missed: u64,
    status: Status,
    desired: Option<Desired>,
    is_stopping: bool,
    has_ended: bool,
}

impl Shared {
    /// A panic while it was held leaves plain values, each whole.
    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// A builder that keeps `desired`.
    pub fn builder(desired: Desired) -> KeeperBuilder {
        let options = Options { keeps_events: false, ..Options::default() };
        KeeperBuilder {
            desired,
            options,
            is_filtered: true,
            mode: Mode::Keep,
            silent_reread: SILENT_REREAD,
        }
    }

    /// Starts the engine on a thread of its own, in the network namespace of this one, and
    /// returns once its ring and sockets are open.
    pub fn spawn(builder: KeeperBuilder) -> Result<KeeperHandle, KeepError> {
        let doorbell = Doorbell::new().map_err(EngineError::from)?;
        let shared = Arc::<Shared>::default();
        let (keeper, ending) = (Arc::clone(&shared), Arc::clone(&shared));
        let KeeperBuilder { desired, mut options, is_filtered, mode, silent_reread } = builder;
        options.tables = options.tables.and(desired.tables());
        let thread = EngineThread::spawn(
            options,
            doorbell.handle(),
            move |mut engine, doorbell| {
                engine.host_mut().set_silent_reread(silent_reread);
                keep(Keeping { engine, is_filtered, mode }, desired, &keeper, doorbell)
            },
            move || ending.lock().has_ended = true,
        )?;
        let canceller = thread.canceller.clone();
        Ok(KeeperHandle { shared, doorbell, canceller, thread: Some(thread) })
    }
}

impl KeeperBuilder {
    /// Whether the kernel holds back the notifications of foreign routes that compete with no
    /// declared one; it does unless that is switched off. The outcome is the same either way: a
    /// host that is full of routes is then read and looked at whole.
    #[must_use]
    pub fn filter(mut self, is_filtered: bool) -> Self {
        self.is_filtered = is_filtered;
        self
    }

    /// Whether differences are only told, by [`Report::Differs`] and [`Report::AsDeclared`], and
    /// nothing is corrected. No request but for reading is sent then, so it needs no privilege.
    #[must_use]
    pub fn report_only(mut self, is_report_only: bool) -> Self {
        self.mode = if is_report_only { Mode::Report } else { Mode::Keep };
        self
    }

    /// How often what the kernel may change without a word is read again, of links that declare
    /// any of it: most settings of IPv4 and IPv6, the limits of GSO and GRO, and of links that are
    /// down the settings of their kind. It is 30 s unless it is said here. A reading costs the
    /// kernel some 10 us a link; where nothing of that is declared there is none.
    #[must_use]
    pub fn silent_reread(mut self, interval: Duration) -> Self {
        self.silent_reread = interval;
        self
    }
}

impl KeeperHandle {
    /// Keeps another declared state from now on.
    pub fn set(&self, desired: Desired) {
        self.shared.lock().desired = Some(desired);
        self.shared.has_orders.store(true, Ordering::Release);
        self.canceller.wake();
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.shared.lock().status
    }

    /// The next report, oldest first; `None` where none comes within `timeout`, or the keeper
    /// has ended. Without a timeout it waits until one comes or the keeper ends.
    pub fn next_report(&mut self, timeout: Option<Duration>) -> Option<Report> {
        let deadline = timeout.map(Deadline::after);
        loop {
            let mut mailbox = self.shared.lock();
            if mailbox.missed > 0 && mailbox.reports.is_empty() {
                return Some(Report::Missed(std::mem::take(&mut mailbox.missed)));
            }
            if let Some(report) = mailbox.reports.pop_front() {
                return Some(report);
            }
            if mailbox.has_ended {
                return None;
            }
            drop(mailbox);
            let left = deadline.as_ref().map(Deadline::left);
            // Neither a signal nor an error of the wait ends it before its time.
            let is_rung = self.doorbell.wait(left).unwrap_or(false);
            if !is_rung && left == Some(Duration::ZERO) {
                return None;
            }
        }
    }

    /// Whether the keeper has ended, by [`stop`](Self::stop) or by an error.
    pub fn has_ended(&self) -> bool {
        self.shared.lock().has_ended
    }

    /// Asks the keeper to end; the network stays as it is. May be called from any thread, by
    /// way of [`stopper`](Self::stopper).
    pub fn stop(&self) {
        self.stopper().stop();
    }

    /// Something that can stop the keeper from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(&self.shared), canceller: self.canceller.clone() }
    }

    /// Waits until the keeper has ended, and tells how.
    pub fn join(mut self) -> Result<(), KeepError> {
        Ok(self.thread.take().map_or(Ok(()), EngineThread::join)?)
    }
}

impl Drop for KeeperHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop();
            // Its result has no one left to read it.
            let _ = thread.join();
        }
    }
}

/// Stops a keeper from any thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
    canceller: Canceller,
}

impl Stopper {
    /// Asks the keeper to end.
    pub fn stop(&self) {
        self.shared.lock().is_stopping = true;
        self.shared.has_orders.store(true, Ordering::Release);
        self.canceller.cancel();
    }
}

/// The engine's thread.
fn keep(
    mut keeping: Keeping,
    desired: Desired,
    shared: &Shared,
    doorbell: &DoorbellHandle,
) -> Result<(), EngineError> {
    keeping.set(desired)?;
    loop {
        keeping.engine.turn(None)?;
        if shared.has_orders.swap(false, Ordering::AcqRel) && obey(&mut keeping, shared)? {
            return Ok(());
        }
        publish(&mut keeping.engine, shared, doorbell);
    }
}

/// What the engine's thread works with.
struct Keeping {
    engine: Engine,
    is_filtered: bool,
    mode: Mode,
}

impl Keeping {
    fn set(&mut self, desired: Desired) -> Result<(), EngineError> {
        self.engine.follow(desired.tables())?;
        if self.is_filtered {
            self.engine.set_filter(&desired.filter());
        }
        self.engine.look_for(&desired.namespaces);
        let now = self.engine.now();
        self.engine.host_mut().set_desired(now, self.mode, desired);
        Ok(())
    }
}

/// Takes the orders of the handle; `true` where it is to end.
fn obey(keeping: &mut Keeping, shared: &Shared) -> Result<bool, EngineError> {
    let mut mailbox = shared.lock();
    if mailbox.is_stopping {
        return Ok(true);
    }
    if let Some(desired) = mailbox.desired.take() {
        drop(mailbox);
        keeping.set(desired)?;
    }
    Ok(false)
}

/// Hands reports and status to the handle. A reader that is too slow loses reports, never
/// memory, and is told how many.
fn publish(engine: &mut Engine, shared: &Shared, doorbell: &DoorbellHandle) {
    let Some(mut report) = engine.host_mut().poll_report() else {
        return;
    };
    let mut mailbox = shared.lock();
    loop {
        if mailbox.reports.len() < REPORTS_MAX {
            mailbox.reports.push_back(report);
        } else {
            mailbox.missed += 1;
        }
        let Some(next) = engine.host_mut().poll_report() else {
            break;
        };
        report = next;
    }
    mailbox.status = Status {
        converged: engine.host().is_converged(),
        conflicts: engine.host().conflicts(),
        counters: engine.host().counters(),
        ring: engine.ring().counters(),
    };
    drop(mailbox);
    engine.ring_doorbell(doorbell);
}
