//! What the kernel makes of a change, on values: the basics of each kind.
//!
//! A change that the kernel would refuse is an error here, so a plan in a wrong order fails.

use std::net::IpAddr;

use crate::model::address::{
    Address, AddressKey, IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_SECONDARY,
};
use crate::model::change::{Change, LinkUpdate, NewLink, RouteChange};
use crate::model::consequences::{Taken, Trigger, taken_along};
use crate::model::identity::AltName;
use crate::model::kind::{DISABLE_IPV6, FewSettings, Kind, Settings, Value, ValueType};
use crate::model::link::{IFF_UP, Link};
use crate::model::neighbour::{NUD_PERMANENT, Neighbour, NeighbourKey};
use crate::model::network::Network;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::object::{Object, ObjectKey};
use crate::model::route::{Hop, Metrics, Route, RouteKey, RouteSlot, is_dead_end};
use crate::model::text::{KindName, LinkName};

/// Makes the change, or says why the kernel would not.
pub(crate) fn apply(network: &mut Network, change: &Change) -> Result<(), String> {
    match change {
        Change::CreateLink(new) => create(network, new),
        Change::SetLink(update) => set(network, update),
        Change::AddAltname { .. } | Change::DeleteAltname { .. } => altname(network, change),
        Change::SetSysctls { link, settings } => set_sysctls(network, *link, settings),
        Change::DeleteLink(name) => {
            let index = find(network, *name)?;
            delete(network, index);
            Ok(())
        }
        Change::DeleteGroup(group) => {
            let members = network.links().filter(|link| link.group == *group);
            let members: Vec<_> = members.map(|link| link.index).collect();
            members.iter().for_each(|&index| {
                if network.link(index).is_some() {
                    delete(network, index);
                }
            });
            if members.is_empty() { Err(format!("no group {group}")) } else { Ok(()) }
        }
        Change::SetGroup { group, up } => {
            let members = network.links().filter(|link| link.group == *group);
            let members: Vec<_> = members.map(|link| link.name).collect();
            let update = |&link| LinkUpdate { up: Some(*up), ..LinkUpdate::new(link) };
            members.iter().map(update).try_for_each(|update| set(network, &update))
        }
        Change::PutAddress { link, prefix, protocol, replace, peer, with } => {
            let key = AddressKey { index: find(network, *link)?, prefix: *prefix, peer: *peer };
            if network.address(key).is_some() && !replace {
                return Err(format!("{change:?}: there already"));
            }
            let permanent = if with.valid_lft.is_none() { IFA_F_PERMANENT } else { 0 };
            let deprecated = if with.preferred_lft == Some(0) { IFA_F_DEPRECATED } else { 0 };
            let flags = permanent | deprecated | with.flags;
            let (scope, label) = (with.scope.unwrap_or(0), with.label.unwrap_or(*link));
            put_address(network, key, scope, flags, *protocol, label);
            Ok(())
        }
        Change::DeleteAddress { link, prefix, peer } => {
            let index = find(network, *link)?;
            delete_address(network, AddressKey { index, prefix: *prefix, peer: *peer })
        }
        Change::CreateRule(_)
        | Change::DeleteRule(_)
        | Change::PutNeighbour { .. }
        | Change::DeleteNeighbour { .. } => apply_rest(network, change),
        Change::PutVlans { .. }
        | Change::DeleteVlans { .. }
        | Change::PutFdb { .. }
        | Change::DeleteFdb(_)
        | Change::PutNexthop { .. }
        | Change::DeleteNexthop(_) => super::model_rest::apply(network, change),
        Change::CreateRoute(route) => put_route(network, route, false),
        Change::ReplaceRoute(route) => put_route(network, route, true),
        Change::DeleteRoute(route) => {
            let dev = route.dev.map(|dev| find(network, dev)).transpose()?;
            let found = network.routes_in(slot_of(route)).find(|now| {
                let via = now.key.via.filter(|_| now.hops.is_empty());
                (via == route.via || route.nexthop_id != 0)
                    && now.key.route_type == route.route_type
                    && dev.is_none_or(|dev| dev == now.key.dev)
                    && now.nexthop_id == route.nexthop_id
                    && (now.protocol == route.protocol || route.protocol == 0)
            });
            let key = found.ok_or(format!("no {route:?}"))?.key;
            network.remove_route(key);
            Ok(())
        }
    }
}

