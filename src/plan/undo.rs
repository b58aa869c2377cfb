//! The way back: what leads from a network that a plan has changed to the one before it.
//!
//! It compares the two networks, not the plan with its outcome, so it leads back from wherever the
//! plan got to: none of it, all of it, or anything between. What the plan could touch is its scope;
//! of everything else nothing is named.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use super::diff::Subject;
use super::route::spelled;
use super::{Plan, Rank, Step};
use crate::desired::Desired;
use crate::model::address::{
    Address, IFA_F_DEPRECATED, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFA_F_SECONDARY,
};
use crate::model::change::{AddressAttributes, Change, LinkUpdate, NewLink, NewPeer};
use crate::model::identity::Alias;
use crate::model::kind::{Settings, Value};
use crate::model::link::Link;
use crate::model::neighbour::{NUD_PERMANENT, Neighbour};
use crate::model::network::{Network, Table, Tables};
use crate::model::object::ObjectId;
use crate::model::route::{PROTOCOL_KERNEL, Route, RouteSlot};
use crate::model::rule::Rule;
use crate::model::text::LinkName;

/// What is asked for of an address, and thus put back with it.
const ASKED_FLAGS: u32 =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE;

/// A network as it was, and how far a plan can have changed it.
#[derive(Debug, Clone)]
pub struct Undo {
    pub(super) before: Network,
    links: BTreeSet<LinkName>,
    slots: HashSet<RouteSlot>,
    pub(super) protocol: u8,
    pub(super) nexthops: BTreeSet<u32>,
}

/// What a plan takes away and nothing can put back.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Irrevocable {
    /// A link of a kind that ringlink cannot make, or one end of a pair in another namespace.
    #[error("link {0} would be deleted, and ringlink could not make it again")]
    Link(LinkName),
    /// A route by a next hop object, which goes with its link.
    #[error("{0} would go along, and it uses a next hop object")]
    Route(ObjectId),
}

impl Undo {
    /// The way back from wherever `plan`, made of `desired` and `before`, leads.
    ///
    /// # Errors
    ///
    /// All that it would take away for good.
    pub fn new(desired: &Desired, before: &Network, plan: &Plan) -> Result<Self, Vec<Irrevocable>> {
        let desired = &*desired.resolve(before);
        let mut undo = Self {
            before: before.clone(),
            links: desired.links.iter().map(|link| link.name).collect(),
            slots: HashSet::new(),
            protocol: desired.protocol(),
            nexthops: desired.nexthops.iter().map(|it| it.id).collect(),
        };
        undo.slots.extend(desired.routes.iter().map(super::index::slot_of));
        let mut lost = Vec::new();
        for step in &plan.steps {
            undo.touch(step.change.object());
            if let Change::SetLink(update) = &step.change {
                undo.links.insert(update.link);
                if update.mtu.is_some() {
                    undo.touch_bounded_by(update.link);
                }
            }
            if let Change::DeleteLink(name) = step.change {
                lost.extend(undo.lost_with(name));
            }
            for object in &step.also_removes {
                undo.touch(*object);
                match object {
                    ObjectId::Link(name) => lost.extend(undo.lost_with(*name)),
                    ObjectId::Route { .. } if undo.uses_object(object) => {
                        lost.push(Irrevocable::Route(*object));
                    }
                    _ => {}
                }
            }
        }
        lost.dedup();
        if lost.is_empty() { Ok(undo) } else { Err(lost) }
    }

    /// The tables that it compares beside links, addresses and routes: what stands in them goes
    /// with links, whether any of it is declared or not.
    pub(crate) fn tables() -> Tables {
        let others =
            [Table::Rules, Table::Neighbours, Table::BridgeVlans, Table::Fdb, Table::Nexthops];
        Tables::default().and(others.into_iter().collect())
    }

    fn touch(&mut self, object: ObjectId) {
        match object {
            ObjectId::Link(link)
            | ObjectId::Address { link, .. }
            | ObjectId::Neighbour { link, .. }
            | ObjectId::BridgeVlan { link, .. }
            | ObjectId::Fdb { link, .. } => {
                self.links.insert(link);
            }
            ObjectId::Nexthop(id) => {
                self.nexthops.insert(id);
            }
            ObjectId::Route { to, metric, table, tos, .. } => {
                self.slots.insert(RouteSlot { table, to, tos, metric });
            }
            _ => {}
        }
    }

