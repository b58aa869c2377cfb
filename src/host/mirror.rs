//! The mirror: the kernel's network state, as its notifications and dumps show it.
//!
//! It decides which news to believe and tells each change as one event. Folding the events from
//! empty gives the mirror. A dump and the notifications come by two sockets and in no common
//! order, so while the tables are being read notifications win: what one of them touched is
//! not taken from a dump, and what neither a dump nor a notification showed is gone.

mod hidden;
mod looks;
mod netns;
mod objects;
mod ports;
mod routes;

use std::collections::{BTreeMap, BTreeSet};

use self::hidden::Hidden;
use super::doubt::Doubt;
use super::silence::Silence;
use crate::model::address::Address;
use crate::model::consequences::{Fate, Taken, Trigger, fate, is_last_ipv4, taken_in_silence};
use crate::model::filter::Filter;
use crate::model::hash::HashSet;
use crate::model::link::Link;
use crate::model::netconf::{Netconf, NetconfKey};
use crate::model::network::{Network, Table, Tables};
use crate::model::object::{Cause, Event, NetnsId, Object, ObjectKey as Key, What};
use crate::model::route::{PROTOCOL_KERNEL, Route};
use crate::model::rule::Rule;

/// The state of one namespace, and what is going on to complete it.
#[derive(Debug)]
pub(crate) struct Mirror {
    network: Network,
    /// The tables that are kept.
    tables: Tables,
    /// What is held here; of anything else the end might not be heard.
    filter: Filter,
    sequence: u64,
    /// Whether what is read is told. Where no one hears of it, making events of a whole network is
    /// a good part of what its reading takes.
    is_heard: bool,
    are_routes_heard: bool,
    reading: Option<Reading>,
    /// Whether the tables have been read since the last loss. Until then what a change takes
    /// along is left to the reading: an address may only seem to be the last of its link.
    is_whole: bool,
    doubt: Doubt,
    /// Rules that stand there more than once: when one goes, another may remain.
    doubles: BTreeSet<Rule>,
    hidden: Hidden,
    /// Links that have been asked for, and of which no news came since.
    looking: BTreeSet<u32>,
}

/// The tables are being read, one after the other.
///
/// The links come first, and are read under the lock that all that takes routes in silence is
/// done under (rtnl). So what was told before that has been done by then, though the kernel
/// tells of it first (`__dev_notify_flags`, `__inet_del_ifa`); what is told since may be done at
/// any time, and is remembered to the end.
#[derive(Debug)]
struct Reading {
    table: Table,
    /// What was known of the table when its dump began, and has not been seen since.
    unseen: HashSet<Key>,
    /// What a notification told of since the reading began.
    touched: HashSet<Key>,
    /// Settings that a notification told of since the reading began. It tells of one of a link's
    /// alone, so the dump is taken for the others.
    told: BTreeMap<NetconfKey, Netconf>,
    silence: Silence,
    /// Links that the dump showed otherwise than they were known, as they were: the news of it,
    /// and of what stood on them before, may be still to come.
    ahead: BTreeMap<u32, Link>,
    /// Links that lost an address of IPv4 since the reading began, and not the last for certain.
    bared: BTreeSet<u32>,
    /// Whether anything in the table changed since its dump was asked for.
    is_disturbed: bool,
    /// Whether that was not the first look, and brought what was not known.
    found_more: bool,
    looks: u32,
}

