//! The host as we know it: mirror, conversation and reconciler of one network namespace, joined.
//!
//! Pure: datagrams come in as bytes, requests go out as bytes, time is an argument. The engine
//! drives it with a ring, the tests with a kernel of their own.

mod batches;
mod counters;
mod doubt;
mod looks;
mod mirror;
mod namespaces;
mod orders;
mod receive;
mod silence;
#[cfg(test)]
mod sim;
mod sysctls;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use self::batches::Ahead;
pub use self::counters::Counters;
use self::mirror::Mirror;
use crate::limits::{DOUBT_DELAY, SILENT_REREAD};
use crate::model::filter::Filter;
use crate::model::network::{Network, Table, Tables};
use crate::model::object::Event;
use crate::plan::Plan;
use crate::reconcile::{Outcome, Reconcile, Report};
pub(crate) use crate::session::Opened;
use crate::session::{DumpStep, Dumps, Looks, Namespaces, Requests, Sequence};
use crate::wire::view::messages;

/// Which of the two sockets a datagram came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The one that joined the groups.
    Events,
    /// The one that asks.
    Replies,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transmit {
    Nothing,
    /// A datagram that the kernel is done with at once.
    Short,
    /// A datagram that it may take milliseconds for.
    Long,
}

/// The tables could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DumpFailed {
    pub(crate) errno: i32,
}

/// One network namespace, watched and, with a declared state, kept.
#[derive(Debug)]
pub(crate) struct Host {
    mirror: Mirror,
    dumps: Dumps,
    looks: Looks,
    requests: Requests,
    ahead: Ahead,
    /// What came of a batch that another one had to follow first.
    answered: Option<std::vec::IntoIter<Outcome>>,
    /// What the notifications may take of the event socket's buffer, of the batches that were sent
    /// since that was last read empty.
    unread_bytes: usize,
    /// Whether the kernel holds back the news of the routes that are made here.
    holds_back: bool,
    namespaces: Namespaces,
    sequence: Sequence,
    reconcile: Option<Reconcile>,
    /// How many datagrams are being sent. A batch that the kernel has not taken yet could come
    /// after the next one.
    sending: u32,
    /// Whether a batch was answered and what it caused may still be queued at the event socket.
    settling: bool,
    /// Whether that was a change by files, after which another one may follow at once.
    writing: bool,
    /// Whether a dump that may skip is at its end, and the notifications that were queued by then
    /// are still to be read: they alone tell that it may have skipped something.
    judging: bool,
    /// Whether the mirror has been whole since the last loss.
    synced: bool,
    keeps_events: bool,
    /// Whether messages that are not read are handed out as they came.
    keeps_raw: bool,
    events: Vec<Event>,
    /// How many of them the reconciler has heard.
    heard: usize,
    reports: VecDeque<Report>,
    counters: Counters,
    /// What the event socket really holds; batches are cut to it.
    receive_buffer_bytes: usize,
    /// In mode `Once`: the changes that had been sent when the tables were last read whole.
    verified: Option<u64>,
    /// Whether no more changes are sent, until there is something else to be reached.
    halted: bool,
    /// The count of changes at which no more are sent.
    changes_max: u64,
    /// The port id that the requests are sent from.
    own_port: u32,
    /// When to read the tables if something is still in doubt.
    doubt_until: Option<Instant>,
    /// Whether that time has come, and what is queued at the event socket may still settle it.
    doubting: bool,
    failed: Option<DumpFailed>,
    /// How often what is declared and not announced is read again.
    silent_reread: Duration,
}

