//! When to change what: rounds, retries, fights, and the status of each declared object.
//!
//! A pure machine. It hears of events (`handle_event`) and results (`handle_result`), and gives
//! out the steps to send (`poll_step`), the time at which it wants to be asked again
//! (`poll_timeout`) and what to report. It compares states and never asks whose change it was:
//! a difference is a difference, whoever made it.

mod answers;
mod bindings;
mod bulk;
mod conflicts;
mod found;
mod group_state;
mod labels;
mod netns;
mod ready;
mod report;
mod rest;
mod silent;
mod subjects;
#[cfg(test)]
mod tests;
mod touched;
mod track;
mod undone;

use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use self::bindings::Bindings;
use self::bulk::{Bulk, Stage};
use self::found::Found;
use self::labels::Labels;
pub use self::report::{Attempt, Finding, Report};
use self::rest::Rest;
use self::silent::Silent;
use self::subjects::SubjectSet;
use self::track::{Refused, Track};
use self::undone::Undone;
use crate::desired::Desired;
use crate::limits::{APPLY_ROUNDS_MAX, DAD_WAIT_MAX, QUIET_RESET, SILENT_REREAD};
use crate::model::change::Change;
use crate::model::consequences::Standing;
use crate::model::hash::{HashMap, HashSet, IndexMap};
use crate::model::network::Network;
use crate::model::object::ObjectId;
pub use crate::model::refusal::Outcome;
use crate::model::text::LinkName;
use crate::plan::{Blocked, DesiredIndex, Diff, Plan, Reason, Step, Subject};

/// How long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Until nothing more can be done.
    Once,
    /// For as long as it is turned.
    Keep,
    /// For as long as it is turned, and changes nothing: what differs is told.
    Report,
}

/// Keeps one declared state against one observed network.
#[derive(Debug)]
pub(crate) struct Reconcile {
    mode: Mode,
    /// With the names of the links that its labels stand for.
    desired: Desired,
    labels: Option<Labels>,
    index: Arc<DesiredIndex>,
    bindings: Bindings,
    dirty: HashMap<Subject, Noticed>,
    /// Whether every subject is dirty, as it is after a reading, and since when.
    all_dirty: Option<Instant>,
    /// Subjects whose steps name a link that is still to be made.
    unresolved: HashMap<Subject, Noticed>,
    /// Subjects that were as declared when last looked at: a difference is a revert.
    clean: SubjectSet,
    blocked: HashMap<Subject, Vec<Blocked>>,
    /// Subjects with something that a link which is down suspends.
    suspended: BTreeSet<Subject>,
    /// In mode `Report`: what was told of each subject that is not as declared.
    found: HashMap<Subject, Vec<Found>>,
    /// What has a history; at most one for each declared object, and one for all else of its kind.
    tracks: IndexMap<Contested, Track>,
    /// What is fought over, and what was told of it.
    conflicts: HashMap<Contested, ObjectId>,
    /// When to see whether a fight is over.
    quiet: BTreeSet<(Instant, Contested)>,
    /// Counts what was planned.
    planning: u64,
    /// The netlink port id of our own changes.
    own_port: u32,
    /// Subjects to look at again, and when.
    later: BTreeSet<(Instant, Subject)>,
    /// Subjects with an address whose network is being asked whether it is free, and until when
    /// that is waited for; `None` where it took too long. In mode `Once` alone.
    awaited: HashMap<Subject, Option<Instant>>,
    silent: Silent,
    round: VecDeque<Pending>,
    in_flight: usize,
    /// What is still to be taken into the round.
    rest: Rest,
    /// What the steps of the round in flight belong to, to be looked at when it has ended.
    touched: Vec<Subject>,
    undone: Undone,
    rounds: u32,
    /// Counts successes; in mode `Once` a failed object is tried again after others succeeded.
    progress: u64,
    /// The objects whose last attempt failed.
    refused: HashMap<ObjectId, Refused>,
    purged: Option<Instant>,
    /// Deletions that are made together, or links that are set up or down together.
    bulk: Option<Bulk>,
    /// Links that are in the group of the doomed, and the group that they were taken from.
    moved: HashMap<LinkName, u32>,
    /// Links that could not be deleted, or set up or down, with others.
    singly: HashSet<LinkName>,
    /// Links that were to be made up, and were made down to be set up together.
    made_down: HashSet<LinkName>,
    /// Whether the tables are to be read before anything is compared.
    is_to_be_read: bool,
    /// Whether the news of routes that the round makes are passed over: they are read after it.
    is_deaf: bool,
    /// Whether this kernel renames links that are up, as far as is known.
    renames_live: bool,
    reports: VecDeque<Report>,
    converged: bool,
}

