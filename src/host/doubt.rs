//! What may have changed without a word, to be looked at a moment later.
//!
//! Most of what the kernel takes along it announces, right after the news of the cause; whether
//! it did is seen only when that has come. What is still in doubt then takes a reading.

use std::collections::BTreeSet;

use crate::limits::DOUBTS_MAX;
use crate::model::address::AddressKey;
use crate::model::consequences::{Trigger, is_doubtful, lacks_source};
use crate::model::network::Network;

#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether only a reading can tell.
    is_raised: bool,
    /// Links that went down or away, or lost their last IPv4 address.
    links: BTreeSet<u32>,
    /// Addresses that went while routes had them as their source.
    addresses: BTreeSet<AddressKey>,
}

impl Doubt {
    /// Something cannot be known but by a reading.
    pub(super) fn raise(&mut self) {
        self.is_raised = true;
    }

    /// A change that may take more along than is announced, or is known for certain.
    pub(super) fn note(&mut self, trigger: Trigger, takes_routes: bool, network: &Network) {
        if self.links.len() + self.addresses.len() >= DOUBTS_MAX {
            self.is_raised = true;
            return;
        }
        if let Trigger::AddressGone(key) = trigger
            && network.routes_from(key.prefix.address).next().is_some()
        {
            self.addresses.insert(key);
        }
        let link = match trigger {
            Trigger::LinkDown(index) | Trigger::LinkGone(index) => index,
            Trigger::AddressGone(key) if takes_routes => key.index,
            Trigger::AddressGone(_) | Trigger::NexthopGone(_) => return,
        };
        let has_routes = network.routes_through(link).next().is_some();
        if has_routes || network.addresses_of(link).next().is_some() {
            self.links.insert(link);
        }
    }

    pub(super) fn is_some(&self) -> bool {
        self.is_raised || !self.links.is_empty() || !self.addresses.is_empty()
    }

    /// Whether `network` still shows what is in doubt; there is none any more then.
    pub(super) fn settle(&mut self, network: &Network) -> bool {
        let Self { is_raised, links, addresses } = std::mem::take(self);
        is_raised
            || links.into_iter().any(|index| is_doubtful(network, index))
            || addresses.into_iter().any(|key| lacks_source(network, key))
    }
}