impl Mirror {
    /// A mirror of these tables.
    pub(crate) fn new(tables: Tables) -> Self {
        Self {
            network: Network::default(),
            tables,
            filter: Filter::everything(),
            sequence: 0,
            is_heard: true,
            are_routes_heard: true,
            reading: None,
            is_whole: false,
            doubt: Doubt::default(),
            doubles: BTreeSet::new(),
            hidden: Hidden::default(),
            looking: BTreeSet::new(),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// From now on links and addresses that come or change are told, or are not, and routes.
    pub(crate) fn set_heard(&mut self, is_heard: bool, are_routes_heard: bool) {
        (self.is_heard, self.are_routes_heard) = (is_heard, are_routes_heard);
    }

    /// From now on that is what is held. What is wanted no more leaves, and is told so; what is
    /// wanted anew comes with the reading that follows.
    pub(crate) fn set_filter(&mut self, filter: Filter, tell: &mut impl FnMut(Event)) {
        let objects = self.network.objects().rev();
        let unwanted = objects.filter(|object| !filter.wants(object));
        let unwanted: Vec<_> = unwanted.map(|object| object.key()).collect();
        for key in unwanted {
            self.remove(&key, Cause::Filter, 0, tell);
        }
        self.filter = filter;
        self.is_whole = false;
        self.hidden.forget();
        self.reading = None;
    }

    /// From now on these tables are kept, after the reading that follows.
    pub(crate) fn follow(&mut self, tables: Tables) {
        self.tables = tables;
        self.is_whole = false;
        self.reading = None;
    }

    /// Keeps no routes until they are followed again, and passes over the news of them.
    pub(crate) fn spare_routes(&mut self) {
        self.tables = self.tables.without(Table::Routes);
        let known: Vec<_> = self.network.keys(Table::Routes).collect();
        known.iter().for_each(|key| drop(self.network.remove(key)));
    }

    /// Whether something may have changed that nobody told of, so that [`settle_doubt`] is due
    /// some time later.
    ///
    /// [`settle_doubt`]: Self::settle_doubt
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// Whether what came since leaves the doubt, so that the tables have to be read.
    pub(crate) fn settle_doubt(&mut self) -> bool {
        self.doubt.settle(&self.network)
    }

    /// A notification that a link is there, as described.
    pub(crate) fn link(&mut self, link: Link, sender: u32, tell: &mut impl FnMut(Event)) {
        if !self.filter.wants_link(link.index) {
            return;
        }
        self.touch(Key::Link(link.index));
        let ahead = self.reading.as_mut().and_then(|reading| reading.ahead.remove(&link.index));
        let before = ahead.or_else(|| self.network.link(link.index).cloned());
        self.store_link(link.clone(), Cause::Notification, sender, tell);
        self.tie_peer(&link, tell);
        // Where the links are not known, it may just have gone down.
        let was_up = before.as_ref().is_some_and(Link::is_up) || !self.is_whole;
        if was_up && !link.is_up() {
            self.take_along(Trigger::LinkDown(link.index), tell);
        }
        // With the MTU of a link goes that of IPv6 routes through it which are not below it, in
        // silence (`fib6_nh_mtu_change` in net/ipv6/route.c).
        let has_mtu = |route: &Route| !route.is_ipv4() && route.metrics.mtu != 0;
        if before.as_ref().is_some_and(|before| before.mtu != link.mtu)
            && self.network.routes_through(link.index).any(has_mtu)
        {
            self.doubt.raise();
        }
        // Joining or leaving a VRF takes all IPv4 routes through the link, those that going down
        // spares included, without a word (fib_netdev_event, NETDEV_CHANGEUPPER).
        let was_port_of = before.map_or(link.master, |before| before.master);
        if was_port_of != link.master && self.network.routes_through(link.index).any(Route::is_ipv4)
        {
            self.doubt.raise();
        }
        self.note_carrier(&link, tell);
    }

    /// What one end of a pair says of the other holds for both. The end that is made first is
    /// announced before it is tied to the other, and neither that nor a return of the other one
    /// from another namespace is told of it (`veth_newlink` in drivers/net/veth.c).
    fn tie_peer(&mut self, link: &Link, tell: &mut impl FnMut(Event)) {
        if link.lower_netns.is_some() || !link.is_tied_to(link.lower) {
            return;
        }
        let peer = self.network.link(link.lower).filter(|peer| peer.kind == link.kind);
        if let Some(tied) = peer.and_then(|peer| peer.clone().tied_to(link.index)) {
            self.store_link(tied, Cause::Derived, 0, tell);
        }
    }

    /// A notification that a link is gone; what stood on it goes first.
    pub(crate) fn link_gone(&mut self, index: u32, sender: u32, tell: &mut impl FnMut(Event)) {
        self.touch(Key::Link(index));
        self.take_along(Trigger::LinkGone(index), tell);
        self.take_nexthops_of(index, tell);
        self.take_others_of(index, tell);
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
        if !self.filter.wants_address(&address.key) {
            return;
        }
        self.touch(Key::Address(address.key));
        if !deleted {
            return self.store_address(address, Cause::Notification, sender, tell);
        }
        if let Some(gone) = self.network.remove_address(address.key) {
            self.tell(Cause::Notification, sender, What::Deleted(Object::Address(gone)), tell);
        }
        self.take_along(Trigger::AddressGone(address.key), tell);
    }

    /// Notifications were lost; the differences will follow. What is being read is read anew.
    pub(crate) fn lost(&mut self, dropped: u64, tell: &mut impl FnMut(Event)) {
        self.is_whole = false;
        self.hidden.forget();
        self.reading = None;
        self.tell(Cause::Dump, 0, What::Resync { dropped }, tell);
    }

    /// A dump of that table is about to be asked for; that of the links begins a reading.
    pub(crate) fn dump_begins(&mut self, table: Table) {
        let before = self.reading.take().filter(|_| table != Table::Links);
        let (touched, told, silence, ahead, bared) = match before {
            Some(Reading { touched, told, silence, ahead, bared, .. }) => {
                (touched, told, silence, ahead, bared)
            }
            None => {
                self.doubt = Doubt::default();
                Default::default()
            }
        };
        if table == Table::Rules {
            self.doubles.clear();
        }
        let mut unseen: HashSet<_> = self.network.keys(table).collect();
        unseen.retain(|key| !touched.contains(key) && !is_told(&told, key));
        self.reading = Some(Reading {
            table,
            unseen,
            touched,
            told,
            silence,
            ahead,
            bared,
            is_disturbed: false,
            found_more: false,
            looks: 1,
        });
    }

    /// That many routes are likely to be there.
    pub(crate) fn expect_routes(&mut self, routes: usize) {
        self.network.expect_routes(routes);
    }

    /// Whether what is being read is a table of which the kernel does not say that a change
    /// interrupted its dump.
    pub(crate) fn may_skip(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.table.may_be_skipped())
    }

    /// Whether the table changed since its dump was asked for, by a notification or in silence:
    /// what stood behind an entry that went may have been skipped.
    pub(crate) fn dump_was_disturbed(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_disturbed)
    }

