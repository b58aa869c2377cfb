//! The conversation, one rule at a time.

use std::slice;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::{DumpStep, Dumps, Requests, Sequence};
use crate::limits::{
    BATCH_DEADLINE, BATCH_REQUESTS_MAX, DUMP_DEADLINE, DUMP_ERRORS_MAX, DUMP_RESTARTS_MAX,
    DUMP_RETRY_DELAY, RECEIVE_BUFFER_BYTES, ROUTE_LOOKS_DISTURBED_MAX, ROUTE_LOOKS_MAX,
    SHORT_REQUESTS_PER_LONG,
};
use crate::model::change::Change;
use crate::model::network::{Table, Tables};
use crate::model::refusal::Outcome;
use crate::model::rule::Rule;
use crate::model::text::LinkName;
use crate::wire::decode::Ack;

/// A batch of that many deletions; only the links of `known` exist.
fn batch(requests: &mut Requests, names: &[&[u8]], known: &[&[u8]], now: Instant) -> bool {
    let (mut sequence, mut buffer) = (Sequence::default(), BytesMut::new());
    let resolve = |name: LinkName| known.contains(&name.as_bytes()).then_some(7);
    for name in names {
        let change = Change::DeleteLink(LinkName::truncated(name));
        requests.push(&change, &mut sequence, &resolve, &|_| None, &mut buffer);
    }
    requests.seal(now, &mut buffer)
}

fn ack(sequence: u32, errno: i32) -> Ack<'static> {
    Ack { sequence, errno, message: None, offset: None }
}

fn errnos(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Option<i32>> {
    let errno = |outcome| match outcome {
        Outcome::Done => Some(0),
        Outcome::Refused(refusal) => Some(refusal.errno),
        Outcome::Unknown => None,
    };
    outcomes.into_iter().map(errno).collect()
}

#[test]
fn the_last_answer_closes_a_batch_and_what_has_no_error_was_made() {
    let mut requests = Requests::default();
    assert!(batch(&mut requests, &[b"a", b"b", b"c"], &[b"a", b"b", b"c"], Instant::now()));
    assert!(requests.handle_ack(&ack(2, libc::EPERM)).is_none());
    assert!(requests.handle_ack(&ack(9, 0)).is_none(), "an answer to another");
    let outcomes = requests.handle_ack(&ack(3, 0)).expect("the last");
    assert_eq!(errnos(outcomes), [Some(0), Some(libc::EPERM), Some(0)]);
    assert!(!requests.is_busy());
}

#[test]
fn an_error_of_the_last_request_closes_the_batch_too() {
    let mut requests = Requests::default();
    assert!(batch(&mut requests, &[b"a", b"b"], &[b"a", b"b"], Instant::now()));
    let outcomes = requests.handle_ack(&ack(2, libc::EPERM)).expect("the last");
    assert_eq!(errnos(outcomes), [Some(0), Some(libc::EPERM)]);
}

#[test]
fn a_request_for_a_link_that_is_gone_is_refused_here_and_asks_nothing() {
    let mut requests = Requests::default();
    assert!(batch(&mut requests, &[b"a", b"gone"], &[b"a"], Instant::now()));
    let outcomes = requests.handle_ack(&ack(1, 0)).expect("the last that was sent");
    assert_eq!(errnos(outcomes), [Some(0), Some(libc::ENODEV)]);
    assert!(!batch(&mut requests, &[b"gone"], &[], Instant::now()), "nothing to send");
    assert!(requests.is_busy(), "and yet to be answered, by the caller");
}

#[test]
fn what_stays_unanswered_is_unknown_but_an_error_is_an_error() {
    let mut requests = Requests::default();
    let now = Instant::now();
    assert!(batch(&mut requests, &[b"a", b"b", b"c"], &[b"a", b"b", b"c"], now));
    assert_eq!(requests.poll_timeout(), Some(now + BATCH_DEADLINE));
    assert!(requests.handle_ack(&ack(1, libc::EPERM)).is_none());
    assert_eq!(errnos(requests.expire()), [Some(libc::EPERM), None, None]);
    assert_eq!(requests.poll_timeout(), None);
}

#[test]
fn a_lost_answer_may_have_been_an_error_so_what_has_none_is_unknown() {
    let mut requests = Requests::default();
    let now = Instant::now();
    assert!(batch(&mut requests, &[b"a", b"b", b"c"], &[b"a", b"b", b"c"], now));
    assert!(requests.handle_ack(&ack(2, libc::EPERM)).is_none());
    requests.handle_replies_lost();
    let outcomes = requests.handle_ack(&ack(3, 0)).expect("the last");
    assert_eq!(errnos(outcomes), [None, Some(libc::EPERM), Some(0)]);
    // The next batch has lost nothing.
    assert!(batch(&mut requests, &[b"a", b"b"], &[b"a", b"b"], now));
    let outcomes = requests.handle_ack(&ack(2, 0)).expect("the last");
    assert_eq!(errnos(outcomes), [Some(0), Some(0)]);
}

#[test]
fn a_batch_takes_more_of_what_takes_the_kernel_less_long() {
    let room = |changes: &[Change]| {
        let (mut requests, mut sequence) = (Requests::default(), Sequence::default());
        let mut buffer = BytesMut::new();
        let mut changes = changes.iter().cycle();
        while let Some(change) =
            changes.next().filter(|it| requests.has_room(it, &buffer, RECEIVE_BUFFER_BYTES))
        {
            requests.push(change, &mut sequence, &|_| Some(7), &|_| None, &mut buffer);
        }
        requests.fail(libc::ENOBUFS).count()
    };
    let rule = Change::DeleteRule(Box::new(Rule::new(false)));
    let link = Change::DeleteLink(LinkName::truncated(b"a"));
    assert_eq!(room(slice::from_ref(&link)), BATCH_REQUESTS_MAX);
    assert_eq!(room(slice::from_ref(&rule)), BATCH_REQUESTS_MAX * SHORT_REQUESTS_PER_LONG);
    assert_eq!(room(&[link, rule]), 2 * BATCH_REQUESTS_MAX * SHORT_REQUESTS_PER_LONG / 9);
}

/// Dumps on their own, with the time.
struct Desk {
    dumps: Dumps,
    sequence: Sequence,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let now = Instant::now();
        let mut dumps = Dumps::new(Tables::default());
        dumps.start(now);
        Self { dumps, sequence: Sequence::default(), now }
    }

    fn asks(&mut self) -> Option<(Table, bool)> {
        self.dumps.poll_request(self.now, &mut self.sequence, &mut BytesMut::new())
    }

    fn ends(&mut self, errno: i32, lacking: bool) -> DumpStep {
        self.dumps.handle_end(self.now, errno, lacking, false)
    }

    /// Up to the routes, which are asked for.
    fn reach_routes(&mut self) {
        for table in [Table::Links, Table::Addresses] {
            assert_eq!(self.asks(), Some((table, false)));
            assert_eq!(self.ends(0, true), DumpStep::Next);
        }
        assert_eq!(self.asks(), Some((Table::Routes, false)));
    }
}

