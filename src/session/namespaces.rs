//! The network namespaces that a declared state names: each is opened, asked for its number, and
//! closed, for one that is open does not end; and open again while a request is made with it.
//!
//! A descriptor is a number here, good until the answer to what was sent with it. Who opens and
//! closes is told what to open by `poll_open`, and what stays open by `needs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::Sequence;
use crate::limits::{
    BATCH_DEADLINE, LOOK_TRIES_MAX, NAME_LOOKS_MAX, NAME_RETRY_DELAY, NETNS_LOOK_DELAY_MAX,
    NETNS_OPEN_MAX,
};
use crate::model::netns::NamedNetns;
use crate::wire::encode;

/// What came of opening one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// This descriptor.
    Fd(i32),
    /// There is none, or it is the one that we are in, or it cannot be opened.
    Not(NamedNetns),
}

/// How far the looking has got, by the numbers that settings have for them.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    names: Arc<[Arc<str>]>,
    /// Whether the coming and going of names is told; of paths it never is.
    are_names_told: bool,
    /// To be opened, and for what.
    wanted: BTreeMap<u16, Purpose>,
    open: BTreeMap<u16, Open>,
    /// Those that could not be opened for a request, which is refused for that.
    refused: BTreeSet<u16>,
    /// What is not there: when to look again, unless that is told, and how often in a row it was
    /// looked for.
    missing: BTreeMap<u16, (Option<Instant>, u32)>,
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Ask,
    Hold,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    fd: i32,
    stage: Stage,
    tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its number is to be asked for.
    Ready,
    /// It was asked for in the request of that number.
    Asked(u32),
    /// For a request that is to be made with it.
    Held,
}

impl Namespaces {
    /// From now on these are looked for, and all of them anew.
    pub(crate) fn declare(&mut self, names: Arc<[Arc<str>]>, are_names_told: bool) {
        *self = Self { names, are_names_told, ..Self::default() };
        self.want_all();
    }

    pub(crate) fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    pub(crate) fn name(&self, number: u16) -> Option<&Arc<str>> {
        self.names.get(usize::from(number))
    }

    /// Whether none is looked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names came or went: looks at all of them again.
    pub(crate) fn want_all(&mut self) {
        self.missing.clear();
        // As many as a declared state can number.
        let count = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        (0..count).for_each(|number| self.want(number));
    }

    /// Looks at one again. One that is open for a request is asked after it.
    pub(crate) fn want(&mut self, number: u16) {
        match self.open.get_mut(&number) {
            // What it stands for may be another one by now.
            Some(open) if open.stage != Stage::Held => {
                self.open.remove(&number);
                self.wanted.insert(number, Purpose::Ask);
                self.note_answered();
            }
            Some(_) => {}
            None => drop(self.wanted.entry(number).or_insert(Purpose::Ask)),
        }
    }

    /// Whether all is known of them that is to be known.
    pub(crate) fn is_known(&self) -> bool {
        self.wanted.is_empty() && self.open.values().all(|open| open.stage == Stage::Held)
    }

    /// Whether answers are awaited.
    pub(crate) fn is_busy(&self) -> bool {
        self.deadline.is_some()
    }

    /// The requests to come are made with these, of which the first can be open together; those
    /// that were held for others are let go of.
    pub(crate) fn hold(&mut self, numbers: impl Iterator<Item = u16>) {
        let held: Vec<_> = numbers.take(NETNS_OPEN_MAX).collect();
        for (number, open) in &mut self.open {
            if open.stage == Stage::Held && !held.contains(number) {
                open.stage = Stage::Ready;
            }
        }
        for number in held {
            if !self.open.contains_key(&number) && !self.refused.contains(&number) {
                self.wanted.insert(number, Purpose::Hold);
            }
        }
    }

    /// The requests were answered. What they made may have given a namespace its number.
    pub(crate) fn release(&mut self) {
        self.refused.clear();
        for open in self.open.values_mut().filter(|open| open.stage == Stage::Held) {
            open.stage = Stage::Ready;
        }
    }

    /// One that is to be opened now, for [`handle_opened`](Self::handle_opened).
    pub(crate) fn poll_open(&mut self) -> Option<(u16, Arc<str>)> {
        if self.open.len() >= NETNS_OPEN_MAX {
            return None;
        }
        let (&number, _) = self.wanted.iter().max_by_key(|(_, purpose)| **purpose)?;
        Some((number, Arc::clone(self.name(number)?)))
    }

