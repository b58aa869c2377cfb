//! Reads the network: every change as an event, and the state that the events add up to.

mod spawned;

use std::time::Instant;

pub use self::spawned::WatcherHandle;
use crate::engine::{Canceller, Engine, EngineError, Options, Turn};
use crate::host::Counters;
use crate::model::filter::Filter;
use crate::model::network::{Network, Tables};
use crate::model::object::{Event, NetnsId};
use crate::ring::Netns;

/// Follows the links, addresses and routes of a network namespace, its thread's unless the builder
/// says otherwise, and of any number of others that are added; and more tables where they are
/// [asked for](WatcherBuilder::tables).
///
/// A watcher belongs to the thread that opened it; its builder can be sent to another one. The
/// first events are those of the state as it is found.
///
/// ```no_run
/// use ringlink::{Batch, Watcher};
///
/// let mut watcher = Watcher::builder().open()?;
/// let mut batch = Batch::default();
/// loop {
///     watcher.next(&mut batch)?;
///     for event in batch.iter() {
///         println!("{event:?}");
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), ringlink::WatchError>(())
/// ```
#[derive(Debug)]
pub struct Watcher {
    engine: Engine,
    /// A cancellation that came together with events is told after them.
    was_cancelled: bool,
}

/// How to open a [`Watcher`].
#[derive(Debug, Clone, Default)]
pub struct WatcherBuilder {
    options: Options,
}

/// The events of one wait; reused from wait to wait.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) events: Vec<Event>,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// The batch holds at least one event.
    Events,
    /// [`Canceller::cancel`] was called; the next wait goes on with the next notification.
    Cancelled,
    /// The deadline passed.
    Deadline,
}

/// Watching cannot start, or cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct WatchError(#[from] pub EngineError);

impl WatcherBuilder {
    /// The receive buffer to ask for, in bytes; 8 MiB unless set. A larger one makes overruns
    /// rarer and never replaces a resync. Without CAP_NET_ADMIN in the initial user namespace
    /// `net.core.rmem_max` caps it.
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.options.receive_buffer_bytes = bytes;
        self
    }

    /// The network namespace to watch, in place of the thread's own. It needs CAP_SYS_ADMIN, here
    /// and in the namespace's owner (setns(2)).
    #[must_use]
    pub fn netns(mut self, netns: Netns) -> Self {
        self.options.netns = Some(netns);
        self
    }

    /// Watches every namespace that has a name in `/run/netns` too, as they come and go, and lets
    /// go of one whose name has gone: an open socket would keep it alive. Needs what
    /// [`netns`](Self::netns) needs; one that cannot be watched is an error here, and logged later.
    #[must_use]
    pub fn all_netns(mut self) -> Self {
        self.options.follows_names = true;
        self
    }

    /// What to watch, in every namespace; everything unless set. The kernel holds back what the
    /// filter does not want, so that costs the watcher nothing.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.options.filter = filter;
        self
    }

    /// Which tables to follow; links, addresses and routes unless set. Only these are read, but
    /// for those that they stand on (see [`Tables`]).
    #[must_use]
    pub fn tables(mut self, tables: Tables) -> Self {
        self.options.tables = tables;
        self
    }

    /// Joins these groups too (RTNLGRP_* of `linux/rtnetlink.h`), and tells every message of a
    /// type that the library does not read as [`What::Raw`](crate::model::object::What::Raw),
    /// one allocation each. Opening fails where the kernel has no such group.
    #[must_use]
    pub fn raw_groups(mut self, groups: &[u32]) -> Self {
        self.options.raw_groups.extend(groups);
        self
    }

    /// Makes the ring one that can be polled for readiness.
    #[cfg(feature = "aio")]
    pub(crate) fn pollable(mut self) -> Self {
        self.options.pollable = true;
        self
    }

    /// Opens the ring and the sockets, on this thread.
    pub fn open(self) -> Result<Watcher, WatchError> {
        let engine = Engine::open(&self.options)?;
        Ok(Watcher { engine, was_cancelled: false })
    }
}

impl Watcher {
    /// A builder with the defaults.
    pub fn builder() -> WatcherBuilder {
        WatcherBuilder::default()
    }