    /// Links whose MTU falls with that of the one below them, and theirs.
    fn touch_bounded_by(&mut self, link: LinkName) {
        let mut below: Vec<_> = self.before.index_of(link).into_iter().collect();
        while let Some(index) = below.pop() {
            for above in self.before.links().filter(|it| is_bounded(it) && it.lower == index) {
                if self.links.insert(above.name) {
                    below.push(above.index);
                }
            }
        }
    }

    fn lost_with(&self, name: LinkName) -> Option<Irrevocable> {
        let link = self.before.link_named(name)?;
        let can_be_made = link.settings.is_some() && link.lower_netns.is_none();
        (!can_be_made).then_some(Irrevocable::Link(name))
    }

    /// Whether a route goes by a next hop object that is not ours: what the kernel shows of one may
    /// not be all.
    fn is_by_others(&self, route: &Route) -> bool {
        let object = self.before.nexthop(route.nexthop_id);
        route.nexthop_id != 0 && object.is_none_or(|it| it.protocol != self.protocol)
    }

    fn uses_object(&self, object: &ObjectId) -> bool {
        let mut routes = self.before.unsorted_routes();
        routes
            .any(|route| self.is_by_others(route) && self.before.id_of_route(route.key) == *object)
    }

    /// The next steps back from `now`; what they make possible comes with the next call. Empty
    /// where all is as it was.
    pub fn steps(&self, now: &Network) -> Plan {
        let mut steps = Vec::new();
        // What stands on a link comes once it is as it was.
        let stages = [
            Self::links,
            Self::macs,
            Self::vlans,
            Self::fdb,
            Self::addresses,
            Self::nexthops,
            Self::routes,
            Self::others,
        ];
        for stage in stages {
            stage(self, now, &mut steps);
            if !steps.is_empty() {
                break;
            }
        }
        let step = |change| Step::bare(change, Subject::Strays, Rank::Address);
        Plan { steps: steps.into_iter().map(step).collect(), ..Plan::default() }
    }

    fn links(&self, now: &Network, changes: &mut Vec<Change>) {
        for link in now.links().filter(|link| self.links.contains(&link.name)) {
            let then = self.before.link_named(link.name).or_else(|| self.before.link(link.index));
            if then.is_none_or(|then| !can_become(link, then, self, now)) {
                changes.push(Change::DeleteLink(link.name));
            }
        }
        if !changes.is_empty() {
            return;
        }
        for then in self.before.links().filter(|link| self.links.contains(&link.name)) {
            let renamed = || {
                let other = now.link(then.index)?;
                self.before.link_named(other.name).is_none().then_some(other)
            };
            match now.link_named(then.name).or_else(renamed) {
                Some(link) => {
                    changes.extend(altnames(link, then));
                    changes.extend(self.set(link, then, now));
                }
                None => changes.extend(self.create(then, now)),
            }
        }
    }

    /// The link as it was, where all that it stands on is there.
    fn create(&self, then: &Link, now: &Network) -> Option<Change> {
        let settings = self.named(then.settings?, now)?;
        let peer = settings.peer().and_then(|name| self.before.link_named(name));
        // A pair is made by the end that the kernel made last.
        if peer.is_some_and(|peer| peer.index > then.index) {
            return None;
        }
        Some(Change::from(NewLink {
            name: then.name,
            settings,
            mtu: Some(then.mtu).filter(|&mtu| {
                let below = self.before.name_of(then.lower).and_then(|it| now.link_named(it));
                below.filter(|_| is_bounded(then)).is_none_or(|below| mtu <= below.mtu)
            }),
            mac: Some(then.mac).filter(|mac| !mac.as_bytes().is_empty()),
            group: Some(then.group),
            up: false,
            master: None,
            peer: peer.map(|peer| NewPeer {
                mtu: Some(peer.mtu),
                mac: Some(peer.mac),
                group: Some(peer.group),
            }),
        }))
    }

