//! RTM_NEWROUTE and RTM_DELROUTE.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::numbers::*;
use super::super::view::{Attribute, Malformed, address, after, attributes, u16_at, u32_at};
use super::{Decoded, take};
use crate::model::address::Prefix;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::route::{Hop, Metrics, Route, RouteKey, RouteSlot};

// `struct rtmsg` (`linux/rtnetlink.h`): u8 family, u8 dst_len, u8 src_len, u8 tos, u8 table,
// u8 protocol, u8 scope, u8 type, u32 flags.
const HEADER_BYTES: usize = 12;
const FLAGS_OFFSET: usize = 8;

// `struct rtnexthop` (`linux/rtnetlink.h`): u16 len, u8 flags, u8 hops, i32 ifindex.
const HOP_HEADER_BYTES: usize = 8;
const HOP_FLAGS_OFFSET: usize = 2;
const HOP_WEIGHT_OFFSET: usize = 3;
const HOP_INDEX_OFFSET: usize = 4;

/// The bits of `rtm_flags` that change without a notification: RTNH_F_DEAD, _OFFLOAD,
/// _LINKDOWN, _UNRESOLVED, _TRAP, and RTM_F_OFFLOAD, _TRAP, _OFFLOAD_FAILED. A lost carrier, for
/// one, sets RTNH_F_LINKDOWN in the next dump and announces nothing for IPv4; kept, they would
/// make the mirror differ from a dump with nothing missed.
pub(super) const VOLATILE_FLAGS: u32 =
    0x01 | 0x08 | 0x10 | 0x20 | 0x40 | 0x4000 | 0x8000 | 0x2000_0000;

pub(super) fn decode<'a>(
    payload: &'a [u8],
    deleted: bool,
    replaced: bool,
    sink: &mut impl FnMut(Decoded<'a>),
) -> Result<(), Malformed> {
    const SHORT: Malformed = Malformed("a route message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let &[family, len, _, tos, table, protocol, scope, route_type, ..] = payload else {
        return Err(SHORT);
    };
    let flags = u32_at(payload, FLAGS_OFFSET).ok_or(SHORT)?;
    let (unspecified, len_max): (IpAddr, u8) = match family {
        AF_INET => (Ipv4Addr::UNSPECIFIED.into(), 32),
        AF_INET6 => (Ipv6Addr::UNSPECIFIED.into(), 128),
        _ => {
            sink(Decoded::Ignored);
            return Ok(());
        }
    };
    if flags & RTM_F_CLONED != 0 {
        sink(Decoded::Ignored);
        return Ok(());
    }
    if len > len_max {
        return Err(Malformed("a route has a longer prefix than its family"));
    }

    let mut found = Found::new(u32::from(table));
    for attribute in attributes(body) {
        found.take(&attribute);
    }
    let of_family = |address: &IpAddr| address.is_ipv4() == unspecified.is_ipv4();
    let to = match found.to.filter(of_family) {
        Some(to) => to,
        None if len == 0 => unspecified,
        None => return Err(Malformed("a route message has no destination")),
    };
    let route = Route {
        key: RouteKey {
            slot: RouteSlot {
                table: found.table,
                to: Prefix { address: to, len }.network(),
                tos,
                metric: found.metric,
            },
            via: found.hop.via,
            dev: found.hop.dev,
            route_type,
        },
        protocol,
        scope,
        flags: flags & !VOLATILE_FLAGS,
        source: found.source.filter(of_family),
        nexthop_id: found.nexthop_id,
        metrics: found.metrics,
        hops: Box::default(),
        replaced,
    };
    emit(route, found.multipath, deleted, sink);
    Ok(())
}

