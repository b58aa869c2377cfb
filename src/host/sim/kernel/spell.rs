//! How the kernel's messages are spelled, by netlink-packet-route.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Rt};

use super::{SimAddress, SimLink, SimOwn, SimRoute, SimSlot, TABLE_LOCAL};

pub(super) fn encoded(message: Rt, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    (header.flags, header.sequence_number) = (flags, sequence);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
    message.serialize(&mut bytes);
    bytes
}

/// A message without attributes.
fn bare(message_type: u16, flags: u16, sequence: u32, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("a length")];
    bytes[0..4].copy_from_slice(&len.to_ne_bytes());
    bytes[4..6].copy_from_slice(&message_type.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes
}

/// NLMSG_ERROR.
pub(super) fn ack(sequence: u32, errno: i32) -> Vec<u8> {
    let mut ack = bare(2, 0, sequence, 36);
    ack[16..20].copy_from_slice(&(-errno).to_ne_bytes());
    ack
}

/// NLMSG_DONE.
pub(super) fn done(sequence: u32, flags: u16) -> Vec<u8> {
    bare(3, flags, sequence, 20)
}

/// NLMSG_OVERRUN.
pub(in super::super) fn overrun() -> Vec<u8> {
    bare(4, 0, 0, 16)
}

/// An answer to nothing that was asked.
pub(in super::super) fn stray_ack(errno: i32) -> Vec<u8> {
    ack(u32::MAX, errno)
}

/// What a forger might send: that the link `lo` is gone.
pub(in super::super) fn forged_deletion() -> Vec<u8> {
    encoded(deleted(link(1, &SimLink::new("lo".to_owned(), "", 1))), 0, 0)
}

pub(super) fn deleted(message: Rt) -> Rt {
    match message {
        Rt::NewLink(link) => Rt::DelLink(link),
        Rt::NewAddress(address) => Rt::DelAddress(address),
        Rt::NewRoute(route) => Rt::DelRoute(route),
        other => other,
    }
}

/// A link that leaves for another namespace, where it has another index.
pub(super) fn moved(message: Rt) -> Rt {
    let Rt::NewLink(mut link) = message else { panic!("{message:?}") };
    link.attributes.push(LinkAttribute::NewNetnsId(7));
    link.attributes.push(LinkAttribute::NewIfIndex(77));
    Rt::DelLink(link)
}

/// A port that joined a bridge or left it: of family AF_BRIDGE.
pub(super) fn bridge_port(index: u32, name: &str, master: u32, left: bool) -> Vec<u8> {
    let mut port = LinkMessage::default();
    port.header.interface_family = AddressFamily::Bridge;
    port.header.index = index;
    port.attributes =
        vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Controller(master)];
    encoded(if left { Rt::DelLink(port) } else { Rt::NewLink(port) }, 0, 0)
}

pub(super) fn link(index: u32, link: &SimLink) -> Rt {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags.set(LinkFlags::Up, link.up);
    message.attributes = vec![
        LinkAttribute::IfName(link.name.clone()),
        LinkAttribute::Mtu(link.mtu),
        LinkAttribute::Address(link.mac.clone()),
        LinkAttribute::Group(link.group),
    ];
    if link.master != 0 {
        message.attributes.push(LinkAttribute::Controller(link.master));
    }
    // A vxlan names its lower link in its data alone.
    let below = if link.kind == "macvlan" { link.lower } else { link.peer };
    if below != 0 {
        message.attributes.push(LinkAttribute::Link(below));
    }
    if !link.kind.is_empty() {
        let mut info = vec![LinkInfo::Kind(InfoKind::from(link.kind))];
        info.extend(link.data.clone().map(LinkInfo::Data));
        message.attributes.push(LinkAttribute::LinkInfo(info));
    }
    Rt::NewLink(message)
}

/// The links that a request names by index.
pub(super) fn named_links(request: &Rt) -> BTreeSet<u32> {
    match request {
        Rt::NewLink(link) | Rt::DelLink(link) => BTreeSet::from([link.header.index]),
        Rt::NewAddress(own) | Rt::DelAddress(own) => BTreeSet::from([own.header.index]),
        Rt::NewRoute(route) | Rt::DelRoute(route) => {
            let devs = route.attributes.iter().filter_map(|attribute| match attribute {
                RouteAttribute::Oif(dev) => Some(*dev),
                _ => None,
            });
            devs.collect()
        }
        _ => BTreeSet::new(),
    }
}

pub(super) fn name_of(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

pub(super) fn kind_of(message: &LinkMessage) -> Option<&'static str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Kind(InfoKind::Bridge) => Some("bridge"),
            LinkInfo::Kind(InfoKind::Veth) => Some("veth"),
            LinkInfo::Kind(InfoKind::Ifb) => Some("ifb"),
            LinkInfo::Kind(InfoKind::MacVlan) => Some("macvlan"),
            LinkInfo::Kind(InfoKind::Vxlan) => Some("vxlan"),
            _ => None,
        }),
        _ => None,
    })
}