    /// Waits for events and puts them into `batch`, in place of what it held.
    ///
    /// Errors and data come in one order through this one door. After an error the watcher is
    /// of no more use; drop it and open another.
    pub fn next(&mut self, batch: &mut Batch) -> Result<Wake, WatchError> {
        self.next_before(batch, None)
    }

    /// The same, until `deadline` at the latest.
    pub fn next_before(
        &mut self,
        batch: &mut Batch,
        deadline: Option<Instant>,
    ) -> Result<Wake, WatchError> {
        batch.events.clear();
        if std::mem::take(&mut self.was_cancelled) {
            return Ok(Wake::Cancelled);
        }
        loop {
            let turn = self.engine.turn(deadline)?;
            self.engine.poll_events(&mut batch.events);
            let is_cancelled = turn == Turn::Cancelled;
            if !batch.events.is_empty() {
                self.was_cancelled = is_cancelled;
                return Ok(Wake::Events);
            }
            if is_cancelled {
                return Ok(Wake::Cancelled);
            }
            if deadline.is_some_and(|deadline| deadline <= self.engine.now()) {
                return Ok(Wake::Deadline);
            }
        }
    }

    /// Waits until the state is read whole: at the start, and after lost notifications. The
    /// events that this brings are added to `batch`. `false` where it was cancelled.
    pub fn sync(&mut self, batch: &mut Batch) -> Result<bool, WatchError> {
        while !self.engine.is_synced() {
            if std::mem::take(&mut self.was_cancelled) {
                return Ok(false);
            }
            self.was_cancelled = self.engine.turn(None)? == Turn::Cancelled;
            self.engine.poll_events(&mut batch.events);
        }
        Ok(true)
    }

    /// Whether the state is read whole, and nothing was lost since: [`sync`](Self::sync) would
    /// return at once.
    pub fn is_synced(&self) -> bool {
        self.engine.is_synced()
    }

    /// Watches what `filter` wants from now on, and misses nothing over it.
    ///
    /// The tables are read anew. What is wanted no more is told as deleted, of cause
    /// [`Cause::Filter`](crate::model::object::Cause::Filter), and what is wanted anew as new;
    /// [`sync`](Self::sync) waits until that is done.
    pub fn set_filter(&mut self, filter: &Filter) {
        self.engine.set_filter(filter);
    }

    /// The network as the events delivered so far tell it, of the namespace that the watcher was
    /// opened in.
    pub fn observed(&self) -> &Network {
        self.engine.host().network()
    }

    /// The same of any namespace that is watched.
    pub fn observed_in(&self, netns: NetnsId) -> Option<&Network> {
        let found = self.networks().find(|(id, _)| *id == netns);
        found.map(|(_, network)| network)
    }

    /// How a namespace was named when it was added; none for the one that the watcher was opened
    /// in.
    pub fn netns_name(&self, netns: NetnsId) -> Option<&str> {
        self.engine.netns_name(netns)
    }

    /// All namespaces that are watched, the one that the watcher was opened in first.
    pub fn networks(&self) -> impl Iterator<Item = (NetnsId, &Network)> {
        self.engine.hosts().map(|(id, host)| (id, host.network()))
    }

    /// Watches one more namespace, on the same ring and thread. Its events carry the number that
    /// is returned; the first of them is [`NetnsAdded`](crate::model::object::What::NetnsAdded).
    pub fn add(&mut self, netns: &Netns) -> Result<NetnsId, WatchError> {
        Ok(self.engine.add(netns)?)
    }

    /// Watches a namespace no more, and holds nothing of it open a moment later. `false` for one
    /// that is not watched, and for the one that the watcher was opened in.
    pub fn remove(&mut self, netns: NetnsId) -> bool {
        self.engine.remove(netns)
    }

    /// Ends a wait from another thread.
    pub fn canceller(&self) -> Canceller {
        self.engine.canceller()
    }

    /// What was counted so far, over all namespaces that are watched.
    pub fn counters(&self) -> Counters {
        self.engine.hosts().map(|(_, host)| host.counters()).sum()
    }

    /// What the ring counted so far.
    pub fn ring_counters(&self) -> crate::ring::Counters {
        self.engine.ring().counters()
    }

    #[cfg(feature = "aio")]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Batch {
    /// The events, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.events.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the events out.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