fn set_sysctls(network: &mut Network, link: LinkName, settings: &Settings) -> Result<(), String> {
    let index = find(network, link)?;
    let link = network.link(index).ok_or("a link")?.clone();
    if settings.by_name(DISABLE_IPV6) == Some(Value::Bool(true)) {
        take_along(network, Trigger::Ipv6Off(index));
    }
    let common = link.common.widened().overlaid_with(settings).narrowed();
    network.put_link(Link { common, ..link });
    Ok(())
}

/// The changes of alternative names.
fn altname(network: &mut Network, change: &Change) -> Result<(), String> {
    match change {
        Change::AddAltname { link, altname } => {
            let index = find(network, *link)?;
            let is_taken = |link: &Link| {
                link.altnames().contains(altname) || link.name.as_bytes() == altname.as_bytes()
            };
            if network.links().any(is_taken) {
                return Err(format!("{change:?}: there already"));
            }
            rename(network, index, |names| names.push(*altname));
            Ok(())
        }
        Change::DeleteAltname { link, altname } => {
            let index = find(network, *link)?;
            let has_it = network.link(index).is_some_and(|it| it.altnames().contains(altname));
            rename(network, index, |names| names.retain(|name| name != altname));
            if has_it { Ok(()) } else { Err(format!("no {altname}")) }
        }
        _ => Err(format!("{change:?} is none of these")),
    }
}

/// The changes of rules and neighbours.
fn apply_rest(network: &mut Network, change: &Change) -> Result<(), String> {
    match change {
        Change::CreateRule(rule) => {
            let mut others = network.rules_in(rule.is_ipv6, rule.priority);
            if others.any(|now| now.is_alike(rule)) {
                return Err(format!("{change:?}: there already"));
            }
            drop(others);
            network.put(Object::Rule(**rule));
            Ok(())
        }
        Change::DeleteRule(rule) => {
            let gone = network.remove(&ObjectKey::Rule(rule.clone()));
            gone.map(drop).ok_or(format!("no {rule:?}"))
        }
        Change::PutNeighbour { link, address, mac, protocol, replace } => {
            let index = find(network, *link)?;
            if !network.link(index).is_some_and(Link::is_up) {
                return Err(format!("{change:?}: its link is down"));
            }
            let key = NeighbourKey { index, address: *address };
            if network.neighbour(key).is_some() != *replace {
                return Err(format!("{change:?}: there already, or not"));
            }
            let (mac, state, flags) = (Some(*mac), NUD_PERMANENT, 0);
            let protocol = *protocol;
            network.put(Object::Neighbour(Neighbour { key, mac, state, flags, protocol }));
            Ok(())
        }
        Change::DeleteNeighbour { link, address } => {
            let key = NeighbourKey { index: find(network, *link)?, address: *address };
            let gone = network.remove(&ObjectKey::Neighbour(key));
            gone.map(drop).ok_or(format!("no {key:?}"))
        }
        other => Err(format!("{other:?}: not one of these")),
    }
}

/// Changes the alternative names of a link.
fn rename(network: &mut Network, index: u32, change: impl FnOnce(&mut Vec<AltName>)) {
    let Some(link) = network.link(index).cloned() else { return };
    network.put_link(link.with_identity(|identity| {
        let mut names = identity.altnames.to_vec();
        change(&mut names);
        identity.altnames = names.into();
    }));
}

/// With the primary of a subnet goes that mark to the next.
fn delete_address(network: &mut Network, key: AddressKey) -> Result<(), String> {
    let gone = *network.address(key).ok_or(format!("no {key:?}"))?;
    take_along(network, Trigger::AddressGone(key));
    network.remove_address(key);
    let is_ipv4 = key.prefix.is_ipv4();
    let alike = |own: &&Address| own.key.subnet() == key.subnet() && is_ipv4;
    let heir = network.addresses_of(key.index).find(alike).copied();
    if let Some(heir) = heir.filter(|_| gone.flags & IFA_F_SECONDARY == 0) {
        network.put_address(Address { flags: heir.flags & !IFA_F_SECONDARY, ..heir });
    }
    Ok(())
}