    /// Settings with links by name; `None` where one that must be there is not.
    fn named(&self, settings: Settings, now: &Network) -> Option<Settings> {
        let mut named = Settings::new(settings.kind);
        for (position, key) in settings.kind.keys.iter().enumerate() {
            let value = match settings.get(position) {
                Some(Value::Index(index)) => {
                    let name = self.before.name_of(index)?;
                    let is_peer = key.value == crate::model::kind::ValueType::Peer;
                    if !is_peer && now.index_of(name).is_none() {
                        return None;
                    }
                    Some(Value::Link(name))
                }
                value => value,
            };
            named.set(position, value);
        }
        Some(named)
    }

    /// What differs of a link that is there.
    fn set(&self, link: &Link, then: &Link, now: &Network) -> Option<Change> {
        let common = differing(then.common.widened(), link.common.widened());
        let by_file = common.and_then(|it| it.only(|key| key.by_file));
        if let Some(settings) = by_file {
            return Some(Change::SetSysctls { link: link.name, settings });
        }
        let mut update = LinkUpdate::new(link.name);
        update.rename = (link.name != then.name).then_some(then.name);
        // What the link below does not carry yet waits for it.
        let below = now.link(link.lower).filter(|_| is_bounded(link));
        let is_carried = below.is_none_or(|below| then.mtu <= below.mtu);
        update.mtu = (link.mtu != then.mtu && is_carried).then_some(then.mtu);
        update.group = (link.group != then.group).then_some(then.group);
        update.up = (link.is_up() != then.is_up()).then_some(then.is_up());
        let (master_now, master_then) =
            (now.name_of(link.master), self.before.name_of(then.master));
        if master_now != master_then {
            // An empty name is none. One that is not there yet comes first.
            let master = master_then.unwrap_or_default();
            update.master = Some(master).filter(|it| it.is_empty() || now.index_of(*it).is_some());
        }
        update.common = common;
        update.alias = Alias::new(then.alias()).filter(|_| link.alias() != then.alias());
        if let (None, Some(port), Some(port_now)) = (update.master, then.port, link.port) {
            update.port = differing(port.widened(), port_now.widened());
        }
        if update.is_empty() {
            // In a message of their own, as some drivers want it.
            let wanted = self.named(then.settings?, now)?;
            update.settings = differing(wanted, renamed(link.settings?, now));
        }
        (!update.is_empty()).then_some(Change::from(update))
    }

    /// Hardware addresses come back by themselves where ports leave; only then they are set.
    fn macs(&self, now: &Network, changes: &mut Vec<Change>) {
        for (link, then) in self.pairs(now) {
            let is_fixed = then.settings.is_some_and(|it| it.kind.mac_only_at_creation);
            if link.mac != then.mac && !then.mac.as_bytes().is_empty() && !is_fixed {
                let update = LinkUpdate { mac: Some(then.mac), ..LinkUpdate::new(link.name) };
                changes.push(Change::from(update));
            }
        }
    }

