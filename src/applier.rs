//! Changes the network: makes it as declared, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::desired::Desired;
use crate::engine::{Canceller, Engine, EngineError, Options, Turn};
use crate::host::{Counters, Host};
use crate::limits::APPLY_ROUNDS_MAX;
use crate::model::network::Network;
use crate::model::network::{Table, Tables};
use crate::plan::{Irrevocable, Plan, Undo};
use crate::reconcile::{Attempt, Mode, Report};

/// Plans and applies declared states in the network namespace of its thread.
#[derive(Debug)]
pub struct Applier {
    engine: Engine,
    progress: Progress,
}

/// How far an [`Applier`] has got, for another thread to look at.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// How many changes it has sent and had an answer to, since it was opened. Changes that are
    /// sent together are counted together.
    pub fn attempted(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// How to open an [`Applier`].
#[derive(Debug, Clone)]
pub struct ApplierBuilder {
    options: Options,
}

/// What an `apply` did, and what still differs after it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplyReport {
    /// Every change that was sent, in order, with the kernel's answer.
    pub attempts: Vec<Attempt>,
    /// What still differs: a plan made of the state as it was read after the last change.
    pub remaining: Plan,
    /// Whether nothing differs.
    pub converged: bool,
}

/// Planning or applying cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It was cancelled; the report tells what had been done.
    #[error("cancelled")]
    Cancelled(Box<ApplyReport>),
}

/// What most documents are compared with, and what costs next to nothing to follow beside it.
#[cfg(feature = "cli")]
fn read_ahead() -> Tables {
    Tables::default().with(Table::Rules).with(Table::Nexthops)
}

impl ApplierBuilder {
    /// For a network that is read before what is declared is known.
    #[cfg(feature = "cli")]
    pub(crate) fn reading_ahead(mut self) -> Self {
        self.options.tables = read_ahead();
        self
    }

    /// Opens the ring and the sockets, on this thread and in its network namespace.
    pub fn open(self) -> Result<Applier, ApplyError> {
        Ok(Applier { engine: Engine::open(&self.options)?, progress: Progress::default() })
    }
}

impl Applier {
    /// A builder with the defaults.
    pub fn builder() -> ApplierBuilder {
        ApplierBuilder { options: Options { keeps_events: false, ..Options::default() } }
    }

    /// Reads the network until it is known, or `compared` tells that more tables must be. What
    /// follows goes on from there.
    #[cfg(feature = "cli")]
    pub(crate) fn read_ahead(
        &mut self,
        compared: impl Fn() -> Option<Tables>,
    ) -> Result<(), ApplyError> {
        while !(self.engine.host().is_synced() || self.engine.host().is_held()) {
            if let Some(tables) = compared() {
                if !self.engine.follows(tables) {
                    break;
                }
                self.hold_routes_beside(tables);
            }
            self.engine.turn(None)?;
        }
        Ok(())
    }

    /// What would have to change for the network to be as declared. Changes nothing, and needs
    /// no privilege.
    pub fn plan(&mut self, desired: &Desired) -> Result<Plan, ApplyError> {
        if let Some(plan) = self.read(desired)? {
            return Ok(plan);
        }
        Ok(Plan::new(desired, self.engine.host().network()))
    }

    /// Reads what `desired` is compared with. Where that takes no routes and nothing differs, they
    /// are not read, and that is the plan; else all is known then that a step may take along.
    fn read(&mut self, desired: &Desired) -> Result<Option<Plan>, ApplyError> {
        let compared = desired.compared_tables();
        self.hold_routes_beside(compared);
        self.engine.follow(compared)?;
        self.engine.look_for(&desired.namespaces);
        self.turn_until(|host| host.is_synced() || host.is_held())?;
        if self.engine.host().is_held() || !self.engine.follows(desired.tables()) {
            let plan = Plan::new(desired, self.engine.host().network());
            if plan.is_empty() {
                self.engine.spare_routes();
                if !self.engine.host().is_in_doubt() {
                    return Ok(Some(plan));
                }
            }
        }
        self.read_all(desired, desired.tables())?;
        Ok(None)
    }

