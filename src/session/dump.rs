//! Reading the tables whole: at the start, after an overrun, and to verify.
//!
//! The rules are those that lost nothing in KERNEL.md, section 1: after an overrun the event
//! socket is read until it is empty, *then* the tables are dumped, and all of it again if more
//! was lost meanwhile. A dump that a change interrupted is started again. A route that one dump
//! lacks may have been skipped: it takes a second look to call it gone.

use std::time::Instant;

use bytes::BytesMut;

use super::Sequence;
use crate::limits::{
    DUMP_DEADLINE, DUMP_ERRORS_MAX, DUMP_RESTARTS_MAX, DUMP_RETRY_DELAY, ROUTE_LOOKS_DISTURBED_MAX,
    ROUTE_LOOKS_MAX,
};
use crate::model::filter::Filter;
use crate::model::network::{Table, Tables};
use crate::wire::encode;

/// The dumps of one socket, one at a time: a second one would meet EBUSY. Links come first.
#[derive(Debug)]
pub(crate) struct Dumps {
    /// Those that are read.
    tables: Tables,
    /// Those of them that this reading has not come to the end of.
    left: Tables,
    /// Whether the routes come last, and not before they are [released](Self::release_routes).
    holds_routes: bool,
    state: State,
    /// Whether notifications were lost since the first table was asked for.
    lost_meanwhile: bool,
    /// Whether a part of the dump in flight was lost.
    lost_parts: bool,
    is_sound: bool,
    restarts: u32,
    errors: u32,
    looks: u32,
    /// What is wanted; tables of which nothing is are not read.
    filter: Filter,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is being read.
    #[default]
    Idle,
    /// The event socket is to be read until it is empty.
    Draining,
    /// That table is to be asked for, not before then.
    Wanted { table: Table, at: Instant, goes_on: bool },
    /// All is read but the routes, which are held.
    Held,
    /// That table is being read.
    InFlight { table: Table, sequence: u32, deadline: Instant, interrupted: bool },
}

/// What comes after the end of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DumpStep {
    /// The same table once more; what was seen stays seen.
    Again,
    /// The table is whole, and another follows, or is held.
    Next,
    /// The table is whole, and it was the last.
    Finished,
    /// Notifications were lost meanwhile: everything from the start.
    Restart,
    /// It failed too often.
    Failed(i32),
}

impl Dumps {
    /// Reads these tables, when told to.
    pub(crate) fn new(tables: Tables) -> Self {
        Self {
            tables,
            left: Tables::NONE,
            holds_routes: false,
            state: State::Idle,
            lost_meanwhile: false,
            lost_parts: false,
            is_sound: true,
            restarts: 0,
            errors: 0,
            looks: 0,
            filter: Filter::everything(),
        }
    }