/// When and by whom a subject came to differ.
#[derive(Debug, Clone, Copy)]
struct Noticed {
    at: Instant,
    sender: u32,
    /// How many notifications touched it, save those that are known to be of our own changes.
    news: u32,
}

impl Noticed {
    /// By no one in particular.
    fn at(at: Instant) -> Self {
        Self { at, sender: 0, news: 0 }
    }
}

/// What reverts are counted of: a link, a route, a rule, a neighbour by its subject, an address
/// that is declared by itself, and together whatever else a subject holds that is to go.
type Contested = (Subject, Option<ObjectId>);

/// A step of the round, not yet answered.
#[derive(Debug)]
struct Pending {
    step: Step,
    noticed: Noticed,
    is_revert: bool,
    role: Role,
    /// Where its history is, as long as none was forgotten since.
    track: Option<usize>,
}

impl Pending {
    /// One that has no history.
    fn new(step: Step, noticed: Noticed, role: Role) -> Self {
        Self { step, noticed, is_revert: false, role, track: None }
    }
}

/// What a step of the round is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// For itself.
    Plain,
    /// It moves a link into the group of the doomed; what is told is the deletion.
    Move,
    /// It deletes a group, or sets it up or down; what is told is what becomes of each link.
    Group,
    /// It moves a link that was not deleted back.
    Restore,
}

/// What the subjects of a round are compared with.
struct View<'a> {
    network: &'a Network,
    standing: OnceCell<Standing>,
}

impl Reconcile {
    pub(crate) fn new(mode: Mode, desired: Desired) -> Self {
        let index = Arc::new(DesiredIndex::new(&desired));
        let labels = desired.has_matches().then(|| Labels::new(desired.clone()));
        Self {
            labels,
            mode,
            bindings: Bindings::new(desired.links.len()),
            silent: Silent::new(&desired, SILENT_REREAD),
            desired,
            index,
            unresolved: HashMap::default(),
            purged: None,
            bulk: None,
            moved: HashMap::default(),
            singly: HashSet::default(),
            made_down: HashSet::default(),
            is_to_be_read: false,
            is_deaf: false,
            renames_live: true,
            dirty: HashMap::default(),
            all_dirty: None,
            clean: SubjectSet::default(),
            blocked: HashMap::default(),
            suspended: BTreeSet::new(),
            found: HashMap::default(),
            tracks: IndexMap::default(),
            later: BTreeSet::new(),
            awaited: HashMap::default(),
            round: VecDeque::new(),
            in_flight: 0,
            rest: Rest::default(),
            touched: Vec::new(),
            undone: Undone::default(),
            rounds: 0,
            progress: 0,
            refused: HashMap::default(),
            conflicts: HashMap::default(),
            quiet: BTreeSet::new(),
            planning: 0,
            own_port: 0,
            reports: VecDeque::new(),
            converged: false,
        }
    }

    /// Sends these steps once, in their order, and plans nothing by itself.
    pub(crate) fn with_steps(now: Instant, steps: &[Step]) -> Self {
        let noticed = Noticed::at(now);
        let pending = |step: &Step| Pending::new(step.clone(), noticed, Role::Plain);
        Self {
            round: steps.iter().map(pending).collect(),
            rounds: APPLY_ROUNDS_MAX,
            ..Self::new(Mode::Once, Desired::default())
        }
    }

