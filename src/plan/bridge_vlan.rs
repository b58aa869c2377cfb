//! Compares the declared VLANs of a bridge's port, or of the bridge itself, with the observed ones.
//!
//! They are the whole set: what else the link is a member of, such as the VLAN that a bridge gives
//! to each new port (`vlan_default_pvid`), is left.

use std::collections::BTreeMap;

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown, has_vlans};
use crate::desired::{DesiredLink, DesiredVlan};
use crate::model::bridge_vlan::BridgeVlan;
use crate::model::change::Change;
use crate::model::link::Link;
use crate::model::object::ObjectId;
use crate::model::text::LinkName;

/// What a member of a VLAN is in it: whether it is the PVID, whether untagged, and whether it is a
/// member already.
type Membership = (bool, bool, bool);

impl Diff<'_> {
    pub(super) fn vlans(&mut self, position: u32, bound: Option<u32>) {
        let Some((wanted, found)) = self.below(position, bound) else { return };
        let Some(declared) = &wanted.vlans else { return };
        if wanted.master.is_some_and(|master| !self.will_exist(master)) {
            return; // The link itself is blocked, and says so.
        }
        let is_joining = self.is_joining(wanted, found);
        let stays = found.filter(|_| !is_joining);
        if stays.is_some_and(|found| !has_vlans(found, self.observed)) {
            let (object, reason) = (ObjectId::Link(wanted.name), Reason::NoVlans(wanted.name));
            return self.block(Subject::Vlans(position), object, reason);
        }
        let now: BTreeMap<_, _> = stays
            .into_iter()
            .flat_map(|found| self.observed.bridge_vlans_of(found.index))
            .map(|now| (now.key.vid, *now))
            .collect();
        self.put_vlans(position, wanted.name, declared, &now);
        self.leave_vlans(position, wanted.name, declared, &now);
    }

    /// Whether a link that is there is still to become a port of its declared master, which ends
    /// what it is a member of.
    pub(super) fn is_joining(&self, wanted: &DesiredLink, found: Option<&Link>) -> bool {
        let Some((master, found)) = wanted.master.zip(found) else { return false };
        self.observed.index_of(master) != Some(found.master)
    }

    fn put_vlans(
        &mut self,
        position: u32,
        link: LinkName,
        declared: &[DesiredVlan],
        now: &BTreeMap<u16, BridgeVlan>,
    ) {
        let mut missing = BTreeMap::new();
        for wanted in declared {
            for vid in wanted.first..=wanted.last {
                let found = now.get(&vid);
                let is_alike =
                    |it: &&BridgeVlan| (it.pvid, it.untagged) == (wanted.pvid, wanted.untagged);
                if found.filter(is_alike).is_none() {
                    missing.insert(vid, (wanted.pvid, wanted.untagged, found.is_some()));
                }
            }
        }
        for (first, last, (pvid, untagged, replace)) in ranges(&missing) {
            let before = now.get(&first).filter(|_| replace);
            let mut differences = Vec::new();
            for (key, from, to) in [
                ("pvid", before.map(|it| it.pvid), pvid),
                ("untagged", before.map(|it| it.untagged), untagged),
            ] {
                if from.unwrap_or(false) != to {
                    let (from, to) = (from.map(Shown::Bool), Some(Shown::Bool(to)));
                    differences.push(Difference { key, from, to });
                }
            }
            let change = Change::PutVlans { link, first, last, pvid, untagged, replace };
            let subject = Subject::Vlans(position);
            self.step(subject, Rank::BridgeVlan, change, differences, Vec::new());
        }
    }

    fn leave_vlans(
        &mut self,
        position: u32,
        link: LinkName,
        declared: &[DesiredVlan],
        now: &BTreeMap<u16, BridgeVlan>,
    ) {
        let is_declared = |vid: &u16| declared.iter().any(|own| own.contains(*vid));
        let extra = now.keys().filter(|vid| !is_declared(vid));
        let extra: BTreeMap<_, _> = extra.map(|vid| (*vid, (false, false, true))).collect();
        for (first, last, _) in ranges(&extra) {
            let change = Change::DeleteVlans { link, first, last };
            let subject = Subject::Vlans(position);
            self.step(subject, Rank::DeleteVlan, change, Vec::new(), Vec::new());
        }
    }
}

/// VLANs that follow one another and are alike, as ranges; a PVID is alone.
pub(super) fn ranges(vlans: &BTreeMap<u16, Membership>) -> Vec<(u16, u16, Membership)> {
    let mut ranges: Vec<(u16, u16, Membership)> = Vec::new();
    for (&vid, &is) in vlans {
        match ranges.last_mut() {
            Some((_, last, before)) if *last + 1 == vid && *before == is && !is.0 => *last = vid,
            _ => ranges.push((vid, vid, is)),
        }
    }
    ranges
}