    /// What came of opening it: what is known of it by that.
    pub(crate) fn handle_opened(
        &mut self,
        now: Instant,
        number: u16,
        opened: Opened,
    ) -> Option<NamedNetns> {
        let purpose = self.wanted.remove(&number)?;
        let known = match opened {
            Opened::Not(known) => {
                if purpose == Purpose::Hold {
                    self.refused.insert(number);
                }
                known
            }
            Opened::Fd(fd) => {
                let stage = if purpose == Purpose::Hold { Stage::Held } else { Stage::Ready };
                self.open.insert(number, Open { fd, stage, tries: 0 });
                return None;
            }
        };
        self.note(now, number, known);
        Some(known)
    }

    /// Whether a request with it must wait until it is open.
    pub(crate) fn is_awaited(&self, number: u16) -> bool {
        self.held(number).is_none() && !self.refused.contains(&number)
    }

    /// The descriptor that a request can be made with.
    pub(crate) fn held(&self, number: u16) -> Option<i32> {
        let open = self.open.get(&number).filter(|open| open.stage == Stage::Held)?;
        Some(open.fd)
    }

    /// Whether that descriptor is still to be open.
    pub(crate) fn needs(&self, number: u16, fd: i32) -> bool {
        self.open.get(&number).is_some_and(|open| open.fd == fd)
    }

    /// Writes the questions for the numbers of those that are open, unless some are on their way.
    pub(crate) fn poll_request(
        &mut self,
        now: Instant,
        numbers: &mut Sequence,
        buffer: &mut BytesMut,
    ) -> bool {
        if self.is_busy() {
            return false;
        }
        for open in self.open.values_mut().filter(|open| open.stage == Stage::Ready) {
            let sequence = numbers.next();
            encode::get_nsid(open.fd, sequence, buffer);
            open.stage = Stage::Asked(sequence);
            self.deadline = Some(now + BATCH_DEADLINE);
        }
        self.is_busy()
    }