/// A new IPv4 address is a secondary where its subnet has a primary; in its place nothing but
/// lifetimes and, on IPv6, flags change.
pub(crate) fn put_address(
    network: &mut Network,
    key: AddressKey,
    scope: u8,
    flags: u32,
    protocol: u8,
    label: LinkName,
) {
    const LIFETIMES: u32 = IFA_F_PERMANENT | IFA_F_DEPRECATED;
    let is_ipv4 = key.prefix.is_ipv4();
    if let Some(&now) = network.address(key).filter(|_| is_ipv4) {
        let flags = now.flags & !LIFETIMES | flags & LIFETIMES;
        network.put_address(Address { flags, protocol, ..now });
        return;
    }
    let has_primary = is_ipv4
        && network
            .addresses_of(key.index)
            .any(|own| own.key.subnet() == key.subnet() && own.flags & IFA_F_SECONDARY == 0);
    let flags = flags | if has_primary { IFA_F_SECONDARY } else { 0 };
    let label = if is_ipv4 { label } else { LinkName::default() };
    network.put_address(Address { key, scope, flags, protocol, label });
}

/// Sets or clears IFF_UP, and takes out what goes with a link that goes down.
pub(crate) fn set_up(network: &mut Network, index: u32, up: bool) {
    let Some(link) = network.link(index).cloned() else { return };
    if link.is_up() && !up {
        take_along(network, Trigger::LinkDown(index));
    }
    let flags = if up { link.flags | IFF_UP } else { link.flags & !IFF_UP };
    network.put_link(Link { flags, ..link });
}

/// A route without extras.
pub(crate) fn route(key: RouteKey, protocol: u8, replaced: bool) -> Route {
    let (scope, flags, source, nexthop_id) = (0, 0, None, 0);
    let (metrics, hops) = (Metrics::default(), Box::default());
    Route { key, protocol, scope, flags, source, nexthop_id, metrics, hops, replaced }
}

pub(super) fn find(network: &Network, name: LinkName) -> Result<u32, String> {
    network.index_of(name).ok_or(format!("no link {name}"))
}

fn create(network: &mut Network, new: &NewLink) -> Result<(), String> {
    let peer_name = new.settings.peer();
    for name in std::iter::once(new.name).chain(peer_name) {
        if network.index_of(name).is_some() {
            return Err(format!("{name} is there already"));
        }
    }
    let index = network.links().map(|link| link.index).max().unwrap_or(0) + 1;
    let mut link = Link::new(index, new.name);
    link.kind = KindName::truncated(new.settings.kind.name.as_bytes());
    link.mtu = new.mtu.unwrap_or(1500);
    let below = new.settings.lower().and_then(|lower| network.link_named(lower));
    if let Some(below) = below.filter(|_| new.settings.kind.mtu_within_lower) {
        link.mtu = new.mtu.unwrap_or(below.mtu);
        if link.mtu > below.mtu {
            return Err(format!("{}: an MTU above that below", new.name));
        }
    }
    link.mac = new.mac.unwrap_or_default();
    link.group = new.group.unwrap_or(0);
    link.master = new.master.map(|master| find(network, master)).transpose()?.unwrap_or(0);
    link.port = port_of(network, link.master);
    let (own, has_vlans) = (index, new.settings.kind.has_vlans);
    if has_vlans || link.port.is_some() {
        super::model_rest::join_bridge(network, own);
    }
    link.flags = if new.up { IFF_UP } else { 0 };
    if let Some(lower) = new.settings.lower() {
        let lower = find(network, lower)?;
        let is_stacked =
            new.settings.kind.keys.iter().any(|key| key.value == ValueType::Lower && key.required);
        if is_stacked {
            link.lower = lower;
        }
    }
    link.settings = Some(resolved(network, new.settings, index + 1));
    if let Some(peer_name) = peer_name {
        let described = new.peer.unwrap_or_default();
        let mut peer = Link::new(index + 1, peer_name);
        (peer.kind, peer.lower, link.lower) = (link.kind, index, index + 1);
        peer.mtu = described.mtu.unwrap_or(1500);
        peer.mac = described.mac.unwrap_or_default();
        peer.group = described.group.unwrap_or(0);
        let own = Settings::new(new.settings.kind).with("peer", Value::Index(index));
        peer.settings = own;
        network.put_link(peer);
    }
    network.put_link(link);
    Ok(())
}