    /// Reads all tables, now, unless they are being read already.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.state == State::Idle {
            self.reset();
            self.left = self.tables.iter().filter(|&it| self.filter.wants_table(it)).collect();
            if self.left.is_empty() {
                // Nothing is wanted: the links are read for nothing, so that it ends anyway.
                self.left = Tables::NONE.with(Table::Links);
            }
            self.go_on(now);
        }
    }

    /// From now on that is what is wanted: reads the tables anew, after what is queued.
    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.handle_lost();
    }

    /// From now on these tables are read: anew, after what is queued.
    pub(crate) fn follow(&mut self, tables: Tables) {
        self.tables = tables;
        self.handle_lost();
    }

    /// Where a reading is under way, its routes are read last, and only when released.
    pub(crate) fn hold_routes(&mut self) {
        self.holds_routes = self.state != State::Idle;
    }

    /// Whether all is read but the routes, which are held.
    pub(crate) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// The routes are read as all else is.
    pub(crate) fn release_routes(&mut self, now: Instant) {
        self.holds_routes = false;
        if self.is_held() {
            self.go_on(now);
        }
    }

    /// Ends a reading whose routes are held without them, and reads none from now on; whether
    /// that is so.
    pub(crate) fn spare_routes(&mut self) -> bool {
        let is_held = self.is_held();
        if is_held {
            self.tables = self.tables.without(Table::Routes);
            self.reset();
            self.state = State::Idle;
            self.holds_routes = false;
        }
        is_held
    }

    fn reset(&mut self) {
        let (filter, holds_routes) = (std::mem::take(&mut self.filter), self.holds_routes);
        *self = Self { filter, holds_routes, ..Self::new(self.tables) };
    }

    /// To the next table that is left, in their order.
    fn go_on(&mut self, now: Instant) -> DumpStep {
        let is_held = |table| self.holds_routes && table == Table::Routes;
        if let Some(table) = self.left.iter().find(|&table| !is_held(table)) {
            self.state = State::Wanted { table, at: now, goes_on: false };
            return DumpStep::Next;
        }
        if !self.left.is_empty() {
            self.state = State::Held;
            return DumpStep::Next;
        }
        self.state = State::Idle;
        self.holds_routes = false;
        DumpStep::Finished
    }

    /// Notifications were lost.
    pub(crate) fn handle_lost(&mut self) {
        match self.state {
            State::InFlight { .. } => self.lost_meanwhile = true,
            _ => self.state = State::Draining,
        }
    }

    /// Replies were lost: the dump goes on, and what it brings is not all.
    pub(crate) fn handle_replies_lost(&mut self) {
        self.lost_parts |= matches!(self.state, State::InFlight { .. });
    }

    /// The event socket has been read empty.
    pub(crate) fn handle_drained(&mut self, now: Instant) {
        if self.state == State::Draining {
            self.reset();
            self.start(now);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.state == State::Draining
    }

    /// Whether a dump is in flight, and nothing was lost meanwhile that makes it worthless.
    pub(crate) fn is_reading(&self) -> bool {
        matches!(self.state, State::InFlight { .. }) && !self.lost_meanwhile
    }

    /// Whether nothing is being read and nothing is to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether nothing is being read, and nothing is to be before someone says so.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_idle() || self.is_held()
    }

    /// Whether that is the sequence number of the dump in flight.
    pub(crate) fn is_mine(&self, number: u32) -> bool {
        matches!(self.state, State::InFlight { sequence, .. } if sequence == number)
    }

    /// Writes the request for the table that is wanted, if it is time, and tells which one and
    /// whether it is a second look.
    pub(crate) fn poll_request(
        &mut self,
        now: Instant,
        numbers: &mut Sequence,
        buffer: &mut BytesMut,
    ) -> Option<(Table, bool)> {
        let State::Wanted { table, at, goes_on } = self.state else {
            return None;
        };
        if at > now {
            return None;
        }
        let sequence = numbers.next();
        match self.filter.dumped_routes() {
            (protocol, of) if table == Table::Routes => {
                encode::dump_routes(protocol, of, sequence, buffer);
            }
            _ => encode::dump(table, sequence, buffer),
        }
        let (deadline, interrupted) = (now + DUMP_DEADLINE, false);
        self.lost_parts = false;
        self.state = State::InFlight { table, sequence, deadline, interrupted };
        Some((table, goes_on))
    }

    /// A part of the dump came; `changed` where the kernel says that it is not consistent.
    pub(crate) fn handle_part(&mut self, now: Instant, changed: bool) {
        if let State::InFlight { deadline, interrupted, .. } = &mut self.state {
            *deadline = now + DUMP_DEADLINE;
            *interrupted |= changed;
        }
    }

    /// The dump's end, with the kernel's verdict. `lacking` is whether it showed less than was
    /// known, or more than an earlier look at the same table; `disturbed` whether something in
    /// the table changed meanwhile.
    pub(crate) fn handle_end(
        &mut self,
        now: Instant,
        errno: i32,
        lacking: bool,
        disturbed: bool,
    ) -> DumpStep {
        let State::InFlight { table, interrupted, .. } = self.state else {
            return DumpStep::Again;
        };
        if self.lost_meanwhile {
            self.state = State::Draining;
            return DumpStep::Restart;
        }
        let is_lacking = errno == libc::EOPNOTSUPP && table.may_be_lacking();
        if errno != 0 && !is_lacking {
            return self.retry(now, table, errno);
        }
        if self.lost_parts {
            return self.retry(now, table, libc::ENOBUFS);
        }
        if interrupted && self.restarts < DUMP_RESTARTS_MAX {
            self.restarts += 1;
            self.state = State::Wanted { table, at: now, goes_on: true };
            return DumpStep::Again;
        }
        self.looks += 1;
        let looks_max = match (lacking, disturbed) {
            (true, true) => ROUTE_LOOKS_DISTURBED_MAX,
            (false, false) => 1,
            _ => ROUTE_LOOKS_MAX,
        };
        if table.may_be_skipped() && self.looks < looks_max {
            self.state = State::Wanted { table, at: now, goes_on: true };
            return DumpStep::Again;
        }
        (self.looks, self.restarts, self.errors) = (0, 0, 0);
        self.is_sound = !interrupted;
        self.left = self.left.without(table);
        self.go_on(now)
    }

    /// Whether the table that ended last was read without a change that may have made its dump
    /// skip something; where not, what it lacks may be there all the same.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// When the dump in flight counts as lost, or the next may be asked for.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Wanted { at, .. } => Some(at),
            State::InFlight { deadline, .. } => Some(deadline),
            State::Idle | State::Draining | State::Held => None,
        }
    }

    /// The dump in flight has been silent for too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<DumpStep> {
        match self.state {
            State::InFlight { table, deadline, .. } if deadline <= now => {
                Some(self.retry(now, table, libc::ETIMEDOUT))
            }
            _ => None,
        }
    }

    fn retry(&mut self, now: Instant, table: Table, errno: i32) -> DumpStep {
        self.errors += 1;
        if self.errors > DUMP_ERRORS_MAX {
            return DumpStep::Failed(errno);
        }
        self.state = State::Wanted { table, at: now + DUMP_RETRY_DELAY, goes_on: true };
        DumpStep::Again
    }
}
