//! Compares one declared object at a time with the observed network.
//!
//! A whole plan is every object compared; a correction is the touched ones. Both come through
//! the same functions, so they cannot disagree.

use std::cmp::Reverse;

use super::index::slot_of;
use super::{Blocked, DesiredIndex, Difference, Plan, Rank, Reason, Shown, Step, via_shown};
use crate::desired::{Desired, DesiredLink, DesiredRoute, State};
use crate::model::address::{Address, Prefix, SCOPE_LINK};
use crate::model::change::{Change, LinkUpdate, NewLink, NewPeer, RouteChange};
use crate::model::consequences::{Taken, Trigger, taken_along};
use crate::model::kind::{Key, Settings, Value, ValueType};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::route::{
    PROTOCOL_KERNEL, RTN_UNICAST, Route, is_daemon_protocol, protocol_name, type_name,
};
use crate::model::text::LinkName;

/// What is compared at a time; the numbers are positions in the declared state's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// A link's own settings.
    Link(u32),
    /// All addresses of a link.
    Addresses(u32),
    /// A route.
    Route(u32),
}

/// One comparison: what is wanted, what is, and the plan that takes the differences.
pub(crate) struct Diff<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) index: &'a DesiredIndex,
    pub(crate) observed: &'a Network,
    pub(crate) plan: &'a mut Plan,
}