/// Names of links as the kernel shows them, by index.
fn resolved(network: &Network, settings: Settings, peer: u32) -> Settings {
    let mut resolved = Settings::new(settings.kind);
    for (position, key) in settings.kind.keys.iter().enumerate() {
        let value = match settings.get(position) {
            Some(Value::Link(_)) if key.value == ValueType::Peer => Some(Value::Index(peer)),
            Some(Value::Link(name)) => network.index_of(name).map(Value::Index),
            value => value,
        };
        resolved.set(position, value);
    }
    resolved
}

/// What a link becomes by joining that master.
fn port_of(network: &Network, master: u32) -> Option<FewSettings> {
    let kind = Kind::by_name(network.link(master)?.kind.as_bytes())?;
    Some(Settings::new(kind.port?).narrowed())
}

fn set(network: &mut Network, update: &LinkUpdate) -> Result<(), String> {
    let index = find(network, update.link)?;
    let mut link = network.link(index).ok_or("a link")?.clone();
    if let Some(name) = update.rename {
        if network.index_of(name).is_some() {
            return Err(format!("{name} is taken"));
        }
        link.name = name;
    }
    link.mtu = update.mtu.unwrap_or(link.mtu);
    let is_within = |link: &Link| link.settings.is_some_and(|it| it.kind.mtu_within_lower);
    let below = network.link(link.lower).filter(|_| is_within(&link));
    if update.mtu.is_some() && below.is_some_and(|below| below.mtu < link.mtu) {
        return Err(format!("{}: an MTU above that below", link.name));
    }
    let above = network.links().filter(|it| it.lower == index && is_within(it));
    let above: Vec<_> = above.filter(|it| it.mtu > link.mtu).cloned().collect();
    for above in above {
        network.put_link(Link { mtu: link.mtu, ..above });
    }
    link.mac = update.mac.unwrap_or(link.mac);
    link.group = update.group.unwrap_or(link.group);
    if let Some(master) = update.master {
        link.master = if master.is_empty() { 0 } else { find(network, master)? };
        super::model_rest::leave_bridge(network, index);
        if link.master != 0 {
            super::model_rest::join_bridge(network, index);
        }
        link.port = port_of(network, link.master);
    }
    if let Some(wanted) = update.port {
        let now = link.port.ok_or(format!("{} is no port", link.name))?.widened();
        if now.kind != wanted.kind {
            return Err(format!("{} is another port", link.name));
        }
        link.port = Some(now.overlaid_with(&wanted).narrowed());
    }
    if let Some((mut now, wanted)) = link.settings.zip(update.settings) {
        for position in 0..now.kind.keys.len() {
            let value = wanted.get(position).or_else(|| now.get(position));
            now.set(position, value);
        }
        link.settings = Some(now);
    }
    if let Some(alias) = update.alias {
        link = link.with_identity(|identity| identity.alias = alias.as_bytes().into());
    }
    network.put_link(link);
    if let Some(up) = update.up {
        set_up(network, index, up);
    }
    Ok(())
}

fn delete(network: &mut Network, index: u32) {
    let Some(gone) = network.link(index).cloned() else { return };
    take_along(network, Trigger::LinkGone(index));
    super::model_rest::leave_bridge(network, index);
    super::model_rest::forget_fdb(network, index);
    network.remove_link(index);
    let others: Vec<_> = network.links().cloned().collect();
    for other in others {
        let stands_on_it = other
            .settings
            .is_some_and(|settings| settings.iter().any(|(_, value)| value == Value::Index(index)));
        if stands_on_it || (gone.lower == other.index && other.lower == index) {
            delete(network, other.index);
        } else if other.master == index {
            super::model_rest::leave_bridge(network, other.index);
            network.put_link(Link { master: 0, port: None, ..other });
        }
    }
}

