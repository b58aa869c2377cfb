//! What is to be looked at again when something happened.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::{Noticed, Reconcile};
use crate::desired::Owner;
use crate::model::address::AddressKey;
use crate::model::kind::DISABLE_IPV6;
use crate::model::link::Link;
use crate::model::netconf::NetconfScope;
use crate::model::network::Network;
use crate::model::nexthop::Nexthop;
use crate::model::object::{Event, Object, What};
use crate::model::text::LinkName;
use crate::plan::Subject;

impl Reconcile {
    /// One change of the mirror: marks what it touches.
    pub(crate) fn handle_event(&mut self, now: Instant, event: &Event, network: &Network) {
        let is_own = event.sender != 0 && event.sender == self.own_port;
        let (sender, news) = if is_own { (0, 0) } else { (event.sender, 1) };
        let noticed = Noticed { at: now, sender, news };
        self.note_for_labels(&event.what, noticed);
        match &event.what {
            What::New(object) => self.touch(object, noticed, network, true),
            What::Changed { before, after } => {
                let (before_up, after_up) = (is_up(before), is_up(after));
                self.touch_name(before, after, noticed);
                // What was behind one port is behind another one.
                if matches!(before, Object::Fdb(_)) {
                    self.touch(before, noticed, network, false);
                }
                self.touch(after, noticed, network, after_up && !before_up);
            }
            What::Deleted(object) => self.touch(object, noticed, network, false),
            What::Resync { .. } | What::Raw(_) | What::NetnsAdded { .. } | What::NetnsRemoved => {}
        }
    }

    /// The link of that index was moved to another network namespace, which is not undone.
    pub(crate) fn handle_moved(&mut self, index: u32) {
        self.bindings.moved(index);
    }

    /// News of settings of IPv4 or IPv6, whether the mirror knew of them or not: one that was made
    /// by a message of the link is not told this way. They tell a part, and the link all.
    pub(crate) fn handle_netconf(&mut self, scope: NetconfScope) {
        match scope {
            NetconfScope::Link(index) if self.bindings.position(index).is_some() => {
                self.look_at(index);
            }
            _ => {}
        }
    }

    /// A renamed link touches what its old name touched.
    fn touch_name(&mut self, before: &Object, after: &Object, noticed: Noticed) {
        if let (Object::Link(before), Object::Link(after)) = (before, after) {
            if before.name != after.name {
                self.touch_link(before.name, noticed, false);
            }
        }
    }

    fn touch(&mut self, object: &Object, noticed: Noticed, network: &Network, enables: bool) {
        match object {
            Object::Link(link) => {
                self.touch_link(link.name, noticed, enables);
                if self.may_be_stray(link) {
                    self.mark(Subject::Strays, noticed);
                }
                if let Some(position) = self.bindings.position(link.index) {
                    self.mark(Subject::Link(position), noticed);
                }
            }
            Object::Address(address) => {
                self.touch_address(address.key, noticed, network);
                if enables {
                    self.release(noticed);
                }
            }
            Object::Route(route) => {
                let index = Arc::clone(&self.index);
                let declared = index.routes_in(route.key.slot);
                let owner = self.desired.owner.as_ref().filter(|owner| owner.prune);
                if declared.is_empty() && owner.is_some_and(|it| it.protocol == route.protocol) {
                    self.mark(Subject::Strays, noticed);
                }
                for &position in declared {
                    self.mark(Subject::Route(position), noticed);
                }
                if enables {
                    self.release(noticed);
                }
            }
            Object::Rule(rule) => {
                let index = Arc::clone(&self.index);
                let declared = index.rules_in(rule.is_ipv6, rule.priority);
                if declared.is_empty() && self.prunes(rule.protocol) {
                    self.mark(Subject::Strays, noticed);
                }
                for &position in declared {
                    self.mark(Subject::Rule(position), noticed);
                }
            }
            Object::BridgeVlan(it) => {
                let position = self.position_of(it.key.index, network);
                if let Some(position) = position.filter(|at| self.index.has_vlans(*at)) {
                    self.mark(Subject::Vlans(position), noticed);
                }
            }
            Object::Fdb(it) => {
                let position = self.position_of(it.dev, network);
                if let Some(position) = position.filter(|at| self.index.has_fdb(*at)) {
                    self.mark(Subject::Fdb(position), noticed);
                }
            }
            Object::Neighbour(it) => {
                let name = network.name_of(it.key.index);
                let declared = name.and_then(|dev| self.index.neighbour(dev, it.key.address));
                match declared {
                    Some(position) => self.mark(Subject::Neighbour(position), noticed),
                    None if self.prunes(it.protocol) => self.mark(Subject::Strays, noticed),
                    None => {}
                }
            }
            Object::Nexthop(it) => self.touch_nexthop(it, noticed, enables),
            // Nothing of these is declared, and a keeper does not follow them.
            _ => {}
        }
    }

