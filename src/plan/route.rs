//! Compares a declared route with what holds its slot.

use std::net::IpAddr;

use super::diff::{Diff, Subject};
use super::index::{Hops, hops_of, slot_of};
use super::{Rank, Reason};
use crate::desired::{DesiredRoute, State};
use crate::model::address::{Address, IFA_F_DADFAILED};
use crate::model::change::{Change, NextHop, RouteChange};
use crate::model::network::Network;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::route::{
    Hop, PROTOCOL_KERNEL, PROTOCOL_UNSPEC, RTN_BLACKHOLE, RTN_UNICAST, Route, is_daemon_protocol,
    is_dead_end,
};
use crate::model::text::LinkName;

/// Whether a link can be gone through, or an address be spoken from.
pub(super) enum Way {
    Open,
    /// Its link is declared to be down, and it comes back with it.
    Suspended,
    Blocked(Reason),
}

impl Diff<'_> {
    pub(super) fn route(&mut self, position: u32) {
        let desired = self.desired;
        let Some(wanted) = desired.routes.get(position as usize) else {
            return;
        };
        let subject = Subject::Route(position);
        let mut change = self.route_change(wanted);
        let hops = hops_of(wanted);
        let mut open = Vec::with_capacity(hops.len());
        let mut reasons = Vec::new();
        for (hop, dev) in hops.iter().zip(self.index.route_devs(position)) {
            match dev.map_or(Way::Open, |dev| self.way(dev)) {
                Way::Open => open.push(*hop),
                Way::Suspended => {}
                Way::Blocked(reason) => reasons.push(reason),
            }
        }
        if wanted.nexthop_id != 0 {
            match self.way_of_nexthop(wanted.nexthop_id) {
                Way::Open => {}
                Way::Suspended => return self.plan.suspended.push(change.object()),
                Way::Blocked(reason) => return self.block(subject, change.object(), reason),
            }
        }
        let is_waiting = !reasons.is_empty();
        for reason in reasons {
            self.block(subject, change.object(), reason);
        }
        if open.is_empty() && !hops.is_empty() {
            if !is_waiting {
                self.suspend(change.object());
            }
            return;
        }
        match wanted.source.map_or(Way::Open, |source| self.source(source)) {
            Way::Open => {}
            Way::Suspended => return self.suspend(change.object()),
            Way::Blocked(reason) => return self.block(subject, change.object(), reason),
        }
        if hops.len() > 1 {
            // What cannot be used now joins the others when it can.
            match open[..] {
                [NextHop { via, dev, onlink, .. }] => {
                    (change.via, change.dev, change.onlink) = (via, dev, onlink);
                }
                _ => change.hops = open.iter().copied().collect(),
            }
        }
        if wanted.to.is_ipv4() {
            self.route_ipv4(subject, wanted, &open, change);
        } else {
            self.route_ipv6(subject, wanted, change);
        }
    }

    pub(super) fn way(&self, dev: LinkName) -> Way {
        let declared = self.declared(dev).and_then(|link| link.state);
        if declared == Some(State::Down) {
            return Way::Suspended;
        }
        if !self.will_exist(dev) {
            return Way::Blocked(Reason::NoSuchLink(dev));
        }
        // One that is still to be made is made down, unless it is declared up.
        let found = match self.declared(dev) {
            Some(wanted) => self.find(wanted, None),
            None => self.observed.link_named(dev),
        };
        let is_down = found.is_none_or(|link| !link.is_up());
        if is_down && declared != Some(State::Up) {
            return Way::Blocked(Reason::LinkIsDown(dev));
        }
        Way::Open
    }

    /// Whether a route can be from that address. One that is declared and not there yet comes
    /// before the routes.
    fn source(&self, source: IpAddr) -> Way {
        let desired = self.desired;
        let holder = self.index.holder_of(source).and_then(|at| desired.links.get(at as usize));
        let is_it = |own: &&Address| own.key.prefix.address == source;
        let now = match holder.map(|holder| self.find(holder, None)) {
            Some(Some(found)) => self.observed.addresses_of(found.index).find(is_it),
            Some(None) => None,
            None => self.observed.addresses().find(is_it),
        };
        match (now, holder) {
            (Some(now), _) if now.flags & IFA_F_DADFAILED != 0 => {
                Way::Blocked(Reason::AddressTaken(source))
            }
            (Some(now), _) if now.is_tentative() => Way::Blocked(Reason::Tentative(source)),
            (None, Some(holder)) if holder.state == Some(State::Down) && source.is_ipv6() => {
                Way::Suspended
            }
            (None, Some(holder)) if self.will_exist(holder.name) => Way::Open,
            (None, _) => Way::Blocked(Reason::NoSuchAddress(source)),
            _ => Way::Open,
        }
    }

    fn route_change(&self, wanted: &DesiredRoute) -> RouteChange {
        let DesiredRoute { to, via, dev, metric, table, route_type, .. } = *wanted;
        let DesiredRoute { tos, scope, source, metrics, onlink, weight, nexthop_id, .. } = *wanted;
        RouteChange {
            nexthop_id,
            via,
            dev,
            metric,
            table,
            route_type,
            tos,
            scope,
            source,
            metrics,
            onlink,
            weight,
            ..RouteChange::new(to, self.desired.protocol())
        }
    }

    /// An IPv4 slot has one holder: it is replaced, or there is none and the route is added.
    fn route_ipv4(
        &mut self,
        subject: Subject,
        wanted: &DesiredRoute,
        open: &[NextHop],
        change: RouteChange,
    ) {
        let observed = self.observed;
        let slot = slot_of(wanted);
        let is_as_wanted = |now: &Route| {
            let goes_there = match wanted.nexthop_id {
                0 => self.has_hops(now, &hops_of(wanted), open),
                id => now.nexthop_id == id,
            };
            goes_there && self.is_alike(wanted, now)
        };
        if observed.routes_in(slot).any(is_as_wanted) {
            return;
        }
        let has_gateway = open.iter().any(|hop| hop.via.is_some()) || wanted.nexthop_id != 0;
        let rank = Rank::Route { has_gateway };
        let Some(holder) = observed.routes_in(slot).next() else {
            let made = self.made(&change);
            return self.step(subject, rank, Change::CreateRoute(change), made, Vec::new());
        };
        if self.is_refused(wanted, holder) {
            let reason = Reason::HeldByDaemon { protocol: holder.protocol };
            return self.block(subject, change.object(), reason);
        }
        let differences = self.route_differences(&change, holder);
        self.step(subject, rank, Change::ReplaceRoute(change), differences, Vec::new());
    }

    /// An IPv6 slot has any number of next hops, and a replacement would take the first one,
    /// whoever's it is: what pushed ours out is taken away, and ours is added to the rest.
    ///
    /// The rival goes first. Added beside it, ours would become its sibling, be shown under its
    /// protocol, and stay so in the mirror: no notification tells when it is alone again.
    fn route_ipv6(&mut self, subject: Subject, wanted: &DesiredRoute, change: RouteChange) {
        let observed = self.observed;
        let slot = slot_of(wanted);
        let has_gateway = wanted.via.is_some() || wanted.nexthop_id != 0;
        let rank = Rank::Route { has_gateway };
        let same_hop = observed.routes_in(slot).find(|now| self.is_same_hop(wanted, now));
        if let Some(now) = same_hop.filter(|now| self.is_refused(wanted, now)) {
            let reason = Reason::HeldByDaemon { protocol: now.protocol };
            return self.block(subject, change.object(), reason);
        }
        for rival in observed.routes_in(slot) {
            if !self.is_rival(rival, change.protocol) {
                continue;
            }
            let removal = Change::DeleteRoute(self.observed_change(rival));
            self.step(subject, rank, removal, Vec::new(), Vec::new());
        }
        let mut differences = self.made(&change);
        if let Some(now) = same_hop {
            if self.is_alike(wanted, now) || self.is_sibling(now) {
                return;
            }
            differences = self.route_differences(&change, now);
            let removal = Change::DeleteRoute(self.observed_change(now));
            self.step(subject, rank, removal, differences.clone(), Vec::new());
        }
        self.step(subject, rank, Change::CreateRoute(change), differences, Vec::new());
    }

    /// Whether it is one of several next hops with a gateway: all of them are shown under the
    /// protocol and the metrics of the first, so its own cannot be told.
    pub(super) fn is_sibling(&self, now: &Route) -> bool {
        let siblings = self.observed.routes_in(now.key.slot).filter(|hop| hop.key.via.is_some());
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
            && !declared.any(|wanted| self.is_same_hop(wanted, now))
    }

    /// On IPv6: the kernel gives a route that leads nowhere the loopback for a link.
    fn is_same_hop(&self, wanted: &DesiredRoute, now: &Route) -> bool {
        let dev = wanted.dev.map(|dev| self.observed.index_of(dev));
        let is_same_way = now.key.via == wanted.via
            && dev.is_none_or(|dev| dev == Some(now.key.dev))
            && now.nexthop_id == 0;
        let is_same_object = wanted.nexthop_id != 0 && now.nexthop_id == wanted.nexthop_id;
        let is_same_way = if wanted.nexthop_id == 0 { is_same_way } else { is_same_object };
        is_of_type(wanted, now) && (is_same_way || is_dead_end(wanted.route_type))
    }

    /// On IPv4: whether all next hops are declared ones, and those that can be used are there.
    fn has_hops(&self, now: &Route, declared: &[NextHop], open: &[NextHop]) -> bool {
        let observed = hops_now(now);
        // Of one that is alone the kernel shows no weight.
        let is_alone = observed.len() == 1;
        let is_it = |wanted: &NextHop, hop: &Hop| {
            let dev = wanted.dev.map(|dev| self.observed.index_of(dev));
            hop.via == wanted.via
                && dev.is_none_or(|dev| dev == Some(hop.dev))
                && hop.onlink == wanted.onlink
                && (is_alone || hop.weight == wanted.weight)
        };
        now.nexthop_id == 0
            && observed.iter().all(|hop| declared.iter().any(|wanted| is_it(wanted, hop)))
            && open.iter().all(|wanted| observed.iter().any(|hop| is_it(wanted, hop)))
    }

    /// Whether it is as declared in all but its next hops.
    fn is_alike(&self, wanted: &DesiredRoute, now: &Route) -> bool {
        let is_onlink = now.flags & RTNH_F_ONLINK != 0;
        is_of_type(wanted, now)
            && now.protocol == self.desired.protocol()
            && now.scope == wanted.scope
            && now.source == wanted.source
            && now.metrics == wanted.metrics
            && (wanted.to.is_ipv4() || wanted.nexthop_id != 0 || is_onlink == wanted.onlink)
    }

    fn is_refused(&self, wanted: &DesiredRoute, now: &Route) -> bool {
        let is_foreign = now.protocol != self.desired.protocol();
        is_foreign && is_daemon_protocol(now.protocol) && !wanted.takeover
    }

    /// A route that is there, spelt as the request that names it and no other. One of several
    /// next hops is not named by its protocol, which is not shown.
    pub(super) fn observed_change(&self, now: &Route) -> RouteChange {
        let is_sibling = !now.is_ipv4() && self.is_sibling(now);
        let spelled = spelled(now, self.observed);
        let protocol = if is_sibling { PROTOCOL_UNSPEC } else { spelled.protocol };
        RouteChange { protocol, ..spelled }
    }
}