    /// Reads these tables, and what else is followed.
    fn read_all(&mut self, desired: &Desired, tables: Tables) -> Result<(), ApplyError> {
        self.engine.follow(tables)?;
        self.engine.look_for(&desired.namespaces);
        self.sync()
    }

    fn hold_routes_beside(&mut self, compared: Tables) {
        let now = self.engine.now();
        let host = self.engine.host_mut();
        match compared.contains(Table::Routes) {
            true => host.release_routes(now),
            false => host.hold_routes(),
        }
    }

    /// Makes the network as declared, as far as the kernel lets it, and verifies by reading the
    /// tables anew after the last change. The kernel's refusals are inside the report.
    ///
    /// Where nothing differs, nothing but reading requests is sent.
    pub fn apply(&mut self, desired: &Desired) -> Result<ApplyReport, ApplyError> {
        if let Some(remaining) = self.read(desired)? {
            return Ok(ApplyReport { remaining, converged: true, ..ApplyReport::default() });
        }
        let now = self.engine.now();
        self.engine.host_mut().set_desired(now, Mode::Once, desired.clone());
        let mut report = ApplyReport::default();
        loop {
            let now = self.engine.now();
            let is_done = self.engine.host_mut().is_done(now);
            self.collect(&mut report.attempts);
            let host = self.engine.host();
            if is_done || (host.is_halted() && !host.is_busy()) {
                break;
            }
            if self.work(now)? == Turn::Cancelled {
                self.halt(&mut report)?;
                self.conclude(desired, &mut report);
                return Err(ApplyError::Cancelled(Box::new(report)));
            }
        }
        // What happens from now on is seen when it is asked again, and not put right by itself.
        self.engine.host_mut().halt();
        self.make_known()?;
        self.conclude(desired, &mut report);
        Ok(report)
    }

    /// Waits, by events, until something of what `remaining` waits for has come, so that another
    /// [`apply`](Self::apply) can go on: `true` then. `false` where nothing is waited for, or
    /// nothing of it came within `timeout`. Changes nothing.
    ///
    /// `remaining` is what the last apply of `desired` left.
    pub fn wait(
        &mut self,
        desired: &Desired,
        remaining: &Plan,
        timeout: Duration,
    ) -> Result<bool, ApplyError> {
        self.sync()?;
        let deadline = self.engine.now() + timeout;
        let waiting: Vec<_> = remaining.waiting().collect();
        while !waiting.is_empty() {
            let observed = self.engine.host().network();
            let is_worth_a_look = self.engine.host().is_synced()
                && waiting.iter().any(|blocked| blocked.reason.seems_over(observed));
            if is_worth_a_look
                && !Plan::new(desired, observed).waiting().eq(waiting.iter().copied())
            {
                return Ok(true);
            }
            if self.engine.now() >= deadline {
                break;
            }
            if self.engine.turn(Some(deadline))? == Turn::Cancelled {
                return Err(ApplyError::Cancelled(Box::default()));
            }
        }
        Ok(false)
    }

    /// Sends the steps of a plan once, in their order, and tells the kernel's answer to each.
    /// Nothing is repeated, verified or kept.
    pub fn send(&mut self, plan: &Plan) -> Result<Vec<Attempt>, ApplyError> {
        self.sync()?;
        let now = self.engine.now();
        self.engine.host_mut().set_steps(now, &plan.steps);
        let mut report = ApplyReport::default();
        while !self.engine.host().is_settled() {
            let now = self.engine.now();
            if self.work(now)? == Turn::Cancelled {
                self.halt(&mut report)?;
                return Err(ApplyError::Cancelled(Box::new(report)));
            }
            self.collect(&mut report.attempts);
        }
        Ok(report.attempts)
    }

    /// The way back from whatever applying `desired` would come to; or what of it could not be
    /// undone.
    pub fn way_back(
        &mut self,
        desired: &Desired,
    ) -> Result<Result<Undo, Vec<Irrevocable>>, ApplyError> {
        // Whatever the plan, all is known that there was.
        self.read_all(desired, desired.tables().and(Undo::tables()))?;
        let plan = Plan::new(desired, self.engine.host().network());
        Ok(Undo::new(desired, self.engine.host().network(), &plan))
    }