    /// The groups that it is in, and the routes that go by it, too.
    fn touch_nexthop(&mut self, it: &Nexthop, noticed: Noticed, enables: bool) {
        for &subject in Arc::clone(&self.index).touched_by_nexthop(it.id) {
            self.mark(subject, noticed);
        }
        if self.index.nexthop(it.id).is_none() && self.prunes(it.protocol) {
            self.mark(Subject::Strays, noticed);
        }
        if enables {
            self.release(noticed);
        }
    }

    /// Whether what has that protocol and is not declared is to go.
    fn prunes(&self, protocol: u8) -> bool {
        let owner = self.desired.owner.as_ref().filter(|owner| owner.prune);
        owner.is_some_and(|owner| owner.protocol == protocol)
    }

    /// The link may be gone from the network by now; what it was found as is remembered.
    fn touch_address(&mut self, key: AddressKey, noticed: Noticed, network: &Network) {
        for &subject in Arc::clone(&self.index).routes_from(key.prefix.address) {
            self.mark(subject, noticed);
        }
        if let Some(position) = self.position_of(key.index, network) {
            self.mark(Subject::Addresses(position), noticed);
            // Turning IPv6 off or on is not told, but what becomes of the addresses is.
            if !key.prefix.is_ipv4() && self.declares(position, DISABLE_IPV6) {
                self.look_at(key.index);
            }
        }
    }

    /// The declared link that was found as the one of that index, or has its name.
    fn position_of(&self, index: u32, network: &Network) -> Option<u32> {
        let found = self.bindings.position(index);
        found.or_else(|| self.index.link(network.name_of(index)?))
    }

    fn touch_link(&mut self, name: LinkName, noticed: Noticed, enables: bool) {
        for &subject in Arc::clone(&self.index).touched_by_link(name) {
            self.mark(subject, noticed);
        }
        if enables {
            self.release(noticed);
        }
    }

    /// Whether a link bears the owner's mark and is not declared.
    fn may_be_stray(&self, link: &Link) -> bool {
        let is_marked = |owner: &Owner| [owner.group, owner.doomed()].contains(&link.group);
        self.desired.owner.as_ref().is_some_and(is_marked)
            && self.index.touched_by_link(link.name).is_empty()
    }

    /// The first news of a subject tells since when it differs, the first with a sender by whom.
    pub(super) fn mark(&mut self, subject: Subject, noticed: Noticed) {
        self.note_undone(subject, noticed);
        let first = self.unresolved.remove(&subject).unwrap_or(noticed);
        match self.dirty.entry(subject) {
            Entry::Vacant(place) => drop(place.insert(first)),
            Entry::Occupied(mut marked) => {
                let marked = marked.get_mut();
                marked.news = marked.news.saturating_add(noticed.news);
                if marked.sender == 0 {
                    marked.sender = noticed.sender;
                }
            }
        }
    }

    /// Something came that may let failed objects succeed: they are tried again at once.
    fn release(&mut self, noticed: Noticed) {
        let failed = self.later.iter().map(|(_, subject)| *subject).collect::<Vec<_>>();
        if failed.is_empty() {
            return;
        }
        for refused in self.refused.values_mut() {
            refused.until = None;
        }
        for subject in failed {
            self.mark(subject, noticed);
        }
    }
}

fn is_up(object: &Object) -> bool {
    matches!(object, Object::Link(link) if link.is_up())
}