/// Whether it is of the declared type. One by a blackhole the kernel shows as a blackhole itself.
fn is_of_type(wanted: &DesiredRoute, now: &Route) -> bool {
    let is_by_object = wanted.nexthop_id != 0 && wanted.nexthop_id == now.nexthop_id;
    now.key.route_type == wanted.route_type || (is_by_object && now.key.route_type == RTN_BLACKHOLE)
}

/// A route of `network` as the request that would make it.
pub(super) fn spelled(route: &Route, network: &Network) -> RouteChange {
    let slot = route.key.slot;
    let named = |hop: &Hop| NextHop {
        via: hop.via,
        dev: network.name_of(hop.dev),
        weight: hop.weight,
        onlink: hop.onlink,
    };
    let is_one = route.hops.is_empty();
    RouteChange {
        via: route.key.via.filter(|_| is_one),
        dev: network.name_of(route.key.dev).filter(|_| is_one),
        metric: slot.metric,
        table: slot.table,
        tos: slot.tos,
        // What it goes by may be a blackhole, of which the route itself is none.
        route_type: match route.nexthop_id {
            0 => route.key.route_type,
            _ => RTN_UNICAST,
        },
        scope: route.scope,
        source: route.source,
        metrics: route.metrics,
        onlink: route.flags & RTNH_F_ONLINK != 0,
        hops: route.hops.iter().map(named).collect(),
        nexthop_id: route.nexthop_id,
        ..RouteChange::new(slot.to, route.protocol)
    }
}

/// The next hops of an IPv4 route.
pub(super) fn hops_now(now: &Route) -> Hops<'_, Hop> {
    let onlink = now.flags & RTNH_F_ONLINK != 0;
    let one = Hop { via: now.key.via, dev: now.key.dev, weight: 1, onlink };
    match (&now.hops[..], one.via.is_some() || one.dev != 0) {
        ([], true) => Hops::One(one),
        (hops, _) => Hops::Many(hops),
    }
}