impl Diff<'_> {
    /// Compares one subject. `bound` is the index of the link that the subject was found as
    /// before, by which a rename is told from a deletion.
    pub(crate) fn subject(&mut self, subject: Subject, bound: Option<u32>) {
        match subject {
            Subject::Link(position) => self.link(position, bound),
            Subject::Addresses(position) => self.addresses(position, bound),
            Subject::Route(position) => self.route(position),
        }
    }

    fn link(&mut self, position: u32, bound: Option<u32>) {
        let Some(wanted) = self.desired.links.get(position as usize) else {
            return;
        };
        let depth = self.index.depth(position);
        match (self.find(wanted, bound), wanted.state) {
            (None, Some(State::Absent)) => {}
            (Some(found), Some(State::Absent)) => {
                let also_removes = self.taken(Trigger::LinkGone(found.index));
                let change = Change::DeleteLink(found.name);
                let rank = Rank::DeleteLink {
                    depth: Reverse(depth),
                };
                self.step(
                    Subject::Link(position),
                    rank,
                    change,
                    Vec::new(),
                    also_removes,
                );
            }
            (None, _) => self.missing_link(position, wanted),
            (Some(found), _) => self.existing_link(position, wanted, found),
        }
    }

    /// The link by its name; else the one that bore it; else, for a peer, the other end of the
    /// link that it belongs to.
    fn find(&self, wanted: &DesiredLink, bound: Option<u32>) -> Option<Link> {
        let found = self.observed.link_named(wanted.name);
        let found = found.or_else(|| self.observed.link(bound?)).or_else(|| {
            let other_end = self.observed.link_named(wanted.peer_of?)?;
            let here = other_end.lower_netns.is_none();
            let peer = self.observed.link(other_end.lower).filter(|_| here)?;
            let is_declared = self.index.link(peer.name).is_some();
            (!is_declared && peer.kind == other_end.kind).then_some(peer)
        });
        found.copied()
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
        let peer_name = settings.peer();
        if let Some(taken) = peer_name.filter(|&peer| self.observed.link_named(peer).is_some()) {
            return self.block(subject, object, Reason::PeerNameTaken(taken));
        }
        let new = self.new_link(wanted, settings);
        let mut differences = vec![Difference::made("kind", settings.kind.name)];
        differences.extend(
            settings
                .iter()
                .map(|(key, value)| Difference::made(key.name, Shown::of(key, value, |_| None))),
        );
        differences.extend(new.mtu.map(|mtu| Difference::made("mtu", mtu)));
        differences.extend(new.mac.map(|mac| Difference::made("mac", mac)));
        differences.extend(new.master.map(|master| Difference::made("master", master)));
        differences.extend(new.up.then(|| Difference::made("admin", "up")));
        let rank = Rank::CreateLink {
            depth: self.index.depth(position),
        };
        self.step(
            subject,
            rank,
            Change::CreateLink(new),
            differences,
            Vec::new(),
        );
        self.after_creation(position, wanted, &new);
    }

    /// A device that must come by itself, or the peer of a link that is made together with it.
    fn missing_link_without_kind(&mut self, position: u32, wanted: &DesiredLink) {
        let subject = Subject::Link(position);
        let object = ObjectId::Link(wanted.name);
        let Some(owner) = wanted.peer_of else {
            return self.block(subject, object, Reason::NoSuchLink(wanted.name));
        };
        if self.observed.link_named(owner).is_some() {
            return self.block(subject, object, Reason::NotThePeerOf(owner));
        }
        if !self.will_exist(owner) {
            return self.block(subject, object, Reason::NoSuchLink(owner));
        }
        // Up and master are refused or ignored in a peer's nest: KERNEL, "creating".
        let mut update = LinkUpdate::new(wanted.name);
        let mut differences = Vec::new();
        if wanted.state == Some(State::Up) {
            update.up = Some(true);
            differences.push(Difference::new("admin", "down", "up"));
        }
        self.master(subject, wanted, 0, &mut update, &mut differences);
        self.set_link(position, update, differences, Vec::new());
    }

    fn new_link(&self, wanted: &DesiredLink, settings: Settings) -> NewLink {
        let group = self.desired.owner.as_ref().map(|owner| owner.group);
        let peer = settings.peer().map(|name| {
            let block = self
                .index
                .link(name)
                .and_then(|at| self.desired.links.get(at as usize));
            NewPeer {
                mtu: block.and_then(|block| block.mtu),
                mac: block.and_then(|block| block.mac),
                group,
            }
        });
        // Some kinds refuse to be up on a lower link that is down.
        let lower_is_up = settings
            .lower()
            .is_none_or(|lower| self.is_up_before(lower));
        NewLink {
            name: wanted.name,
            settings,
            mtu: wanted.mtu,
            mac: wanted.mac,
            group,
            up: wanted.state == Some(State::Up) && lower_is_up,
            master: wanted.master.filter(|&master| self.will_exist(master)),
            peer,
        }
    }

    /// What the message of creation could not say yet.
    fn after_creation(&mut self, position: u32, wanted: &DesiredLink, new: &NewLink) {
        let subject = Subject::Link(position);
        if let Some(master) = wanted.master.filter(|_| new.master.is_none()) {
            self.block(
                subject,
                ObjectId::Link(wanted.name),
                Reason::NoSuchLink(master),
            );
        }
        if wanted.state == Some(State::Up) && !new.up {
            let update = LinkUpdate {
                up: Some(true),
                ..LinkUpdate::new(wanted.name)
            };
            let differences = vec![Difference::new("admin", "down", "up")];
            self.set_link(position, update, differences, Vec::new());
        }
    }

    fn existing_link(&mut self, position: u32, wanted: &DesiredLink, found: Link) {
        let subject = Subject::Link(position);
        if let Some(reason) = self.other_kind(wanted, &found) {
            return self.block(subject, ObjectId::Link(wanted.name), reason);
        }
        self.settings(position, wanted, &found);
        let mut update = LinkUpdate::new(found.name);
        let mut differences = Vec::new();
        if found.name != wanted.name {
            update.rename = Some(wanted.name);
            differences.push(Difference::new("name", found.name, wanted.name));
        }
        if let Some(mtu) = wanted.mtu.filter(|&mtu| mtu != found.mtu) {
            update.mtu = Some(mtu);
            differences.push(Difference::new("mtu", found.mtu, mtu));
        }
        self.mac(subject, wanted, &found, &mut update, &mut differences);
        self.master(subject, wanted, found.master, &mut update, &mut differences);
        let mut also_removes = Vec::new();
        match wanted.state {
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
        self.set_link(position, update, differences, also_removes);
    }

    /// Why a link that was found cannot be the declared one.
    fn other_kind(&self, wanted: &DesiredLink, found: &Link) -> Option<Reason> {
        let owner = wanted.peer_of.and_then(|owner| self.index.link(owner));
        let owner = owner.and_then(|at| self.desired.links.get(at as usize));
        let settings = wanted.settings.or_else(|| owner?.settings)?;
        let is_other = found.kind.as_bytes() != settings.kind.name.as_bytes();
        if is_other {
            return Some(Reason::OtherKind {
                wanted: settings.kind.name,
                found: found.kind,
            });
        }
        let owner_now = self.observed.link_named(wanted.peer_of?)?;
        let is_its_peer = owner_now.lower_netns.is_none() && owner_now.lower == found.index;
        (!is_its_peer).then_some(Reason::NotThePeerOf(owner_now.name))
    }

    /// The settings of the kind go in a message of their own: some drivers refuse the mtu in
    /// the same one (vxlan_changelink, "Cannot change mtu").
    fn settings(&mut self, position: u32, wanted: &DesiredLink, found: &Link) {
        let Some(settings) = wanted.settings else {
            return;
        };
        let mut update = LinkUpdate::new(found.name);
        let mut differences = Vec::new();
        for (key, value) in settings.iter() {
            let now = found.settings.and_then(|now| now.by_name(key.name));
            if self.is_same(key, value, now) {
                continue;
            }
            let name = |index| self.observed.name_of(index);
            let to = Shown::of(key, value, name);
            let from = now.map(|now| Shown::of(key, now, name));
            if key.only_at_creation {
                let from = from.unwrap_or(Shown::Word("none"));
                let reason = Reason::OnlyAtCreation {
                    key: key.name,
                    from,
                    to,
                };
                self.block(Subject::Link(position), ObjectId::Link(wanted.name), reason);
                continue;
            }
            let changed = update.settings.get_or_insert(Settings::new(settings.kind));
            if let Some(position) = settings.kind.position(key.name) {
                changed.set(position, Some(value));
            }
            differences.push(Difference {
                key: key.name,
                from,
                to: Some(to),
            });
        }
        self.set_link(position, update, differences, Vec::new());
    }

    fn is_same(&self, key: &Key, wanted: Value, now: Option<Value>) -> bool {
        match (wanted, now) {
            // A peer under another name is that peer's difference: it is renamed back.
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

    fn mac(
        &mut self,
        subject: Subject,
        wanted: &DesiredLink,
        found: &Link,
        update: &mut LinkUpdate,
        differences: &mut Vec<Difference>,
    ) {
        let Some(mac) = wanted.mac.filter(|&mac| mac != found.mac) else {
            return;
        };
        if wanted
            .settings
            .is_some_and(|settings| settings.kind.mac_only_at_creation)
        {
            let (from, to) = (found.mac.into(), mac.into());
            let reason = Reason::OnlyAtCreation {
                key: "mac",
                from,
                to,
            };
            return self.block(subject, ObjectId::Link(wanted.name), reason);
        }
        update.mac = Some(mac);
        differences.push(Difference::new("mac", found.mac, mac));
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
            return self.block(
                subject,
                ObjectId::Link(wanted.name),
                Reason::NoSuchLink(master),
            );
        }
        update.master = Some(master);
        let from = self.observed.name_of(now).map(Shown::Name);
        differences.push(Difference {
            key: "master",
            from,
            to: Some(master.into()),
        });
    }

    fn set_link(
        &mut self,
        position: u32,
        update: LinkUpdate,
        differences: Vec<Difference>,
        also_removes: Vec<ObjectId>,
    ) {
        if !update.is_empty() {
            let rank = Rank::SetLink {
                depth: self.index.depth(position),
            };
            let change = Change::SetLink(update);
            self.step(
                Subject::Link(position),
                rank,
                change,
                differences,
                also_removes,
            );
        }
    }

    /// Whether a link exists, or this plan makes it.
    fn will_exist(&self, name: LinkName) -> bool {
        self.observed.link_named(name).is_some() || self.is_ours_to_make(name)
    }

    fn is_ours_to_make(&self, name: LinkName) -> bool {
        let Some(wanted) = self.declared(name) else {
            return false;
        };
        let wanted = wanted
            .peer_of
            .and_then(|owner| self.declared(owner))
            .unwrap_or(wanted);
        let lower = wanted.settings.map(|settings| settings.lower());
        match lower {
            None => false,
            Some(None) => true,
            Some(Some(lower)) => self.will_exist(lower),
        }
    }

    fn declared(&self, name: LinkName) -> Option<&DesiredLink> {
        self.desired.links.get(self.index.link(name)? as usize)
    }

    /// Whether a link is up, or will be by the time that the links on it are made.
    fn is_up_before(&self, name: LinkName) -> bool {
        let declared = self.declared(name).and_then(|wanted| wanted.state);
        match self.observed.link_named(name) {
            Some(found) => declared == Some(State::Up) || (declared.is_none() && found.is_up()),
            // A peer is made down and brought up by a step of its own.
            None => self
                .declared(name)
                .is_some_and(|wanted| wanted.peer_of.is_none() && declared == Some(State::Up)),
        }
    }

    fn addresses(&mut self, position: u32, bound: Option<u32>) {
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
            let change = Change::PutAddress {
                link,
                prefix,
                protocol,
                replace,
            };
            let differences = match now {
                Some(_) => vec![Difference::new(
                    "permanent",
                    Shown::Bool(false),
                    Shown::Bool(true),
                )],
                None => Vec::new(),
            };
            let subject = Subject::Addresses(position);
            self.step(subject, Rank::Address, change, differences, Vec::new());
        }
        if let Some(found) = found.filter(|_| wanted.remove_extra_addresses) {
            self.extra_addresses(position, wanted.name, &found, addresses);
        }
    }

    /// The address of that prefix, with or without another end.
    fn address_now(&self, link: &Link, prefix: Prefix) -> Option<Address> {
        self.observed
            .addresses_of(link.index)
            .find(|now| now.key.prefix == prefix && now.key.peer.is_none())
            .copied()
    }

    fn extra_addresses(&mut self, position: u32, link: LinkName, found: &Link, wanted: &[Prefix]) {
        let observed = self.observed;
        for now in observed.addresses_of(found.index) {
            let key = now.key;
            let is_declared = key.peer.is_none() && wanted.contains(&key.prefix);
            if is_declared || is_kept_always(now, found) {
                continue;
            }
            let also_removes = self.taken(Trigger::AddressGone(key));
            let change = Change::DeleteAddress {
                link,
                prefix: key.prefix,
                peer: key.peer,
            };
            let subject = Subject::Addresses(position);
            self.step(
                subject,
                Rank::DeleteAddress,
                change,
                Vec::new(),
                also_removes,
            );
        }
    }

    fn route(&mut self, position: u32) {
        let Some(&wanted) = self.desired.routes.get(position as usize) else {
            return;
        };
        let subject = Subject::Route(position);
        let change = self.route_change(&wanted);
        if let Some(dev) = self.index.route_dev(position) {
            let declared = self.declared(dev).and_then(|link| link.state);
            if declared == Some(State::Down) {
                return; // Suspended: it comes back with its link.
            }
            if !self.will_exist(dev) {
                return self.block(subject, change.object(), Reason::NoSuchLink(dev));
            }
            let is_down = self
                .observed
                .link_named(dev)
                .is_some_and(|link| !link.is_up());
            if is_down && declared != Some(State::Up) {
                return self.block(subject, change.object(), Reason::LinkIsDown(dev));
            }
        }
        if wanted.to.is_ipv4() {
            self.route_ipv4(subject, &wanted, change);
        } else {
            self.route_ipv6(subject, &wanted, change);
        }
    }

    fn route_change(&self, wanted: &DesiredRoute) -> RouteChange {
        let DesiredRoute {
            to,
            via,
            dev,
            metric,
            table,
            takeover: _,
        } = *wanted;
        RouteChange {
            to,
            via,
            dev,
            metric,
            table,
            protocol: self.desired.protocol(),
        }
    }

    /// An IPv4 slot has one holder: it is replaced, or there is none and the route is added.
    fn route_ipv4(&mut self, subject: Subject, wanted: &DesiredRoute, change: RouteChange) {
        let observed = self.observed;
        let slot = slot_of(wanted.to, wanted.table, wanted.metric);
        if observed
            .routes_in(slot)
            .any(|now| self.is_as_wanted(wanted, now, change.protocol))
        {
            return;
        }
        let rank = Rank::Route {
            has_gateway: wanted.via.is_some(),
        };
        let Some(holder) = observed.routes_in(slot).next() else {
            return self.step(
                subject,
                rank,
                Change::CreateRoute(change),
                Vec::new(),
                Vec::new(),
            );
        };
        if self.is_refused(wanted, holder, change.protocol) {
            let reason = Reason::HeldByDaemon {
                protocol: holder.protocol,
            };
            return self.block(subject, change.object(), reason);
        }
        let differences = self.route_differences(wanted, holder, change.protocol);
        self.step(
            subject,
            rank,
            Change::ReplaceRoute(change),
            differences,
            Vec::new(),
        );
    }

    /// An IPv6 slot has any number of next hops, and a replacement would take the first one,
    /// whoever's it is: what pushed ours out is taken away, and ours is added to the rest.
    ///
    /// The rival goes first. Added beside it, ours would become its sibling, be shown under its
    /// protocol, and stay so in the mirror: no notification tells when it is alone again.
    fn route_ipv6(&mut self, subject: Subject, wanted: &DesiredRoute, change: RouteChange) {
        let observed = self.observed;
        let slot = slot_of(wanted.to, wanted.table, wanted.metric);
        let rank = Rank::Route {
            has_gateway: wanted.via.is_some(),
        };
        let same_hop = observed
            .routes_in(slot)
            .find(|now| self.is_same_hop(wanted, now));
        if let Some(now) = same_hop.filter(|now| self.is_refused(wanted, now, change.protocol)) {
            let reason = Reason::HeldByDaemon {
                protocol: now.protocol,
            };
            return self.block(subject, change.object(), reason);
        }
        for rival in observed.routes_in(slot) {
            if !self.is_rival(rival, change.protocol) {
                continue;
            }
            let removal = Change::DeleteRoute(self.observed_change(rival));
            self.step(subject, rank, removal, Vec::new(), Vec::new());
        }
        let mut differences = Vec::new();
        if let Some(now) = same_hop {
            if self.is_as_wanted(wanted, now, change.protocol) || self.is_sibling(now) {
                return;
            }
            differences = self.route_differences(wanted, now, change.protocol);
            let removal = Change::DeleteRoute(self.observed_change(now));
            self.step(subject, rank, removal, differences.clone(), Vec::new());
        }
        self.step(
            subject,
            rank,
            Change::CreateRoute(change),
            differences,
            Vec::new(),
        );
    }

    /// Whether it is one of several next hops with a gateway: all of them are shown under the
    /// protocol of the first, so its own cannot be told.
    fn is_sibling(&self, now: &Route) -> bool {
        let siblings = self
            .observed
            .routes_in(now.key.slot)
            .filter(|hop| hop.key.via.is_some());
        now.key.via.is_some() && siblings.count() > 1
    }

    /// A next hop in a declared IPv6 slot that nobody declared, and that is either ours, from
    /// an earlier document, or came by a replacement of ours.
    fn is_rival(&self, now: &Route, protocol: u8) -> bool {
        let declared = self.index.routes_in(now.key.slot).iter();
        let mut declared = declared.filter_map(|&at| self.desired.routes.get(at as usize));
        let is_foreign = now.protocol != protocol;
        let may_go = !is_foreign || (now.replaced && !is_daemon_protocol(now.protocol));
        may_go
            && now.protocol != PROTOCOL_KERNEL
            && now.key.route_type == RTN_UNICAST
            && !declared.any(|wanted| self.is_same_hop(wanted, now))
    }

    fn is_same_hop(&self, wanted: &DesiredRoute, now: &Route) -> bool {
        let dev = wanted.dev.map(|dev| self.observed.index_of(dev));
        now.key.via == wanted.via
            && dev.is_none_or(|dev| dev == Some(now.key.dev))
            && now.hops.is_empty()
            && now.nexthop_id == 0
    }

    fn is_as_wanted(&self, wanted: &DesiredRoute, now: &Route, protocol: u8) -> bool {
        self.is_same_hop(wanted, now)
            && now.key.route_type == RTN_UNICAST
            && now.protocol == protocol
    }

    fn is_refused(&self, wanted: &DesiredRoute, now: &Route, protocol: u8) -> bool {
        now.protocol != protocol && is_daemon_protocol(now.protocol) && !wanted.takeover
    }

    fn route_differences(
        &self,
        wanted: &DesiredRoute,
        now: &Route,
        protocol: u8,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        if now.key.via != wanted.via {
            let (from, to) = (via_shown(now.key.via), via_shown(wanted.via));
            differences.push(Difference {
                key: "via",
                from,
                to,
            });
        }
        let dev_now = self.observed.name_of(now.key.dev);
        if let Some(dev) = wanted.dev.filter(|&dev| Some(dev) != dev_now) {
            let from = dev_now.map(Shown::Name);
            differences.push(Difference {
                key: "dev",
                from,
                to: Some(dev.into()),
            });
        }
        if now.key.route_type != RTN_UNICAST {
            let from = type_name(now.key.route_type).map(Shown::Word);
            differences.push(Difference {
                key: "type",
                from,
                to: Some("unicast".into()),
            });
        }
        if now.protocol != protocol {
            let shown = |protocol| protocol_name(protocol).map_or(protocol.into(), Shown::Word);
            differences.push(Difference::new(
                "protocol",
                shown(now.protocol),
                shown(protocol),
            ));
        }
        if !now.hops.is_empty() {
            let hops = u32::try_from(now.hops.len()).unwrap_or(u32::MAX);
            differences.push(Difference::new("hops", hops, 1u32));
        }
        differences
    }

    /// A route that is there, spelt as the request that names it and no other.
    fn observed_change(&self, now: &Route) -> RouteChange {
        let slot = now.key.slot;
        RouteChange {
            to: slot.to,
            via: now.key.via,
            dev: self.observed.name_of(now.key.dev),
            metric: slot.metric,
            table: slot.table,
            protocol: now.protocol,
        }
    }

    /// The objects that go along, save those that go because the plan itself says so.
    fn taken(&self, trigger: Trigger) -> Vec<ObjectId> {
        let mut taken: Vec<_> = taken_along(self.observed, trigger)
            .into_iter()
            .filter(|taken| !self.is_kernels_own(taken))
            .map(|taken| match taken {
                Taken::Address(key) => self.observed.id_of_address(key),
                Taken::Route(key) => self.observed.id_of_route(key),
            })
            .collect();
        taken.sort_unstable();
        taken
    }

    /// Connected, local and link-local entries come and go with what they belong to; naming
    /// them would bury what matters.
    fn is_kernels_own(&self, taken: &Taken) -> bool {
        match *taken {
            Taken::Route(key) => self
                .observed
                .route(key)
                .is_none_or(|route| route.protocol == PROTOCOL_KERNEL),
            Taken::Address(key) => self
                .observed
                .address(key)
                .is_none_or(|own| own.scope == SCOPE_LINK),
        }
    }

    fn step(
        &mut self,
        subject: Subject,
        rank: Rank,
        change: Change,
        differences: Vec<Difference>,
        also_removes: Vec<ObjectId>,
    ) {
        let needs = match subject {
            Subject::Route(position) => self.index.route_dev(position),
            Subject::Link(_) | Subject::Addresses(_) => None,
        };
        let step = Step {
            change,
            differences,
            also_removes,
            subject,
            rank,
            needs,
        };
        self.plan.steps.push(step);
    }

    fn block(&mut self, subject: Subject, object: ObjectId, reason: Reason) {
        self.plan.blocked.push(Blocked {
            object,
            reason,
            subject,
        });
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