pub(super) fn peer_of(message: &LinkMessage) -> Option<LinkMessage> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))) => Some(peer.clone()),
            _ => None,
        }),
        _ => None,
    })
}

/// What a kind's data says, save a pair's, which is not shown again.
pub(super) fn data_of(message: &LinkMessage) -> Option<InfoData> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Data(InfoData::Veth(_)) => None,
            LinkInfo::Data(data) => Some(data.clone()),
            _ => None,
        }),
        _ => None,
    })
}

/// What a kind's data says after a change of some of it.
pub(super) fn overlaid(before: Option<InfoData>, change: InfoData) -> InfoData {
    match (before, change) {
        (Some(InfoData::Vxlan(mut all)), InfoData::Vxlan(new)) => {
            use std::mem::discriminant;
            all.retain(|one| new.iter().all(|new| discriminant(new) != discriminant(one)));
            all.extend(new);
            InfoData::Vxlan(all)
        }
        (_, change) => change,
    }
}

/// IFLA_LINK, or what a vxlan's data has in its place.
pub(super) fn lower_of(message: &LinkMessage) -> Option<u32> {
    let below = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(below) => Some(*below),
        _ => None,
    });
    below.or_else(|| match data_of(message)? {
        InfoData::Vxlan(infos) => infos.iter().find_map(|info| match info {
            InfoVxlan::Link(below) => Some(*below),
            _ => None,
        }),
        _ => None,
    })
}

fn family_of(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

pub(super) fn address((key, own): (&SimAddress, &SimOwn)) -> Rt {
    let mut message = AddressMessage::default();
    message.header.family = family_of(key.1);
    message.header.prefix_len = key.2;
    message.header.index = key.0;
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Permanent, own.permanent);
    flags.set(AddressFlags::Secondary, own.secondary);
    flags.set(AddressFlags::Tentative, own.tentative);
    message.attributes = vec![
        AddressAttribute::Address(key.1),
        AddressAttribute::Local(key.1),
        AddressAttribute::Flags(flags),
    ];
    Rt::NewAddress(message)
}

pub(super) fn key_of_address(message: &AddressMessage) -> SimAddress {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(local) => Some(*local),
        _ => None,
    });
    (message.header.index, local.expect("a local address"), message.header.prefix_len)
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// A route; several are the siblings of one of IPv6.
pub(super) fn route((table, to, len, metric): SimSlot, routes: &[&SimRoute]) -> Rt {
    let mut message = RouteMessage::default();
    let route = routes[0];
    message.header.address_family = family_of(to);
    message.header.destination_prefix_length = len;
    message.header.table = 254;
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.scope = RouteScope::from(route.scope);
    let is_local = table == TABLE_LOCAL;
    message.header.kind = if is_local { RouteType::Local } else { RouteType::Unicast };
    message.attributes = vec![
        RouteAttribute::Destination(route_address(to)),
        RouteAttribute::Table(table),
        RouteAttribute::Priority(metric),
    ];
    let source = route.source.map(|source| RouteAttribute::PrefSource(route_address(source)));
    message.attributes.extend(source);
    let hop = |via: Option<IpAddr>, dev: u32| {
        let via = via.map(|via| RouteAttribute::Gateway(route_address(via)));
        let mut hop = RouteNextHop::default();
        (hop.interface_index, hop.attributes) = (dev, via.into_iter().collect());
        hop
    };
    let hops: Vec<_> = match routes.len() {
        1 => route.hops.iter().map(|own| hop(own.via, own.dev)).collect(),
        _ => routes.iter().map(|own| hop(own.via, own.dev)).collect(),
    };
    if hops.is_empty() {
        message.attributes.push(RouteAttribute::Oif(route.dev));
        message.attributes.extend(route.via.map(|via| RouteAttribute::Gateway(route_address(via))));
    } else {
        message.attributes.push(RouteAttribute::MultiPath(hops));
    }
    Rt::NewRoute(message)
}

pub(super) fn route_of(message: &RouteMessage) -> (SimSlot, SimRoute) {
    let plain = |address: &RouteAddress| match address {
        RouteAddress::Inet(address) => IpAddr::V4(*address),
        RouteAddress::Inet6(address) => IpAddr::V6(*address),
        other => panic!("{other:?}"),
    };
    let (mut to, mut via, mut dev, mut metric) = (None, None, 0, 0);
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = Some(plain(address)),
            RouteAttribute::Gateway(address) => via = Some(plain(address)),
            RouteAttribute::Oif(index) => dev = *index,
            RouteAttribute::Priority(number) => metric = *number,
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let to = to.expect("the tests have no default routes");
    let slot = (table, to, message.header.destination_prefix_length, metric);
    let protocol = message.header.protocol.into();
    let scope = message.header.scope.into();
    (slot, SimRoute { protocol, scope, ..SimRoute::through(via, dev) })
}
