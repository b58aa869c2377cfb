//! Compares a declared route with what holds its slot.

use super::diff::{Diff, Subject};
use super::index::slot_of;
use super::{Difference, Rank, Reason, Shown, via_shown};
use crate::desired::{DesiredRoute, State};
use crate::model::change::{Change, RouteChange};
use crate::model::route::{
    PROTOCOL_KERNEL, PROTOCOL_UNSPEC, RTN_UNICAST, Route, is_daemon_protocol, protocol_name,
    type_name,
};

impl Diff<'_> {
    pub(super) fn route(&mut self, position: u32) {
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
            // One that is still to be made is made down, unless it is declared up.
            let found = match self.declared(dev) {
                Some(wanted) => self.find(wanted, None),
                None => self.observed.link_named(dev).copied(),
            };
            let is_down = found.is_none_or(|link| !link.is_up());
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
        let DesiredRoute { to, via, dev, metric, table, takeover: _ } = *wanted;
        RouteChange { to, via, dev, metric, table, protocol: self.desired.protocol() }
    }

    /// An IPv4 slot has one holder: it is replaced, or there is none and the route is added.
    fn route_ipv4(&mut self, subject: Subject, wanted: &DesiredRoute, change: RouteChange) {
        let observed = self.observed;
        let slot = slot_of(wanted.to, wanted.table, wanted.metric);
        if observed.routes_in(slot).any(|now| self.is_as_wanted(wanted, now, change.protocol)) {
            return;
        }
        let rank = Rank::Route { has_gateway: wanted.via.is_some() };
        let Some(holder) = observed.routes_in(slot).next() else {
            return self.step(subject, rank, Change::CreateRoute(change), Vec::new(), Vec::new());
        };
        if self.is_refused(wanted, holder, change.protocol) {
            let reason = Reason::HeldByDaemon { protocol: holder.protocol };
            return self.block(subject, change.object(), reason);
        }
        let differences = self.route_differences(wanted, holder, change.protocol);
        self.step(subject, rank, Change::ReplaceRoute(change), differences, Vec::new());
    }

    /// An IPv6 slot has any number of next hops, and a replacement would take the first one,
    /// whoever's it is: what pushed ours out is taken away, and ours is added to the rest.
    ///
    /// The rival goes first. Added beside it, ours would become its sibling, be shown under its
    /// protocol, and stay so in the mirror: no notification tells when it is alone again.
    fn route_ipv6(&mut self, subject: Subject, wanted: &DesiredRoute, change: RouteChange) {
        let observed = self.observed;
        let slot = slot_of(wanted.to, wanted.table, wanted.metric);
        let rank = Rank::Route { has_gateway: wanted.via.is_some() };
        let same_hop = observed.routes_in(slot).find(|now| self.is_same_hop(wanted, now));
        if let Some(now) = same_hop.filter(|now| self.is_refused(wanted, now, change.protocol)) {
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
        let mut differences = Vec::new();
        if let Some(now) = same_hop {
            if self.is_as_wanted(wanted, now, change.protocol) || self.is_sibling(now) {
                return;
            }
            differences = self.route_differences(wanted, now, change.protocol);
            let removal = Change::DeleteRoute(self.observed_change(now));
            self.step(subject, rank, removal, differences.clone(), Vec::new());
        }
        self.step(subject, rank, Change::CreateRoute(change), differences, Vec::new());
    }

    /// Whether it is one of several next hops with a gateway: all of them are shown under the
    /// protocol of the first, so its own cannot be told.
    fn is_sibling(&self, now: &Route) -> bool {
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
            differences.push(Difference { key: "via", from, to });
        }
        let dev_now = self.observed.name_of(now.key.dev);
        if let Some(dev) = wanted.dev.filter(|&dev| Some(dev) != dev_now) {
            let from = dev_now.map(Shown::Name);
            differences.push(Difference { key: "dev", from, to: Some(dev.into()) });
        }
        if now.key.route_type != RTN_UNICAST {
            let from = type_name(now.key.route_type).map(Shown::Word);
            differences.push(Difference { key: "type", from, to: Some("unicast".into()) });
        }
        if now.protocol != protocol {
            let shown = |protocol| protocol_name(protocol).map_or(protocol.into(), Shown::Word);
            differences.push(Difference::new("protocol", shown(now.protocol), shown(protocol)));
        }
        if !now.hops.is_empty() {
            let hops = u32::try_from(now.hops.len()).unwrap_or(u32::MAX);
            differences.push(Difference::new("hops", hops, 1u32));
        }
        differences
    }

    /// A route that is there, spelt as the request that names it and no other. One of several
    /// next hops is not named by its protocol, which is not shown.
    pub(super) fn observed_change(&self, now: &Route) -> RouteChange {
        let slot = now.key.slot;
        let is_sibling = !now.is_ipv4() && self.is_sibling(now);
        RouteChange {
            to: slot.to,
            via: now.key.via,
            dev: self.observed.name_of(now.key.dev),
            metric: slot.metric,
            table: slot.table,
            protocol: if is_sibling { PROTOCOL_UNSPEC } else { now.protocol },
        }
    }
}
