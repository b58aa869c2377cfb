//! Compares the declared addresses of a link with the observed ones.

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown};
use crate::desired::{DesiredAddress, DesiredLink, State};
use crate::model::address::{
    Address, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_SECONDARY, Prefix, scope_name,
};
use crate::model::change::{AddressAttributes, Change};
use crate::model::consequences::{Taken, Trigger};
use crate::model::link::{IFF_RUNNING, Link};
use crate::model::object::ObjectId;

/// What is to be done about a declared address.
enum Verdict {
    AsWanted,
    /// It is not there, or other than declared in what a replacement sets right.
    Put {
        replace: bool,
    },
    /// It is other than declared in what only creation sets.
    Anew,
}

impl Diff<'_> {
    pub(super) fn addresses(&mut self, position: u32, bound: Option<u32>) {
        let Some((wanted, found)) = self.below(position, bound) else { return };
        let Some(addresses) = &wanted.addresses else { return };
        // By the name that it has when the step is sent: a rename comes before.
        let link = wanted.name;
        let misplaced = found.map_or_else(Vec::new, |found| misplaced(self, found, addresses));
        for own in addresses {
            if wanted.state == Some(State::Down) && !own.prefix.is_ipv4() {
                let object = ObjectId::Address { link, prefix: own.prefix };
                self.suspend(object);
                continue;
            }
            let is_in_turn = misplaced.iter().any(|first| is_same_subnet(first, own));
            if !is_in_turn {
                self.address(position, found, own);
            }
        }
        for first in misplaced {
            let alike: Vec<_> = addresses.iter().filter(|own| is_same_subnet(own, first)).collect();
            self.order(position, found, &alike);
        }
        if let Some(found) = found.filter(|_| wanted.remove_extra_addresses) {
            self.extra_addresses(position, wanted, found, addresses);
        }
    }

    fn address(&mut self, position: u32, found: Option<&Link>, own: &DesiredAddress) {
        let now = found.and_then(|found| self.address_now(found, own));
        let (verdict, differences) = judge(own, now.as_ref());
        match verdict {
            Verdict::AsWanted => self.detection(position, found, now),
            Verdict::Put { replace } => {
                let in_the_way = found.and_then(|found| self.in_the_way(found, own));
                if let Some(other) = in_the_way.filter(|_| !replace) {
                    self.delete(position, &other, Rank::Address);
                }
                self.put(position, own, replace, differences);
            }
            Verdict::Anew => {
                let Some(now) = now else { return };
                self.delete(position, &now, Rank::Address);
                self.put(position, own, false, differences);
            }
        }
    }

    /// Makes the first declared address of a subnet its primary: the others leave and come back
    /// after it, the primary last, so that the subnet is never without an address where the kernel
    /// promotes secondaries. Where it does not (net.ipv4.conf.*.promote_secondaries), the first
    /// goes with the old primary, and its replacement makes it anew.
    fn order(&mut self, position: u32, found: Option<&Link>, alike: &[&DesiredAddress]) {
        let (Some(found), Some((first, others))) = (found, alike.split_first()) else { return };
        let present = self.address_now(found, first);
        if present.is_none() {
            self.put(position, first, false, Vec::new());
        }
        let mut leaving: Vec<_> =
            others.iter().filter_map(|own| self.address_now(found, own)).collect();
        leaving.sort_by_key(|now| now.flags & IFA_F_SECONDARY == 0);
        for now in &leaving {
            self.delete(position, now, Rank::Address);
        }
        let primary = Difference::new("primary", Shown::Bool(false), Shown::Bool(true));
        self.put(position, first, true, vec![primary]);
        for own in others {
            self.put(position, own, false, Vec::new());
        }
    }

    fn put(
        &mut self,
        position: u32,
        own: &DesiredAddress,
        replace: bool,
        differences: Vec<Difference>,
    ) {
        let Some(wanted) = self.desired.links.get(position as usize) else { return };
        let DesiredAddress { prefix, peer, label, scope, flags, valid_lft, preferred_lft, .. } =
            *own;
        let preferred_lft = preferred_lft.or(valid_lft);
        let with = AddressAttributes { label, scope, flags, valid_lft, preferred_lft };
        let protocol = self.desired.protocol();
        let link = wanted.name;
        let change = Change::PutAddress { link, prefix, protocol, replace, peer, with };
        let subject = Subject::Addresses(position);
        self.step(subject, Rank::Address, change, differences, Vec::new());
    }

    fn delete(&mut self, position: u32, now: &Address, rank: Rank) {
        let Some(wanted) = self.desired.links.get(position as usize) else { return };
        let (link, key) = (wanted.name, now.key);
        // Whatever else is declared is there by the time that extra ones go; in the same subnet it
        // may be a secondary, which goes along.
        let subnet = Prefix { address: key.peer.unwrap_or(key.prefix.address), ..key.prefix };
        let subnet = subnet.network();
        let is_other =
            |own: &DesiredAddress| own.prefix.is_ipv4() && own.reaches().network() != subnet;
        let mut declared = wanted.addresses.iter().flatten();
        let keeps_another = rank == Rank::DeleteAddress && declared.any(is_other);
        let also_removes = match keeps_another && key.prefix.is_ipv4() {
            true => {
                let from = self.observed.routes_from(key.prefix.address);
                self.named(from.map(|route| Taken::Route(route.key)))
            }
            false => self.taken(Trigger::AddressGone(key)),
        };
        let change = Change::DeleteAddress { link, prefix: key.prefix, peer: key.peer };
        let subject = Subject::Addresses(position);
        self.step(subject, rank, change, Vec::new(), also_removes);
    }

    /// Duplicate address detection is under way, or found another owner. It needs a carrier, and
    /// waits for one as long as there is none.
    fn detection(&mut self, position: u32, found: Option<&Link>, now: Option<Address>) {
        let Some(wanted) = self.desired.links.get(position as usize) else { return };
        let (Some(found), Some(now)) = (found, now) else { return };
        let address = now.key.prefix.address;
        let reason = if now.flags & IFA_F_DADFAILED != 0 {
            Reason::AddressTaken(address)
        } else if now.is_tentative() && found.flags & IFF_RUNNING != 0 {
            Reason::Tentative(address)
        } else {
            return;
        };
        let object = ObjectId::Address { link: wanted.name, prefix: now.key.prefix };
        self.block(Subject::Addresses(position), object, reason);
    }

    /// The declared address, as it is there.
    fn address_now(&self, link: &Link, own: &DesiredAddress) -> Option<Address> {
        self.observed
            .addresses_of(link.index)
            .find(|now| (now.key.prefix, now.key.peer) == (own.prefix, own.peer))
            .copied()
    }

    /// On IPv6 a link has an address once, whatever its length and its other end
    /// (`ipv6_add_addr`).
    fn in_the_way(&self, link: &Link, own: &DesiredAddress) -> Option<Address> {
        let mut others = self.observed.addresses_of(link.index);
        let is_it =
            |now: &&Address| now.key.prefix.address == own.prefix.address && now.is_permanent();
        others.find(is_it).filter(|_| !own.prefix.is_ipv4()).copied()
    }

    fn extra_addresses(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: &Link,
        addresses: &[DesiredAddress],
    ) {
        let observed = self.observed;
        // The kernel takes them away itself; deleting them afterwards would be an error.
        let is_going_down = wanted.state == Some(State::Down) && found.is_up();
        for now in observed.addresses_of(found.index) {
            let key = now.key;
            // One that is in the way of a declared one is deleted before that is put there.
            let is_it = |own: &DesiredAddress| match key.prefix.is_ipv4() {
                true => (own.prefix, own.peer) == (key.prefix, key.peer),
                false => own.prefix.address == key.prefix.address,
            };
            let goes_with_its_link = is_going_down && !key.prefix.is_ipv4();
            if addresses.iter().any(is_it) || goes_with_its_link || is_kept_always(now, found) {
                continue;
            }
            self.delete(position, now, Rank::DeleteAddress);
        }
    }
}

