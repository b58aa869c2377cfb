//! The mirror: the kernel's network state, as its notifications and dumps show it.
//!
//! It decides which news to believe and tells each change as one event. Folding the events from
//! empty gives the mirror. A dump and the notifications come by two sockets and in no common
//! order, so while a table is being dumped its notifications win: what one of them touched is
//! not taken from the dump, and what neither the dump nor a notification showed is gone.

use std::collections::BTreeSet;

use crate::model::address::{Address, AddressKey};
use crate::model::consequences::{Taken, Trigger, taken_in_silence};
use crate::model::link::Link;
use crate::model::network::{Network, Table};
use crate::model::object::{Cause, Event, NetnsId, Object, What};
use crate::model::route::{Route, RouteKey};

/// What tells an object from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Link(u32),
    Address(AddressKey),
    Route(RouteKey),
}

/// The state of one namespace, and what is going on to complete it.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    network: Network,
    sequence: u64,
    sweep: Option<Sweep>,
    /// Whether the addresses have been read whole since the last loss; until then one that goes
    /// may only seem to be the last of its link.
    knows_addresses: bool,
    /// Whether a replacement hit a slot of several routes, and which one went is not known.
    is_ambiguous: bool,
}

/// A table that is being dumped.
#[derive(Debug)]
struct Sweep {
    table: Table,
    /// What was known when the dump began and has not been seen since.
    unseen: BTreeSet<Key>,
    /// What a notification told of since the dump began.
    touched: BTreeSet<Key>,
}

impl Mirror {
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Takes the flag that a route table has to be read anew.
    pub(crate) fn take_ambiguity(&mut self) -> bool {
        std::mem::take(&mut self.is_ambiguous)
    }

    /// A notification that a link is there, as described.
    pub(crate) fn link(&mut self, link: Link, sender: u32, tell: &mut impl FnMut(Event)) {
        self.touch(Key::Link(link.index));
        let before = self.network.link(link.index).copied();
        self.store_link(link, Cause::Notification, sender, tell);
        if before.is_some_and(|before| before.is_up()) && !link.is_up() {
            self.take_along(Trigger::LinkDown(link.index), tell);
        }
    }

    /// A notification that a link is gone; what stood on it goes first.
    pub(crate) fn link_gone(&mut self, index: u32, sender: u32, tell: &mut impl FnMut(Event)) {
        self.touch(Key::Link(index));
        self.take_along(Trigger::LinkGone(index), tell);
        if let Some(link) = self.network.remove_link(index) {
            self.tell(Cause::Notification, sender, What::Deleted(Object::Link(link)), tell);
        }
    }

    /// A notification about an address.
    pub(crate) fn address(
        &mut self,
        address: Address,
        deleted: bool,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        self.touch(Key::Address(address.key));
        if !deleted {
            return self.store_address(address, Cause::Notification, sender, tell);
        }
        if let Some(gone) = self.network.remove_address(address.key) {
            self.tell(Cause::Notification, sender, What::Deleted(Object::Address(gone)), tell);
        }
        if self.knows_addresses {
            self.take_along(Trigger::AddressGone(address.key), tell);
        }
    }

    /// A notification about a route.
    pub(crate) fn route(
        &mut self,
        route: Route,
        deleted: bool,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        self.touch(Key::Route(route.key));
        if deleted {
            if let Some(gone) = self.network.remove_route(route.key) {
                self.tell(Cause::Notification, sender, What::Deleted(Object::Route(gone)), tell);
            }
            return;
        }
        let displaced = if route.replaced { self.displaced_by(&route) } else { Vec::new() };
        // The mark of a replacement is kept only where something else was pushed out.
        let replaced = !displaced.is_empty();
        for key in displaced {
            self.touch(Key::Route(key));
            if let Some(gone) = self.network.remove_route(key) {
                self.tell(Cause::Notification, sender, What::Deleted(Object::Route(gone)), tell);
            }
        }
        self.store_route(Route { replaced, ..route }, Cause::Notification, sender, tell);
    }

    /// The routes that a replacement took the place of: on IPv4 the first of the slot, on IPv6
    /// all next hops with a gateway, or the first without (`fib6_add_rt2node`).
    fn displaced_by(&mut self, route: &Route) -> Vec<RouteKey> {
        let others = self.network.routes_in(route.key.slot).filter(|old| old.key != route.key);
        let others: Vec<_> = others.map(|old| old.key).collect();
        let is_known = self.network.route(route.key).is_some();
        if route.is_ipv4() {
            self.is_ambiguous |= others.len() + usize::from(is_known) > 1;
            return if is_known { Vec::new() } else { others.into_iter().take(1).collect() };
        }
        let has_gateway = route.key.via.is_some();
        let alike = others.iter().copied().filter(|old| old.via.is_some() == has_gateway);
        let alike: Vec<_> = alike.collect();
        self.is_ambiguous |= others.len() > 1 || (is_known && !others.is_empty());
        match alike.len() {
            0 if is_known => alike,
            0 => others.into_iter().take(1).collect(),
            _ if has_gateway => alike,
            _ if is_known => Vec::new(),
            _ => alike.into_iter().take(1).collect(),
        }
    }

    /// Notifications were lost; the differences will follow.
    pub(crate) fn lost(&mut self, dropped: u64, tell: &mut impl FnMut(Event)) {
        self.knows_addresses = false;
        self.tell(Cause::Dump, 0, What::Resync { dropped }, tell);
    }

