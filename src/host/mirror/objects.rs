//! The tables beside links, addresses and routes: what is peculiar to each, and the rest alike.

use super::{Cause, Event, Fate, Key, Mirror, Object, Table, Trigger, What};
use crate::model::bridge_vlan::BridgeVlan;
use crate::model::fdb::FdbEntry;
use crate::model::link::{IFF_LOWER_UP, IFF_RUNNING, Link};
use crate::model::netconf::{Netconf, NetconfScope};
use crate::model::nexthop::Nexthop;
use crate::model::object::RawMessage;
use crate::model::rule::Rule;

impl Mirror {
    /// A notification about an object of one of these tables.
    pub(crate) fn object(
        &mut self,
        object: Object,
        deleted: bool,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        if let Object::Nexthop(nexthop) = &object {
            self.note_nexthop(nexthop.id, deleted, tell);
        }
        if !self.tables.contains(object.table()) || !self.filter.wants(&object) {
            return;
        }
        let key = object.key();
        if let (Object::Fdb(entry), false) = (&object, deleted) {
            self.note_shared_state(entry, tell);
        }
        if let (Object::BridgeVlan(member), false) = (&object, deleted) {
            self.note_pvid(member, tell);
        }
        let kept = match object {
            _ if deleted => None,
            Object::Fdb(it) => it.is_followed().then_some(Object::Fdb(it)),
            Object::Neighbour(it) => {
                it.followed(self.network.neighbour(it.key)).map(Object::Neighbour)
            }
            // It touches one of several settings, and leaves the others to a dump.
            Object::Netconf(it) => return self.netconf(it, sender, tell),
            other => Some(other),
        };
        if let Key::Rule(rule) = &key {
            if self.is_one_of_several(rule, deleted) {
                return;
            }
        }
        match kept {
            Some(object) => {
                self.touch(key);
                self.store(object, Cause::Notification, sender, tell);
            }
            None => {
                if let (Key::Netconf(key), Some(reading)) = (&key, &mut self.reading) {
                    reading.told.remove(key);
                }
                self.touch(key.clone());
                self.remove(&key, Cause::Notification, sender, tell);
            }
        }
    }

    /// An entry of a dump of one of these tables.
    pub(crate) fn dumped_object(&mut self, object: Object, tell: &mut impl FnMut(Event)) {
        if !self.tables.contains(object.table()) || !self.filter.wants(&object) {
            return;
        }
        let object = match object {
            Object::Fdb(it) if !it.is_followed() => return,
            Object::Neighbour(it) => {
                let Some(it) = it.followed(self.network.neighbour(it.key)) else { return };
                Object::Neighbour(it)
            }
            Object::Netconf(it) => {
                let told = self.reading.as_ref().and_then(|reading| reading.told.get(&it.key));
                Object::Netconf(told.map_or(it, |told| told.over(&it)))
            }
            Object::Rule(it) => {
                self.note_double(&it);
                Object::Rule(it)
            }
            Object::BridgeVlan(it) => Object::BridgeVlan(self.with_pvid_as_told(it)),
            other => other,
        };
        if self.is_news(&object.key(), |_| Fate::Stays) {
            self.store(object, Cause::Dump, 0, tell);
        }
    }

    /// A message that is not read, for those who asked.
    pub(crate) fn raw(&mut self, raw: RawMessage, sender: u32, tell: &mut impl FnMut(Event)) {
        self.tell(Cause::Notification, sender, What::Raw(raw), tell);
    }

    /// A link was announced, and may have no carrier: its next hops are gone with that, and the
    /// routes that use them, neither of them announced (`nh_netdev_event` in
    /// net/ipv4/nexthop.c). None can be made while there is no carrier.
    pub(super) fn note_carrier(&mut self, link: &Link, tell: &mut impl FnMut(Event)) {
        if link.flags & (IFF_RUNNING | IFF_LOWER_UP) == 0 {
            self.take_nexthops_of(link.index, tell);
        }
    }

    /// Takes out the next hops of a link, as the kernel does in silence.
    pub(super) fn take_nexthops_of(&mut self, index: u32, tell: &mut impl FnMut(Event)) {
        // Where they are not followed, or their group is used, the routes alone can tell. Those
        // name no link where net.ipv4.nexthop_compat_mode is 0.
        let uses_any = |dev| self.network.routes_through(dev).any(|route| route.nexthop_id != 0);
        if self.network.uses_nexthops() && (uses_any(index) || uses_any(0)) {
            self.doubt.raise();
        }
        if !self.tables.contains(Table::Nexthops) {
            return;
        }
        // A dump may still show one that is not known yet; and one that is known from before a
        // loss may have another link by now.
        if self.reading.is_some() || !self.is_whole {
            self.doubt.raise();
        }
        if !self.is_whole {
            return;
        }
        let of_link = |nexthop: &&Nexthop| nexthop.dev == index && !nexthop.blackhole;
        let ids = self.network.nexthops().filter(of_link).map(|nexthop| nexthop.id);
        let mut gone: Vec<u32> = ids.collect();
        while let Some(id) = gone.pop() {
            self.touch(Key::Nexthop(id));
            self.take_along(Trigger::NexthopGone(id), tell);
            self.remove(&Key::Nexthop(id), Cause::Derived, 0, tell);
            let is_member = |group: &&Nexthop| group.group.iter().any(|member| member.id == id);
            let groups: Vec<_> = self.network.nexthops().filter(is_member).cloned().collect();
            for group in groups {
                match group.group.len() {
                    1 => gone.push(group.id),
                    _ => self.leave_group(group, id, tell),
                }
            }
        }
    }