/// Spreads the next hops: those of IPv4 are parts of one route, those of IPv6 routes of their own
/// which the kernel only shows together.
fn emit<'a>(
    mut route: Route,
    multipath: &'a [u8],
    deleted: bool,
    sink: &mut impl FnMut(Decoded<'a>),
) {
    let Some(first) = hops(multipath).next() else {
        return sink(Decoded::Route { route, deleted, shared: false });
    };
    if route.is_ipv4() {
        (route.key.via, route.key.dev) = (first.via, first.dev);
        set_onlink(&mut route, first.onlink);
        if hops(multipath).nth(1).is_some() {
            route.hops = hops(multipath).collect();
        }
        return sink(Decoded::Route { route, deleted, shared: false });
    }
    let shared = hops(multipath).nth(1).is_some();
    for hop in hops(multipath) {
        (route.key.via, route.key.dev) = (hop.via, hop.dev);
        set_onlink(&mut route, hop.onlink);
        sink(Decoded::Route { route: route.clone(), deleted, shared });
        // One replacement made them all: the second did not replace the first.
        route.replaced = false;
    }
}

/// Next hops in RTA_MULTIPATH have flags of their own.
fn set_onlink(route: &mut Route, onlink: bool) {
    route.flags = route.flags & !RTNH_F_ONLINK | if onlink { RTNH_F_ONLINK } else { 0 };
}

/// What the attributes of a route said.
struct Found<'a> {
    to: Option<IpAddr>,
    table: u32,
    metric: u32,
    source: Option<IpAddr>,
    nexthop_id: u32,
    metrics: Metrics,
    hop: Hop,
    multipath: &'a [u8],
}

impl<'a> Found<'a> {
    /// `rtm_table` has eight bits; RTA_TABLE, where it is there, has them all.
    fn new(table: u32) -> Self {
        Self {
            to: None,
            table,
            metric: 0,
            source: None,
            nexthop_id: 0,
            metrics: Metrics::default(),
            hop: Hop { via: None, dev: 0, weight: 1, onlink: false },
            multipath: &[],
        }
    }

    fn take(&mut self, attribute: &Attribute<'a>) {
        match attribute.kind {
            RTA_DST => self.to = attribute.address(),
            RTA_TABLE => take(&mut self.table, attribute.u32()),
            RTA_PRIORITY => take(&mut self.metric, attribute.u32()),
            RTA_PREFSRC => self.source = attribute.address(),
            RTA_NH_ID => take(&mut self.nexthop_id, attribute.u32()),
            RTA_METRICS => self.metrics = metrics(attribute.value),
            RTA_MULTIPATH => self.multipath = attribute.value,
            _ => take_hop(&mut self.hop, attribute),
        }
    }
}

fn metrics(nested: &[u8]) -> Metrics {
    let mut metrics = Metrics::default();
    for attribute in attributes(nested) {
        match attribute.kind {
            RTAX_MTU => take(&mut metrics.mtu, attribute.u32()),
            RTAX_ADVMSS => take(&mut metrics.advmss, attribute.u32()),
            _ => {}
        }
    }
    metrics
}

fn take_hop(hop: &mut Hop, attribute: &Attribute<'_>) {
    match attribute.kind {
        RTA_GATEWAY => hop.via = attribute.address(),
        RTA_VIA => hop.via = via(attribute.value),
        RTA_OIF => take(&mut hop.dev, attribute.u32()),
        _ => {}
    }
}

/// `struct rtvia` (`linux/rtnetlink.h`): u16 family and the address, which for IPv4 routes is one
/// of IPv6.
fn via(value: &[u8]) -> Option<IpAddr> {
    let (_family, bytes) = value.split_at_checked(2)?;
    address(bytes)
}

/// The next hops in RTA_MULTIPATH, up to the first that is malformed.
fn hops(multipath: &[u8]) -> impl Iterator<Item = Hop> + '_ {
    let mut rest = multipath;
    std::iter::from_fn(move || {
        let bytes = rest;
        let len = usize::from(u16_at(bytes, 0)?);
        let nested = bytes.get(HOP_HEADER_BYTES..len)?;
        let mut hop = Hop {
            via: None,
            dev: u32_at(bytes, HOP_INDEX_OFFSET)?,
            weight: u16::from(*bytes.get(HOP_WEIGHT_OFFSET)?) + 1,
            onlink: u32::from(*bytes.get(HOP_FLAGS_OFFSET)?) & RTNH_F_ONLINK != 0,
        };
        for attribute in attributes(nested) {
            take_hop(&mut hop, &attribute);
        }
        rest = after(bytes, len);
        Some(hop)
    })
}
