//! A watcher on a thread of its own, and a bounded queue to its reader.
//!
//! The thread reads at the kernel's pace. A reader that falls too far behind does not make the
//! queue grow: its events give way to the differences between what it has read and what is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Batch, Wake, WatchError, Watcher, WatcherBuilder};
use crate::engine::{Deadline, EngineError, EngineThread};
use crate::limits::EVENTS_QUEUED_MAX;
use crate::model::network::Network;
use crate::model::object::{Cause, Event, NetnsId, What};
use crate::ring::{Doorbell, DoorbellHandle};

/// Reads a watcher that runs on a thread of its own. Any thread may hold it. Dropping it ends
/// the watcher and waits for its thread.
#[derive(Debug)]
pub struct WatcherHandle {
    shared: Arc<Shared>,
    doorbell: Doorbell,
    thread: Option<EngineThread>,
    /// How it ended, once it has.
    ended: Option<WatchError>,
    last_seq: u64,
}

/// The lock is held for moments only.
#[derive(Debug, Default)]
struct Shared(Mutex<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    events: Vec<Event>,
    /// Whether what came after the events is to be had as differences, and is not queued.
    has_collapsed: bool,
    /// Whether the reader asks for the differences.
    is_behind: bool,
    is_stopping: bool,
    has_ended: bool,
}

/// What the reader knows of each namespace.
type Views = BTreeMap<NetnsId, Network>;

impl Shared {
    /// A panic while it was held leaves plain values, each whole.
    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Opens a watcher on a thread of its own, in the network namespace of this one unless the
    /// builder says otherwise, and returns once it is open.
    ///
    /// Between it and its reader stands a queue of at most 8,192 events. Where that overflows, the
    /// queue is dropped, and the reader's next events are a
    /// [`Resync`](crate::model::object::What::Resync) of each namespace that differs from what it
    /// has read, and then exactly the differences.
    pub fn spawn(builder: WatcherBuilder) -> Result<WatcherHandle, WatchError> {
        let doorbell = Doorbell::new().map_err(EngineError::from)?;
        let shared = Arc::<Shared>::default();
        let (server, ending) = (Arc::clone(&shared), Arc::clone(&shared));
        let thread = EngineThread::spawn(
            builder.options,
            doorbell.handle(),
            move |engine, doorbell| {
                let watcher = Watcher { engine, was_cancelled: false };
                Server { watcher, shared: &server, doorbell, views: None }.serve()
            },
            move || ending.lock().has_ended = true,
        )?;
        Ok(WatcherHandle { shared, doorbell, thread: Some(thread), ended: None, last_seq: 0 })
    }
}

impl WatcherHandle {
    /// Waits for events and puts them into `batch`, in place of what it held; without a timeout
    /// until some come. After an error every call gives that error.
    pub fn next(
        &mut self,
        batch: &mut Batch,
        timeout: Option<Duration>,
    ) -> Result<Wake, WatchError> {
        batch.events.clear();
        let deadline = timeout.map(Deadline::after);
        loop {
            let mut mailbox = self.shared.lock();
            if !mailbox.events.is_empty() {
                std::mem::swap(&mut mailbox.events, &mut batch.events);
                drop(mailbox);
                for event in &mut batch.events {
                    self.last_seq += 1;
                    event.seq = self.last_seq;
                }
                return Ok(Wake::Events);
            }
            let has_ended = mailbox.has_ended;
            let asks = mailbox.has_collapsed && !mailbox.is_behind && !has_ended;
            mailbox.is_behind |= asks;
            drop(mailbox);
            if has_ended {
                return Err(self.end());
            }
            if let Some(thread) = self.thread.as_ref().filter(|_| asks) {
                thread.canceller.cancel();
            }
            let left = deadline.as_ref().map(Deadline::left);
            // Neither a signal nor an error of the wait ends it before its time.
            let is_rung = self.doorbell.wait(left).unwrap_or(false);
            if !is_rung && left == Some(Duration::ZERO) {
                return Ok(Wake::Deadline);
            }
        }
    }

