//! The way back of what stands on links beside addresses and neighbours.

use std::collections::BTreeMap;

use super::bridge_vlan::ranges;
use super::fdb::{is_kept, spelled};
use super::nexthop::spelled as nexthop_spelled;
use super::undo::Undo;
use crate::model::bridge_vlan::BridgeVlan;
use crate::model::change::{Change, FdbChange};
use crate::model::fdb::{FdbEntry, leads_to_several};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::nexthop::Nexthop;

impl Undo {
    /// What it left and what it was a member of. Where it is not a port of the same master yet,
    /// that comes first.
    pub(super) fn vlans(&self, now: &Network, changes: &mut Vec<Change>) {
        for (link, then) in self.pairs(now) {
            self.vlans_of(link, then, now, changes);
        }
    }

    fn vlans_of(&self, link: &Link, then: &Link, now: &Network, changes: &mut Vec<Change>) {
        let of = |network: &Network, index: u32| -> BTreeMap<u16, BridgeVlan> {
            network.bridge_vlans_of(index).map(|member| (member.key.vid, *member)).collect()
        };
        let (is, was) = (of(now, link.index), of(&self.before, then.index));
        let mut missing = BTreeMap::new();
        for (&vid, member) in &was {
            let found = is.get(&vid);
            let is_alike =
                |it: &&BridgeVlan| (it.pvid, it.untagged) == (member.pvid, member.untagged);
            if found.filter(is_alike).is_none() {
                missing.insert(vid, (member.pvid, member.untagged, found.is_some()));
            }
        }
        let extra = is.keys().filter(|vid| !was.contains_key(vid));
        let extra: BTreeMap<_, _> = extra.map(|vid| (*vid, (false, false, true))).collect();
        let link = link.name;
        for (first, last, (pvid, untagged, replace)) in ranges(&missing) {
            changes.push(Change::PutVlans { link, first, last, pvid, untagged, replace });
        }
        for (first, last, _) in ranges(&extra) {
            changes.push(Change::DeleteVlans { link, first, last });
        }
    }

    /// Next hop objects of ours, and those that the plan could change. Routes come after them.
    pub(super) fn nexthops(&self, now: &Network, changes: &mut Vec<Change>) {
        let is_scoped =
            |it: &&Nexthop| self.nexthops.contains(&it.id) || it.protocol == self.protocol;
        let spell =
            |network: &Network, it: &Nexthop| nexthop_spelled(it, |dev| network.name_of(dev));
        let (mut singles, mut groups) = (Vec::new(), Vec::new());
        for was in self.before.nexthops().filter(is_scoped) {
            let Some(wanted) = spell(&self.before, was) else { continue };
            let is = now.nexthop(was.id);
            if is.and_then(|is| spell(now, is)).as_ref() == Some(&wanted) {
                continue;
            }
            let is_other =
                is.is_some_and(|is| is.group.is_empty() != was.group.is_empty() || is.fdb);
            if is_other {
                changes.push(Change::DeleteNexthop(was.id));
            }
            let nexthop =
                Change::PutNexthop { nexthop: wanted, replace: is.is_some() && !is_other };
            if was.group.is_empty() { singles.push(nexthop) } else { groups.push(nexthop) }
        }
        let is_new = |it: &&Nexthop| self.before.nexthop(it.id).is_none();
        let extra = now.nexthops().filter(is_scoped).filter(is_new);
        changes.extend(singles.into_iter().chain(groups));
        changes.extend(extra.map(|it| Change::DeleteNexthop(it.id)));
    }

    /// The entries that were put there to stay. What is kept always, such as a tunnel's own
    /// `remote`, comes with the link.
    pub(super) fn fdb(&self, now: &Network, changes: &mut Vec<Change>) {
        for (link, then) in self.pairs(now) {
            let of = |network: &Network, of: &Link| -> Vec<FdbChange> {
                let own = network.fdb_of(of).filter(|it| !is_kept(it, of, network));
                own.map(|it| spelled(it, then.name, network)).collect()
            };
            let (is, was) = (of(now, link), of(&self.before, then));
            let missing = was.iter().filter(|it| !is.contains(it));
            let can_be_put = |it: &&FdbChange| it.via.is_none_or(|via| now.index_of(via).is_some());
            let put = |entry: &FdbChange| {
                let replace = now.fdb_around(link).any(|it| has_its_place(it, entry, link));
                Change::PutFdb { entry: *entry, replace }
            };
            changes.extend(missing.filter(can_be_put).map(put));
            // Of one address a replacement has pushed the other out.
            let has_place = |it: &&FdbChange| {
                let in_place = was.iter().any(|old| (old.mac, old.vid) == (it.mac, it.vid));
                !(in_place && it.dst.is_some() && !leads_to_several(it.mac))
            };
            let extra = is.iter().filter(|it| !was.contains(it)).filter(has_place);
            changes.extend(extra.map(|entry| Change::DeleteFdb(*entry)));
        }
    }
}

/// Whether an entry gives way to another one that is put there.
fn has_its_place(now: &FdbEntry, entry: &FdbChange, link: &Link) -> bool {
    let is_its = match entry.dst {
        None => now.key.on == link.master && now.key.vid == entry.vid,
        Some(_) => now.key.on == link.index && now.remote.is_some() && !leads_to_several(entry.mac),
    };
    is_its && now.key.mac == entry.mac
}