    fn leave_group(&mut self, mut group: Nexthop, id: u32, tell: &mut impl FnMut(Event)) {
        group.group = group.group.iter().copied().filter(|member| member.id != id).collect();
        self.touch(Key::Nexthop(group.id));
        self.store(Object::Nexthop(group), Cause::Derived, 0, tell);
    }

    /// A next hop went, and its routes with it; or it may have changed, and its routes with it.
    fn note_nexthop(&mut self, id: u32, deleted: bool, tell: &mut impl FnMut(Event)) {
        if deleted {
            self.take_along(Trigger::NexthopGone(id), tell);
        } else if self.network.routes_by_nexthop(id).next().is_some() {
            self.doubt.raise();
        }
    }

    /// A link has one PVID: another one that becomes it takes that from the one before, and the
    /// kernel tells of the other alone (`__vlan_add_pvid` in net/bridge/br_vlan.c).
    fn note_pvid(&mut self, member: &BridgeVlan, tell: &mut impl FnMut(Event)) {
        if !member.pvid {
            return;
        }
        let is_before = |it: &&BridgeVlan| it.pvid && it.key != member.key;
        let before = self.network.bridge_vlans_of(member.key.index).find(is_before).copied();
        if let Some(before) = before {
            self.touch(Key::BridgeVlan(before.key));
            let after = BridgeVlan { pvid: false, ..before };
            self.store(Object::BridgeVlan(after), Cause::Derived, 0, tell);
        }
    }

    /// A part of a dump may be older than the news of another PVID.
    fn with_pvid_as_told(&self, member: BridgeVlan) -> BridgeVlan {
        let was_told = |other: &BridgeVlan| {
            let key = Key::BridgeVlan(other.key);
            self.reading.as_ref().is_some_and(|reading| reading.touched.contains(&key))
        };
        let mut others = self.network.bridge_vlans_of(member.key.index);
        let has_other =
            others.any(|other| other.pvid && other.key != member.key && was_told(other));
        BridgeVlan { pvid: member.pvid && !has_other, ..member }
    }

    /// What leads to several other ends of a tunnel has one state, and the kernel tells of the end
    /// that is added alone (`vxlan_fdb_update_existing` in drivers/net/vxlan/vxlan_core.c).
    fn note_shared_state(&mut self, entry: &FdbEntry, tell: &mut impl FnMut(Event)) {
        if entry.key.remote.is_none() {
            return;
        }
        let differs = |it: &&FdbEntry| {
            let is_other = it.key != entry.key && it.key.remote.is_some();
            is_other && (it.state, it.flags) != (entry.state, entry.flags)
        };
        let alike = self.network.fdb_alike(entry.key);
        let others: Vec<_> = alike.filter(differs).copied().collect();
        for other in others {
            let after = FdbEntry { state: entry.state, flags: entry.flags, ..other };
            self.touch(Key::Fdb(other.key));
            self.store(Object::Fdb(after), Cause::Derived, 0, tell);
        }
    }

    /// What stands on a link that is gone, and is not told of by itself.
    pub(super) fn take_others_of(&mut self, index: u32, tell: &mut impl FnMut(Event)) {
        let vlans = self.network.bridge_vlans_of(index).map(|member| Key::BridgeVlan(member.key));
        let fdb = self.network.fdb().filter(|it| it.dev == index || it.key.on == index);
        let fdb = fdb.map(|it| Key::Fdb(it.key));
        for key in vlans.chain(fdb).collect::<Vec<_>>() {
            self.touch(key.clone());
            self.remove(&key, Cause::Derived, 0, tell);
        }
    }

    /// Whether another rule like that remains, or may.
    fn is_one_of_several(&mut self, rule: &Rule, deleted: bool) -> bool {
        if deleted {
            let has_others = self.doubles.contains(rule);
            if has_others {
                self.doubt.raise();
            }
            return has_others;
        }
        if self.network.contains(&Key::Rule(Box::new(*rule))) {
            self.doubles.insert(*rule);
        }
        false
    }

    /// A rule that a dump shows and that has been seen before stands there twice, or a
    /// notification told of it; which of both, the next look shows.
    fn note_double(&mut self, rule: &Rule) {
        let key = Key::Rule(Box::new(*rule));
        let is_first = self.reading.as_ref().is_some_and(|it| it.unseen.contains(&key));
        if !is_first && self.network.contains(&key) {
            self.doubles.insert(*rule);
        }
    }