    /// How the thread ended, which it does by itself by an error alone.
    fn end(&mut self) -> WatchError {
        let joined = self.thread.take().map(EngineThread::join);
        if let Some(Err(error)) = joined {
            self.ended = Some(WatchError(error));
        }
        self.ended.clone().unwrap_or(WatchError(EngineError::Panicked))
    }
}

impl Drop for WatcherHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.shared.lock().is_stopping = true;
            thread.canceller.cancel();
            // Its result has no one left to read it.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Server<'a> {
    watcher: Watcher,
    shared: &'a Shared,
    doorbell: &'a DoorbellHandle,
    /// What the reader knew when the queue overflowed.
    views: Option<Views>,
}

impl Server<'_> {
    fn serve(mut self) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        loop {
            match self.watcher.next(&mut batch).map_err(|error| error.0)? {
                Wake::Events => self.queue(&mut batch),
                Wake::Cancelled if self.obey() => return Ok(()),
                _ => {}
            }
        }
    }

    /// Puts events where the reader finds them, or where they are too many, notes what it knew.
    fn queue(&mut self, batch: &mut Batch) {
        if self.views.is_some() {
            return;
        }
        let mut mailbox = self.shared.lock();
        if mailbox.events.len() + batch.len() > EVENTS_QUEUED_MAX {
            let queued = std::mem::take(&mut mailbox.events);
            mailbox.has_collapsed = true;
            drop(mailbox);
            self.views = Some(self.known_before(&queued, batch));
        } else {
            if mailbox.events.is_empty() {
                std::mem::swap(&mut mailbox.events, &mut batch.events);
            } else {
                mailbox.events.append(&mut batch.events);
            }
            drop(mailbox);
        }
        self.watcher.engine.ring_doorbell(self.doorbell);
    }

    /// What is known now less the events that the reader has not read.
    fn known_before(&self, queued: &[Event], batch: &Batch) -> Views {
        let networks = self.watcher.networks();
        let mut views: Views = networks.map(|(id, network)| (id, network.clone())).collect();
        for event in queued.iter().chain(batch).rev() {
            match &event.what {
                // What was in it is of no more interest, but that it has gone is.
                What::NetnsRemoved => drop(views.insert(event.netns, Network::default())),
                What::NetnsAdded { .. } => drop(views.remove(&event.netns)),
                what => views.entry(event.netns).or_default().unfold(what),
            }
        }
        views
    }

    /// Does what the handle asks for; `true` where it is to end.
    fn obey(&mut self) -> bool {
        let mut mailbox = self.shared.lock();
        if mailbox.is_stopping {
            return true;
        }
        if !std::mem::take(&mut mailbox.is_behind) {
            return false;
        }
        drop(mailbox);
        let events = self.views.take().map(|views| self.differences(&views)).unwrap_or_default();
        let mut mailbox = self.shared.lock();
        mailbox.has_collapsed = false;
        mailbox.events = events;
        drop(mailbox);
        self.watcher.engine.ring_doorbell(self.doorbell);
        false
    }

    /// The events that lead from what the reader knows to what is.
    fn differences(&self, views: &Views) -> Vec<Event> {
        let mut events = Vec::new();
        let mut tell = |netns, what| {
            events.push(Event { seq: 0, netns, cause: Cause::Dump, sender: 0, what });
        };
        let now: BTreeMap<_, _> = self.watcher.networks().collect();
        for id in views.keys().filter(|id| !now.contains_key(id)) {
            tell(*id, What::NetnsRemoved);
        }
        let nothing = Network::default();
        for (id, network) in now {
            let known = views.get(&id);
            if let Some(name) = self.watcher.netns_name(id).filter(|_| known.is_none()) {
                tell(id, What::NetnsAdded { name: name.to_owned() });
            }
            let mut is_first = true;
            known.unwrap_or(&nothing).differences(network, &mut |what| {
                if std::mem::take(&mut is_first) {
                    tell(id, What::Resync { dropped: 0 });
                }
                tell(id, what);
            });
        }
        events
    }
}
