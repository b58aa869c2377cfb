//! Compares the declared addresses of a link with the observed ones.

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Shown};
use crate::desired::{DesiredLink, State};
use crate::model::address::{Address, Prefix};
use crate::model::change::Change;
use crate::model::consequences::Trigger;
use crate::model::link::Link;

impl Diff<'_> {
    pub(super) fn addresses(&mut self, position: u32, bound: Option<u32>) {
        let Some(wanted) = self.desired.links.get(position as usize) else {
            return;
        };
        let Some(addresses) = &wanted.addresses else {
            return;
        };
        if wanted.state == Some(State::Absent) {
            return;
        }
        let found = self.find(wanted, bound);
        let found = found.filter(|found| !self.is_recreated(wanted, found));
        if found.is_none() && !self.is_ours_to_make(wanted.name) {
            return; // The link itself is blocked, and says so.
        }
        if found.is_some_and(|found| self.other_kind(wanted, &found).is_some()) {
            return;
        }
        // By the name that it has when the step is sent: a rename comes before.
        let link = wanted.name;
        for &prefix in addresses {
            let suspended = wanted.state == Some(State::Down) && !prefix.is_ipv4();
            let now = found.and_then(|found| self.address_now(&found, prefix));
            let is_as_wanted = now.is_some_and(|now| now.is_permanent());
            if suspended || is_as_wanted {
                continue;
            }
            let replace = now.is_some();
            let protocol = self.desired.protocol();
            let change = Change::PutAddress { link, prefix, protocol, replace };
            let differences = match now {
                Some(_) => {
                    vec![Difference::new("permanent", Shown::Bool(false), Shown::Bool(true))]
                }
                None => Vec::new(),
            };
            let subject = Subject::Addresses(position);
            self.step(subject, Rank::Address, change, differences, Vec::new());
        }
        if let Some(found) = found.filter(|_| wanted.remove_extra_addresses) {
            self.extra_addresses(position, wanted, &found, addresses);
        }
    }

    /// The address of that prefix, with or without another end.
    fn address_now(&self, link: &Link, prefix: Prefix) -> Option<Address> {
        self.observed
            .addresses_of(link.index)
            .find(|now| now.key.prefix == prefix && now.key.peer.is_none())
            .copied()
    }

    fn extra_addresses(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: &Link,
        addresses: &[Prefix],
    ) {
        let (observed, link) = (self.observed, wanted.name);
        // The kernel takes them away itself; deleting them afterwards would be an error.
        let is_going_down = wanted.state == Some(State::Down) && found.is_up();
        for now in observed.addresses_of(found.index) {
            let key = now.key;
            let is_declared = key.peer.is_none() && addresses.contains(&key.prefix);
            let goes_with_its_link = is_going_down && !key.prefix.is_ipv4();
            if is_declared || goes_with_its_link || is_kept_always(now, found) {
                continue;
            }
            let also_removes = self.taken(Trigger::AddressGone(key));
            let change = Change::DeleteAddress { link, prefix: key.prefix, peer: key.peer };
            let subject = Subject::Addresses(position);
            self.step(subject, Rank::DeleteAddress, change, Vec::new(), also_removes);
        }
    }
}

/// Link-local and dynamic addresses, and a loopback's own, are nobody's to remove.
fn is_kept_always(address: &Address, link: &Link) -> bool {
    let is_link_local = match address.key.prefix.address {
        std::net::IpAddr::V4(own) => own.is_link_local(),
        std::net::IpAddr::V6(own) => own.is_unicast_link_local(),
    };
    is_link_local
        || !address.is_permanent()
        || (link.is_loopback() && address.key.prefix.address.is_loopback())
}