    /// Links in scope that are there, as they are and as they were.
    pub(super) fn pairs<'a>(
        &'a self,
        now: &'a Network,
    ) -> impl Iterator<Item = (&'a Link, &'a Link)> {
        let links = self.before.links().filter(|link| self.links.contains(&link.name));
        links.filter_map(|then| Some((now.link_named(then.name)?, then)))
    }

    fn addresses(&self, now: &Network, changes: &mut Vec<Change>) {
        for (link, then) in self.pairs(now) {
            for own in now.addresses_of(link.index).filter(|own| is_managed(own)) {
                let was = self.same_address(own, then.index);
                // Where one with a lifetime is or was the first, it cannot be put in its place.
                let all = now.addresses_of(link.index).chain(self.before.addresses_of(then.index));
                let has_other_first = all.into_iter().any(|other| {
                    let in_subnet = other.key.subnet() == own.key.subnet();
                    in_subnet && !is_secondary(other) && !is_managed(other)
                });
                let stays = was.is_some_and(|was| {
                    let same_place = is_secondary(was) == is_secondary(own) || has_other_first;
                    // Of one of IPv4 that is there only the lifetime can be set.
                    same_place && (!own.key.prefix.is_ipv4() || is_alike(own, was, ASKED_FLAGS))
                });
                if !stays {
                    let (prefix, peer) = (own.key.prefix, own.key.peer);
                    changes.push(Change::DeleteAddress { link: link.name, prefix, peer });
                }
            }
        }
        if !changes.is_empty() {
            return;
        }
        for (link, then) in self.pairs(now) {
            let mut wanted: Vec<_> =
                self.before.addresses_of(then.index).filter(|own| is_managed(own)).collect();
            wanted.sort_by_key(|own| is_secondary(own));
            for was in wanted {
                let key = crate::model::address::AddressKey { index: link.index, ..was.key };
                let own = now.address(key);
                if own.is_none_or(|own| !is_alike(own, was, ASKED_FLAGS | IFA_F_DEPRECATED)) {
                    changes.push(put_address(link.name, was, own.is_some()));
                }
            }
        }
    }

    fn same_address(&self, own: &Address, index: u32) -> Option<&Address> {
        self.before.address(crate::model::address::AddressKey { index, ..own.key })
    }

    fn routes(&self, now: &Network, changes: &mut Vec<Change>) {
        let is_managed = |route: &&Route, network: &Network| self.is_in_scope(route, network);
        for route in now.routes().filter(|route| is_managed(route, now)) {
            let was = self.before.routes_in(route.key.slot);
            let mut was = was.filter(|was| !route.is_ipv4() || was.protocol != PROTOCOL_KERNEL);
            let stays = match route.is_ipv4() {
                true => was.next().is_some(),
                false => was.any(|was| spelled(was, &self.before) == spelled(route, now)),
            };
            if !stays {
                changes.push(Change::DeleteRoute(spelled(route, now)));
            }
        }
        if !changes.is_empty() {
            return;
        }
        for was in self.before.routes().filter(|route| is_managed(route, &self.before)) {
            let wanted = spelled(was, &self.before);
            let mut there = now.routes_in(was.key.slot).peekable();
            let is_taken = there.peek().is_some();
            if there.any(|route| spelled(route, now) == wanted) {
                continue;
            }
            changes.push(match is_taken && was.is_ipv4() {
                true => Change::ReplaceRoute(wanted),
                false => Change::CreateRoute(wanted),
            });
        }
    }

    /// Whether the plan can have touched it, and it does not come and go by itself.
    fn is_in_scope(&self, route: &Route, network: &Network) -> bool {
        let is_scoped = |dev: u32| network.name_of(dev).is_some_and(|it| self.links.contains(&it));
        let mut devs = route.hops.iter().map(|hop| hop.dev).chain([route.key.dev]);
        let comes_by_itself = matches!(route.protocol, 1 | PROTOCOL_KERNEL | 9);
        !comes_by_itself && (self.slots.contains(&route.key.slot) || devs.any(is_scoped))
    }

    fn others(&self, now: &Network, changes: &mut Vec<Change>) {
        let ours = |rule: &&Rule| rule.protocol == self.protocol;
        let (then, is) = (&self.before, now);
        let has = |network: &Network, rule: &Rule| network.rules().any(|other| other == rule);
        let gone = is.rules().filter(ours).filter(|rule| !has(then, rule));
        changes.extend(gone.map(|rule| Change::DeleteRule(Box::new(*rule))));
        // One like it, whoever's, says the same, and the kernel takes no second.
        let is_said = |rule: &Rule| is.rules().any(|other| other.is_alike(rule));
        let missing = then.rules().filter(ours).filter(|rule| !is_said(rule));
        changes.extend(missing.map(|rule| Change::CreateRule(Box::new(*rule))));
        for (link, was) in self.pairs(now) {
            let permanent = |network: &Network, index: u32| -> Vec<Neighbour> {
                let of_link = |it: &&Neighbour| it.key.index == index && it.state == NUD_PERMANENT;
                network.neighbours().filter(of_link).copied().collect()
            };
            let (old, new) = (permanent(then, was.index), permanent(is, link.index));
            let find = |list: &[Neighbour], address: IpAddr| {
                list.iter().find(|it| it.key.address == address).copied()
            };
            for own in new.iter().filter(|own| find(&old, own.key.address).is_none()) {
                let address = own.key.address;
                changes.push(Change::DeleteNeighbour { link: link.name, address });
            }
            for own in &old {
                let there = find(&new, own.key.address);
                if let Some(mac) = own.mac.filter(|_| there.is_none_or(|it| it.mac != own.mac)) {
                    let (address, protocol) = (own.key.address, own.protocol);
                    let replace = there.is_some();
                    let link = link.name;
                    changes.push(Change::PutNeighbour { link, address, mac, protocol, replace });
                }
            }
        }
    }
}

