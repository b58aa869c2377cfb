//! A watcher whose mirror and events are held against `ip`.

use std::time::{Duration, Instant};

use ringlink::model::object::Event;
use ringlink::{Batch, Wake, Watcher, WatcherBuilder};

use super::slowness;
use super::state::{EventFold, at_rest, from_ip, from_network};

/// How long the mirror may take to become true once the namespace is at rest,
/// and longer on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many events are kept for the test to look at.
const EVENTS_MAX: usize = 10_000;

/// A watcher, and what its events add up to.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) watcher: Watcher,
    pub(crate) fold: EventFold,
    /// What came since the test last emptied it.
    pub(crate) events: Vec<Event>,
    /// Which lines of `ip` the watcher's filter wants.
    wants: fn(&str) -> bool,
}

impl Mirror {
    /// In the network namespace of this thread; what is there has been read.
    pub(crate) fn open(builder: WatcherBuilder) -> Self {
        Self::open_filtered(builder, |_| true)
    }

    /// The same, of a watcher that wants those lines of `ip` alone.
    pub(crate) fn open_filtered(builder: WatcherBuilder, wants: fn(&str) -> bool) -> Self {
        let watcher = builder.open().expect("a ring");
        let mut mirror = Self { watcher, fold: EventFold::default(), events: Vec::new(), wants };
        mirror.settle();
        mirror
    }

    /// Waits once, for so long at most.
    pub(crate) fn turn(&mut self, timeout: Duration) -> Wake {
        let mut batch = Batch::default();
        let deadline = Instant::now() + timeout;
        let wake = self.watcher.next_before(&mut batch, Some(deadline)).expect("it goes on");
        self.take(&batch);
        wake
    }

    fn take(&mut self, batch: &Batch) {
        for event in batch {
            self.fold.take(event);
            if self.events.len() < EVENTS_MAX {
                self.events.push(event.clone());
            }
        }
    }

    /// Reads until nothing more comes.
    fn settle(&mut self) {
        loop {
            let wake = self.turn(Duration::from_millis(100));
            let mut batch = Batch::default();
            if wake == Wake::Deadline && self.watcher.sync(&mut batch).expect("it goes on") {
                return self.take(&batch);
            }
        }
    }

    /// Waits until the mirror and its events agree with `ip`, which must be soon after the rest.
    pub(crate) fn becomes_true(&mut self) {
        let patience = PATIENCE * slowness();
        let deadline = Instant::now() + patience;
        loop {
            let before = at_rest(patience);
            self.settle();
            let told = from_network(self.watcher.observed());
            let is_sum = &self.fold.network == self.watcher.observed();
            assert!(is_sum, "the events do not add up to the mirror");
            if from_ip() == before {
                let wanted = before.retain(self.wants);
                if told == wanted {
                    return;
                }
                let difference = told.difference(&wanted, "in the mirror", "in ip");
                assert!(Instant::now() < deadline, "the mirror is not true:\n{difference}");
            }
        }
    }
}
