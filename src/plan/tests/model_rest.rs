//! What the kernel makes of a change of what stands on links beside addresses and routes.

use super::model::{find, take_along};
use crate::model::address::Address;
use crate::model::bridge_vlan::{BridgeVlan, BridgeVlanKey};
use crate::model::change::{Change, FdbChange, NexthopChange};
use crate::model::consequences::Trigger;
use crate::model::fdb::{FdbEntry, FdbKey, Remote, leads_to_several};
use crate::model::link::Link;
use crate::model::neighbour::{NUD_NOARP, NUD_PERMANENT};
use crate::model::network::Network;
use crate::model::nexthop::{Nexthop, RTNH_F_ONLINK};
use crate::model::object::{Object, ObjectKey};

/// Makes the change, or says why the kernel would not.
pub(super) fn apply(network: &mut Network, change: &Change) -> Result<(), String> {
    match *change {
        Change::PutVlans { link, first, last, pvid, untagged, replace: _ } => {
            let index = find(network, link)?;
            let link = network.link(index).ok_or("a link")?;
            if !is_member(network, link) {
                return Err(format!("{change:?}: no bridge, and no port of one"));
            }
            if pvid && first != last {
                return Err(format!("{change:?}: several"));
            }
            for vid in first..=last {
                put(network, BridgeVlan { key: BridgeVlanKey { index, vid }, pvid, untagged });
            }
            Ok(())
        }
        Change::DeleteVlans { link, first, last } => {
            let index = find(network, link)?;
            for vid in first..=last {
                let gone = network.remove(&ObjectKey::BridgeVlan(BridgeVlanKey { index, vid }));
                gone.ok_or(format!("no {change:?}"))?;
            }
            Ok(())
        }
        Change::PutFdb { entry, replace } => put_fdb(network, &entry, replace),
        Change::DeleteFdb(entry) => {
            let gone = fdb_entry(network, &entry)?;
            let now = network.fdb_entry(gone.key).filter(|now| now.dev == gone.dev);
            now.ok_or(format!("no {change:?}"))?;
            network.remove(&ObjectKey::Fdb(gone.key));
            Ok(())
        }
        Change::PutNexthop { ref nexthop, replace } => put_nexthop(network, nexthop, replace),
        Change::DeleteNexthop(id) => {
            network.nexthop(id).ok_or(format!("no {change:?}"))?;
            delete_nexthop(network, id);
            Ok(())
        }
        ref other => Err(format!("{other:?}: not one of these")),
    }
}

fn put_fdb(network: &mut Network, change: &FdbChange, replace: bool) -> Result<(), String> {
    let entry = fdb_entry(network, change)?;
    let is_there = network.contains(&ObjectKey::Fdb(entry.key));
    if is_there != replace {
        return Err(format!("{change:?}: there already, or not"));
    }
    network.put(Object::Fdb(entry));
    Ok(())
}

fn fdb_entry(network: &Network, change: &FdbChange) -> Result<FdbEntry, String> {
    let FdbChange { mac, vid, port, vni, .. } = *change;
    let dev = find(network, change.link)?;
    let link = network.link(dev).ok_or("a link")?;
    let via = change.via.map(|via| find(network, via)).transpose()?.unwrap_or(0);
    let remote = change.dst.map(|dst| Remote { dst, port, vni, via });
    let is_fitting = match remote {
        Some(_) => link.settings.is_some_and(|it| it.kind.has_fdb),
        None => link.port.is_some(),
    };
    if !is_fitting {
        return Err(format!("{change:?}: not supported"));
    }
    let on = if remote.is_some() { dev } else { link.master };
    let several = remote.filter(|_| leads_to_several(mac));
    let key = FdbKey { on, mac, vid, source_vni: 0, remote: several };
    let state = if remote.is_some() { NUD_PERMANENT } else { NUD_NOARP };
    Ok(FdbEntry { key, dev, remote, state, flags: 0 })
}

