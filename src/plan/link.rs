//! Compares a declared link with the observed one: creation, settings, state.

use std::cmp::Reverse;

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown};
use crate::desired::{DesiredLink, State};
use crate::model::change::{Change, LinkUpdate, NewLink, NewPeer};
use crate::model::consequences::Trigger;
use crate::model::kind::{DISABLE_IPV6, Key, Settings, Value, ValueType};
use crate::model::link::Link;
use crate::model::object::ObjectId;

impl<'a> Diff<'a> {
    pub(super) fn link(&mut self, position: u32, bound: Option<u32>) {
        let Some(wanted) = self.desired.links.get(position as usize) else {
            return;
        };
        let depth = self.index.depth(position);
        match (self.find(wanted, bound), wanted.state) {
            (None, Some(State::Absent)) => {}
            (Some(found), Some(State::Absent)) => {
                let also_removes = self.taken_with_link(found.index, |along| {
                    let declared = self.declared(along.name);
                    declared.is_some_and(|along| along.state == Some(State::Absent))
                });
                let change = Change::DeleteLink(found.name);
                let rank = Rank::DeleteLink { depth: Reverse(depth) };
                self.step(Subject::Link(position), rank, change, Vec::new(), also_removes);
            }
            (None, _) => self.missing_link(position, wanted),
            (Some(found), _) => self.existing_link(position, wanted, found),
        }
    }