    /// Takes the answer to one of the questions, where that is its number, and tells what is known
    /// by it of which.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        sequence: u32,
        answer: impl FnOnce() -> Result<Option<i32>, i32>,
    ) -> Option<(u16, NamedNetns)> {
        let is_it = |open: &Open| open.stage == Stage::Asked(sequence);
        let number = self.open.iter().find(|(_, open)| is_it(open)).map(|(number, _)| *number)?;
        self.open.remove(&number);
        self.note_answered();
        let known = match answer() {
            Ok(nsid) => NamedNetns::There { nsid },
            Err(errno) => NamedNetns::Refused { errno },
        };
        self.note(now, number, known);
        Some((number, known))
    }

    /// Answers were lost, or the questions not sent. One that is asked in vain too often is given
    /// up for a while, and told.
    pub(crate) fn handle_replies_lost(&mut self, now: Instant) -> Vec<(u16, NamedNetns)> {
        let mut given_up = Vec::new();
        for (number, open) in &mut self.open {
            if matches!(open.stage, Stage::Asked(_)) {
                open.tries += 1;
                open.stage = Stage::Ready;
                if open.tries >= LOOK_TRIES_MAX {
                    given_up.push((*number, NamedNetns::Refused { errno: libc::ETIMEDOUT }));
                }
            }
        }
        self.deadline = None;
        for (number, known) in &given_up {
            self.open.remove(number);
            self.note(now, *number, *known);
        }
        given_up
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing comes before.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let again = self.missing.values().filter_map(|(at, _)| *at).min();
        [self.deadline, again].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<(u16, NamedNetns)> {
        for (number, (at, _)) in &mut self.missing {
            if at.is_some_and(|at| at <= now) {
                *at = None;
                self.wanted.entry(*number).or_insert(Purpose::Ask);
            }
        }
        match self.deadline.is_some_and(|deadline| deadline <= now) {
            true => self.handle_replies_lost(now),
            false => Vec::new(),
        }
    }

    /// Remembers when to look again at what is not there. A mount makes no noise, so what is to
    /// come by a name is looked for a few times, and what is told of by no one for ever.
    fn note(&mut self, now: Instant, number: u16, known: NamedNetns) {
        let is_path = self.name(number).is_some_and(|name| name.contains('/'));
        let (_, looks) = self.missing.get(&number).copied().unwrap_or_default();
        let is_told = self.are_names_told && !is_path && known == NamedNetns::Absent;
        match known {
            NamedNetns::There { .. } | NamedNetns::Here => drop(self.missing.remove(&number)),
            _ => {
                let delay = NAME_RETRY_DELAY.saturating_mul(1 << looks.min(NAME_LOOKS_MAX));
                let at = now + Duration::min(delay, NETNS_LOOK_DELAY_MAX);
                let goes_on = !is_told || looks < NAME_LOOKS_MAX;
                self.missing.insert(number, (goes_on.then_some(at), looks.saturating_add(1)));
            }
        }
    }

    fn note_answered(&mut self) {
        if !self.open.values().any(|open| matches!(open.stage, Stage::Asked(_))) {
            self.deadline = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Namespaces {
        let mut namespaces = Namespaces::default();
        namespaces.declare(names.iter().map(|name| Arc::from(*name)).collect(), true);
        namespaces
    }

    fn ask(namespaces: &mut Namespaces, now: Instant) -> bool {
        namespaces.poll_request(now, &mut Sequence::default(), &mut BytesMut::new())
    }

    #[test]
    fn one_is_closed_once_its_number_is_known() {
        let (mut namespaces, now) = (named(&["blue"]), Instant::now());
        assert_eq!(namespaces.poll_open(), Some((0, "blue".into())));
        assert_eq!(namespaces.handle_opened(now, 0, Opened::Fd(7)), None);
        assert!(namespaces.needs(0, 7) && !namespaces.is_known());
        assert!(ask(&mut namespaces, now) && namespaces.is_busy());
        assert_eq!(namespaces.take(now, 9, || Ok(None)), None, "not its answer");
        let known = NamedNetns::There { nsid: Some(3) };
        assert_eq!(namespaces.take(now, 1, || Ok(Some(3))), Some((0, known)));
        assert!(!namespaces.needs(0, 7) && namespaces.is_known() && !namespaces.is_busy());
    }

    #[test]
    fn one_that_a_request_is_made_with_is_open_until_it_was_asked_again() {
        let (mut namespaces, now) = (named(&["blue"]), Instant::now());
        namespaces.handle_opened(now, 0, Opened::Fd(7));
        assert!(ask(&mut namespaces, now));
        namespaces.take(now, 1, || Ok(None));
        namespaces.hold([0].into_iter());
        assert_eq!(namespaces.held(0), None);
        namespaces.handle_opened(now, 0, Opened::Fd(8));
        assert_eq!(namespaces.held(0), Some(8));
        assert!(namespaces.is_known() && !ask(&mut namespaces, now));
        namespaces.want_all();
        assert_eq!(namespaces.held(0), Some(8), "news of names take no descriptor away");
        namespaces.release();
        assert!(namespaces.needs(0, 8) && namespaces.held(0).is_none() && !namespaces.is_known());
        namespaces.hold([].into_iter());
        assert!(ask(&mut namespaces, now));
    }

    #[test]
    fn news_while_it_is_asked_for_begin_anew() {
        let (mut namespaces, now) = (named(&["blue"]), Instant::now());
        namespaces.handle_opened(now, 0, Opened::Fd(7));
        assert!(ask(&mut namespaces, now));
        namespaces.want_all();
        assert!(!namespaces.needs(0, 7) && !namespaces.is_known() && !namespaces.is_busy());
        assert_eq!(namespaces.take(now, 1, || Ok(Some(3))), None, "an answer of before");
        namespaces.handle_opened(now, 0, Opened::Fd(8));
        assert!(ask(&mut namespaces, now), "nothing is waited for");
    }

    #[test]
    fn a_name_is_looked_for_a_few_times_and_a_path_for_ever() {
        let mut now = Instant::now();
        let mut namespaces = named(&["blue", "./red"]);
        let mut looks = [0, 0];
        for _ in 0..NAME_LOOKS_MAX * 4 {
            while let Some((number, _)) = namespaces.poll_open() {
                looks[usize::from(number)] += 1;
                namespaces.handle_opened(now, number, Opened::Not(NamedNetns::Absent));
            }
            let Some(at) = namespaces.poll_timeout() else { break };
            now = at;
            namespaces.handle_timeout(now);
        }
        assert_eq!(looks[0], NAME_LOOKS_MAX + 1);
        assert!(looks[1] > NAME_LOOKS_MAX * 2, "{looks:?}");
        namespaces.want_all();
        assert_eq!(namespaces.poll_open().map(|(number, _)| number), Some(1).or(Some(0)));
    }

    #[test]
    fn one_that_gives_no_answer_is_told_and_looked_at_later() {
        let (mut namespaces, now) = (named(&["blue"]), Instant::now());
        namespaces.handle_opened(now, 0, Opened::Fd(7));
        for tries in 1..=LOOK_TRIES_MAX {
            assert!(ask(&mut namespaces, now));
            let given_up = namespaces.handle_timeout(now + BATCH_DEADLINE);
            assert_eq!(given_up.is_empty(), tries < LOOK_TRIES_MAX);
        }
        assert!(!namespaces.needs(0, 7) && namespaces.is_known());
        assert!(namespaces.poll_timeout().is_some());
    }
}
