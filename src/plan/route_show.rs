//! What differs between a route and the one in its place, field by field.

use super::diff::Diff;
use super::route::hops_now;
use super::{Difference, Shown, via_shown};
use crate::model::address::scope_name;
use crate::model::change::{NextHop, RouteChange};
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::route::{Hop, RTN_UNICAST, Route, protocol_name, type_name};

impl Diff<'_> {
    /// What a new route is made with, beside what its name says.
    pub(super) fn made(&self, change: &RouteChange) -> Vec<Difference> {
        let mut made = Vec::new();
        if change.route_type != RTN_UNICAST {
            made.push(Difference::made("type", type_shown(change.route_type)));
        }
        made.extend(change.source.map(|it| Difference::made("source", Shown::Address(it))));
        made.extend(change.onlink.then(|| Difference::made("onlink", Shown::Bool(true))));
        for (key, number) in [("mtu", change.metrics.mtu), ("advmss", change.metrics.advmss)] {
            made.extend((number != 0).then(|| Difference::made(key, number)));
        }
        let id = change.nexthop_id;
        made.extend((id != 0).then(|| Difference::made("nhid", id)));
        let hops = change.hops.len();
        made.extend((hops != 0).then(|| Difference::made("nexthops", count(hops))));
        made
    }

    pub(super) fn route_differences(&self, change: &RouteChange, now: &Route) -> Vec<Difference> {
        let mut differences = Vec::new();
        if change.nexthop_id != now.nexthop_id {
            let shown = |id: u32| (id != 0).then_some(Shown::from(id));
            let (from, to) = (shown(now.nexthop_id), shown(change.nexthop_id));
            differences.push(Difference { key: "nhid", from, to });
        }
        if change.nexthop_id == 0 {
            self.hop_differences(change, now, &mut differences);
        }
        let mut push = |key, from: Shown, to: Shown| {
            if from != to {
                differences.push(Difference::new(key, from, to));
            }
        };
        if change.nexthop_id == 0 {
            push("type", type_shown(now.key.route_type), type_shown(change.route_type));
        }
        push("scope", scope_shown(now.scope), scope_shown(change.scope));
        push("mtu", now.metrics.mtu.into(), change.metrics.mtu.into());
        push("advmss", now.metrics.advmss.into(), change.metrics.advmss.into());
        let shown = |protocol| protocol_name(protocol).map_or(protocol.into(), Shown::Word);
        push("protocol", shown(now.protocol), shown(change.protocol));
        if now.source != change.source {
            let (from, to) = (via_shown(now.source), via_shown(change.source));
            differences.push(Difference { key: "source", from, to });
        }
        differences
    }

    fn hop_differences(&self, change: &RouteChange, now: &Route, out: &mut Vec<Difference>) {
        let RouteChange { via, dev, onlink, .. } = *change;
        let own = [NextHop { via, dev, weight: 1, onlink }];
        let several = &change.hops;
        let wanted = if several.is_empty() { &own[..] } else { several };
        let observed = hops_now(now);
        let nothing = Hop { via: None, dev: 0, weight: 1, onlink: now.flags & RTNH_F_ONLINK != 0 };
        if wanted.len() != observed.len().max(1) {
            let (from, to) = (count(observed.len()), count(wanted.len()));
            out.push(Difference::new("nexthops", from, to));
            return;
        }
        // Of several, the first that differs tells enough.
        let pairs = wanted.iter().enumerate();
        let pairs = pairs.map(|(at, hop)| (hop, observed.get(at).unwrap_or(&nothing)));
        let mut told = pairs.map(|(hop, now)| self.one_hop(hop, now, wanted.len() > 1));
        out.extend(told.find(|differences| !differences.is_empty()).unwrap_or_default());
    }

    fn one_hop(&self, wanted: &NextHop, now: &Hop, has_weight: bool) -> Vec<Difference> {
        let mut differences = Vec::new();
        if now.via != wanted.via {
            let (from, to) = (via_shown(now.via), via_shown(wanted.via));
            differences.push(Difference { key: "via", from, to });
        }
        let dev_now = self.observed.name_of(now.dev);
        if let Some(dev) = wanted.dev.filter(|&dev| Some(dev) != dev_now) {
            let from = dev_now.map(Shown::Name);
            differences.push(Difference { key: "dev", from, to: Some(dev.into()) });
        }
        if now.onlink != wanted.onlink {
            let (from, to) = (Shown::Bool(now.onlink), Shown::Bool(wanted.onlink));
            differences.push(Difference::new("onlink", from, to));
        }
        if has_weight && now.weight != wanted.weight {
            let (from, to) = (u32::from(now.weight), u32::from(wanted.weight));
            differences.push(Difference::new("weight", from, to));
        }
        differences
    }
}

fn type_shown(route_type: u8) -> Shown {
    type_name(route_type).map_or(route_type.into(), Shown::Word)
}

fn scope_shown(scope: u8) -> Shown {
    scope_name(scope).map_or(scope.into(), Shown::Word)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
