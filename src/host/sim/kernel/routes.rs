//! Routes, and how the kernel keeps and loses them (net/ipv4/fib_semantics.c, fib_trie.c,
//! net/ipv6/ip6_fib.c, route.c).

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Rt;
use netlink_packet_route::route::RouteMessage;

use super::{Kernel, spell};

pub(super) const SCOPE_HOST: u8 = 254;

/// (table, destination, prefix length, metric)
pub(in super::super) type SimSlot = (u32, IpAddr, u8, u32);

/// A next hop.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct SimHop {
    pub(in super::super) via: Option<IpAddr>,
    pub(in super::super) dev: u32,
    pub(in super::super) is_dead: bool,
}

/// An IPv4 route, or one next hop of one of IPv6.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct SimRoute {
    pub(in super::super) via: Option<IpAddr>,
    pub(in super::super) dev: u32,
    pub(in super::super) protocol: u8,
    pub(in super::super) scope: u8,
    pub(in super::super) source: Option<IpAddr>,
    /// All next hops of an IPv4 route of several, the first of which is the route's own.
    pub(in super::super) hops: Vec<SimHop>,
}

/// What to do where the slot is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Put {
    Append,
    Prepend,
    Replace,
}

impl SimRoute {
    /// What a person adds.
    pub(in super::super) fn through(via: Option<IpAddr>, dev: u32) -> Self {
        Self { via, dev, protocol: 3, scope: 0, source: None, hops: Vec::new() }
    }

    pub(super) fn uses(&self, dev: u32) -> bool {
        self.dev == dev || self.hops.iter().any(|hop| hop.dev == dev)
    }

    fn is_same_hop(&self, other: &Self) -> bool {
        (self.via, self.dev) == (other.via, other.dev)
    }
}

impl Kernel {
    pub(super) fn put_route(
        &mut self,
        request: &RouteMessage,
        exclusive: bool,
        replaces: bool,
    ) -> i32 {
        let (slot, mut route) = spell::route_of(request);
        if let Some(via) = route.via {
            match self.links.get(&route.dev) {
                None if route.dev != 0 => return libc::ENODEV,
                Some(link) if !link.up => return libc::ENETDOWN,
                _ => {}
            }
            let unreachable = if via.is_ipv4() { libc::ENETUNREACH } else { libc::EHOSTUNREACH };
            let Some(dev) = self.link_to(via, route.dev) else { return unreachable };
            route.dev = dev;
        }
        let Some(link) = self.links.get(&route.dev) else { return libc::ENODEV };
        if !link.up {
            return libc::ENETDOWN;
        }
        let hops = self.routes.get(&slot).map_or(&[][..], Vec::as_slice);
        let is_same = |hop: &SimRoute| hop.is_same_hop(&route);
        if !replaces && (hops.iter().any(is_same) || (exclusive && !hops.is_empty())) {
            return libc::EEXIST;
        }
        let put = if replaces { Put::Replace } else { Put::Append };
        if self.set_route(slot, route, put) { 0 } else { libc::EEXIST }
    }

    /// Puts a route into its slot, unless it is there. A replacement tells of itself only, with
    /// NLM_F_REPLACE, and on IPv4 takes the place of the first of the slot; on IPv6 that of all
    /// next hops with a gateway or of the first without (`fib6_add_rt2node`).
    pub(in super::super) fn set_route(&mut self, slot: SimSlot, route: SimRoute, put: Put) -> bool {
        let routes = self.routes.entry(slot).or_default();
        let place = routes.iter().position(|old| old.is_same_hop(&route));
        let is_same = |old: &SimRoute| {
            old.is_same_hop(&route) && (slot.1.is_ipv6() || old.hops == route.hops)
        };
        let has_gateway = |old: &SimRoute| old.via.is_some();
        let mut flags = NLM_F_CREATE;
        match put {
            Put::Replace if !routes.is_empty() => {
                flags = NLM_F_REPLACE;
                let is_elsewhere = slot.1.is_ipv4() && place.is_some_and(|place| place > 0);
                if is_elsewhere {
                    return false;
                }
                let alike = |old: &SimRoute| has_gateway(old) == has_gateway(&route);
                let first = match slot.1.is_ipv4() {
                    true => 0,
                    false => routes.iter().position(alike).unwrap_or(0),
                };
                let takes_all = slot.1.is_ipv6() && has_gateway(&routes[first]);
                routes[first] = route.clone();
                if takes_all {
                    let mut at = 0;
                    routes.retain(|old| {
                        at += 1;
                        at - 1 == first || old.via.is_none()
                    });
                }
            }
            _ if routes.iter().any(is_same) => return false,
            // It would be a second route of the same key, which the model does not tell apart.
            _ if place.is_some() => return false,
            Put::Prepend if slot.1.is_ipv4() => routes.insert(0, route.clone()),
            _ => {
                flags |= if routes.is_empty() { 0 } else { NLM_F_APPEND };
                routes.push(route.clone());
            }
        }
        // One of IPv6 is told with its siblings.
        let message = match slot.1.is_ipv6() && has_gateway(&route) {
            true => {
                let siblings: Vec<_> = routes.iter().filter(|hop| has_gateway(hop)).collect();
                spell::route(slot, &siblings)
            }
            false => spell::route(slot, &[&route]),
        };
        self.tell(message, flags);
        true
    }