impl Host {
    /// A host of which nothing is known yet. `keeps_events` is whether someone reads them.
    pub(crate) fn new(now: Instant, keeps_events: bool, receive_buffer_bytes: usize) -> Self {
        let mut dumps = Dumps::new(Tables::default());
        dumps.start(now);
        Self {
            mirror: Mirror::new(Tables::default()),
            dumps,
            looks: Looks::default(),
            requests: Requests::default(),
            ahead: Ahead::default(),
            answered: None,
            unread_bytes: 0,
            holds_back: false,
            namespaces: Namespaces::default(),
            sequence: Sequence::default(),
            reconcile: None,
            sending: 0,
            settling: false,
            writing: false,
            judging: false,
            synced: false,
            keeps_events,
            keeps_raw: false,
            events: Vec::new(),
            heard: 0,
            reports: VecDeque::new(),
            counters: Counters::default(),
            receive_buffer_bytes,
            verified: None,
            halted: false,
            changes_max: u64::MAX,
            own_port: 0,
            doubt_until: None,
            doubting: false,
            failed: None,
            silent_reread: SILENT_REREAD,
        }
    }

    /// The same, of these tables and what they stand on; `keeps_raw` is whether messages that
    /// are not read are handed out as they came.
    pub(crate) fn following(mut self, now: Instant, tables: Tables, keeps_raw: bool) -> Self {
        let tables = tables.with_what_they_stand_on();
        self.mirror = Mirror::new(tables);
        self.dumps = Dumps::new(tables);
        self.dumps.start(now);
        self.keeps_raw = keeps_raw;
        self
    }

    /// From now on that is what is watched; the event socket passes it, and perhaps more. What is
    /// wanted no more leaves the mirror now, and the tables are read anew.
    pub(crate) fn set_filter(&mut self, now: Instant, filter: Filter) {
        self.synced = false;
        self.dumps.set_filter(filter.clone());
        self.mirror.set_filter(filter, &mut |event| self.events.push(event));
        self.tell(now);
    }

    /// From now on these tables are followed, whose groups the event socket has joined; all are
    /// read anew.
    pub(crate) fn follow(&mut self, now: Instant, tables: Tables) {
        let tables = tables.with_what_they_stand_on();
        self.synced = false;
        self.dumps.follow(tables);
        self.mirror.follow(tables);
        self.tell(now);
    }

    /// Until the tables are known the routes come last, and only when released. A reading that goes
    /// on for other reasons is not held: nobody would release them.
    pub(crate) fn hold_routes(&mut self) {
        if !self.synced {
            self.dumps.hold_routes();
        }
    }

    /// Whether all is read but the routes, which are held: it is not synced then.
    pub(crate) fn is_held(&self) -> bool {
        self.dumps.is_held()
    }

    /// The routes are read as all else is.
    pub(crate) fn release_routes(&mut self, now: Instant) {
        self.dumps.release_routes(now);
    }

    /// Does without the routes that are held, until they are followed again; whether they were.
    pub(crate) fn spare_routes(&mut self, now: Instant) -> bool {
        let is_spared = self.dumps.spare_routes();
        if is_spared {
            self.mirror.spare_routes();
            self.after_dump(now, DumpStep::Finished);
        }
        is_spared
    }

