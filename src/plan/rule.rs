//! Compares a declared rule with those of its priority.

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown};
use crate::model::change::Change;
use crate::model::route::table_name;
use crate::model::rule::{FR_ACT_GOTO, FR_ACT_TO_TBL, Rule};
use crate::model::text::LinkName;

impl Diff<'_> {
    /// A rule that says the same serves, whoever added it. What is ours of its priority and not
    /// declared is from an earlier document, and goes after the new one is there.
    pub(super) fn rule(&mut self, position: u32) {
        let desired = self.desired;
        let Some(wanted) = desired.rules.get(position as usize) else {
            return;
        };
        let subject = Subject::Rule(position);
        let is_label = |name: &LinkName| desired.unmatched(*name).is_some();
        if let Some(label) = [wanted.iif, wanted.oif].into_iter().find(is_label) {
            return self.block(subject, wanted.id(), Reason::NoSuchLink(label));
        }
        let observed = self.observed;
        let others = || observed.rules_in(wanted.is_ipv6, wanted.priority);
        if !others().any(|now| now.is_alike(wanted)) {
            let creation = Change::CreateRule(Box::new(*wanted));
            self.step(subject, Rank::Rule, creation, made(wanted), Vec::new());
        }
        let declared = self.index.rules_in(wanted.is_ipv6, wanted.priority);
        if declared.first() != Some(&position) {
            return; // The first of the priority looks after all of it.
        }
        let is_declared = |now: &Rule| {
            let mut all = declared.iter().filter_map(|&at| desired.rules.get(at as usize));
            all.any(|wanted| wanted.is_alike(now))
        };
        for now in others().filter(|now| now.protocol == wanted.protocol && !is_declared(now)) {
            let removal = Change::DeleteRule(Box::new(*now));
            self.step(subject, Rank::DeleteRule, removal, Vec::new(), Vec::new());
        }
    }
}

/// What a rule is made with beside what its name says.
fn made(rule: &Rule) -> Vec<Difference> {
    let mut made = Vec::new();
    for (key, name) in [("iif", rule.iif), ("oif", rule.oif)] {
        made.extend((!name.is_empty()).then(|| Difference::made(key, name)));
    }
    let is_marked = rule.fwmark != 0 || rule.fwmask != 0;
    made.extend(is_marked.then(|| Difference::made("fwmark", rule.fwmark)));
    let table = table_name(rule.table).map_or(rule.table.into(), Shown::Word);
    match rule.action {
        FR_ACT_TO_TBL if rule.l3mdev => made.push(Difference::made("l3mdev", Shown::Bool(true))),
        FR_ACT_TO_TBL => made.push(Difference::made("table", table)),
        FR_ACT_GOTO => made.push(Difference::made("goto", rule.goto)),
        _ => made.extend(rule.action_name().map(|name| Difference::made("action", name))),
    }
    made
}
