//! Which observed link each declared one was last found as.
//!
//! By it a rename is told from a deletion, and a link that was moved to another namespace from
//! one that is gone.

use std::collections::BTreeSet;

use crate::model::hash::HashMap;
use crate::model::network::Network;
use crate::model::text::LinkName;

/// The bindings of all declared links, by their position in the declared state.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    indices: Vec<Option<u32>>,
    positions: HashMap<u32, u32>,
    moved: BTreeSet<u32>,
}

impl Bindings {
    pub(super) fn new(links: usize) -> Self {
        Self { indices: vec![None; links], ..Self::default() }
    }

    /// The declared link that the observed one of that index was found as.
    pub(super) fn position(&self, index: u32) -> Option<u32> {
        self.positions.get(&index).copied()
    }

    /// The observed link that the declared one of that position was found as.
    pub(super) fn index_at(&self, position: u32) -> Option<u32> {
        self.indices.get(position as usize).copied().flatten()
    }

    /// What is declared at that position is another link, or may be.
    pub(super) fn forget(&mut self, position: u32) {
        let at = position as usize;
        if self.indices.len() <= at {
            self.indices.resize(at + 1, None);
        }
        if let Some(before) = self.indices.get_mut(at).and_then(Option::take) {
            self.positions.remove(&before);
        }
        self.moved.remove(&position);
    }

    /// Brings one binding up to date, and returns the index that it holds.
    pub(super) fn bind(&mut self, position: u32, name: LinkName, network: &Network) -> Option<u32> {
        let bound = self.indices.get_mut(position as usize)?;
        let found = network.index_of(name);
        let is_stale = bound.is_some_and(|index| network.link(index).is_none());
        if (found.is_some() && found != *bound) || is_stale {
            if let Some(before) = *bound {
                self.positions.remove(&before);
            }
            if let Some(index) = found {
                self.positions.insert(index, position);
            }
            *bound = found;
        }
        if found.is_some() {
            self.moved.remove(&position);
        }
        *bound
    }

    /// The link of that index went to another namespace.
    pub(super) fn moved(&mut self, index: u32) {
        if let Some(position) = self.position(index) {
            self.moved.insert(position);
        }
    }

    pub(super) fn is_moved(&self, position: u32) -> bool {
        self.moved.contains(&position)
    }
}
