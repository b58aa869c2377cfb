//! What reconciling tells its user.

use std::time::Duration;

use crate::model::object::ObjectId;
use crate::model::refusal::Outcome;
use crate::plan::{Blocked, Step};

/// Something that happened while the declared state was being reached or kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// A change was sent and answered.
    Attempted(Box<Attempt>),
    /// A change was acknowledged and the object still differs.
    WithoutEffect {
        /// The change.
        step: Box<Step>,
        /// How long until it is tried again.
        retry_in: Duration,
    },
    /// Someone keeps changing the object back; the next revert waits.
    Conflict {
        /// The object.
        object: ObjectId,
        /// The netlink port id of the other, where the kernel says; else 0.
        sender: u32,
        /// How long until the next revert.
        retry_in: Duration,
    },
    /// For a minute no one has changed the object back: it is put right at once again.
    ConflictOver {
        /// The object.
        object: ObjectId,
    },
    /// Where nothing is corrected: an object came to differ from what is declared, or differs
    /// otherwise than before.
    Differs(Box<Finding>),
    /// Where nothing is corrected: an object that differed does so no more.
    AsDeclared {
        /// The object.
        object: ObjectId,
        /// The netlink port id of the process that put it right, where the kernel says; else 0.
        sender: u32,
        /// For how long it differed, from notification to notification.
        took: Duration,
    },
    /// An object cannot be made as declared, or not yet.
    Blocked(Blocked),
    /// Every declared object is as declared.
    Converged,
    /// Notifications were lost; the state was read anew.
    Resync {
        /// How many datagrams the kernel says it dropped.
        dropped: u64,
    },
    /// The reader of the reports was too slow; that many were not kept.
    Missed(u64),
}

/// A change that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The change, and what differed.
    pub step: Step,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether the object had been as declared before: the change undoes a drift.
    pub is_revert: bool,
    /// The netlink port id of the process that caused the difference, where the kernel says;
    /// else 0.
    pub sender: u32,
    /// From the notification of the difference to the answer.
    pub took: Duration,
    /// How long until it is tried again, where it failed and is.
    pub retry_in: Option<Duration>,
}

/// A difference that is left as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What differs, as the change that would put it right.
    pub step: Step,
    /// The netlink port id of the process that caused the difference, where the kernel says;
    /// else 0.
    pub sender: u32,
}
