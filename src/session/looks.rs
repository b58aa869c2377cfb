//! Reading single links, beside dumps and batches: what of them the kernel may have changed
//! without a word.
//!
//! A few are asked for at a time, each answers for itself, and nothing waits for them.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::BytesMut;

use super::Sequence;
use crate::limits::{BATCH_DEADLINE, LOOK_TRIES_MAX, LOOKS_MAX};
use crate::wire::encode;

/// The links to be read, and those that have been asked for.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// By index, with how often each has been read in vain.
    wanted: BTreeMap<u32, u32>,
    in_flight: Vec<Look>,
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    sequence: u32,
    index: u32,
    tries: u32,
}

impl Looks {
    /// Asks for a link of that index.
    pub(crate) fn want(&mut self, index: u32) {
        self.wanted.entry(index).or_insert(0);
    }

    /// Whether nothing is wanted and nothing on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.in_flight.is_empty()
    }

    /// Whether answers are awaited.
    pub(crate) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Writes requests for some of what is wanted, unless some are on their way, and tells of
    /// which links.
    pub(crate) fn poll_request(
        &mut self,
        now: Instant,
        numbers: &mut Sequence,
        buffer: &mut BytesMut,
        mut asked: impl FnMut(u32),
    ) -> bool {
        if self.is_busy() {
            return false;
        }
        while let Some((index, tries)) = self.wanted.pop_first() {
            let sequence = numbers.next();
            encode::get_link(index, sequence, buffer);
            self.in_flight.push(Look { sequence, index, tries });
            asked(index);
            if self.in_flight.len() == LOOKS_MAX {
                break;
            }
        }
        self.deadline = self.is_busy().then_some(now + BATCH_DEADLINE);
        self.is_busy()
    }

    /// Takes an answer: whether it is one to these. An error is one too, and says that the link
    /// has gone, whose news is on its way.
    pub(crate) fn take(&mut self, sequence: u32) -> Option<Answer> {
        let at = self.in_flight.iter().position(|look| look.sequence == sequence)?;
        let look = self.in_flight.swap_remove(at);
        if self.in_flight.is_empty() {
            self.deadline = None;
        }
        Some(Answer(look))
    }

    /// News of the link came since it was asked for, which may be older than the answer or not.
    pub(crate) fn again(&mut self, answer: Answer) {
        self.retry(answer.0);
    }

    /// Answers were lost, or the requests not sent.
    pub(crate) fn handle_replies_lost(&mut self) {
        self.deadline = None;
        for look in std::mem::take(&mut self.in_flight) {
            self.retry(look);
        }
    }

    /// When the answers count as lost.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn retry(&mut self, look: Look) {
        if look.tries + 1 < LOOK_TRIES_MAX {
            self.wanted.insert(look.index, look.tries + 1);
        }
    }
}

/// An answer to the question for a link.
#[derive(Debug)]
pub(crate) struct Answer(Look);
