//! What may have changed without a word, to be looked at a moment later.
//!
//! Most of what the kernel takes along it announces, right after the news of the cause; whether
//! it did is seen only when that has come. What is still in doubt then takes a reading.

use std::collections::BTreeSet;

use crate::limits::DOUBTS_MAX;
use crate::model::consequences::{Taken, Trigger, in_doubt};
use crate::model::network::Network;
use crate::model::route::RouteSlot;

#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether only a reading can tell.
    is_raised: bool,
    /// What may have gone or changed, and was not told of since.
    suspects: BTreeSet<Taken>,
    /// Where an IPv6 next hop went. The kernel shows those of a slot as one route, by the
    /// protocol and source of the first; of those that stay the mirror knows no better.
    slots: BTreeSet<RouteSlot>,
}

impl Doubt {
    /// Something cannot be known but by a reading.
    pub(super) fn raise(&mut self) {
        self.is_raised = true;
    }

    /// A change that may have taken more along than is announced, or is known for certain.
    pub(super) fn note(&mut self, trigger: Trigger, network: &Network) {
        for (at, suspect) in in_doubt(network, trigger).into_iter().enumerate() {
            if self.is_full(network) {
                // Of one change the kernel tells all or nothing, so the first of them tell.
                self.is_raised |= at == 0;
                return;
            }
            self.suspects.insert(suspect);
        }
    }

    /// A notification told of it: it is as the mirror has it.
    pub(super) fn told(&mut self, object: Taken) {
        self.suspects.remove(&object);
    }

    /// An IPv6 next hop of that slot went.
    pub(super) fn note_slot(&mut self, slot: RouteSlot, network: &Network) {
        if self.is_full(network) {
            self.is_raised = true;
        } else {
            self.slots.insert(slot);
        }
    }

    pub(super) fn is_some(&self) -> bool {
        self.is_raised || !self.suspects.is_empty() || !self.slots.is_empty()
    }

    /// Whether `network` still shows what is in doubt; there is none any more then.
    pub(super) fn settle(&mut self, network: &Network) -> bool {
        self.forget_settled(network);
        let is_left = self.is_some();
        *self = Self::default();
        is_left
    }

    /// Whether there is no room for more, of what the news since have not settled.
    fn is_full(&mut self, network: &Network) -> bool {
        let is_full = |doubt: &Self| doubt.suspects.len() + doubt.slots.len() >= DOUBTS_MAX;
        if self.is_raised || !is_full(self) {
            return self.is_raised;
        }
        // In a storm of deletions most are settled by the time: no reason for a reading.
        self.forget_settled(network);
        is_full(self)
    }

    fn forget_settled(&mut self, network: &Network) {
        self.suspects.retain(|suspect| match suspect {
            Taken::Address(key) => network.address(*key).is_some(),
            Taken::Route(key) => network.route(*key).is_some(),
        });
        self.slots.retain(|slot| {
            network.routes_in(*slot).any(|route| !route.is_ipv4() && route.key.via.is_some())
        });
    }
}