fn put_nexthop(network: &mut Network, change: &NexthopChange, replace: bool) -> Result<(), String> {
    let now = network.nexthop(change.id).cloned();
    // A replacement of nothing is a creation (NLM_F_CREATE | NLM_F_REPLACE).
    if now.is_some() && !replace {
        return Err(format!("{change:?}: there already"));
    }
    let members = &change.members;
    if now.is_some_and(|now| now.group.is_empty() != members.is_empty()) {
        return Err(format!("{change:?}: a group and a single one"));
    }
    if members.iter().any(|member| network.nexthop(member.id).is_none()) {
        return Err(format!("{change:?}: no such member"));
    }
    let dev = change.dev.map(|dev| find(network, dev)).transpose()?.unwrap_or(0);
    if dev != 0 && !network.link(dev).is_some_and(Link::is_up) {
        return Err(format!("{change:?}: its link is down"));
    }
    let covers = |gateway| {
        let own = |it: &&Address| it.key.prefix.contains(gateway) && it.key.index == dev;
        network.addresses().any(|it| own(&it))
    };
    if change.via.is_some_and(|via| !change.onlink && !covers(via)) {
        return Err("unreachable".to_owned());
    }
    let NexthopChange { id, via, protocol, blackhole, .. } = *change;
    let is_ipv4 = members.is_empty().then_some(!change.is_ipv6);
    let flags = if change.onlink { RTNH_F_ONLINK } else { 0 };
    let (scope, fdb, group, group_type) = (0, false, members.clone(), 0);
    network.put(Object::Nexthop(Nexthop {
        id,
        is_ipv4,
        dev,
        via,
        scope,
        protocol,
        flags,
        blackhole,
        fdb,
        group,
        group_type,
    }));
    Ok(())
}

fn delete_nexthop(network: &mut Network, id: u32) {
    take_along(network, Trigger::NexthopGone(id));
    network.remove(&ObjectKey::Nexthop(id));
    let is_member = |it: &&Nexthop| it.group.iter().any(|member| member.id == id);
    let groups: Vec<_> = network.nexthops().filter(is_member).cloned().collect();
    for group in groups {
        let left: Box<[_]> = group.group.iter().copied().filter(|it| it.id != id).collect();
        match left.is_empty() {
            true => delete_nexthop(network, group.id),
            false => drop(network.put(Object::Nexthop(Nexthop { group: left, ..group }))),
        }
    }
}

/// A link that goes, or goes down, takes its next hops along.
pub(super) fn drop_nexthops(network: &mut Network, index: u32) {
    let on_link = |it: &&Nexthop| it.dev == index && !it.blackhole;
    let ids: Vec<_> = network.nexthops().filter(on_link).map(|it| it.id).collect();
    ids.into_iter().for_each(|id| delete_nexthop(network, id));
}

fn is_member(network: &Network, link: &Link) -> bool {
    let is_bridge = |link: &Link| link.settings.is_some_and(|it| it.kind.has_vlans);
    is_bridge(link) || network.link(link.master).is_some_and(is_bridge)
}

/// One PVID takes that from another.
fn put(network: &mut Network, vid: BridgeVlan) {
    let others: Vec<_> = network.bridge_vlans_of(vid.key.index).copied().collect();
    for other in others.into_iter().filter(|other| other.pvid && vid.pvid) {
        network.put(Object::BridgeVlan(BridgeVlan { pvid: false, ..other }));
    }
    network.put(Object::BridgeVlan(vid));
}

/// A new port gets the VLAN that a bridge has for it, and so does the bridge.
pub(super) fn join_bridge(network: &mut Network, index: u32) {
    let key = BridgeVlanKey { index, vid: 1 };
    put(network, BridgeVlan { key, pvid: true, untagged: true });
}

pub(super) fn leave_bridge(network: &mut Network, index: u32) {
    let keys: Vec<_> = network.bridge_vlans_of(index).map(|vid| vid.key).collect();
    for key in keys {
        network.remove(&ObjectKey::BridgeVlan(key));
    }
    let of_bridge = |it: &&FdbEntry| it.dev == index && it.remote.is_none();
    let keys: Vec<_> = network.fdb().filter(of_bridge).map(|it| it.key).collect();
    for key in keys {
        network.remove(&ObjectKey::Fdb(key));
    }
}

/// All forwarding entries of a link that is deleted.
pub(super) fn forget_fdb(network: &mut Network, index: u32) {
    let of_link = |it: &&FdbEntry| it.dev == index || it.key.on == index;
    let keys: Vec<_> = network.fdb().filter(of_link).map(|it| it.key).collect();
    for key in keys {
        network.remove(&ObjectKey::Fdb(key));
    }
}
