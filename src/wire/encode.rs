//! Requests: dumps, and one message for each [`Change`].
//!
//! Messages are appended to a buffer, so that a batch is one send. Nothing here asks for an
//! acknowledgement by itself: success is silent without one and errors are answered anyway, so
//! a batch needs one on its last message alone, which is for the sender to say
//! ([`request_ack`]).

mod address;
mod bridge_vlan;
mod fdb;
mod link;
mod neighbour;
mod nexthop;
mod route;
mod rule;

use bytes::BytesMut;
use netlink_packet_core::{Emitable as _, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};

use super::numbers::flags::*;
use super::numbers::{
    IFLA_EXT_MASK, NETNSA_FD, RTEXT_FILTER_SKIP_STATS, RTM_DELNEIGH, RTM_DELNEXTHOP, RTM_DELVLAN,
    RTM_GETNSID, RTM_NEWNEIGH, RTM_NEWNEXTHOP, RTM_NEWVLAN, TableNumbers, of_table,
};
use super::view::{MESSAGE_FLAGS_OFFSET, MESSAGE_HEADER_BYTES};
use crate::model::change::Change;
use crate::model::network::Table;
use crate::model::text::LinkName;

/// Why a change could not be written as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The change speaks of a link that is not there.
    #[error("there is no link {0}")]
    UnknownLink(LinkName),
    /// The change speaks of a network namespace that is not open.
    #[error("the network namespace of the peer is not open")]
    UnknownNetns,
}

/// Appends the request for a dump. Its header is clean enough for NETLINK_GET_STRICT_CHK: all
/// zero but for the family, which asks for everything. Of links the counters of IPv6 are left out,
/// which are a quarter of what the kernel writes of each.
pub(crate) fn dump(table: Table, sequence: u32, out: &mut BytesMut) {
    let TableNumbers { get, family, header_bytes, .. } = of_table(table);
    let mut payload = vec![0; header_bytes];
    payload.first_mut().into_iter().for_each(|first| *first = family);
    if table == Table::Links {
        payload.extend(attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes()));
    }
    append_bytes(get, NLM_F_DUMP, &payload, sequence, out);
}

/// Appends the request for a dump of the routes of one protocol, of one routing table, of both or
/// of all. Strict checking makes the kernel leave the others out; without it they come too.
pub(crate) fn dump_routes(
    protocol: Option<u8>,
    table: Option<u32>,
    sequence: u32,
    out: &mut BytesMut,
) {
    let mut message = RouteMessage::default();
    message.header.protocol = protocol.unwrap_or_default().into();
    match table.map(u8::try_from) {
        Some(Ok(table)) => message.header.table = table,
        Some(Err(_)) => message.attributes.extend(table.map(RouteAttribute::Table)),
        None => {}
    }
    append(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP, sequence, out);
}

/// Appends the request for the state of one link.
pub(crate) fn get_link(index: u32, sequence: u32, out: &mut BytesMut) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    append(RouteNetlinkMessage::GetLink(message), 0, sequence, out);
}

/// Appends the question for the number that a network namespace has here; `fd` is open on it.
pub(crate) fn get_nsid(fd: i32, sequence: u32, out: &mut BytesMut) {
    // `struct rtgenmsg` (`linux/rtnetlink.h`): u8 family, and the padding to the attributes.
    let mut payload = vec![0; 4];
    payload.extend(attribute(NETNSA_FD, &fd.to_ne_bytes()));
    append_bytes(RTM_GETNSID, 0, &payload, sequence, out);
}