    /// The mirror is whole (again): everything is to be looked at.
    pub(crate) fn handle_synced(&mut self, now: Instant) {
        if let Some(bulk) = self.bulk.as_mut().filter(|bulk| bulk.stage == Stage::Reading) {
            bulk.stage = Stage::Read;
        }
        // A reading that began before the round had ended does not tell what came of it.
        self.is_to_be_read &= self.is_deaf;
        self.start_interval(now);
        self.all_dirty.get_or_insert(now);
    }

    /// How many routes are declared.
    pub(crate) fn routes_len(&self) -> usize {
        self.desired.routes.len()
    }

    /// How many steps are known to be left of a round, at most.
    pub(crate) fn steps_left(&self) -> usize {
        self.round.len() + self.rest.len()
    }

    /// Whether what is read is to be told it, though it looks at everything after a reading.
    pub(crate) fn hears_readings(&self) -> bool {
        self.keeps() || self.labels.is_some()
    }

    /// Whether it goes on after what is declared has been reached.
    pub(crate) fn keeps(&self) -> bool {
        self.mode != Mode::Once
    }

    /// The next step to send; none while the answers to a round are awaited.
    ///
    /// The caller sends steps in this order, and says so of each with [`handle_sent`]; then it
    /// answers each with [`handle_result`].
    ///
    /// [`handle_sent`]: Self::handle_sent
    /// [`handle_result`]: Self::handle_result
    pub(crate) fn poll_step(&mut self, now: Instant, network: &Network) -> Option<&Step> {
        for until in self.awaited.values_mut().filter(|until| until.is_some_and(|at| at <= now)) {
            *until = None;
        }
        self.drop_stale();
        if self.in_flight == 0 && self.round.is_empty() && !self.is_to_be_read {
            match self.bulk.as_ref().map(|bulk| bulk.stage) {
                None => self.plan_round(now, network),
                Some(Stage::Read) => {
                    self.send_group(now, network);
                    if self.bulk.is_none() {
                        self.plan_round(now, network);
                    }
                }
                // The tables are read first.
                Some(_) => {}
            }
        }
        self.plan_undone(now, network);
        self.next_step()
    }

    /// The next step of the round that is under way, if any.
    pub(crate) fn next_step(&self) -> Option<&Step> {
        self.round.get(self.in_flight).map(|pending| &pending.step)
    }

    /// The same, where nothing that is heard meanwhile can change whether it is to be sent.
    pub(crate) fn next_in_round(&self) -> Option<&Step> {
        let pending = self.round.get(self.in_flight)?;
        let goes_on = pending.role == Role::Plain && self.labels.is_none();
        (goes_on && !self.has_undone()).then_some(&pending.step)
    }

    /// The step that [`poll_step`](Self::poll_step) gave is on its way.
    pub(crate) fn handle_sent(&mut self, network: &Network) {
        self.in_flight = (self.in_flight + 1).min(self.round.len());
        if self.in_flight == self.round.len() {
            self.refill(network);
        }
    }

    /// That many of the steps that were on their way, the last of them, are not.
    pub(crate) fn handle_unsent(&mut self, steps: usize) {
        self.in_flight = self.in_flight.saturating_sub(steps);
    }