/// The alternative names that are to go and to come.
fn altnames(now: &Link, then: &Link) -> Vec<Change> {
    let link = now.name;
    let gone = now.altnames().iter().filter(|name| !then.altnames().contains(name));
    let come = then.altnames().iter().filter(|name| !now.altnames().contains(name));
    let gone = gone.map(|&altname| Change::DeleteAltname { link, altname });
    gone.chain(come.map(|&altname| Change::AddAltname { link, altname })).collect()
}

/// Whether its MTU can be no larger than that of the link below it, in this namespace.
fn is_bounded(link: &Link) -> bool {
    link.lower_netns.is_none() && link.settings.is_some_and(|it| it.kind.mtu_within_lower)
}

/// Whether a link can be set to be what it was, or has to be made anew.
fn can_become(link: &Link, then: &Link, undo: &Undo, now: &Network) -> bool {
    let (Some(is), Some(was)) = (link.settings, then.settings) else {
        return link.kind == then.kind;
    };
    if *is.kind != *was.kind {
        return false;
    }
    let (is, was) = (renamed(is, now), renamed(was, &undo.before));
    let fixed = was.iter().filter(|(key, _)| key.only_at_creation);
    let same_mac = !was.kind.mac_only_at_creation || link.mac == then.mac;
    same_mac && fixed.into_iter().all(|(key, value)| is.by_name(key.name) == Some(value))
}

/// Settings with links by name, where they have one; the ends of pairs are told by their own names.
fn renamed(settings: Settings, network: &Network) -> Settings {
    let mut renamed = settings;
    for position in 0..settings.kind.keys.len() {
        if let Some(Value::Index(index)) = settings.get(position) {
            renamed.set(position, network.name_of(index).map(Value::Link));
        }
    }
    renamed
}

/// What of `wanted` is not so, without what only creation sets.
fn differing(wanted: Settings, is: Settings) -> Option<Settings> {
    let mut different = Settings::new(wanted.kind);
    for (position, key) in wanted.kind.keys.iter().enumerate() {
        let (to, from) = (wanted.get(position), is.get(position));
        let is_close = match (to, from) {
            (Some(Value::Number(to)), Some(Value::Number(from))) => {
                to.abs_diff(from) <= key.rounding
            }
            _ => false,
        };
        if to.is_some() && to != from && !is_close && !key.only_at_creation {
            different.set(position, to);
        }
    }
    (!different.is_empty()).then_some(different)
}

/// Link-local addresses and those with a lifetime come and go by themselves.
fn is_managed(own: &Address) -> bool {
    let is_link_local = match own.key.prefix.address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    own.flags & IFA_F_PERMANENT != 0 && !is_link_local
}

fn is_secondary(own: &Address) -> bool {
    own.key.prefix.is_ipv4() && own.flags & IFA_F_SECONDARY != 0
}

/// Whether an address is as it was, of its flags in those. Every one of IPv4 has a label.
fn is_alike(own: &Address, was: &Address, flags: u32) -> bool {
    let same_label = was.label.is_empty() || own.label == was.label;
    same_label && own.scope == was.scope && own.flags & flags == was.flags & flags
}

fn put_address(link: LinkName, was: &Address, replace: bool) -> Change {
    let is_deprecated = was.flags & IFA_F_DEPRECATED != 0;
    let with = AddressAttributes {
        label: Some(was.label).filter(|label| !label.is_empty()),
        scope: Some(was.scope).filter(|_| was.key.prefix.is_ipv4()),
        flags: was.flags & ASKED_FLAGS,
        valid_lft: None,
        preferred_lft: is_deprecated.then_some(0),
    };
    let (prefix, peer, protocol) = (was.key.prefix, was.key.peer, was.protocol);
    Change::PutAddress { link, prefix, protocol, replace, peer, with }
}
