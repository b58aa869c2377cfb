//! Whether a step may come in the round that is being made, or waits for another one.

use std::net::IpAddr;

use super::{Pending, Reconcile};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::text::LinkName;
use crate::plan::Step;

impl Reconcile {
    /// Whether the round deletes, to make it anew, a link that the step makes or is about.
    pub(super) fn goes_first(&self, step: &Step) -> bool {
        let link = match step.change.object() {
            ObjectId::Link(name) | ObjectId::Address { link: name, .. } => Some(name),
            ObjectId::Route { dev, .. } => dev,
            ObjectId::Neighbour { link, .. }
            | ObjectId::BridgeVlan { link, .. }
            | ObjectId::Fdb { link, .. } => Some(link),
            ObjectId::Group(_) | ObjectId::Rule { .. } | ObjectId::Nexthop(_) => None,
        };
        let goes = |pending: &Pending| {
            let deleted = pending.step.change.object();
            [link, step.needs].into_iter().flatten().any(|it| ObjectId::Link(it) == deleted)
        };
        // They come first in a plan, and so in the round.
        let mut recreations = self.round.iter().take_while(|it| it.step.is_recreation());
        !step.is_recreation() && recreations.any(goes)
    }
}

/// Whether all that a step names is there.
pub(super) fn is_ready(step: &Step, network: &Network) -> bool {
    let is_there = step.needs.is_none_or(|needs| network.index_of(needs).is_some());
    let is_in_use = step.needs_source.is_none_or(|source| is_in_use(source, network));
    is_there && is_in_use && names_resolve(&step.change, network)
}

/// Whether a route can be from that address. One of IPv4 is made earlier in the same round.
fn is_in_use(source: IpAddr, network: &Network) -> bool {
    let is_it = |own: &Address| own.key.prefix.address == source && !own.is_tentative();
    source.is_ipv4() || network.addresses().any(is_it)
}

/// Whether every link that a change names exists by now.
fn names_resolve(change: &Change, network: &Network) -> bool {
    let exists = |name: LinkName| network.index_of(name).is_some();
    match change {
        Change::CreateLink(new) => {
            new.settings.lower().is_none_or(exists) && new.master.is_none_or(exists)
        }
        Change::SetLink(update) => {
            let is_there = |master: LinkName| master.is_empty() || exists(master);
            exists(update.link) && update.master.is_none_or(is_there)
        }
        Change::SetSysctls { link, .. } | Change::DeleteLink(link) => exists(*link),
        Change::AddAltname { link, .. } | Change::DeleteAltname { link, .. } => exists(*link),
        Change::DeleteGroup(_) | Change::SetGroup { .. } => true,
        Change::PutAddress { link, .. } | Change::DeleteAddress { link, .. } => exists(*link),
        Change::CreateRoute(route) | Change::ReplaceRoute(route) | Change::DeleteRoute(route) => {
            route.devs().all(exists)
        }
        Change::CreateRule(_) | Change::DeleteRule(_) => true,
        Change::PutNeighbour { link, .. } | Change::DeleteNeighbour { link, .. } => exists(*link),
        Change::PutVlans { link, .. } | Change::DeleteVlans { link, .. } => exists(*link),
        Change::PutNexthop { nexthop, .. } => nexthop.dev.is_none_or(exists),
        Change::DeleteNexthop(_) => true,
        Change::PutFdb { entry, .. } | Change::DeleteFdb(entry) => {
            exists(entry.link) && entry.via.is_none_or(exists)
        }
    }
}