    /// The link by its name; else the one that bore it; else, for a peer, the other end of the
    /// link that it belongs to.
    pub(super) fn find(&self, wanted: &DesiredLink, bound: Option<u32>) -> Option<&'a Link> {
        let observed = self.observed;
        let found = observed.link_named(wanted.name);
        found.or_else(|| observed.link(bound?)).or_else(|| {
            let other_end = observed.link_named(wanted.peer_of?)?;
            let here = other_end.lower_netns.is_none();
            let peer = observed.link(other_end.lower).filter(|_| here)?;
            let is_declared = self.index.link(peer.name).is_some();
            (!is_declared && peer.kind == other_end.kind).then_some(peer)
        })
    }

    /// A declared link and what is there of it, for what stands on it. `None` where there is
    /// nothing to compare: it shall be gone, or is blocked and says so itself.
    pub(super) fn below(
        &self,
        position: u32,
        bound: Option<u32>,
    ) -> Option<(&'a DesiredLink, Option<&'a Link>)> {
        let wanted = self.desired.links.get(position as usize)?;
        if wanted.state == Some(State::Absent) {
            return None;
        }
        let found = self.find(wanted, bound);
        let found = found.filter(|found| !self.is_recreated(wanted, found));
        let will_be_there = match found {
            Some(found) => self.other_kind(wanted, found).is_none(),
            None => self.is_ours_to_make(wanted.name),
        };
        will_be_there.then_some((wanted, found))
    }

    fn missing_link(&mut self, position: u32, wanted: &DesiredLink) {
        let subject = Subject::Link(position);
        let object = ObjectId::Link(wanted.name);
        let Some(settings) = wanted.settings else {
            return self.missing_link_without_kind(position, wanted);
        };
        let missing = settings.lower().filter(|&lower| !self.will_exist(lower));
        if let Some(lower) = missing {
            return self.block(subject, object, Reason::NoSuchLink(lower));
        }
        if let Some(reason) = self.netns_obstacle(&settings) {
            return self.block(subject, object, reason);
        }
        let taken = settings.peer().and_then(|peer| self.observed.link_named(peer));
        if let Some(taken) = taken {
            if !self.makes_room(position, taken) {
                return self.block(subject, object, Reason::PeerNameTaken(taken.name));
            }
        }
        self.create(position, wanted, settings);
    }

    /// The step that makes a link, and those that follow on it.
    pub(super) fn create(&mut self, position: u32, wanted: &DesiredLink, settings: Settings) {
        let subject = Subject::Link(position);
        let new = self.new_link(wanted, settings);
        let mut differences = vec![Difference::made("kind", settings.kind.name)];
        differences.extend(
            settings.iter().map(|(key, value)| Difference::made(key.name, self.shown(key, value))),
        );
        differences.extend(new.mtu.map(|mtu| Difference::made("mtu", mtu)));
        differences.extend(new.mac.map(|mac| Difference::made("mac", mac)));
        differences.extend(wanted.group.map(|group| Difference::made("group", group)));
        differences.extend(new.master.map(|master| Difference::made("master", master)));
        differences.extend(new.up.then(|| Difference::made("admin", "up")));
        let rank = Rank::CreateLink { depth: self.index.depth(position) };
        self.step(subject, rank, Change::from(new), differences, Vec::new());
        self.after_creation(position, wanted, &new);
    }

    /// A device that must come by itself, or the peer of a link that is made together with it.
    fn missing_link_without_kind(&mut self, position: u32, wanted: &DesiredLink) {
        let subject = Subject::Link(position);
        let object = ObjectId::Link(wanted.name);
        let Some(owner) = wanted.peer_of else {
            return self.block(subject, object, Reason::NoSuchLink(wanted.name));
        };
        if let Some(other_end) = self.observed.link_named(owner) {
            let is_here = other_end.lower_netns.is_none();
            if is_here && self.observed.link(other_end.lower).is_none() {
                return; // The pair is being deleted: the news of the other end is on its way.
            }
            if self.declared(owner).is_some_and(|link| self.is_recreated(link, other_end)) {
                return; // It comes with the pair.
            }
            return self.block(subject, object, Reason::NotThePeerOf(owner));
        }
        if !self.will_exist(owner) {
            return self.block(subject, object, Reason::NoSuchLink(owner));
        }
        self.common(position, wanted, None);
        // Up and master are refused or ignored in a peer's nest: KERNEL, "creating".
        let mut update = LinkUpdate::new(wanted.name);
        let mut differences = Vec::new();
        if wanted.state == Some(State::Up) {
            update.up = Some(true);
            differences.push(Difference::new("admin", "down", "up"));
        }
        self.master(subject, wanted, 0, &mut update, &mut differences);
        self.join_first(position, wanted, &mut update, &mut differences);
        let joins = update.master.is_some();
        self.set_link(position, update, differences, Vec::new());
        self.port_after_joining(position, wanted);
        if joins {
            self.mtu_of_master(position, wanted, None);
        }
        self.names(position, wanted, None);
    }

    fn new_link(&self, wanted: &DesiredLink, settings: Settings) -> NewLink {
        let group = self.desired.owner.as_ref().map(|owner| owner.group);
        let elsewhere = settings.peer_netns().map(|_| NewPeer { group, ..NewPeer::default() });
        let peer = settings.peer().map(|name| {
            let block = self.index.link(name).and_then(|at| self.desired.links.get(at as usize));
            NewPeer {
                mtu: block.and_then(|block| block.mtu),
                mac: block.and_then(|block| block.mac),
                group: group.or(block.and_then(|block| block.group)),
            }
        });
        // Some kinds refuse to be up on a lower link that is down.
        let lower_is_up = settings.lower().is_none_or(|lower| self.is_up_before(lower));
        NewLink {
            name: wanted.name,
            settings,
            mtu: self.mtu_at_creation(wanted),
            mac: wanted.mac,
            group: group.or(wanted.group),
            up: wanted.state == Some(State::Up)
                && lower_is_up
                && !self.joins_down(wanted)
                && !is_set_before_up(wanted),
            master: wanted.master.filter(|&master| self.will_exist(master)),
            peer: peer.or(elsewhere),
        }
    }

    /// What the message of creation could not say yet.
    fn after_creation(&mut self, position: u32, wanted: &DesiredLink, new: &NewLink) {
        let subject = Subject::Link(position);
        if let Some(master) = wanted.master.filter(|_| new.master.is_none()) {
            self.block(subject, ObjectId::Link(wanted.name), Reason::NoSuchLink(master));
        }
        // Of some of it creation says nothing and takes nothing: KERNEL, "creating".
        self.common(position, wanted, None);
        if wanted.state == Some(State::Up) && !new.up {
            let update = LinkUpdate { up: Some(true), ..LinkUpdate::new(wanted.name) };
            let differences = vec![Difference::new("admin", "down", "up")];
            self.set_link(position, update, differences, Vec::new());
        }
        if let Some(mtu) = wanted.mtu.filter(|_| new.mtu.is_none()) {
            let update = LinkUpdate { mtu: Some(mtu), ..LinkUpdate::new(wanted.name) };
            self.set_link(position, update, vec![Difference::made("mtu", mtu)], Vec::new());
        }
        if new.master.is_some() {
            self.port_after_joining(position, wanted);
            self.mtu_of_master(position, wanted, None);
        }
        self.names(position, wanted, None);
    }

    fn existing_link(&mut self, position: u32, wanted: &DesiredLink, found: &Link) {
        let subject = Subject::Link(position);
        if self.is_recreated(wanted, found) {
            return self.recreate(position, wanted, found);
        }
        let is_other = self.other_kind(wanted, found).is_some();
        let obstacle = wanted.settings.and_then(|settings| self.netns_obstacle(&settings));
        for reason in self.not_in_place(wanted, found).into_iter().chain(obstacle) {
            self.block(subject, ObjectId::Link(wanted.name), reason);
        }
        if is_other {
            return;
        }
        let is_taken_down = self.settings(position, wanted, found);
        self.common(position, wanted, Some(found));
        self.names(position, wanted, Some(found));
        let mut update = LinkUpdate::new(found.name);
        let mut differences = Vec::new();
        if let Some(owner) = self.desired.owner.as_ref().filter(|it| it.doomed() == found.group) {
            // It was to be deleted and is declared again.
            update.group = Some(wanted.group.unwrap_or(owner.group));
        } else {
            update.group = wanted.group.filter(|&group| group != found.group);
        }
        if let Some(group) = update.group {
            differences.push(Difference::new("group", found.group, group));
        }
        if found.name != wanted.name {
            update.rename = Some(wanted.name);
            differences.push(Difference::new("name", found.name, wanted.name));
        }
        self.mtu(position, wanted, found, &mut update, &mut differences);
        if let Some(mac) = wanted.mac.filter(|_| self.differs_in_place("mac", wanted, found)) {
            update.mac = Some(mac);
            differences.push(Difference::new("mac", found.mac, mac));
        }
        self.master(subject, wanted, found.master, &mut update, &mut differences);
        let mut also_removes = Vec::new();
        match wanted.state {
            state if is_taken_down && state != Some(State::Down) => {
                update.up = Some(true);
                differences.push(Difference::new("admin", "down", "up"));
            }
            Some(State::Up) if !found.is_up() => {
                update.up = Some(true);
                differences.push(Difference::new("admin", "down", "up"));
            }
            Some(State::Down) if found.is_up() => {
                update.up = Some(false);
                differences.push(Difference::new("admin", "up", "down"));
                also_removes = self.taken(Trigger::LinkDown(found.index));
            }
            _ => {}
        }
        if update.rename.is_some() && found.is_up() && !self.renames_live {
            self.down_first(position, found);
            update.up = Some(update.up.unwrap_or(true));
        }
        let joins = update.master.is_some();
        if joins && self.joins_down(wanted) && found.is_up() && !is_taken_down {
            self.down_first(position, found);
            update.up = Some(update.up.unwrap_or(true));
        }
        self.join_first(position, wanted, &mut update, &mut differences);
        self.set_link(position, update, differences, also_removes);
        if joins {
            self.port_after_joining(position, wanted);
            self.mtu_of_master(position, wanted, Some(found));
        } else {
            self.port(position, wanted, found);
        }
    }

    /// A link that has to be down for a change is down for that moment.
    pub(super) fn down_first(&mut self, position: u32, found: &Link) {
        let down = LinkUpdate { up: Some(false), ..LinkUpdate::new(found.name) };
        let differences = vec![Difference::new("admin", "up", "down")];
        let also_removes = self.taken(Trigger::LinkDown(found.index));
        self.set_link(position, down, differences, also_removes);
    }

    /// Why a link that was found cannot be the declared one.
    pub(super) fn other_kind(&self, wanted: &DesiredLink, found: &Link) -> Option<Reason> {
        let owner = wanted.peer_of.and_then(|owner| self.index.link(owner));
        let owner = owner.and_then(|at| self.desired.links.get(at as usize));
        let settings = wanted.settings.or_else(|| owner?.settings)?;
        let is_other = found.kind.as_bytes() != settings.kind.name.as_bytes();
        if is_other {
            return Some(Reason::OtherKind { wanted: settings.kind.name, found: found.kind });
        }
        let owner_now = self.observed.link_named(wanted.peer_of?)?;
        let is_being_deleted = owner_now.lower_netns.is_none() && owner_now.lower == 0;
        let is_its_peer = owner_now.lower_netns.is_none() && owner_now.lower == found.index;
        (!is_its_peer && !is_being_deleted).then_some(Reason::NotThePeerOf(owner_now.name))
    }

    /// The settings of the kind go in a message of their own: some drivers refuse the mtu in
    /// the same one (vxlan_changelink, "Cannot change mtu").
    ///
    /// Says whether the link is taken down for it.
    fn settings(&mut self, position: u32, wanted: &DesiredLink, found: &Link) -> bool {
        let Some(settings) = wanted.settings else {
            return false;
        };
        let differs =
            self.differing(&settings, found.settings.as_ref(), |key| !key.only_at_creation);
        let Some((mut changed, differences)) = differs else {
            return false;
        };
        let needs_down = changed.iter().any(|(key, _)| key.only_when_down) && found.is_up();
        if needs_down {
            self.down_first(position, found);
        }
        if let Some(now) = found.settings.filter(|_| settings.kind.replaces_all) {
            changed = now.overlaid_with(&changed);
        }
        let update = LinkUpdate { settings: Some(changed), ..LinkUpdate::new(found.name) };
        self.set_link(position, update, differences, Vec::new());
        needs_down
    }

    /// What can be set of every link.
    fn common(&mut self, position: u32, wanted: &DesiredLink, found: Option<&Link>) {
        let now = found.map(|found| found.common.widened());
        let differs = self.differing(&wanted.common, now.as_ref(), |key| !key.by_file);
        let link = found.map_or(wanted.name, |found| found.name);
        if let Some((changed, differences)) = differs {
            let update = LinkUpdate { common: Some(changed), ..LinkUpdate::new(link) };
            self.set_link(position, update, differences, Vec::new());
        }
        let by_file = self.differing(&wanted.common, now.as_ref(), |key| key.by_file);
        if let Some((settings, differences)) = by_file {
            let turns_off = settings.by_name(DISABLE_IPV6) == Some(Value::Bool(true));
            let trigger = found.filter(|_| turns_off).map(|found| Trigger::Ipv6Off(found.index));
            let also_removes = trigger.map_or(Vec::new(), |trigger| self.taken(trigger));
            let rank = Rank::SetLink { depth: self.index.depth(position) };
            let change = Change::SetSysctls { link, settings };
            self.step(Subject::Link(position), rank, change, differences, also_removes);
        }
    }

    /// Of the keys that `concerns` names, those that differ: as wanted, and to be shown.
    pub(super) fn differing(
        &self,
        wanted: &Settings,
        now: Option<&Settings>,
        concerns: impl Fn(&Key) -> bool,
    ) -> Option<(Settings, Vec<Difference>)> {
        let mut changed = Settings::new(wanted.kind);
        let mut differences = Vec::new();
        for (position, key) in wanted.kind.keys.iter().enumerate() {
            // Where the other end is stands in no setting of the link.
            let is_compared = concerns(key) && key.value != ValueType::Netns;
            let Some(value) = wanted.get(position).filter(|_| is_compared) else {
                continue;
            };
            let now = now.filter(|now| now.kind == wanted.kind).and_then(|now| now.get(position));
            if self.is_same(key, value, now) {
                continue;
            }
            changed.set(position, Some(value));
            let from = now.map(|now| self.shown(key, now));
            let to = Some(self.shown(key, value));
            differences.push(Difference { key: key.name, from, to });
        }
        (!differences.is_empty()).then_some((changed, differences))
    }

    fn is_same(&self, key: &Key, wanted: Value, now: Option<Value>) -> bool {
        match (wanted, now) {
            // An end without a peer is being deleted. A peer under another name is that peer's
            // difference: it is renamed back.
            (Value::Link(_), None) if key.value == ValueType::Peer => true,
            (Value::Link(name), now) if key.value == ValueType::Peer => {
                self.observed.link_named(name).is_none()
                    || now == self.observed.index_of(name).map(Value::Index)
            }
            (Value::Link(name), Some(Value::Index(index))) => {
                self.observed.index_of(name) == Some(index)
            }
            (Value::Number(wanted), Some(Value::Number(now))) => {
                wanted.abs_diff(now) <= key.rounding
            }
            // An unset address and the unspecified one are the same to the kernel.
            (Value::Address(address), None) => address.is_unspecified(),
            (wanted, now) => now == Some(wanted),
        }
    }

    fn master(
        &mut self,
        subject: Subject,
        wanted: &DesiredLink,
        now: u32,
        update: &mut LinkUpdate,
        differences: &mut Vec<Difference>,
    ) {
        let Some(master) = wanted.master else { return };
        if now != 0 && self.observed.index_of(master) == Some(now) {
            return;
        }
        if !self.will_exist(master) {
            return self.block(subject, ObjectId::Link(wanted.name), Reason::NoSuchLink(master));
        }
        update.master = Some(master);
        let from = self.observed.name_of(now).map(Shown::Name);
        differences.push(Difference { key: "master", from, to: Some(master.into()) });
    }

    pub(super) fn set_link(
        &mut self,
        position: u32,
        update: LinkUpdate,
        differences: Vec<Difference>,
        also_removes: Vec<ObjectId>,
    ) {
        if !update.is_empty() {
            let rank = Rank::SetLink { depth: self.index.depth(position) };
            let change = Change::from(update);
            self.step(Subject::Link(position), rank, change, differences, also_removes);
        }
    }
}

/// Whether it is to have settings of IPv6, which decide what the kernel does when it comes up: what
/// link-local address it makes, whom it asks for it, and whether it obeys a router.
fn is_set_before_up(wanted: &DesiredLink) -> bool {
    wanted.common.iter().any(|(key, _)| key.name.starts_with("ipv6."))
}