    /// Whether the dump showed less than was known, or what an earlier look did not show.
    pub(crate) fn dump_lacks_something(&self) -> bool {
        let lacks = |reading: &Reading| !reading.unseen.is_empty() || reading.found_more;
        self.reading.as_ref().is_some_and(lacks)
    }

    /// The same dump is about to be asked for once more; what it has shown stays seen.
    pub(crate) fn dump_goes_on(&mut self) {
        if let Some(reading) = &mut self.reading {
            (reading.is_disturbed, reading.found_more) = (false, false);
            reading.looks += 1;
        }
    }

    /// An entry of a dump.
    pub(crate) fn dumped_link(&mut self, link: Link, tell: &mut impl FnMut(Event)) {
        let is_wanted = self.filter.wants_link(link.index);
        if is_wanted && self.is_news(&Key::Link(link.index), |_| Fate::Stays) {
            let before = self.network.link(link.index).filter(|before| **before != link).cloned();
            if let (Some(before), Some(reading)) = (before, &mut self.reading) {
                reading.ahead.entry(link.index).or_insert(before);
            }
            self.store_link(link, Cause::Dump, 0, tell);
        }
    }

    /// An entry of a dump.
    pub(crate) fn dumped_address(&mut self, address: Address, tell: &mut impl FnMut(Event)) {
        let fate = |silence: &Silence| silence.fate_of_address(&address);
        let is_wanted = self.filter.wants_address(&address.key);
        if is_wanted && self.is_news(&Key::Address(address.key), fate) {
            self.store_address(address, Cause::Dump, 0, tell);
        }
    }

