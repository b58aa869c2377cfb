//! What an engine is made with, and what its namespaces are opened with.

use std::time::Instant;

use crate::host::Host;
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::model::filter::Filter;
use crate::model::network::Tables;
use crate::ring::Netns;
use crate::wire::numbers::groups;

/// What an engine is made with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whether the host keeps events for its owner.
    pub(crate) keeps_events: bool,
    /// What to ask of the kernel for the event socket, in bytes.
    pub(crate) receive_buffer_bytes: usize,
    /// Whether the ring can be polled, at the price of a dearer turn.
    pub(crate) pollable: bool,
    /// The network namespace to open; the thread's own unless given.
    pub(crate) netns: Option<Netns>,
    /// Whether all named namespaces are watched too, as they come and go.
    pub(crate) follows_names: bool,
    /// The tables to follow.
    pub(crate) tables: Tables,
    /// More groups to join, whose messages are handed out as they come where they are not read.
    pub(crate) raw_groups: Vec<u32>,
    /// What of these tables is watched.
    pub(crate) filter: Filter,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keeps_events: true,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            pollable: false,
            netns: None,
            follows_names: false,
            tables: Tables::default(),
            raw_groups: Vec::new(),
            filter: Filter::everything(),
        }
    }
}

impl Options {
    /// The groups to join.
    pub(super) fn groups(&self) -> Vec<u32> {
        let mut groups = groups(self.tables.with_what_they_stand_on());
        groups.extend(&self.raw_groups);
        groups
    }

    pub(super) fn host(&self, receive_buffer_bytes: usize) -> Host {
        let now = Instant::now();
        let host = Host::new(now, self.keeps_events, receive_buffer_bytes);
        host.following(now, self.tables, !self.raw_groups.is_empty())
    }
}
