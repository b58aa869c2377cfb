//! One route as a program declares it.

use std::net::IpAddr;

use crate::model::address::{Prefix, SCOPE_HOST, SCOPE_LINK};
use crate::model::change::NextHop;
use crate::model::object::ObjectId;
use crate::model::route::{
    METRIC_IPV6_DEFAULT, Metrics, RTN_ANYCAST, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST,
    RTN_UNICAST, TABLE_LOCAL, TABLE_MAIN,
};
use crate::model::text::LinkName;

/// One route to declare. A route is all that is said of it: what is left out, such as a source or
/// an MTU, it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteDeclaration {
    pub(super) to: Prefix,
    pub(super) via: Option<IpAddr>,
    pub(super) dev: Option<LinkName>,
    pub(super) metric: Option<u32>,
    pub(super) table: Option<u32>,
    pub(super) takeover: bool,
    pub(super) route_type: u8,
    pub(super) scope: Option<u8>,
    pub(super) source: Option<IpAddr>,
    pub(super) onlink: bool,
    pub(super) metrics: Metrics,
    pub(super) tos: u8,
    pub(super) nexthops: Vec<NextHop>,
    pub(super) nexthop_id: u32,
}

impl RouteDeclaration {
    /// The unicast route to that destination in the main table. It needs a gateway or a link yet.
    pub fn new(to: Prefix) -> Self {
        Self {
            to,
            via: None,
            dev: None,
            metric: None,
            table: None,
            takeover: false,
            route_type: RTN_UNICAST,
            scope: None,
            source: None,
            onlink: false,
            metrics: Metrics::default(),
            tos: 0,
            nexthops: Vec::new(),
            nexthop_id: 0,
        }
    }

    /// Its gateway, of the destination's family; to IPv4 one of IPv6 is as good.
    pub fn via(mut self, gateway: IpAddr) -> Self {
        self.via = Some(gateway);
        self
    }

    /// Its outgoing link.
    pub fn dev(mut self, link: LinkName) -> Self {
        self.dev = Some(link);
        self
    }

    /// Its next hops, in place of one gateway and link. IPv6 holds each as a route of its own, and
    /// the kernel shows their weights only while there are several, so there a weight is set when
    /// the next hop is made, and not compared.
    pub fn nexthops(mut self, hops: impl IntoIterator<Item = NextHop>) -> Self {
        self.nexthops = hops.into_iter().collect();
        self
    }

    /// The next hop object that it goes by, in place of a gateway, a link and next hops.
    pub fn nexthop_id(mut self, id: u32) -> Self {
        self.nexthop_id = id;
        self
    }

    /// Its metric; lower is preferred. Default: the kernel's, 0 on IPv4 and 1024 on IPv6.
    pub fn metric(mut self, metric: u32) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Its routing table, 1 and up. Default: main; local for the types that the kernel has there.
    pub fn table(mut self, table: u32) -> Self {
        self.table = Some(table);
        self
    }

    /// Whether it may be taken from a routing daemon that holds it.
    pub fn takeover(mut self, takeover: bool) -> Self {
        self.takeover = takeover;
        self
    }

    /// Its type, an RTN_* number ([`crate::model::route`]). Default: unicast.
    pub fn route_type(mut self, route_type: u8) -> Self {
        self.route_type = route_type;
        self
    }

    /// Its scope, an RT_SCOPE_* number, on IPv4. Default: what `ip route` would give it.
    pub fn scope(mut self, scope: u8) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The source address of what is sent along it (RTA_PREFSRC), which the host must have.
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Whether the gateway is on the link, whatever the routes say.
    pub fn onlink(mut self, onlink: bool) -> Self {
        self.onlink = onlink;
        self
    }

    /// Its MTU and the TCP segment size it offers, in bytes; 0 is the link's own.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The type of service that it is for, on IPv4: a multiple of four.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// The metric that the kernel will show: to IPv6 it makes 1024 of 0.
    pub(super) fn metric_filled(&self) -> u32 {
        match self.metric {
            None | Some(0) if !self.to.is_ipv4() => METRIC_IPV6_DEFAULT,
            metric => metric.unwrap_or(0),
        }
    }

    pub(super) fn table_filled(&self) -> u32 {
        let default = match self.route_type {
            RTN_LOCAL | RTN_BROADCAST | RTN_ANYCAST => TABLE_LOCAL,
            _ => TABLE_MAIN,
        };
        self.table.unwrap_or(default)
    }

    /// What is reached without a gateway is on the link, as iproute2 has it. IPv6 has no scopes.
    pub(super) fn scope_filled(&self) -> u8 {
        let is_direct = self.via.is_none() && self.nexthops.is_empty() && self.nexthop_id == 0;
        let default = match self.route_type {
            RTN_LOCAL => SCOPE_HOST,
            RTN_BROADCAST | RTN_ANYCAST | RTN_MULTICAST => SCOPE_LINK,
            RTN_UNICAST if is_direct => SCOPE_LINK,
            _ => 0,
        };
        if self.to.is_ipv4() { self.scope.unwrap_or(default) } else { 0 }
    }

    /// All of its next hops: those of `nexthops`, or the one of `via` and `dev`.
    pub(super) fn hops(&self) -> impl Iterator<Item = NextHop> + '_ {
        let Self { via, dev, onlink, .. } = *self;
        let is_one = via.is_some() || dev.is_some();
        let one = is_one.then_some(NextHop { via, dev, weight: 1, onlink });
        one.into_iter().chain(self.nexthops.iter().copied())
    }

    pub(super) fn id(&self) -> ObjectId {
        ObjectId::Route {
            to: self.to,
            via: self.via,
            dev: self.dev,
            metric: self.metric_filled(),
            table: self.table_filled(),
            tos: self.tos,
        }
    }
}