/// Appends the request for a change; `resolve` gives the index of a link, `open_netns` the
/// descriptor that is open on a network namespace by its number in settings.
///
/// On an error `out` is as before.
pub(crate) fn change(
    change: &Change,
    sequence: u32,
    resolve: &dyn Fn(LinkName) -> Option<u32>,
    open_netns: &dyn Fn(u16) -> Option<i32>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    // The kernel takes index 0 as "no index": it would look at the name or the group instead,
    // and change or delete another link, or many.
    let resolve = |name| {
        let index = resolve(name).filter(|&index| index != 0);
        index.ok_or(EncodeError::UnknownLink(name))
    };
    if let Some((message_type, flags, payload)) = spelled_here(change, &resolve)? {
        append_bytes(message_type, flags, &payload, sequence, out);
        return Ok(());
    }
    const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;
    const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;
    const APPEND: u16 = NLM_F_CREATE | NLM_F_APPEND;
    let (message, flags) = match change {
        Change::CreateLink(new) => {
            (RouteNetlinkMessage::NewLink(link::create(new, resolve, open_netns)?), CREATE)
        }
        // Not RTM_SETLINK, which acknowledges the settings of a kind and ignores them. A driver
        // sees the whole message when it gets its settings, and may refuse what stands beside
        // them: one takes no MTU there (EOPNOTSUPP), as tests/kernel_changes.rs shows.
        Change::SetLink(update) => {
            (RouteNetlinkMessage::NewLink(link::update(update, resolve)?), 0)
        }
        Change::AddAltname { link, altname } => {
            (RouteNetlinkMessage::NewLinkProp(link::altname(resolve(*link)?, *altname)), CREATE)
        }
        Change::DeleteAltname { link, altname } => {
            (RouteNetlinkMessage::DelLinkProp(link::altname(resolve(*link)?, *altname)), 0)
        }
        Change::DeleteLink(name) => {
            let mut message = LinkMessage::default();
            message.header.index = resolve(*name)?;
            (RouteNetlinkMessage::DelLink(message), 0)
        }
        Change::DeleteGroup(group) => {
            let mut message = LinkMessage::default();
            message.attributes.push(LinkAttribute::Group(*group));
            (RouteNetlinkMessage::DelLink(message), 0)
        }
        Change::SetGroup { group, up } => {
            (RouteNetlinkMessage::NewLink(link::update_group(*group, *up)), 0)
        }
        Change::PutAddress { link, prefix, protocol, replace, peer, with } => {
            let index = resolve(*link)?;
            let message = address::put(index, *prefix, *peer, *protocol, with);
            let flags = if *replace { REPLACE } else { CREATE };
            (RouteNetlinkMessage::NewAddress(message), flags)
        }
        Change::DeleteAddress { link, prefix, peer } => {
            (RouteNetlinkMessage::DelAddress(address::delete(resolve(*link)?, *prefix, *peer)), 0)
        }
        // An IPv6 slot holds several next hops: with NLM_F_EXCL a second one is refused. The
        // same hop twice is EEXIST either way (rt6_duplicate_nexthop).
        Change::CreateRoute(route) => (
            RouteNetlinkMessage::NewRoute(route::put(route, resolve)?),
            if route.to.is_ipv4() { CREATE } else { APPEND },
        ),
        Change::ReplaceRoute(route) => {
            (RouteNetlinkMessage::NewRoute(route::put(route, resolve)?), REPLACE)
        }
        Change::DeleteRoute(route) => {
            (RouteNetlinkMessage::DelRoute(route::delete(route, resolve)?), 0)
        }
        Change::CreateRule(new) => (RouteNetlinkMessage::NewRule(rule::message(new)), CREATE),
        Change::DeleteRule(old) => (RouteNetlinkMessage::DelRule(rule::message(old)), 0),
        Change::PutNeighbour { link, address, mac, protocol, replace: _ } => {
            let message = neighbour::put(resolve(*link)?, *address, *mac, *protocol);
            (RouteNetlinkMessage::NewNeighbour(message), REPLACE)
        }
        Change::DeleteNeighbour { link, address } => {
            let message = neighbour::message(resolve(*link)?, *address);
            (RouteNetlinkMessage::DelNeighbour(message), 0)
        }
        // Files under /proc/sys take no messages, and the others have been written above.
        _ => return Ok(()),
    };
    append(message, flags, sequence, out);
    Ok(())
}

/// The type, flags and payload of a message that no crate spells, or not all of it.
fn spelled_here(
    change: &Change,
    resolve: &impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<Option<(u16, u16, Vec<u8>)>, EncodeError> {
    Ok(Some(match *change {
        Change::PutVlans { link, first, last, pvid, untagged, replace: _ } => {
            let index = resolve(link)?;
            (RTM_NEWVLAN, 0, bridge_vlan::payload(index, first, last, pvid, untagged))
        }
        Change::DeleteVlans { link, first, last } => {
            let index = resolve(link)?;
            (RTM_DELVLAN, 0, bridge_vlan::payload(index, first, last, false, false))
        }
        Change::PutNexthop { ref nexthop, replace } => {
            let dev = nexthop.dev.map(resolve).transpose()?;
            let flags = if replace { NLM_F_REPLACE } else { NLM_F_EXCL };
            (RTM_NEWNEXTHOP, NLM_F_CREATE | flags, nexthop::payload(nexthop, dev))
        }
        Change::DeleteNexthop(id) => (RTM_DELNEXTHOP, 0, nexthop::deletion(id)),
        Change::PutFdb { entry, replace: _ } => {
            let via = entry.via.map(resolve).transpose()?;
            let payload = fdb::payload(&entry, resolve(entry.link)?, via);
            (RTM_NEWNEIGH, fdb::put_flags(&entry), payload)
        }
        Change::DeleteFdb(entry) => {
            let via = entry.via.map(resolve).transpose()?;
            (RTM_DELNEIGH, 0, fdb::payload(&entry, resolve(entry.link)?, via))
        }
        _ => return Ok(None),
    }))
}

/// Sets NLM_F_ACK on the message that begins at `offset` of `buffer`.
///
/// # Panics
///
/// In debug builds, where no message can begin there.
pub(crate) fn request_ack(buffer: &mut [u8], offset: usize) {
    let flags = buffer
        .get_mut(offset..)
        .and_then(|message| message.get_mut(MESSAGE_FLAGS_OFFSET..))
        .and_then(|flags| flags.first_chunk_mut());
    debug_assert!(flags.is_some(), "no message at {offset}");
    if let Some(flags) = flags {
        *flags = (u16::from_ne_bytes(*flags) | NLM_F_ACK).to_ne_bytes();
    }
}

/// An attribute as it stands in a payload.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // Values here are some bytes long.
    let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut attribute = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn append_bytes(message_type: u16, flags: u16, payload: &[u8], sequence: u32, out: &mut BytesMut) {
    let bytes = MESSAGE_HEADER_BYTES + payload.len();
    let start = out.len();
    out.resize(start + bytes, 0);
    let mut header = NetlinkHeader::default();
    header.length = bytes as u32;
    header.message_type = message_type;
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    if let Some(message) = out.get_mut(start..) {
        header.emit(message);
    }
    if let Some(rest) = out.get_mut(start + MESSAGE_HEADER_BYTES..) {
        rest.copy_from_slice(payload);
    }
}

fn append(message: RouteNetlinkMessage, flags: u16, sequence: u32, out: &mut BytesMut) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = out.len();
    out.resize(start + message.buffer_len(), 0);
    if let Some(tail) = out.get_mut(start..) {
        message.serialize(tail);
    }
}