    /// When to be asked again if nothing happens.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let awaited = self.awaited.values().flatten().min().copied();
        let later = self.later.first().map(|(at, _)| *at);
        let quiet = self.quiet.first().map(|(at, _)| *at);
        [later, quiet, awaited, self.silent.poll_timeout()].into_iter().flatten().min()
    }

    /// What to tell: attempts, conflicts, blocked objects, convergence.
    pub(crate) fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Whether nothing is being done and nothing is left to do now.
    pub(crate) fn is_settled(&self) -> bool {
        let is_idle = self.round.is_empty() && self.bulk.is_none() && !self.is_to_be_read;
        let is_waiting = self.awaited.values().any(Option::is_some) || self.silent.is_waiting();
        let is_resolved = self.labels.as_ref().is_none_or(Labels::is_resolved);
        let is_clean = self.dirty.is_empty() && self.all_dirty.is_none();
        is_idle && is_resolved && is_clean && self.later.is_empty() && !is_waiting
    }

    /// Whether every declared object was as declared when last looked at.
    pub(crate) fn is_converged(&self) -> bool {
        self.is_settled()
            && self.blocked.is_empty()
            && self.clean.len() == self.index.subjects_len()
    }

    /// What still differs when it is settled. Only what was not as declared when last looked at is
    /// compared.
    pub(crate) fn remaining(&self, network: &Network) -> Plan {
        let is_told = |it: &Subject| !self.clean.contains(*it) || self.suspended.contains(it);
        let subjects = self.index.subjects().filter(is_told);
        Plan::of(&self.desired, &self.index, network, subjects)
    }

    /// Compares what is dirty and makes a round of what may be sent now.
    fn plan_round(&mut self, now: Instant, network: &Network) {
        self.resolve_labels(now, network);
        self.note_quiet(now);
        while let Some((at, subject)) = self.later.first().copied().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, subject));
            self.mark(subject, Noticed::at(now));
        }
        if self.dirty.is_empty() && self.all_dirty.is_none() {
            return;
        }
        if self.mode == Mode::Once && self.rounds >= APPLY_ROUNDS_MAX {
            self.dirty.clear();
            self.later.clear();
            self.all_dirty = None;
            return;
        }
        self.planning += 1;
        self.undone.begin_round();
        self.forget_gone(network);
        let (dirty, all_dirty) = (std::mem::take(&mut self.dirty), self.all_dirty.take());
        let mut subjects: Vec<_> = match all_dirty {
            Some(_) => self.index.subjects().collect(),
            None => dirty.keys().copied().collect(),
        };
        subjects.sort_unstable();
        let routes = match dirty.is_empty() {
            true => self.split_routes(&mut subjects),
            false => Vec::new(),
        };
        let noticed = |subject| {
            let of_all = || Noticed::at(all_dirty.unwrap_or(now));
            dirty.get(&subject).copied().unwrap_or_else(of_all)
        };
        let (mut plan, mut own) = (Plan::default(), Plan::default());
        let view = View { network, standing: OnceCell::new() };
        for &subject in &subjects {
            self.compare(now, subject, &view, &mut own);
            plan.steps.append(&mut own.steps);
        }
        let rest = self.compare_first(now, routes, &view, &mut plan);
        plan.sort();
        if self.mode == Mode::Report {
            let looked_at = subjects.iter().map(|it| (*it, noticed(*it)));
            self.tell_found(&looked_at.collect::<Vec<_>>(), plan);
            self.note_convergence(now);
            return;
        }
        self.tracks.reserve(plan.steps.len() + rest.len());
        self.round.reserve(plan.steps.len());
        for step in plan.steps {
            let noticed = noticed(step.subject);
            self.admit(now, step, noticed, network);
        }
        for pending in &self.round {
            self.clean.remove(pending.step.subject);
        }
        self.gather_deletions(network);
        self.gather_states(network);
        self.rest = Rest::new(now, rest);
        self.refill(network);
        self.is_deaf = self.are_read_afterwards();
        self.rounds += u32::from(!self.round.is_empty());
        self.note_convergence(now);
    }

    /// Compares one subject: `own` is its plan, whose obstacles are reported when new.
    fn compare(&mut self, now: Instant, subject: Subject, view: &View<'_>, own: &mut Plan) {
        let (network, standing) = (view.network, &view.standing);
        let position = match subject {
            Subject::Link(at) | Subject::Addresses(at) | Subject::Vlans(at) | Subject::Fdb(at) => {
                Some(at)
            }
            Subject::Route(_)
            | Subject::Rule(_)
            | Subject::Neighbour(_)
            | Subject::Nexthop(_)
            | Subject::Strays => None,
        };
        let bound = position.and_then(|at| {
            let name = self.desired.links.get(at as usize)?.name;
            self.bindings.bind(at, name, network)
        });
        own.clear();
        if position.is_some_and(|at| self.is_moved(at)) {
            self.block_moved(subject, own);
        } else {
            let mut diff = Diff {
                desired: &self.desired,
                index: &self.index,
                observed: network,
                standing,
                renames_live: self.renames_live,
                plan: own,
            };
            diff.subject(subject, bound);
        }
        if subject == Subject::Strays {
            // Under another name a declared link is still that link, and is renamed back.
            let is_bound = |name| {
                let index = network.index_of(name);
                index.is_some_and(|index| self.bindings.position(index).is_some())
            };
            own.steps
                .retain(|step| !matches!(step.change, Change::DeleteLink(name) if is_bound(name)));
        }
        if own.suspended.is_empty() {
            self.suspended.remove(&subject);
        } else {
            self.suspended.insert(subject);
        }
        self.note_tentative(now, subject, &own.blocked);
        if own.blocked.is_empty() {
            self.blocked.remove(&subject);
            if own.steps.is_empty() {
                self.clean.insert(subject);
            }
        } else {
            self.clean.remove(subject);
            self.report_blocked(subject, std::mem::take(&mut own.blocked));
        }
    }

    /// Duplicate address detection takes a second or two, and ends with an event.
    fn note_tentative(&mut self, now: Instant, subject: Subject, blocked: &[Blocked]) {
        let passes =
            |it: &Blocked| matches!(it.reason, Reason::Tentative(_) | Reason::NoCarrier(_));
        if !blocked.iter().any(passes) {
            self.awaited.remove(&subject);
        } else if self.mode == Mode::Once {
            self.awaited.entry(subject).or_insert(Some(now + DAD_WAIT_MAX));
        }
    }

    fn report_blocked(&mut self, subject: Subject, blocked: Vec<Blocked>) {
        let before = self.blocked.get(&subject);
        if before != Some(&blocked) {
            for blocked in &blocked {
                let is_passing = matches!(blocked.reason, Reason::Tentative(_));
                if !is_passing && before.is_none_or(|before| !before.contains(blocked)) {
                    self.reports.push_back(Report::Blocked(blocked.clone()));
                }
            }
            self.blocked.insert(subject, blocked);
        }
    }

    fn is_moved(&self, position: u32) -> bool {
        let owner = self.desired.links.get(position as usize).and_then(|link| link.peer_of);
        let owner = owner.and_then(|owner| self.index.link(owner));
        self.bindings.is_moved(position) || owner.is_some_and(|owner| self.bindings.is_moved(owner))
    }

    fn block_moved(&self, subject: Subject, plan: &mut Plan) {
        if let Subject::Link(position) = subject {
            let object = ObjectId::Link(self.desired.links[position as usize].name);
            plan.blocked.push(Blocked { object, reason: Reason::MovedAway, subject });
        }
    }

    /// Takes a step into the round, or says when it may come.
    fn admit(&mut self, now: Instant, step: Step, noticed: Noticed, network: &Network) {
        let object = step.change.object();
        let is_revert = self.clean.contains(step.subject);
        if !ready::is_ready(&step, network) || self.goes_first(&step) {
            // The link or the address that it names is made in this round or the next, and
            // touches it when it comes.
            self.unresolved.insert(step.subject, noticed);
            return;
        }
        self.note_doomed(&step, network);
        if !self.may_retry(now, object, step.subject) {
            return;
        }
        if self.is_looked_at_first(&step, noticed, is_revert, network) {
            return;
        }
        let permitted = self.permit(now, &step, noticed, is_revert);
        if permitted.is_some() {
            let (role, track) = (Role::Plain, permitted);
            self.round.push_back(Pending { step, noticed, is_revert, role, track });
        }
    }

    fn note_convergence(&mut self, now: Instant) {
        let converged = self.is_converged();
        if converged && !self.converged {
            self.reports.push_back(Report::Converged);
        }
        self.converged = converged;
        let purge_due = self.purged.is_none_or(|last| now - last >= QUIET_RESET);
        if converged && purge_due {
            self.tracks.retain(|_, track| !track.is_quiet(now));
            self.refused.clear();
            self.purged = Some(now);
        }
    }
}
