//! What of a link cannot be changed in place, and how it is made anew where that is allowed.

use std::cmp::Reverse;

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown};
use crate::desired::DesiredLink;
use crate::model::change::Change;
use crate::model::consequences::Trigger;
use crate::model::kind::{Kind, Value, ValueType};
use crate::model::link::Link;
use crate::model::object::ObjectId;

impl Diff<'_> {
    /// Why a link that was found cannot be made the declared one; none where it can.
    pub(super) fn not_in_place(&self, wanted: &DesiredLink, found: &Link) -> Vec<Reason> {
        if let Some(reason) = self.other_kind(wanted, found) {
            return vec![reason];
        }
        let Some(settings) = wanted.settings else {
            return Vec::new();
        };
        let mut reasons = Vec::new();
        let fixed = self.differing(&settings, found.settings.as_ref(), |key| key.only_at_creation);
        for Difference { key, from, to } in fixed.into_iter().flat_map(|(_, fixed)| fixed) {
            let or_none = |shown: Option<Shown>| shown.unwrap_or(Shown::Word("none"));
            let (from, to) = (or_none(from), or_none(to));
            reasons.push(Reason::OnlyAtCreation { key, from, to });
        }
        reasons.extend(self.other_netns(&settings, found));
        if let Some(mac) = wanted.mac.filter(|&mac| mac != found.mac) {
            if settings.kind.mac_only_at_creation {
                let (from, to) = (found.mac.into(), mac.into());
                reasons.push(Reason::OnlyAtCreation { key: "mac", from, to });
            }
        }
        reasons
    }

    /// Whether a link differs in a key of every link that can be changed in place.
    pub(super) fn differs_in_place(&self, key: &str, wanted: &DesiredLink, found: &Link) -> bool {
        let is_fixed = wanted.settings.is_some_and(|settings| settings.kind.mac_only_at_creation);
        key == "mac" && wanted.mac.is_some_and(|mac| mac != found.mac) && !is_fixed
    }

    /// Whether a link that was found is to be deleted, and the declared one made in its place. A
    /// device that no rtnl kind made is not ours to delete.
    pub(super) fn is_recreated(&self, wanted: &DesiredLink, found: &Link) -> bool {
        self.desired.recreates
            && !found.kind.is_empty()
            && !self.not_in_place(wanted, found).is_empty()
    }

    /// Deletes the link, and makes the declared one; a peer is made with the other end.
    pub(super) fn recreate(&mut self, position: u32, wanted: &DesiredLink, found: &Link) {
        let differences = self.not_in_place(wanted, found);
        let differences = differences.into_iter().map(|reason| match reason {
            Reason::OtherKind { wanted, found } => Difference {
                key: "kind",
                from: Some(Shown::Name(found)),
                to: Some(Shown::Word(wanted)),
            },
            Reason::OnlyAtCreation { key, from, to } => {
                Difference { key, from: Some(from), to: Some(to) }
            }
            _ => Difference { key: "peer", from: None, to: wanted.peer_of.map(Shown::Name) },
        });
        let differences = differences.collect();
        self.delete_to_recreate(position, found, differences);
        let Some(settings) = wanted.settings else { return };
        // Its own peer goes with it.
        let taken = settings.peer().and_then(|peer| self.observed.link_named(peer));
        let taken = taken.filter(|taken| taken.index != found.lower);
        if taken.is_none_or(|taken| self.makes_room(position, taken)) {
            self.create(position, wanted, settings);
        }
    }

    /// Whether the link that has the name of a peer goes; its own subject says so.
    pub(super) fn makes_room(&self, position: u32, taken: &Link) -> bool {
        let is_its_peer = |link: &DesiredLink| {
            let owner = link.peer_of.and_then(|owner| self.index.link(owner));
            owner == Some(position)
        };
        let peer = self.declared(taken.name).filter(|link| is_its_peer(link));
        self.desired.recreates && peer.is_some() && !taken.kind.is_empty()
    }

    pub(super) fn delete_to_recreate(
        &mut self,
        position: u32,
        found: &Link,
        differences: Vec<Difference>,
    ) {
        let mut also_removes = self.taken(Trigger::LinkGone(found.index));
        also_removes.extend(self.links_on(found));
        let rank = Rank::Recreate { depth: Reverse(self.index.depth(position)) };
        let change = Change::DeleteLink(found.name);
        self.step(Subject::Link(position), rank, change, differences, also_removes);
    }

    /// The links that the kernel deletes with that one: what stands on it, and its other end.
    fn links_on(&self, found: &Link) -> Vec<ObjectId> {
        let goes_along = |link: &&Link| {
            let kind = Kind::by_name(link.kind.as_bytes());
            let is_local = link.lower_netns.is_none();
            let stands = link.lower == found.index && is_local;
            let named = link.settings.is_some_and(|settings| {
                settings.iter().any(|(key, value)| {
                    key.value == ValueType::Lower && value == Value::Index(found.index)
                })
            });
            (stands || named) && !kind.is_some_and(|kind| kind.outlives_lower)
        };
        let on = self.observed.links().filter(goes_along);
        let mut on: Vec<_> = on.map(|link| ObjectId::Link(link.name)).collect();
        on.sort_unstable();
        on
    }
}