fn put_route(network: &mut Network, change: &RouteChange, replace: bool) -> Result<(), String> {
    let one = Some((change.via, change.dev, 1, change.onlink));
    let one = one.filter(|_| change.via.is_some() || change.dev.is_some());
    let several = change.hops.iter();
    let several = several.map(|hop| (hop.via, hop.dev, hop.weight, hop.onlink));
    let ways: Vec<_> = one.into_iter().chain(several).collect();
    let ways = if change.nexthop_id == 0 { ways } else { Vec::new() };
    if change.nexthop_id != 0 && network.nexthop(change.nexthop_id).is_none() {
        return Err(format!("{change:?}: no such next hop"));
    }
    if ways.is_empty() && change.nexthop_id == 0 && !is_dead_end(change.route_type) {
        return Err(format!("{change:?}: through nothing"));
    }
    let mut hops = Vec::new();
    for (via, dev, weight, onlink) in ways {
        let dev = way(network, via, dev, onlink).map_err(|why| format!("{change:?}: {why}"))?;
        hops.push(Hop { via, dev, weight, onlink });
    }
    if let Some(source) = change.source {
        if !network.addresses().any(|own| own.key.prefix.address == source) {
            return Err(format!("{change:?}: unreachable source"));
        }
    }
    let slot = slot_of(change);
    let by_object = network.nexthop(change.nexthop_id);
    let by_object = by_object.map(|it| Hop { via: it.via, dev: it.dev, weight: 1, onlink: false });
    let first = hops.first().copied().or(by_object);
    let (via, dev) = first.map_or((None, 0), |hop| (hop.via, hop.dev));
    let key = RouteKey { slot, via, dev, route_type: change.route_type };
    let others: Vec<_> = network.routes_in(slot).map(|route| route.key).collect();
    let is_taken = if slot.to.is_ipv4() { !others.is_empty() } else { others.contains(&key) };
    // A replacement of nothing is a creation (NLM_F_CREATE | NLM_F_REPLACE).
    if is_taken && !replace {
        return Err(format!("{change:?}: there already"));
    }
    if let Some(first) = others.first().filter(|_| replace) {
        network.remove_route(*first);
    }
    let flags = first.filter(|hop| hop.onlink).map_or(0, |_| RTNH_F_ONLINK);
    let hops = if hops.len() > 1 { hops.into() } else { Box::default() };
    let (scope, source, metrics) = (change.scope, change.source, change.metrics);
    let plain = route(key, change.protocol, false);
    let nexthop_id = change.nexthop_id;
    network.put_route(Route { scope, source, metrics, flags, hops, nexthop_id, ..plain });
    Ok(())
}

/// The link that a next hop leaves through, or why there is none.
fn way(
    network: &Network,
    via: Option<IpAddr>,
    dev: Option<LinkName>,
    onlink: bool,
) -> Result<u32, String> {
    let covers = |gateway| {
        let covering = network.addresses().find(|own| {
            own.key.prefix.contains(gateway) && network.link(own.key.index).is_some_and(Link::is_up)
        });
        covering.map(|own| own.key.index)
    };
    let dev = match (dev, via) {
        (Some(dev), _) => find(network, dev)?,
        (None, Some(via)) => covers(via).ok_or("unreachable")?,
        (None, None) => return Err("through nothing".to_owned()),
    };
    if !network.link(dev).is_some_and(Link::is_up) {
        return Err("its link is down".to_owned());
    }
    if via.is_some_and(|via| !onlink && covers(via) != Some(dev)) {
        return Err("unreachable".to_owned());
    }
    Ok(dev)
}

fn slot_of(change: &RouteChange) -> RouteSlot {
    RouteSlot { table: change.table, to: change.to, tos: change.tos, metric: change.metric }
}

pub(super) fn take_along(network: &mut Network, trigger: Trigger) {
    if let Trigger::LinkDown(index) | Trigger::LinkGone(index) = trigger {
        super::model_rest::drop_nexthops(network, index);
    }
    if let Trigger::LinkDown(index) | Trigger::LinkGone(index) = trigger {
        let keys = network.neighbours().map(|it| it.key).filter(|key| key.index == index);
        for key in keys.collect::<Vec<_>>() {
            network.remove(&ObjectKey::Neighbour(key));
        }
    }
    for taken in taken_along(network, trigger) {
        match taken {
            Taken::Address(key) => drop(network.remove_address(key)),
            Taken::Route(key) => drop(network.remove_route(key)),
        }
    }
}