#[test]
fn one_table_is_asked_for_at_a_time_and_links_come_first() {
    let mut desk = Desk::new();
    desk.reach_routes();
    assert_eq!(desk.asks(), None);
    assert_eq!(desk.ends(0, false), DumpStep::Finished);
    assert!(desk.dumps.is_idle());
}

#[test]
fn a_route_that_is_lacking_is_looked_for_again_before_it_is_gone() {
    let mut desk = Desk::new();
    desk.reach_routes();
    for _ in 1..ROUTE_LOOKS_MAX {
        assert_eq!(desk.ends(0, true), DumpStep::Again);
        assert_eq!(desk.asks(), Some((Table::Routes, true)), "what was seen stays seen");
    }
    assert_eq!(desk.ends(0, true), DumpStep::Finished);
}

#[test]
fn a_disturbed_dump_of_routes_is_looked_at_again_and_more_often_where_it_lacks_something() {
    for (lacking, looks) in [(false, ROUTE_LOOKS_MAX), (true, ROUTE_LOOKS_DISTURBED_MAX)] {
        let mut desk = Desk::new();
        desk.reach_routes();
        for _ in 1..looks {
            assert_eq!(desk.dumps.handle_end(desk.now, 0, lacking, true), DumpStep::Again);
            assert_eq!(desk.asks(), Some((Table::Routes, true)));
        }
        assert_eq!(desk.dumps.handle_end(desk.now, 0, lacking, true), DumpStep::Finished);
    }
}

#[test]
fn a_dump_that_lost_a_part_is_never_taken() {
    let mut desk = Desk::new();
    for _ in 0..DUMP_ERRORS_MAX {
        assert!(desk.asks().is_some());
        desk.dumps.handle_replies_lost();
        assert_eq!(desk.ends(0, false), DumpStep::Again);
        desk.now += DUMP_RETRY_DELAY;
    }
    assert!(desk.asks().is_some());
    assert_eq!(desk.ends(0, false), DumpStep::Next, "this one is whole");
}

#[test]
fn an_interrupted_dump_is_started_again_but_not_for_ever() {
    let mut desk = Desk::new();
    for _ in 0..DUMP_RESTARTS_MAX {
        assert!(desk.asks().is_some());
        desk.dumps.handle_part(desk.now, true);
        assert_eq!(desk.ends(0, false), DumpStep::Again);
    }
    assert!(desk.asks().is_some());
    desk.dumps.handle_part(desk.now, true);
    assert_eq!(desk.ends(0, false), DumpStep::Next);
}