    /// Whether something may have changed that nobody told of, and is still to be read.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.mirror.is_in_doubt()
    }

    /// Whether everything that was to be sent has been, and was answered.
    pub(crate) fn is_settled(&self) -> bool {
        let is_settled = |reconcile: &Reconcile| reconcile.is_settled();
        let is_certain = self.synced && !self.mirror.is_in_doubt();
        is_certain
            && !self.is_busy()
            && self.looks.is_idle()
            && self.namespaces.is_known()
            && self.reconcile.as_ref().is_none_or(is_settled)
    }

    /// A datagram that came by one of the sockets; `sender` is its port id, 0 for the kernel.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        source: Source,
        sender: u32,
        truncated: bool,
        bytes: &[u8],
    ) {
        if sender != 0 {
            self.counters.forged += 1;
            return;
        }
        if truncated {
            self.counters.truncated += 1;
            match source {
                Source::Events => self.handle_lost(0),
                Source::Replies => self.handle_replies_lost(now),
            }
            return;
        }
        let is_heard = self.keeps_events || self.reconcile.is_some() || !self.namespaces.is_empty();
        let hears = |it: &Reconcile| self.synced || it.hears_readings();
        let are_routes_heard = self.keeps_events || self.reconcile.as_ref().is_some_and(hears);
        self.mirror.set_heard(is_heard, are_routes_heard);
        for message in messages(bytes) {
            let Ok(message) = message else {
                self.counters.malformed += 1;
                break;
            };
            self.counters.messages += 1;
            match source {
                Source::Events => self.handle_notification(&message),
                Source::Replies => self.handle_reply(now, &message),
            }
        }
        self.note_doubt(now);
        self.tell(now);
    }

    /// The event socket was overrun; the kernel says it dropped that many datagrams.
    pub(crate) fn handle_lost(&mut self, dropped: u64) {
        self.counters.overruns += 1;
        self.counters.dropped += dropped;
        self.synced = false;
        self.withdraw();
        self.dumps.handle_lost();
        self.mirror.lost(dropped, &mut |event| self.events.push(event));
        if self.reconcile.is_some() {
            self.reports.push_back(Report::Resync { dropped });
        }
    }

    /// Replies did not fit the socket of requests, or their buffer.
    pub(crate) fn handle_replies_lost(&mut self, now: Instant) {
        self.dumps.handle_replies_lost();
        self.looks.handle_replies_lost();
        self.requests.handle_replies_lost();
        self.ask_nsids_again(now);
    }

    /// The event socket has been read empty.
    pub(crate) fn handle_drained(&mut self, now: Instant) {
        (self.settling, self.writing) = (false, false);
        let was_lost = self.dumps.is_draining();
        if std::mem::take(&mut self.judging) {
            // Where that brings a loss to light, the socket has not been read empty since.
            self.judge_dump(now, 0);
        }
        if was_lost {
            self.dumps.handle_drained(now);
        }
        // What is being read may settle it.
        let is_due = std::mem::take(&mut self.doubting) && self.dumps.is_idle();
        if is_due && self.mirror.settle_doubt() {
            self.dumps.start(now);
        }
    }

    /// The latest batch or dump request was sent, or could not be.
    pub(crate) fn handle_sent(&mut self, now: Instant, result: Result<(), i32>) {
        self.sending = self.sending.saturating_sub(1);
        let Err(errno) = result else { return };
        if self.requests.is_busy() {
            let outcomes = self.requests.fail(errno);
            self.handle_answered(now, outcomes);
        } else if !self.dumps.is_quiet() {
            self.judge_dump(now, errno);
        } else {
            self.looks.handle_replies_lost();
            self.ask_nsids_again(now);
        }
    }

    /// Whether the event socket must be read empty before anything else: after a loss, since a
    /// dump must come after what is queued; after an answer, since the notifications of what it
    /// confirms are queued by then, and until they are read the state seems not to be as wanted;
    /// at the end of a dump that may skip, which they may have disturbed; and before a doubt leads
    /// to a reading, however late this thread comes to read.
    pub(crate) fn is_draining(&self) -> bool {
        self.dumps.is_draining() || self.settling || self.judging || self.doubting
    }

    /// Whether notifications were lost, and the tables are still to be read anew.
    pub(crate) fn is_recovering(&self) -> bool {
        self.dumps.is_draining()
    }

    /// Whether a dump is on its way that has not been in vain so far.
    pub(crate) fn is_reading(&self) -> bool {
        self.dumps.is_reading()
    }

    /// What is to be sent now; `buffer` is empty and gets it. With [`handle_sent`] the caller says
    /// what came of it.
    ///
    /// [`handle_sent`]: Self::handle_sent
    pub(crate) fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> Transmit {
        self.take_looks(now);
        self.note_looked();
        let transmit = self.next_datagram(now, buffer);
        self.sending += u32::from(transmit != Transmit::Nothing);
        transmit
    }

    fn next_datagram(&mut self, now: Instant, buffer: &mut BytesMut) -> Transmit {
        if self.request_dump(now, buffer) || self.request_nsids(now, buffer) {
            return Transmit::Short;
        }
        let batch = self.next_batch(now, buffer);
        if batch != Transmit::Nothing {
            return batch;
        }
        if self.can_send() && self.request_looks(now, buffer) {
            return Transmit::Short;
        }
        // Only now, since filling the batch may have come to what is to be read first.
        let is_due = self.can_send() && self.reconcile.as_mut().is_some_and(|it| it.poll_reading());
        if is_due {
            self.verified = Some(self.counters.changes);
            self.synced = false;
            self.dumps.start(now);
        }
        if is_due && self.request_dump(now, buffer) { Transmit::Short } else { Transmit::Nothing }
    }

    fn request_dump(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let request = self.dumps.poll_request(now, &mut self.sequence, buffer);
        let Some((table, goes_on)) = request else {
            return false;
        };
        self.counters.dumps += 1;
        if goes_on {
            self.mirror.dump_goes_on();
        } else {
            self.mirror.dump_begins(table);
            // Growing step by step, the table would be moved and hashed anew each time.
            if let (Table::Routes, Some(reconcile)) = (table, &self.reconcile) {
                self.mirror.expect_routes(reconcile.routes_len());
            }
        }
        true
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing comes before.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let retry = self
            .reconcile
            .as_ref()
            .filter(|_| self.can_send())
            .and_then(|reconcile| reconcile.poll_timeout());
        let doubt = self.doubt_until.filter(|_| self.dumps.is_idle());
        let dump = self.dumps.poll_timeout().filter(|_| !self.judging);
        let looks = self.looks.poll_timeout();
        let namespaces = self.namespaces.poll_timeout();
        let timeouts = [dump, self.requests.poll_timeout(), retry, doubt, looks, namespaces];
        timeouts.into_iter().flatten().min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.requests.poll_timeout().is_some_and(|deadline| deadline <= now) {
            let outcomes = self.requests.expire();
            self.handle_answered(now, outcomes);
        }
        if self.looks.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.looks.handle_replies_lost();
        }
        for (number, known) in self.namespaces.handle_timeout(now) {
            self.note_netns(now, number, known);
        }
        // One that is at its end is not late.
        let late = if self.judging { None } else { self.dumps.expire(now) };
        if let Some(step) = late {
            self.after_dump(now, step);
        }
        if self.dumps.is_idle() && self.doubt_until.is_some_and(|at| at <= now) {
            self.doubt_until = None;
            self.doubting = true;
        }
    }

    /// In mode `Once`: whether all is done that can be, and verified by a whole reading after
    /// the last change. Starts that reading where it is due.
    pub(crate) fn is_done(&mut self, now: Instant) -> bool {
        if !self.is_settled() {
            return false;
        }
        if self.counters.changes == self.verified.unwrap_or(0) {
            return true;
        }
        self.verified = Some(self.counters.changes);
        self.synced = false;
        self.dumps.start(now);
        false
    }

    /// What still differs; `None` until all has been compared.
    pub(crate) fn remaining(&self) -> Option<Plan> {
        let reconcile = self.reconcile.as_ref().filter(|_| self.is_settled())?;
        Some(reconcile.remaining(self.network()))
    }

    /// Whether the mirror lacks what was made, until it is read.
    pub(crate) fn is_deaf(&self) -> bool {
        self.reconcile.as_ref().is_some_and(Reconcile::is_deaf_to_own_routes)
    }

    /// Reads the tables, as after a loss.
    pub(crate) fn read_anew(&mut self, now: Instant) {
        self.reconcile.iter_mut().for_each(Reconcile::hear);
        self.synced = false;
        self.dumps.release_routes(now);
        self.dumps.start(now);
    }

    /// Whether the mirror is whole.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether every declared object is as declared.
    pub(crate) fn is_converged(&self) -> bool {
        self.synced && self.reconcile.as_ref().is_some_and(Reconcile::is_converged)
    }

    /// How many objects are fought over.
    pub(crate) fn conflicts(&self) -> usize {
        self.reconcile.as_ref().map_or(0, Reconcile::conflicts)
    }

    /// Whether an answer is awaited: something other than a notification will come.
    pub(crate) fn is_busy(&self) -> bool {
        let is_asking = self.requests.is_busy() || self.looks.is_busy() || !self.dumps.is_quiet();
        let is_awaiting = self.sending != 0 || self.namespaces.is_busy();
        self.answered.is_some() || is_awaiting || self.settling || self.doubting || is_asking
    }

    /// The network as the events delivered so far tell it.
    pub(crate) fn network(&self) -> &Network {
        self.mirror.network()
    }

    /// Moves the events since the last call to the end of `batch`. They are large: an empty
    /// batch is exchanged, not copied.
    pub(crate) fn poll_events(&mut self, batch: &mut Vec<Event>) {
        if batch.is_empty() {
            std::mem::swap(batch, &mut self.events);
        } else {
            batch.append(&mut self.events);
        }
        self.heard = 0;
    }

    /// Whether there are events since the last call of [`poll_events`](Self::poll_events).
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What the reconciler tells, oldest first.
    pub(crate) fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Whether there is something to tell.
    pub(crate) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Whether the tables could not be read, and why.
    pub(crate) fn poll_failure(&mut self) -> Option<DumpFailed> {
        self.failed.take()
    }

    /// What was counted so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    fn judge_dump(&mut self, now: Instant, errno: i32) {
        let lacking = self.mirror.dump_lacks_something();
        let disturbed = self.mirror.dump_was_disturbed();
        let step = self.dumps.handle_end(now, errno, lacking, disturbed);
        self.after_dump(now, step);
    }

    fn after_dump(&mut self, now: Instant, step: DumpStep) {
        match step {
            DumpStep::Again | DumpStep::Restart => {}
            DumpStep::Failed(errno) => self.failed = Some(DumpFailed { errno }),
            DumpStep::Next => self.end_dump(false),
            DumpStep::Finished => {
                self.end_dump(true);
                self.note_doubt(now);
                self.tell(now);
                self.synced = true;
                if let Some(reconcile) = &mut self.reconcile {
                    if reconcile.keeps() {
                        // Now, and not with the first of them that goes.
                        self.mirror.network().know_grounds();
                    }
                    reconcile.handle_synced(now);
                }
            }
        }
    }

    fn note_doubt(&mut self, now: Instant) {
        if self.mirror.is_in_doubt() && self.doubt_until.is_none() {
            self.doubt_until = Some(now + DOUBT_DELAY);
        }
    }

    fn end_dump(&mut self, is_last: bool) {
        if !self.dumps.is_sound() {
            self.mirror.dump_was_interrupted();
        }
        self.mirror.dump_ends(is_last, &mut |event| self.events.push(event));
    }

    /// Lets the reconciler hear the events since the last time, and keeps them where someone
    /// else reads them.
    fn tell(&mut self, now: Instant) {
        if let Some(reconcile) = &mut self.reconcile {
            for event in &self.events[self.heard..] {
                reconcile.handle_event(now, event, self.mirror.network());
            }
            if reconcile.has_undone() {
                self.withdraw();
            }
        }
        if !self.namespaces.is_empty() {
            (self.heard..self.events.len()).for_each(|event| self.look_for_other_end(event));
        }
        if !self.keeps_events {
            self.events.clear();
        }
        self.heard = self.events.len();
    }

    fn collect_reports(&mut self) {
        if let Some(reconcile) = &mut self.reconcile {
            while let Some(report) = reconcile.poll_report() {
                self.reports.push_back(report);
            }
        }
    }
}