    pub(super) fn delete_route(&mut self, request: &RouteMessage) -> i32 {
        let (slot, route) = spell::route_of(request);
        // Protocol 0 is any.
        let is_it = |hop: &SimRoute| {
            let is_named = hop.protocol == route.protocol || route.protocol == 0;
            hop.is_same_hop(&route) && is_named
        };
        match self.routes.get(&slot).is_some_and(|hops| hops.iter().any(is_it)) {
            true => self.remove_routes(|at, hop| *at == slot && is_it(hop), true),
            false => return libc::ESRCH,
        }
        0
    }

    pub(in super::super) fn remove_routes(
        &mut self,
        gone: impl Fn(&SimSlot, &SimRoute) -> bool,
        is_told: bool,
    ) {
        let mut removed = Vec::new();
        for (slot, hops) in &mut self.routes {
            hops.retain(|hop| {
                let goes = gone(slot, hop);
                if goes && is_told {
                    removed.push((*slot, hop.clone()));
                }
                !goes
            });
        }
        self.routes.retain(|_, hops| !hops.is_empty());
        for (slot, hop) in &removed {
            self.tell(spell::deleted(spell::route(*slot, &[hop])), 0);
        }
    }

    /// IPv4 next hops through that link die; a route without a live one goes in silence.
    pub(super) fn kill_hops(&mut self, dev: u32, concerns: impl Fn(&SimRoute) -> bool) {
        for route in self.routes.values_mut().flatten().filter(|route| concerns(route)) {
            let own = route.hops.iter_mut().filter(|hop| hop.dev == dev);
            own.for_each(|hop| hop.is_dead = true);
        }
        let is_dead = |route: &SimRoute| match route.hops.is_empty() {
            true => route.dev == dev,
            false => route.hops.iter().all(|hop| hop.is_dead),
        };
        self.remove_routes(
            |slot, route| slot.1.is_ipv4() && concerns(route) && is_dead(route),
            false,
        );
    }

    /// `fib_sync_up`.
    pub(super) fn revive_hops(&mut self, dev: u32) {
        let hops = self.routes.values_mut().flatten().flat_map(|route| &mut route.hops);
        hops.filter(|hop| hop.dev == dev).for_each(|hop| hop.is_dead = false);
    }

    /// The IPv6 routes through a link that is down, but those that a sibling keeps.
    pub(super) fn remove_ipv6_routes(&mut self, dev: u32) {
        let is_up = |dev: u32| self.links.get(&dev).is_some_and(|link| link.up);
        let of_ipv6 = self.routes.iter().filter(|(slot, _)| slot.1.is_ipv6());
        let gone = of_ipv6.flat_map(|(slot, hops)| {
            let mut gateways = hops.iter().filter(|hop| hop.via.is_some());
            let uses = gateways.clone().any(|hop| hop.dev == dev);
            let is_kept = !uses || gateways.any(|hop| is_up(hop.dev));
            let goes = move |hop: &&SimRoute| match hop.via {
                None => hop.dev == dev,
                Some(_) => !is_kept,
            };
            hops.iter().filter(goes).map(|hop| (*slot, hop.clone()))
        });
        let gone: Vec<_> = gone.collect();
        let is_told = !self.sysctls.skips_notify;
        for (slot, route) in gone {
            self.remove_routes(|at, hop| *at == slot && hop.is_same_hop(&route), is_told);
        }
    }

    /// So many entries of a dump, from a place on.
    pub(super) fn route_messages(&self, skip: usize, take: usize) -> Vec<Rt> {
        let entries = self.routes.iter().flat_map(|(slot, routes)| {
            shown(*slot, routes).into_iter().map(move |hops| (*slot, hops))
        });
        entries.skip(skip).take(take).map(|(slot, hops)| spell::route(slot, &hops)).collect()
    }
}

/// The entries of a dump for the routes of a slot: the next hops of IPv6 with a gateway are one,
/// which passes over what stands between them (`fib6_dump_node`).
pub(in super::super) fn shown(slot: SimSlot, routes: &[SimRoute]) -> Vec<Vec<&SimRoute>> {
    let is_joined = |route: &SimRoute| slot.1.is_ipv6() && route.via.is_some();
    let (first, last) = (routes.iter().position(is_joined), routes.iter().rposition(is_joined));
    let entries = routes.iter().enumerate().filter_map(|(at, route)| match (first, last) {
        (Some(first), _) if at == first => {
            Some(routes.iter().filter(|route| is_joined(route)).collect())
        }
        (Some(first), Some(last)) if at > first && at <= last => None,
        _ => Some(vec![route]),
    });
    entries.collect()
}