/// What is to be done about a declared address, and what differs.
fn judge(own: &DesiredAddress, now: Option<&Address>) -> (Verdict, Vec<Difference>) {
    let mut differences = Vec::new();
    let Some(now) = now else {
        differences.extend(own.peer.map(|peer| Difference::made("peer", Shown::Address(peer))));
        differences.extend(own.label.map(|label| Difference::made("label", Shown::Name(label))));
        differences.extend(own.scope.map(|scope| Difference::made("scope", scope_shown(scope))));
        return (Verdict::Put { replace: false }, differences);
    };
    let bools = |key, now, wanted| Difference::new(key, Shown::Bool(now), Shown::Bool(wanted));
    let mut only_at_creation = false;
    if let Some(label) = own.label.filter(|&label| label != now.label) {
        differences.push(Difference::new("label", Shown::Name(now.label), Shown::Name(label)));
        only_at_creation = true;
    }
    if let Some(scope) = own.scope.filter(|&scope| scope != now.scope) {
        differences.push(Difference::new("scope", scope_shown(now.scope), scope_shown(scope)));
        only_at_creation = true;
    }
    let flags = crate::model::address::FLAG_NAMES.iter();
    for (flag, name) in flags.filter(|(flag, _)| (own.flags | own.flags_off) & flag != 0) {
        let (is, wanted) = (now.flags & flag != 0, own.flags & flag != 0);
        if is != wanted {
            differences.push(bools(name, is, wanted));
            only_at_creation |= own.prefix.is_ipv4();
        }
    }
    let lasts = own.valid_lft.is_none();
    if now.is_permanent() != lasts {
        differences.push(bools("permanent", now.is_permanent(), lasts));
    }
    let is_deprecated = now.flags & IFA_F_DEPRECATED != 0;
    let wanted = match own.preferred_lft {
        Some(0) => true,
        // It may have come to that by its age.
        Some(_) => is_deprecated,
        None => is_deprecated && !lasts,
    };
    if is_deprecated != wanted {
        differences.push(bools("deprecated", is_deprecated, wanted));
    }
    let verdict = match differences.is_empty() {
        true => Verdict::AsWanted,
        false if only_at_creation => Verdict::Anew,
        false => Verdict::Put { replace: true },
    };
    (verdict, differences)
}

/// The first declared IPv4 address of each subnet whose primary is another declared one.
fn misplaced<'d>(
    diff: &Diff<'_>,
    link: &Link,
    addresses: &'d [DesiredAddress],
) -> Vec<&'d DesiredAddress> {
    let of_ipv4 = || addresses.iter().filter(|own| own.prefix.is_ipv4());
    let is_misplaced = |(at, own): &(usize, &'d DesiredAddress)| {
        let is_first = !of_ipv4().take(*at).any(|before| is_same_subnet(before, own));
        let mut others = of_ipv4().filter(|other| is_same_subnet(own, other)).skip(1);
        is_first
            && others.any(|other| {
                let now = diff.address_now(link, other);
                now.is_some_and(|now| now.flags & IFA_F_SECONDARY == 0)
            })
    };
    of_ipv4().enumerate().filter(is_misplaced).map(|(_, own)| own).collect()
}

fn is_same_subnet(one: &DesiredAddress, two: &DesiredAddress) -> bool {
    one.prefix.is_ipv4() && one.reaches().network() == two.reaches().network()
}

fn scope_shown(scope: u8) -> Shown {
    scope_name(scope).map_or(scope.into(), Shown::Word)
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