#[test]
fn a_loss_during_a_dump_leads_to_a_drain_and_to_all_tables_anew() {
    let mut desk = Desk::new();
    desk.reach_routes();
    desk.dumps.handle_lost();
    assert!(!desk.dumps.is_draining(), "the dump in flight is read to its end first");
    assert_eq!(desk.ends(0, false), DumpStep::Restart);
    assert!(desk.dumps.is_draining());
    assert_eq!(desk.asks(), None, "not before the event socket is empty");
    desk.dumps.handle_drained(desk.now);
    desk.reach_routes();
    assert_eq!(desk.ends(0, false), DumpStep::Finished);
}

#[test]
fn a_busy_kernel_is_asked_again_a_little_later_until_it_is_too_often() {
    let mut desk = Desk::new();
    for _ in 0..DUMP_ERRORS_MAX {
        assert!(desk.asks().is_some());
        assert_eq!(desk.ends(libc::EBUSY, false), DumpStep::Again);
        assert_eq!(desk.asks(), None);
        desk.now += DUMP_RETRY_DELAY;
    }
    assert!(desk.asks().is_some());
    assert_eq!(desk.ends(libc::EBUSY, false), DumpStep::Failed(libc::EBUSY));
}

#[test]
fn a_dump_that_falls_silent_is_asked_for_again() {
    let mut desk = Desk::new();
    assert_eq!(desk.asks(), Some((Table::Links, false)));
    let moment = Duration::from_millis(1);
    desk.now += DUMP_DEADLINE - moment;
    desk.dumps.handle_part(desk.now, false);
    desk.now += DUMP_DEADLINE - moment;
    assert_eq!(desk.dumps.expire(desk.now), None, "a part of it came since");
    desk.now += moment;
    assert_eq!(desk.dumps.expire(desk.now), Some(DumpStep::Again));
    desk.now += DUMP_RETRY_DELAY;
    assert_eq!(desk.asks(), Some((Table::Links, true)));
}

#[test]
fn only_what_is_followed_is_asked_for() {
    let mut desk = Desk::new();
    let tables = [Table::Rules, Table::Neighbours, Table::Links];
    desk.dumps = Dumps::new(tables.into_iter().collect());
    for _ in 0..2 {
        desk.dumps.start(desk.now);
        for (table, step) in [
            (Table::Links, DumpStep::Next),
            (Table::Neighbours, DumpStep::Next),
            (Table::Rules, DumpStep::Finished),
        ] {
            assert_eq!(desk.asks(), Some((table, false)));
            assert_eq!(desk.ends(0, false), step);
        }
        assert!(desk.dumps.is_idle());
    }
    // A dump of neighbours may skip some, one of rules none.
    desk.dumps.start(desk.now);
    for (table, step) in [(Table::Links, DumpStep::Next), (Table::Neighbours, DumpStep::Again)] {
        assert_eq!(desk.asks(), Some((table, false)));
        assert_eq!(desk.ends(0, true), step);
    }
}

#[test]
fn routes_that_are_held_come_last_or_not_at_all() {
    let mut desk = Desk::new();
    desk.dumps = Dumps::new(Tables::default().with(Table::Rules));
    let reads_the_others = |desk: &mut Desk| {
        for table in [Table::Links, Table::Addresses, Table::Rules] {
            assert!(!desk.dumps.is_held());
            assert_eq!(desk.asks(), Some((table, false)));
            assert_eq!(desk.ends(0, false), DumpStep::Next);
        }
        assert_eq!(desk.asks(), None);
        assert!(desk.dumps.is_held() && !desk.dumps.is_idle());
    };
    desk.dumps.start(desk.now);
    desk.dumps.hold_routes();
    reads_the_others(&mut desk);
    // After a loss they are held still.
    desk.dumps.handle_lost();
    desk.dumps.handle_drained(desk.now);
    reads_the_others(&mut desk);
    desk.dumps.release_routes(desk.now);
    assert_eq!(desk.asks(), Some((Table::Routes, false)));
    assert_eq!(desk.ends(0, false), DumpStep::Finished);
    // With nothing under way there is nothing to hold, and the next reading holds nothing.
    desk.dumps.hold_routes();
    assert!(!desk.dumps.spare_routes());
    desk.dumps.start(desk.now);
    assert_eq!(desk.asks(), Some((Table::Links, false)));
    desk.dumps.hold_routes();
    assert_eq!(desk.ends(0, false), DumpStep::Next);
    for (table, step) in [(Table::Addresses, DumpStep::Next), (Table::Rules, DumpStep::Next)] {
        assert_eq!(desk.asks(), Some((table, false)));
        assert_eq!(desk.ends(0, false), step);
    }
    assert!(desk.dumps.spare_routes() && desk.dumps.is_idle());
    // Followed again, they are read with all the others.
    desk.dumps.follow(Tables::default());
    desk.dumps.handle_drained(desk.now);
    desk.reach_routes();
}