    /// Goes back to where a plan began, in as many rounds as that takes; whether it got there.
    pub fn undo(&mut self, undo: &Undo) -> Result<bool, ApplyError> {
        self.engine.follow(Undo::tables())?;
        for _ in 0..APPLY_ROUNDS_MAX {
            self.read_anew()?;
            let plan = undo.steps(self.engine.host().network());
            if plan.is_empty() {
                return Ok(true);
            }
            self.send(&plan)?;
        }
        Ok(false)
    }

    /// Reads the tables, whatever the notifications told: not all that changes is announced.
    fn read_anew(&mut self) -> Result<(), ApplyError> {
        let now = self.engine.now();
        self.engine.host_mut().read_anew(now);
        self.sync()
    }

    /// The network as it was last read; without routes where those were not needed.
    pub fn observed(&self) -> &Network {
        self.engine.host().network()
    }

    /// The netlink port id of its requests, by which a listener tells its changes from others'
    /// (nl_pid in netlink(7); not a process id).
    pub fn port(&self) -> u32 {
        self.engine.port()
    }

    /// Sends that many changes, counted from the first, and no more: an [`apply`](Self::apply)
    /// ends with the answer to the last of them. The tests of a crash stop at each change so.
    #[doc(hidden)]
    pub fn halt_after(&mut self, changes: u64) {
        self.engine.host_mut().halt_after(changes);
    }

    /// Ends an `apply` between two batches, from another thread.
    pub fn canceller(&self) -> Canceller {
        self.engine.canceller()
    }

    /// How far it has got, for another thread to look at while an `apply` is under way.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.engine.host().counters()
    }

    /// One turn of an apply.
    fn work(&mut self, now: Instant) -> Result<Turn, EngineError> {
        // With nothing in flight no completion would end a wait: the next turn is for planning,
        // or for what is to be tried again at a time.
        let host = self.engine.host();
        let deadline = (!host.is_busy()).then(|| host.poll_timeout().unwrap_or(now));
        self.engine.turn(deadline)
    }

    fn collect(&mut self, attempts: &mut Vec<Attempt>) {
        while let Some(told) = self.engine.host_mut().poll_report() {
            if let Report::Attempted(attempt) = told {
                // To move them each time that their room doubles would keep the kernel waiting.
                if attempts.len() == attempts.capacity() {
                    attempts.reserve(1 + self.engine.host().changes_left());
                }
                attempts.push(*attempt);
                self.progress.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends nothing more, and waits for the answers to what has been sent: the kernel makes those
    /// changes all the same, so the report must have them.
    fn halt(&mut self, report: &mut ApplyReport) -> Result<(), EngineError> {
        self.engine.host_mut().halt();
        while self.engine.host().is_busy() {
            // Another cancel asks for what is being done.
            self.engine.turn(None)?;
        }
        self.collect(&mut report.attempts);
        self.make_known()
    }

    /// Reads what was made and nobody has heard of yet, for the report.
    fn make_known(&mut self) -> Result<(), EngineError> {
        if self.engine.host().is_deaf() {
            let now = self.engine.now();
            self.engine.host_mut().read_anew(now);
            while !self.engine.host().is_synced() {
                self.engine.turn(None)?;
            }
        }
        Ok(())
    }

    fn conclude(&self, desired: &Desired, report: &mut ApplyReport) {
        let host = self.engine.host();
        let compared = || Plan::new(desired, host.network());
        report.remaining = host.remaining().unwrap_or_else(compared);
        report.converged = report.remaining.is_empty();
    }

    fn sync(&mut self) -> Result<(), ApplyError> {
        let now = self.engine.now();
        self.engine.host_mut().release_routes(now);
        self.turn_until(Host::is_synced)
    }

    fn turn_until(&mut self, is_read: impl Fn(&Host) -> bool) -> Result<(), ApplyError> {
        if !self.engine.catch_up()? {
            return Err(ApplyError::Cancelled(Box::default()));
        }
        while !(is_read(self.engine.host()) && self.engine.host().knows_namespaces()) {
            if self.engine.turn(None)? == Turn::Cancelled {
                return Err(ApplyError::Cancelled(Box::default()));
            }
        }
        Ok(())
    }
}