    fn netconf(&mut self, news: Netconf, sender: u32, tell: &mut impl FnMut(Event)) {
        let key = news.key;
        if let Some(reading) = &mut self.reading {
            reading.unseen.remove(&Key::Netconf(key));
            let told = reading.told.entry(key).or_insert(news);
            *told = news.over(told);
        }
        let known = self.network.netconf_of(key).copied();
        let after = known.map_or(news, |known| news.over(&known));
        // A default of IPv4 falls to the links for which nobody wrote another value, in silence
        // (`devinet_copy_dflt_conf` in net/ipv4/devinet.c).
        if key.scope == NetconfScope::Default && known != Some(after) {
            self.doubt.raise();
        }
        self.store(Object::Netconf(after), Cause::Notification, sender, tell);
    }

    fn store(&mut self, after: Object, cause: Cause, sender: u32, tell: &mut impl FnMut(Event)) {
        match self.network.put(after.clone()) {
            None => self.tell(cause, sender, What::New(after), tell),
            Some(before) if before == after => {}
            Some(before) => self.tell(cause, sender, What::Changed { before, after }, tell),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bridge_vlan::BridgeVlanKey;
    use crate::model::netconf::NetconfKey;
    use crate::model::network::Tables;

    const LINK: NetconfKey = NetconfKey { is_ipv6: false, scope: NetconfScope::Link(2) };

    fn settings(forwarding: Option<i32>, rp_filter: Option<i32>) -> Object {
        Object::Netconf(Netconf { forwarding, rp_filter, ..Netconf::new(LINK) })
    }

    fn known(mirror: &Mirror) -> (Option<i32>, Option<i32>) {
        let known = mirror.network().netconf_of(LINK).expect("it is known");
        (known.forwarding, known.rp_filter)
    }

    #[test]
    fn a_setting_told_during_a_dump_leaves_the_others_to_the_dump() {
        let (mut mirror, quiet) = (Mirror::new(Tables::ALL), &mut |_| {});
        mirror.object(settings(Some(0), Some(0)), false, 0, quiet);
        // The change of forwarding was lost; that of the other is newer than the dump.
        mirror.dump_begins(Table::Links);
        mirror.dump_begins(Table::Netconf);
        mirror.object(settings(None, Some(2)), false, 0, quiet);
        mirror.dumped_object(settings(Some(1), Some(1)), quiet);
        mirror.dump_ends(true, quiet);
        assert_eq!(known(&mirror), (Some(1), Some(2)));
        // One that is told but not shown is as new.
        mirror.dump_begins(Table::Links);
        mirror.object(settings(None, Some(1)), false, 0, quiet);
        mirror.dump_begins(Table::Netconf);
        mirror.dump_ends(true, quiet);
        assert_eq!(known(&mirror), (Some(1), Some(1)));
    }

    #[test]
    fn a_default_that_changes_puts_all_settings_in_doubt() {
        let (mut mirror, quiet) = (Mirror::new(Tables::ALL), &mut |_| {});
        let key = NetconfKey { scope: NetconfScope::Default, ..LINK };
        let default = Object::Netconf(Netconf { rp_filter: Some(1), ..Netconf::new(key) });
        mirror.object(default.clone(), false, 0, quiet);
        assert!(mirror.settle_doubt());
        mirror.object(default, false, 0, quiet);
        assert!(!mirror.is_in_doubt());
    }

    fn member(vid: u16, pvid: bool) -> Object {
        Object::BridgeVlan(BridgeVlan {
            key: BridgeVlanKey { index: 2, vid },
            pvid,
            untagged: true,
        })
    }

    fn pvids(mirror: &Mirror) -> Vec<u16> {
        let all = mirror.network().bridge_vlans_of(2);
        all.filter(|member| member.pvid).map(|member| member.key.vid).collect()
    }

    #[test]
    fn another_pvid_takes_that_from_the_one_before() {
        let mut mirror = Mirror::new(Tables::ALL);
        mirror.object(member(1, true), false, 0, &mut |_| {});
        let mut told = Vec::new();
        mirror.object(member(2, true), false, 0, &mut |event| told.push((event.cause, event.what)));
        assert_eq!(pvids(&mirror), [2]);
        let first = What::Changed { before: member(1, true), after: member(1, false) };
        let told_first = (Cause::Derived, first);
        assert_eq!(told, [told_first, (Cause::Notification, What::New(member(2, true)))]);
    }

    #[test]
    fn a_dump_that_is_older_than_another_pvid_does_not_bring_it_back() {
        let (mut mirror, quiet) = (Mirror::new(Tables::ALL), &mut |_| {});
        mirror.dump_begins(Table::Links);
        mirror.dump_begins(Table::BridgeVlans);
        // The one before is not known yet, so it cannot be changed along.
        mirror.object(member(2, true), false, 0, quiet);
        mirror.dumped_object(member(1, true), quiet);
        mirror.dumped_object(member(2, false), quiet);
        mirror.dump_ends(true, quiet);
        assert_eq!(pvids(&mirror), [2]);
    }

    #[test]
    fn events_of_more_tables_are_not_larger() {
        let largest = size_of::<crate::model::link::Link>();
        assert!(size_of::<Object>() <= largest + 16, "{} of {largest}", size_of::<Object>());
        assert!(size_of::<Key>() <= 72, "{}", size_of::<Key>());
    }
}
