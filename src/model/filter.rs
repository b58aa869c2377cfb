//! What of the network is watched, as a value that says of each object whether it is wanted.
//!
//! The kernel is asked to send no more than that (`wire/filter.rs`), and passes a little more:
//! what it cannot judge, and what takes the place of a wanted route. The mirror decides by this
//! value alone, so it holds what a fresh dump holds of wanted objects, and nothing else.

use std::collections::BTreeSet;

use super::address::{AddressKey, Prefix};
use super::bridge_vlan::BridgeVlan;
use super::fdb::FdbEntry;
use super::neighbour::Neighbour;
use super::netconf::{Netconf, NetconfScope};
use super::network::Table;
use super::object::Object;
use super::route::Route;

/// What to watch: everything, unless it is narrowed.
///
/// A route is wanted where its protocol, its table and its links all are, or where it leads to
/// one of the destinations that are named beside them.
///
/// ```
/// use ringlink::{Filter, model::network::Table};
///
/// // Links alone; the routes of one daemon, with the links and addresses that they stand on.
/// let links = Filter::everything().objects([Table::Links]);
/// let of_bgp = Filter::everything().protocols([186]).tables([254]);
/// assert_ne!(links, of_bgp);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub(crate) objects: Option<BTreeSet<Table>>,
    pub(crate) links: Option<BTreeSet<u32>>,
    pub(crate) protocols: Option<BTreeSet<u8>>,
    pub(crate) tables: Option<BTreeSet<u32>>,
    pub(crate) destinations: BTreeSet<Prefix>,
}

impl Filter {
    /// Wants every object of every type.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Only objects of these types, and of those that they stand on: addresses bring the links
    /// along, routes bring links and addresses. The kernel announces not every route that goes
    /// with its link or with an address, so without those the routes would not be true.
    #[must_use]
    pub fn objects(mut self, tables: impl IntoIterator<Item = Table>) -> Self {
        let with_ground = |table: Table| table.stands_on().iter().copied().chain([table]);
        self.objects = Some(tables.into_iter().flat_map(with_ground).collect());
        self
    }

    /// Only the links of these indices, the addresses, neighbours, VLANs, forwarding entries and
    /// settings on them, and the routes of which every next hop leaves through one of them.
    #[must_use]
    pub fn links(mut self, indices: impl IntoIterator<Item = u32>) -> Self {
        self.links = Some(indices.into_iter().collect());
        self
    }

    /// Only routes of these protocols (RTPROT_*). A next hop of another protocol that joins an
    /// IPv6 route is shown by the kernel under the first one's; it is seen in dumps only.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = u8>) -> Self {
        self.protocols = Some(protocols.into_iter().collect());
        self
    }

    /// Only routes of these routing tables.
    #[must_use]
    pub fn tables(mut self, tables: impl IntoIterator<Item = u32>) -> Self {
        self.tables = Some(tables.into_iter().collect());
        self
    }

    /// The routes to exactly these destinations too, whatever their protocol, table and links.
    /// It adds to what the others leave, and does nothing alone.
    #[must_use]
    pub fn and_destinations(mut self, destinations: impl IntoIterator<Item = Prefix>) -> Self {
        self.destinations = destinations.into_iter().map(|to| to.network()).collect();
        self
    }

    /// Whether anything is wanted of that table.
    pub fn wants_table(&self, table: Table) -> bool {
        self.objects.as_ref().is_none_or(|objects| objects.contains(&table))
    }

    /// Whether the link of that index is wanted.
    pub fn wants_link(&self, index: u32) -> bool {
        self.wants_table(Table::Links) && self.has_link(index)
    }

    /// Whether that address is wanted.
    pub fn wants_address(&self, key: &AddressKey) -> bool {
        self.wants_table(Table::Addresses) && self.has_link(key.index)
    }

    /// Whether that route is wanted.
    pub fn wants_route(&self, route: &Route) -> bool {
        let is_picked = || {
            self.protocols.as_ref().is_none_or(|wanted| wanted.contains(&route.protocol))
                && self.tables.as_ref().is_none_or(|wanted| wanted.contains(&route.key.slot.table))
                && self.has_link(route.key.dev)
                && route.hops.iter().all(|hop| self.has_link(hop.dev))
        };
        self.wants_table(Table::Routes)
            && (is_picked() || self.destinations.contains(&route.key.slot.to))
    }

    /// Whether that object is wanted.
    pub fn wants(&self, object: &Object) -> bool {
        match object {
            Object::Link(link) => self.wants_link(link.index),
            Object::Address(address) => self.wants_address(&address.key),
            Object::Route(route) => self.wants_route(route),
            Object::Neighbour(Neighbour { key, .. }) => {
                self.wants_table(Table::Neighbours) && self.has_link(key.index)
            }
            Object::BridgeVlan(BridgeVlan { key, .. }) => {
                self.wants_table(Table::BridgeVlans) && self.has_link(key.index)
            }
            Object::Fdb(FdbEntry { dev, .. }) => {
                self.wants_table(Table::Fdb) && self.has_link(*dev)
            }
            Object::Netconf(Netconf { key, .. }) => {
                let has_link = match key.scope {
                    NetconfScope::Link(index) => self.has_link(index),
                    NetconfScope::All | NetconfScope::Default => true,
                };
                self.wants_table(Table::Netconf) && has_link
            }
            // Groups of next hops have no link, and members of any.
            other => self.wants_table(other.table()),
        }
    }

    /// Whether whatever competes with a wanted route to that destination is wanted too.
    pub(crate) fn wants_rivals(&self, to: &Prefix) -> bool {
        let is_limited = self.protocols.is_some() || self.links.is_some();
        !is_limited || self.destinations.contains(to)
    }

    /// What a dump of routes can be limited to: a protocol, a table.
    pub(crate) fn dumped_routes(&self) -> (Option<u8>, Option<u32>) {
        if !self.destinations.is_empty() {
            return (None, None);
        }
        (sole(self.protocols.as_ref()), sole(self.tables.as_ref()))
    }

    fn has_link(&self, index: u32) -> bool {
        self.links.as_ref().is_none_or(|links| links.contains(&index))
    }
}

/// The only element, of those that say "any" by 0 in a request none.
fn sole<T: Copy + Default + Ord>(set: Option<&BTreeSet<T>>) -> Option<T> {
    let set = set.filter(|set| set.len() == 1)?;
    set.first().copied().filter(|value| *value != T::default())
}
