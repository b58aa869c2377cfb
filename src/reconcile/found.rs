//! What differs, told and left as it is.
//!
//! In mode `Report` no step ever comes into a round, so nothing can be sent. What was told of a
//! subject is remembered until it is as declared again.

use std::time::{Duration, Instant};

use super::{Finding, Noticed, Reconcile, Report};
use crate::model::hash::HashMap;
use crate::model::object::ObjectId;
use crate::plan::{Plan, Reason, Step, Subject};

/// An object that was told not to be as declared.
#[derive(Debug)]
pub(super) struct Found {
    object: ObjectId,
    since: Instant,
    /// What would put it right; `None` where nothing can.
    step: Option<Step>,
}

impl Reconcile {
    /// Tells what came to differ of the subjects that were looked at, and what does not any more.
    pub(super) fn tell_found(&mut self, looked_at: &[(Subject, Noticed)], plan: Plan) {
        let mut found = HashMap::<_, Vec<_>>::default();
        for step in plan.steps {
            self.clean.remove(step.subject);
            found.entry(step.subject).or_default().push(step);
        }
        for &(subject, noticed) in looked_at {
            let since = noticed.at;
            let steps = found.remove(&subject).unwrap_or_default().into_iter();
            let as_found =
                |step: Step| Found { object: step.change.object(), since, step: Some(step) };
            let mut found: Vec<_> = steps.map(as_found).collect();
            found.extend(self.blocked_as_found(subject, since));
            let before = self.found.remove(&subject).unwrap_or_default();
            for it in &mut found {
                self.tell_one(it, &before, noticed.sender);
            }
            for gone in before {
                if !found.iter().any(|it| it.object == gone.object) {
                    let took = noticed.at.saturating_duration_since(gone.since);
                    self.tell_as_declared(gone.object, noticed.sender, took);
                }
            }
            if !found.is_empty() {
                self.found.insert(subject, found);
            }
        }
    }

    /// What is blocked has been told as such.
    fn blocked_as_found(&self, subject: Subject, since: Instant) -> Vec<Found> {
        let blocked = self.blocked.get(&subject).into_iter().flatten();
        let lasting = blocked.filter(|it| !matches!(it.reason, Reason::Tentative(_)));
        lasting.map(|it| Found { object: it.object, since, step: None }).collect()
    }

    fn tell_one(&mut self, it: &mut Found, before: &[Found], sender: u32) {
        if let Some(before) = before.iter().find(|before| before.object == it.object) {
            it.since = before.since;
        }
        let is_told =
            before.iter().any(|before| before.step == it.step && before.object == it.object);
        if let Some(step) = it.step.as_ref().filter(|_| !is_told) {
            let finding = Finding { step: step.clone(), sender };
            self.reports.push_back(Report::Differs(Box::new(finding)));
        }
    }

    fn tell_as_declared(&mut self, object: ObjectId, sender: u32, took: Duration) {
        self.reports.push_back(Report::AsDeclared { object, sender, took });
    }
}