    /// An entry of a dump; `shared` as in [`route`](Self::route).
    pub(crate) fn dumped_route(
        &mut self,
        route: Route,
        shared: bool,
        tell: &mut impl FnMut(Event),
    ) {
        if !self.filter.wants_route(&route) {
            return;
        }
        if shared {
            self.note_shown_together(&route);
        }
        let fate = |silence: &Silence| silence.fate_of_route(&route);
        if self.is_news(&Key::Route(route.key), fate) {
            let is_new = self.store_route(route, Cause::Dump, 0, tell);
            if let (true, Some(reading)) = (is_new, &mut self.reading) {
                reading.found_more |= reading.looks > 1;
            }
        }
    }

    /// The dump that is about to end was interrupted by changes to the last: what it lacks may
    /// be there all the same, and takes another reading to call it gone.
    pub(crate) fn dump_was_interrupted(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.unseen.clear();
            self.doubt.raise();
        }
    }

    /// A dump is whole: what it did not show is gone. With the last one the reading ends.
    pub(crate) fn dump_ends(&mut self, is_last: bool, tell: &mut impl FnMut(Event)) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let mut unseen: Vec<_> = std::mem::take(&mut reading.unseen).into_iter().collect();
        unseen.sort_unstable();
        for key in unseen {
            match key {
                Key::Link(index) => self.take_along(Trigger::LinkGone(index), tell),
                Key::Nexthop(id) => self.take_along(Trigger::NexthopGone(id), tell),
                Key::Route(key) if !self.is_gone_or_hidden(key) => continue,
                _ => {}
            }
            self.remove(&key, Cause::Dump, 0, tell);
        }
        if is_last {
            if let Some(reading) = self.reading.take() {
                if self.may_lack_addresses(&reading) {
                    self.doubt.raise();
                }
                self.forget_hidden(&reading);
            }
            self.is_whole = true;
        }
    }

    /// Takes an object out and tells so; nothing happens where it is not held.
    fn remove(&mut self, key: &Key, cause: Cause, sender: u32, tell: &mut impl FnMut(Event)) {
        if let Some(gone) = self.network.remove(key) {
            self.tell(cause, sender, What::Deleted(gone), tell);
        }
    }

    fn touch(&mut self, key: Key) {
        match key {
            Key::Address(key) => self.doubt.told(Taken::Address(key)),
            Key::Route(key) => self.doubt.told(Taken::Route(key)),
            Key::Link(index) => drop(self.looking.remove(&index)),
            _ => {}
        }
        let Some(reading) = &mut self.reading else { return };
        if reading.table == key.table() {
            reading.unseen.remove(&key);
            reading.is_disturbed = true;
        }
        reading.touched.insert(key);
    }

    /// Whether a dump's entry is to be taken. One that went in silence since the reading began
    /// counts as not shown; where that is not clear it stays as it was known, and is in doubt.
    fn is_news(&mut self, key: &Key, judge: impl Fn(&Silence) -> Fate) -> bool {
        let Some(reading) = &mut self.reading else {
            return false;
        };
        if reading.touched.contains(key) {
            return false;
        }
        let fate = judge(&reading.silence);
        if fate != Fate::Goes {
            reading.unseen.remove(key);
        }
        if fate == Fate::Unclear {
            self.doubt.raise();
        }
        fate == Fate::Stays
    }

    /// Takes out what the kernel took away without a word, and remembers it for what a dump may
    /// still show.
    fn take_along(&mut self, trigger: Trigger, tell: &mut impl FnMut(Event)) {
        if let Some(reading) = &mut self.reading {
            let Reading { table, silence, is_disturbed, bared, .. } = reading;
            silence.note(trigger);
            *is_disturbed |= *table == Table::Routes;
            match trigger {
                Trigger::AddressGone(key) if !self.is_whole && key.prefix.is_ipv4() => {
                    bared.insert(key.index);
                    silence.note_bare(key.index, trigger, Fate::Unclear);
                }
                Trigger::AddressGone(key) if is_last_ipv4(&self.network, key) => {
                    silence.note_bare(key.index, trigger, Fate::Goes);
                }
                Trigger::AddressGone(key) if key.prefix.is_ipv4() => {
                    bared.insert(key.index);
                }
                _ => {}
            }
        }
        for taken in taken_in_silence(&self.network, trigger) {
            let key = match taken {
                Taken::Address(key) => Key::Address(key),
                Taken::Route(key) => Key::Route(key),
            };
            // Until all addresses are known one only seems to be the last.
            let is_known = self.is_fresh(&key) && !matches!(trigger, Trigger::AddressGone(_));
            if !self.is_whole && !is_known && !goes_with_link(&key, trigger) {
                continue;
            }
            if let Some(reading) = &mut self.reading {
                reading.unseen.remove(&key);
            }
            self.remove(&key, Cause::Derived, 0, tell);
            if let Key::Route(key) = key {
                self.note_parted(key);
            }
        }
        self.doubt.note(trigger, &self.network);
        if self.reading.is_some() && self.is_unclear(trigger) {
            self.doubt.raise();
        }
    }

    /// Whether a route that is known by news depends on others that are not, by which it may
    /// have outlived `trigger` or not.
    fn is_unclear(&self, trigger: Trigger) -> bool {
        let link = match trigger {
            Trigger::LinkDown(index) | Trigger::LinkGone(index) => index,
            Trigger::AddressGone(_) | Trigger::NexthopGone(_) | Trigger::Ipv6Off(_) => {
                return false;
            }
        };
        let is_unclear = |route: &Route| {
            fate(trigger, route) == Fate::Unclear && !self.is_vouched_for(route, link)
        };
        let mut routes = self.network.routes_through(link);
        routes.any(|route| self.is_fresh(&Key::Route(route.key)) && is_unclear(route))
    }

    /// Whether it is known while the tables are read that another next hop keeps the route where
    /// that link is down.
    fn is_vouched_for(&self, route: &Route, link: u32) -> bool {
        let Some(reading) = &self.reading else { return true };
        if route.is_ipv4() {
            // Its hops are its own, and their links are as the news tell them.
            return self.is_whole && reading.ahead.is_empty();
        }
        // A sibling known from before may be what the reading is for, and one that a dump showed
        // may have come later.
        let is_news = |it: &Route| reading.touched.contains(&Key::Route(it.key));
        let is_up = |dev: u32| dev != link && self.network.link(dev).is_some_and(Link::is_up);
        let mut others = self.network.routes_in(route.key.slot);
        others.any(|it| it.key.via.is_some() && is_up(it.key.dev) && is_news(it))
    }

    /// Whether an address that went while the tables were read may have taken a route along. A
    /// dump shows addresses before the news of them: one that it showed may have come after the
    /// last one went, and been no help to a route that the news told of before.
    fn may_lack_addresses(&self, reading: &Reading) -> bool {
        let may_be_gone = |route: &Route| {
            // After a loss it may also have been shown by a part of a dump that is older.
            let is_news = !self.is_whole || reading.touched.contains(&Key::Route(route.key));
            // What the kernel made for an address it announces to be gone.
            let is_silent = route.is_ipv4() && route.protocol != PROTOCOL_KERNEL;
            is_silent && (is_news || !route.hops.is_empty())
        };
        let mut links = reading.bared.iter();
        links.any(|link| self.network.routes_through(*link).any(may_be_gone))
    }

    /// Whether an object is known by news since the reading began, and not only from before.
    fn is_fresh(&self, key: &Key) -> bool {
        self.reading.as_ref().is_some_and(|reading| {
            let was_seen = reading.table == key.table() && !reading.unseen.contains(key);
            was_seen || reading.touched.contains(key)
        })
    }

    fn store_link(&mut self, link: Link, cause: Cause, sender: u32, tell: &mut impl FnMut(Event)) {
        if !self.is_heard {
            self.network.put_link(link);
            return;
        }
        let after = Object::Link(link.clone());
        match self.network.put_link(link) {
            None => self.tell(cause, sender, What::New(after), tell),
            Some(before) => {
                let before = Object::Link(before);
                if before == after {
                    return;
                }
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
        if !self.is_heard {
            self.network.put_address(address);
            return;
        }
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

    fn tell(&mut self, cause: Cause, sender: u32, what: What, tell: &mut impl FnMut(Event)) {
        self.sequence += 1;
        tell(Event { seq: self.sequence, netns: NetnsId::HOME, cause, sender, what });
    }
}

fn is_told(told: &BTreeMap<NetconfKey, Netconf>, key: &Key) -> bool {
    matches!(key, Key::Netconf(key) if told.contains_key(key))
}

/// Whether an object cannot be without the link that `trigger` says is gone, whatever else is
/// known of it.
fn goes_with_link(key: &Key, trigger: Trigger) -> bool {
    let Trigger::LinkGone(index) = trigger else { return false };
    match key {
        Key::Address(key) => key.index == index,
        Key::Route(key) => key.dev == index,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::{AddressKey, Prefix};
    use crate::model::link::IFF_UP;
    use crate::model::route::{Metrics, RTN_UNICAST, RouteKey, RouteSlot, TABLE_MAIN};
    use crate::model::text::LinkName;

    fn link() -> Link {
        Link { flags: IFF_UP, ..Link::new(1, LinkName::truncated(b"v0")) }
    }

    fn address(text: &str) -> Address {
        let prefix = Prefix { address: text.parse().unwrap(), len: 24 };
        let key = AddressKey { index: 1, prefix, peer: None };
        Address { key, scope: 0, flags: 0x80, protocol: 0, label: LinkName::default() }
    }

    fn route() -> Route {
        let to = Prefix { address: [10, 9, 0, 0].into(), len: 24 };
        let slot = RouteSlot { table: TABLE_MAIN, to, tos: 0, metric: 0 };
        let key = RouteKey { slot, via: None, dev: 1, route_type: RTN_UNICAST };
        let (protocol, scope, flags, source, nexthop_id) = (3, 0, 0, None, 0);
        let (hops, replaced) = (Box::default(), false);
        let metrics = Metrics::default();
        Route { key, protocol, scope, flags, source, nexthop_id, metrics, hops, replaced }
    }

    /// A link with an address and a route, read whole.
    fn mirror() -> Mirror {
        let (mut mirror, tell) = (Mirror::new(Tables::default()), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.dumped_link(link(), tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Addresses);
        mirror.dumped_address(address("10.0.0.1"), tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Routes);
        mirror.dumped_route(route(), false, tell);
        mirror.dump_ends(true, tell);
        mirror
    }

    #[test]
    fn the_last_address_takes_routes_along_only_where_all_are_known() {
        let (gone, tell) = (address("10.0.0.1"), &mut |_| {});
        let mut whole = mirror();
        whole.address(gone, true, 0, tell);
        assert_eq!(whole.network().routes().count(), 0);
        // The news of another address may be among what was lost.
        let mut lossy = mirror();
        lossy.lost(1, tell);
        lossy.address(gone, true, 0, tell);
        assert_eq!(lossy.network().routes().count(), 1);
    }

    #[test]
    fn a_dump_that_was_interrupted_to_the_last_calls_nothing_gone() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.dump_was_interrupted();
        mirror.dump_ends(false, tell);
        assert_eq!(mirror.network().links().count(), 1);
        assert!(mirror.settle_doubt(), "another reading is to tell");
    }

    #[test]
    fn an_address_that_was_shown_before_its_news_vouches_for_no_route() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.dumped_link(link(), tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Addresses);
        mirror.dumped_address(address("10.0.0.2"), tell);
        // It came after the other one had gone as the last, and taken the route along.
        mirror.route(another_route(), false, 0, tell);
        mirror.address(address("10.0.0.1"), true, 0, tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Routes);
        mirror.dump_ends(true, tell);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn a_link_that_a_dump_showed_down_before_its_news_takes_along_what_came_before_them() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let down = Link { flags: 0, ..link() };
        mirror.dump_begins(Table::Links);
        mirror.dumped_link(down.clone(), tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Routes);
        mirror.route(another_route(), false, 0, tell);
        mirror.link(down, 0, tell);
        mirror.dump_ends(true, tell);
        assert_eq!(mirror.network().routes().count(), 0);
    }

    #[test]
    fn a_loss_ends_what_is_being_read() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.lost(1, tell);
        mirror.dumped_link(Link::new(2, LinkName::truncated(b"old")), tell);
        mirror.dump_ends(false, tell);
        let links: Vec<_> = mirror.network().links().map(|link| link.index).collect();
        assert_eq!(links, [1], "neither the old one is taken, nor the other one gone");
    }

    #[test]
    fn news_of_a_route_disturb_the_dump_of_routes() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.dump_begins(Table::Routes);
        assert!(!mirror.dump_was_disturbed());
        mirror.route(route(), true, 0, tell);
        assert!(mirror.dump_was_disturbed());
        mirror.dump_goes_on();
        assert!(!mirror.dump_was_disturbed(), "since the second look was asked for");
    }

    #[test]
    fn what_may_take_routes_in_silence_disturbs_their_dump() {
        let (mut mirror, tell) = (reading(Table::Routes), &mut |_| {});
        assert!(!mirror.dump_was_disturbed());
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.dump_was_disturbed());
    }

    /// The same after a loss, up to where that table is being read.
    fn reading(table: Table) -> Mirror {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        mirror.lost(1, tell);
        mirror.dump_begins(Table::Links);
        mirror.dumped_link(link(), tell);
        mirror.dump_ends(false, tell);
        mirror.dump_begins(Table::Addresses);
        if table == Table::Routes {
            mirror.dumped_address(address("10.0.0.1"), tell);
            mirror.dump_ends(false, tell);
            mirror.dump_begins(Table::Routes);
        }
        mirror
    }

    fn another_route() -> Route {
        let slot = RouteSlot { metric: 7, ..route().key.slot };
        Route { key: RouteKey { slot, ..route().key }, ..route() }
    }

    #[test]
    fn an_old_part_of_a_dump_brings_nothing_back_that_went_in_silence() {
        let (mut mirror, tell) = (reading(Table::Routes), &mut |_| {});
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        mirror.dumped_route(route(), false, tell);
        mirror.dumped_route(another_route(), false, tell);
        mirror.dump_ends(true, tell);
        assert_eq!(mirror.network().routes().count(), 0);
        assert!(!mirror.settle_doubt());
    }

    #[test]
    fn what_an_old_part_shows_of_a_replacement_a_source_or_the_last_address_is_in_doubt() {
        let tell = &mut |_| {};
        let replacement = Route { replaced: true, ..another_route() };
        let elsewhere = RouteKey { dev: 2, ..another_route().key };
        let mut replaced = reading(Table::Routes);
        replaced.route(Route { key: elsewhere, ..replacement }, false, 0, tell);
        let (mut bare, mut sourceless) = (reading(Table::Routes), reading(Table::Routes));
        bare.address(address("10.0.0.1"), true, 0, tell);
        let of_ipv6 = AddressKey {
            prefix: Prefix { address: "2001:db8::1".parse().unwrap(), len: 64 },
            ..address("10.0.0.1").key
        };
        sourceless.address(Address { key: of_ipv6, ..address("10.0.0.1") }, true, 0, tell);
        let source = Some(of_ipv6.prefix.address);
        for (mut mirror, source) in [(replaced, None), (bare, None), (sourceless, source)] {
            mirror.dumped_route(Route { source, ..another_route() }, false, tell);
            assert!(mirror.network().route(another_route().key).is_none());
            assert!(mirror.settle_doubt());
        }
    }

    #[test]
    fn an_old_part_that_shows_an_address_as_it_was_before_its_link_went_down_is_in_doubt() {
        let (mut mirror, tell) = (reading(Table::Addresses), &mut |_| {});
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        let prefix = Prefix { address: "2001:db8::1".parse().unwrap(), len: 64 };
        let key = AddressKey { prefix, ..address("10.0.0.1").key };
        mirror.dumped_address(Address { key, ..address("10.0.0.1") }, tell);
        assert!(mirror.network().address(key).is_none());
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn an_ipv6_next_hop_that_goes_leaves_its_siblings_in_doubt() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let to = Prefix { address: "2001:db8::".parse().unwrap(), len: 64 };
        let hop = |via: &str| {
            let slot = RouteSlot { to, ..route().key.slot };
            let key = RouteKey { slot, via: Some(via.parse().unwrap()), ..route().key };
            Route { key, ..route() }
        };
        mirror.route(hop("fe80::1"), false, 0, tell);
        mirror.route(hop("fe80::2"), true, 0, tell);
        assert!(!mirror.is_in_doubt());
        // It was the first perhaps, whose protocol all were shown by.
        mirror.route_gone(hop("fe80::1").key, 0, tell);
        assert!(mirror.settle_doubt());
        mirror.route_gone(hop("fe80::2").key, 0, tell);
        assert!(!mirror.settle_doubt(), "none is left");
    }

    /// A next hop of one IPv6 slot, through the link of that index.
    fn hop_through(dev: u32) -> Route {
        let to = Prefix { address: "2001:db8::".parse().unwrap(), len: 64 };
        let slot = RouteSlot { to, ..route().key.slot };
        let key = RouteKey { slot, via: Some("fe80::1".parse().unwrap()), dev, ..route().key };
        Route { key, ..route() }
    }

    fn other_link() -> Link {
        Link { flags: IFF_UP, ..Link::new(2, LinkName::truncated(b"v1")) }
    }

    #[test]
    fn after_a_loss_no_sibling_vouches_for_a_next_hop_whose_link_goes_down() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let (hop, other) = (hop_through, other_link());
        mirror.link(other.clone(), 0, tell);
        mirror.route(hop(2), false, 0, tell);
        mirror.lost(1, tell);
        mirror.dump_begins(Table::Links);
        // That through the other link may be gone by now.
        mirror.route(hop(1), true, 0, tell);
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn a_link_that_a_dump_showed_up_before_its_news_vouches_for_no_next_hop() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let (hop, other) = (hop_through, other_link());
        mirror.link(other.clone(), 0, tell);
        mirror.route(hop(2), false, 0, tell);
        mirror.link(Link { flags: 0, ..other.clone() }, 0, tell);
        mirror.dump_begins(Table::Links);
        mirror.dumped_link(Link { flags: 0, ..link() }, tell);
        mirror.dumped_link(other, tell);
        mirror.route(hop(1), true, 0, tell);
        // When that happened the other one was still down.
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn a_next_hop_that_a_dump_showed_vouches_for_no_other() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let (hop, other) = (hop_through, other_link());
        mirror.link(other, 0, tell);
        mirror.dump_begins(Table::Links);
        mirror.dump_begins(Table::Routes);
        mirror.dumped_route(hop(2), false, tell);
        mirror.route(hop(1), true, 0, tell);
        // That through the other link may have come only after this.
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.settle_doubt());
    }

    #[test]
    fn what_the_kernel_tells_of_in_time_is_not_in_doubt() {
        let (mut mirror, tell) = (mirror(), &mut |_| {});
        let key = RouteKey { slot: RouteSlot { metric: 256, ..route().key.slot }, ..route().key };
        let to = Prefix { address: "2001:db8::".parse().unwrap(), len: 64 };
        let key = RouteKey { slot: RouteSlot { to, ..key.slot }, ..key };
        let of_ipv6 = Route { key, ..route() };
        mirror.route(of_ipv6.clone(), false, 0, tell);
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.is_in_doubt());
        mirror.route(of_ipv6.clone(), true, 0, tell);
        assert!(!mirror.is_in_doubt());
        // Where net.ipv6.route.skip_notify_on_dev_down is set, nothing comes.
        mirror.link(link(), 0, tell);
        mirror.route(of_ipv6, false, 0, tell);
        mirror.link(Link { flags: 0, ..link() }, 0, tell);
        assert!(mirror.settle_doubt());
        assert!(!mirror.is_in_doubt());
    }
}