    /// A dump of that table is about to be asked for.
    pub(crate) fn dump_begins(&mut self, table: Table) {
        let network = &self.network;
        let unseen = match table {
            Table::Links => network.links().map(|link| Key::Link(link.index)).collect(),
            Table::Addresses => network.addresses().map(|own| Key::Address(own.key)).collect(),
            Table::Routes => network.routes().map(|route| Key::Route(route.key)).collect(),
        };
        self.sweep = Some(Sweep { table, unseen, touched: BTreeSet::new() });
    }

    /// Whether any notification told of the table since its dump began.
    pub(crate) fn dump_was_disturbed(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| !sweep.touched.is_empty())
    }

    /// Whether the dump showed less than was known.
    pub(crate) fn dump_lacks_something(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| !sweep.unseen.is_empty())
    }

    /// The same dump is about to be asked for once more; what it has shown stays seen.
    pub(crate) fn dump_goes_on(&mut self) {
        if let Some(sweep) = &mut self.sweep {
            // A later dump is newer than the notifications that were read before it began.
            sweep.touched.clear();
        }
    }

    /// An entry of a dump.
    pub(crate) fn dumped_link(&mut self, link: Link, tell: &mut impl FnMut(Event)) {
        if self.is_news(Key::Link(link.index)) {
            self.store_link(link, Cause::Dump, 0, tell);
        }
    }

    /// An entry of a dump.
    pub(crate) fn dumped_address(&mut self, address: Address, tell: &mut impl FnMut(Event)) {
        if self.is_news(Key::Address(address.key)) {
            self.store_address(address, Cause::Dump, 0, tell);
        }
    }

    /// An entry of a dump.
    pub(crate) fn dumped_route(&mut self, route: Route, tell: &mut impl FnMut(Event)) {
        if self.is_news(Key::Route(route.key)) {
            let known = self.network.route(route.key);
            let replaced = known.is_some_and(|known| known.replaced);
            self.store_route(Route { replaced, ..route }, Cause::Dump, 0, tell);
        }
    }

    /// A dump is whole: what it did not show is gone.
    pub(crate) fn dump_ends(&mut self, tell: &mut impl FnMut(Event)) {
        let Some(sweep) = self.sweep.take() else {
            return;
        };
        self.knows_addresses |= sweep.table == Table::Addresses;
        for key in sweep.unseen {
            let gone = match key {
                Key::Link(index) => {
                    self.take_along(Trigger::LinkGone(index), tell);
                    self.network.remove_link(index).map(Object::Link)
                }
                Key::Address(key) => self.network.remove_address(key).map(Object::Address),
                Key::Route(key) => self.network.remove_route(key).map(Object::Route),
            };
            if let Some(gone) = gone {
                self.tell(Cause::Dump, 0, What::Deleted(gone), tell);
            }
        }
    }

    fn touch(&mut self, key: Key) {
        let Some(sweep) = &mut self.sweep else { return };
        let table = match key {
            Key::Link(_) => Table::Links,
            Key::Address(_) => Table::Addresses,
            Key::Route(_) => Table::Routes,
        };
        if sweep.table == table {
            sweep.unseen.remove(&key);
            sweep.touched.insert(key);
        }
    }

    /// Whether a dump's entry may be believed; marks it as seen.
    fn is_news(&mut self, key: Key) -> bool {
        let Some(sweep) = &mut self.sweep else {
            return false;
        };
        sweep.unseen.remove(&key);
        !sweep.touched.contains(&key)
    }

    /// Takes out what the kernel took away without a word.
    fn take_along(&mut self, trigger: Trigger, tell: &mut impl FnMut(Event)) {
        for taken in taken_in_silence(&self.network, trigger) {
            let gone = match taken {
                Taken::Address(key) => {
                    self.touch(Key::Address(key));
                    self.network.remove_address(key).map(Object::Address)
                }
                Taken::Route(key) => {
                    self.touch(Key::Route(key));
                    self.network.remove_route(key).map(Object::Route)
                }
            };
            if let Some(gone) = gone {
                self.tell(Cause::Derived, 0, What::Deleted(gone), tell);
            }
        }
    }

    fn store_link(&mut self, link: Link, cause: Cause, sender: u32, tell: &mut impl FnMut(Event)) {
        let after = Object::Link(link);
        match self.network.put_link(link) {
            None => self.tell(cause, sender, What::New(after), tell),
            Some(before) if before == link => {}
            Some(before) => {
                let before = Object::Link(before);
                self.tell(cause, sender, What::Changed { before, after }, tell);
            }
        }
    }

    fn store_address(
        &mut self,
        address: Address,
        cause: Cause,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        let after = Object::Address(address);
        match self.network.put_address(address) {
            None => self.tell(cause, sender, What::New(after), tell),
            Some(before) if before == address => {}
            Some(before) => {
                let before = Object::Address(before);
                self.tell(cause, sender, What::Changed { before, after }, tell);
            }
        }
    }

    fn store_route(
        &mut self,
        route: Route,
        cause: Cause,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        let after = Object::Route(route.clone());
        match self.network.put_route(route) {
            None => self.tell(cause, sender, What::New(after), tell),
            Some(before) => {
                let before = Object::Route(before);
                if before != after {
                    self.tell(cause, sender, What::Changed { before, after }, tell);
                }
            }
        }
    }

    fn tell(&mut self, cause: Cause, sender: u32, what: What, tell: &mut impl FnMut(Event)) {
        self.sequence += 1;
        tell(Event { seq: self.sequence, netns: NetnsId::HOME, cause, sender, what });
    }
}
