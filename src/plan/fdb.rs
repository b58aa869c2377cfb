//! Compares the declared forwarding entries of a link with the observed ones.
//!
//! On links of a declared kind they are the whole set of what was put there to stay; elsewhere what
//! others put there stays. What a routing daemon put there (NTF_EXT_LEARNED) always does.

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Reason, Shown, has_vlans};
use crate::desired::{DesiredFdb, DesiredLink};
use crate::model::change::{Change, FdbChange};
use crate::model::fdb::{FdbEntry, leads_to_several};
use crate::model::kind::{Settings, Value};
use crate::model::link::Link;
use crate::model::neighbour::NTF_EXT_LEARNED;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::text::LinkName;

impl Diff<'_> {
    pub(super) fn fdb(&mut self, position: u32, bound: Option<u32>) {
        let Some((wanted, found)) = self.below(position, bound) else { return };
        let Some(declared) = &wanted.fdb else { return };
        if wanted.master.is_some_and(|master| !self.will_exist(master)) {
            return; // The link itself is blocked, and says so.
        }
        let is_port = self.is_joining(wanted, found)
            || found.is_none_or(|found| has_vlans(found, self.observed));
        let is_waiting = !is_port && declared.iter().any(|own| own.dst.is_none());
        if is_waiting {
            let (object, reason) = (ObjectId::Link(wanted.name), Reason::NoVlans(wanted.name));
            return self.block(Subject::Fdb(position), object, reason);
        }
        for own in declared {
            self.put_fdb(position, wanted, found, own);
        }
        if let Some(found) = found.filter(|_| wanted.settings.is_some() || wanted.peer_of.is_some())
        {
            self.extra_fdb(position, wanted, found, declared);
        }
    }

    fn put_fdb(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: Option<&Link>,
        own: &DesiredFdb,
    ) {
        let observed = self.observed;
        let subject = Subject::Fdb(position);
        if let Some(via) = own.via.filter(|via| !self.will_exist(*via)) {
            let object = self.fdb_change(wanted.name, own).object();
            return self.block(subject, object, Reason::NoSuchLink(via));
        }
        let settings = wanted.settings.or_else(|| found?.settings);
        // What has its place; of a bridge's it may be behind another port.
        let database = match own.dst {
            None => self.master_of(wanted, found),
            Some(_) => found.map(|found| found.index),
        };
        let in_place = database.and_then(|on| {
            observed.fdb_on(on).find(|now| {
                let is_its = match own.dst {
                    None => now.key.vid == own.vid,
                    Some(_) if leads_to_several(own.mac) => {
                        self.has_remote(now, own, settings.as_ref())
                    }
                    Some(_) => now.remote.is_some(),
                };
                is_its && now.key.mac == own.mac && now.key.source_vni == 0
            })
        });
        let mut differences = Vec::new();
        match in_place {
            None => {
                differences.extend(own.dst.map(|dst| Difference::made("dst", Shown::Address(dst))))
            }
            Some(now) if own.dst.is_none() => {
                if found.is_none_or(|found| found.index != now.dev) {
                    let from = observed.name_of(now.dev).map(Shown::Name);
                    let to = Some(wanted.name.into());
                    differences.push(Difference { key: "dev", from, to });
                }
            }
            Some(now) if self.has_remote(now, own, settings.as_ref()) => {
                if !now.is_static() {
                    let (from, to) = (Shown::Bool(false), Shown::Bool(true));
                    differences.push(Difference::new("permanent", from, to));
                }
            }
            Some(now) => {
                let from = now.remote.map(|it| Shown::Address(it.dst));
                differences.push(Difference { key: "dst", from, to: own.dst.map(Shown::Address) });
            }
        }
        if in_place.is_some() && differences.is_empty() {
            return;
        }
        let entry = self.fdb_change(wanted.name, own);
        let change = Change::PutFdb { entry, replace: in_place.is_some() };
        self.step(subject, Rank::Fdb, change, differences, Vec::new());
    }

    fn extra_fdb(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: &Link,
        declared: &[DesiredFdb],
    ) {
        let observed = self.observed;
        let is_joining = self.is_joining(wanted, Some(found));
        for now in observed.fdb_of(found) {
            // A bridge that filters gives each VLAN of the port an entry of one without.
            let is_it = |own: &DesiredFdb| {
                let is_vlan = own.vid == 0 || own.vid == now.key.vid;
                let is_remote = match own.dst {
                    None => now.remote.is_none() && is_vlan,
                    Some(_) if !leads_to_several(own.mac) => now.remote.is_some(),
                    Some(_) => self.has_remote(now, own, found.settings.as_ref()),
                };
                own.mac == now.key.mac && is_remote
            };
            let leaves_anyway = is_joining && now.remote.is_none();
            if leaves_anyway || is_kept(now, found, observed) || declared.iter().any(is_it) {
                continue;
            }
            let removal = Change::DeleteFdb(spelled(now, wanted.name, observed));
            self.step(Subject::Fdb(position), Rank::DeleteFdb, removal, Vec::new(), Vec::new());
        }
    }

    /// The bridge whose port it is to be.
    fn master_of(&self, wanted: &DesiredLink, found: Option<&Link>) -> Option<u32> {
        match wanted.master {
            Some(master) => self.observed.index_of(master),
            None => Some(found?.master),
        }
    }

    fn fdb_change(&self, link: LinkName, own: &DesiredFdb) -> FdbChange {
        let DesiredFdb { mac, vid, dst, port, vni, via } = *own;
        FdbChange { link, mac, vid, dst, port, vni, via }
    }

    /// The kernel does not show the port and the network that are the tunnel's own.
    fn has_remote(&self, now: &FdbEntry, own: &DesiredFdb, settings: Option<&Settings>) -> bool {
        let usual = |key: &str| settings.and_then(|settings| settings.by_name(key));
        let is = |value: u32, now: u32, key: &str| {
            value == now || (now == 0 && usual(key) == Some(Value::Number(value)))
        };
        let via = own.via.map_or(Some(0), |via| self.observed.index_of(via));
        now.remote.is_some_and(|it| {
            Some(it.dst) == own.dst
                && is(own.port.into(), it.port.into(), "dstport")
                && is(own.vni, it.vni, "id")
                && via == Some(it.via)
        })
    }
}

/// What comes and goes, what a routing daemon put there, what a tunnel has for its own `remote`,
/// and what cannot be named: the kernel deletes none by a link that is gone (`vxlan_fdb_parse`
/// in drivers/net/vxlan/vxlan_core.c).
pub(super) fn is_kept(now: &FdbEntry, link: &Link, network: &Network) -> bool {
    let is_stuck = now.remote.is_some_and(|it| it.via != 0 && network.link(it.via).is_none());
    let usual = link.settings.and_then(|settings| settings.by_name("remote"));
    let remote = now.remote.map(|it| Value::Address(it.dst));
    let is_own = now.key.mac == [0; 6] && remote.is_some() && remote == usual;
    is_own
        || is_stuck
        || !now.is_static()
        || now.flags & NTF_EXT_LEARNED != 0
        || now.key.source_vni != 0
}

/// An entry of `network` as the request that names it.
pub(super) fn spelled(now: &FdbEntry, link: LinkName, network: &Network) -> FdbChange {
    let remote = now.remote;
    FdbChange {
        link,
        mac: now.key.mac,
        vid: now.key.vid,
        dst: remote.map(|it| it.dst),
        port: remote.map_or(0, |it| it.port),
        vni: remote.map_or(0, |it| it.vni),
        via: remote.and_then(|it| network.name_of(it.via)),
    }
}
