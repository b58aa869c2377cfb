//! What a host counts: what came, and what was not as it should be. Nothing is decided by it.

/// Counts of what came and was not as it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages of the kernel that were read.
    pub messages: u64,
    /// Datagrams that did not come from the kernel; they are dropped.
    pub forged: u64,
    /// Messages that could not be decoded; each costs itself alone.
    pub malformed: u64,
    /// Datagrams that did not fit their buffer; each leads to a resync.
    pub truncated: u64,
    /// Overruns of the event socket; each leads to a resync.
    pub overruns: u64,
    /// Datagrams that the kernel says it dropped.
    pub dropped: u64,
    /// Dumps that were asked for.
    pub dumps: u64,
    /// Questions for single links that were sent, each for up to 64 of them.
    pub looks: u64,
    /// Changes that were sent.
    pub changes: u64,
}

impl std::iter::Sum for Counters {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            messages: sum.messages + one.messages,
            forged: sum.forged + one.forged,
            malformed: sum.malformed + one.malformed,
            truncated: sum.truncated + one.truncated,
            overruns: sum.overruns + one.overruns,
            dropped: sum.dropped + one.dropped,
            dumps: sum.dumps + one.dumps,
            looks: sum.looks + one.looks,
            changes: sum.changes + one.changes,
        })
    }
}
