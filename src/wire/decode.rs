//! Received messages as model values.
//!
//! [`decode`] hands what a message says to a sink, mostly one value a message. It refuses to
//! judge: what a value means for the mirror, or whether an acknowledgement was awaited, is for
//! the rooms above.

mod address;
mod bridge_vlan;
mod fdb;
mod link;
mod neighbour;
mod netconf;
mod nexthop;
mod nsid;
mod route;
mod rule;

use super::numbers::flags::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_MULTI, NLM_F_REPLACE};
use super::numbers::*;
use super::view::{MESSAGE_HEADER_BYTES, Malformed, Message, after, attributes, u32_at};
use crate::model::address::Address;
use crate::model::kind::Settings;
use crate::model::link::Link;
use crate::model::object::Object;
use crate::model::route::Route;

/// What one message says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decoded<'a> {
    /// RTM_NEWLINK or RTM_DELLINK of the device itself.
    Link {
        /// The link as it is, or was.
        link: Link,
        /// RTM_DELLINK.
        deleted: bool,
        /// It left for another namespace: gone from here, yet not deleted.
        moved: bool,
    },
    /// A link joined, changed in or left a bridge (family AF_BRIDGE): nothing about whether the
    /// link exists.
    BridgePort {
        /// The port.
        index: u32,
        /// It left.
        deleted: bool,
        /// What it is as a port.
        port: Option<Settings>,
    },
    /// RTM_NEWADDR or RTM_DELADDR of IPv4 or IPv6.
    Address {
        /// The address as it is, or was.
        address: Address,
        /// RTM_DELADDR.
        deleted: bool,
    },
    /// RTM_NEWROUTE or RTM_DELROUTE of IPv4 or IPv6; of an IPv6 multipath route one next hop.
    Route {
        /// The route as it is, or was.
        route: Route,
        /// RTM_DELROUTE.
        deleted: bool,
        /// It is one of several IPv6 next hops, all shown under the protocol of the first: of
        /// the newest in a notification, of the oldest in a dump.
        shared: bool,
    },
    /// An object of any other type: RTM_NEWNEIGH, RTM_NEWRULE, RTM_NEWNETCONF, RTM_NEWNSID,
    /// RTM_NEWNEXTHOP, RTM_NEWVLAN and their RTM_DEL*.
    Object {
        /// The object as it is, or was; of settings a part.
        object: Object,
        /// RTM_DEL*.
        deleted: bool,
    },
    /// NLMSG_ERROR, which is a success where its errno is 0.
    Ack(Ack<'a>),
    /// NLMSG_DONE: a dump ended, well where its errno is 0.
    Done {
        /// Positive.
        errno: i32,
    },
    /// NLMSG_OVERRUN.
    Overrun,
    /// Understood, and nothing that the model keeps.
    Ignored,
    /// A type that this room does not know.
    Unknown,
}

/// The kernel's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack<'a> {
    /// 0 for success, else a positive error number.
    pub errno: i32,
    /// NLMSGERR_ATTR_MSG, the kernel's own words, without the final zero.
    pub message: Option<&'a [u8]>,
    /// NLMSGERR_ATTR_OFFS: where in the request the attribute stands that it blames.
    pub offset: Option<u32>,
    /// The sequence number of the request.
    pub sequence: u32,
}

/// Hands what `message` says to `sink`, and every message says something, if only
/// [`Decoded::Ignored`].
///
/// Attributes that are unknown or malformed are passed over. It is an error only where what
/// remains does not say which object is meant; nothing has reached the sink then.
pub(crate) fn decode<'a>(
    message: &Message<'a>,
    sink: &mut impl FnMut(Decoded<'a>),
) -> Result<(), Malformed> {
    let Message { payload, flags, .. } = *message;
    match message.message_type {
        NLMSG_NOOP => sink(Decoded::Ignored),
        NLMSG_ERROR => sink(Decoded::Ack(ack(message)?)),
        // The kernel may leave the errno of a NLMSG_DONE out.
        NLMSG_DONE => sink(Decoded::Done { errno: u32_at(payload, 0).map_or(0, positive_errno) }),
        NLMSG_OVERRUN => sink(Decoded::Overrun),
        RTM_NEWLINK => sink(link::decode(payload, false)?),
        RTM_DELLINK => sink(link::decode(payload, true)?),
        RTM_NEWADDR => sink(address::decode(payload, false)?),
        RTM_DELADDR => sink(address::decode(payload, true)?),
        // In the messages of a dump the bit of NLM_F_REPLACE has other meanings.
        RTM_NEWROUTE => {
            let replaced = flags & NLM_F_REPLACE != 0 && flags & NLM_F_MULTI == 0;
            route::decode(payload, false, replaced, sink)?;
        }
        RTM_DELROUTE => route::decode(payload, true, false, sink)?,
        RTM_NEWNEIGH | RTM_DELNEIGH => {
            let deleted = message.message_type == RTM_DELNEIGH;
            sink(match payload.first() {
                Some(&AF_BRIDGE) => fdb::decode(payload, deleted)?,
                _ => neighbour::decode(payload, deleted)?,
            });
        }
        RTM_NEWRULE => sink(rule::decode(payload, false)?),
        RTM_DELRULE => sink(rule::decode(payload, true)?),
        RTM_NEWVLAN => bridge_vlan::decode(payload, false, sink)?,
        RTM_DELVLAN => bridge_vlan::decode(payload, true, sink)?,
        RTM_NEWNETCONF => sink(netconf::decode(payload, false)?),
        RTM_DELNETCONF => sink(netconf::decode(payload, true)?),
        RTM_NEWNSID => sink(nsid::decode(payload, false)?),
        RTM_DELNSID => sink(nsid::decode(payload, true)?),
        RTM_NEWNEXTHOP => sink(nexthop::decode(payload, false)?),
        RTM_DELNEXTHOP => sink(nexthop::decode(payload, true)?),
        _ => sink(Decoded::Unknown),
    }
    Ok(())
}

/// The answer to a question for a namespace's number: the number, `None` where it has none yet, or
/// the kernel's error number.
pub(crate) fn nsid_answer(message: &Message<'_>) -> Result<Option<i32>, i32> {
    match message.message_type {
        RTM_NEWNSID => Ok(nsid::number(message.payload)),
        // Whatever else it is, it is no answer.
        _ => Err(ack(message).map_or(libc::EPROTO, |ack| ack.errno)),
    }
}

/// `struct nlmsgerr`: i32 error, the header of the request, the rest of the request unless
/// NLM_F_CAPPED, attributes if NLM_F_ACK_TLVS.
fn ack<'a>(message: &Message<'a>) -> Result<Ack<'a>, Malformed> {
    let error = u32_at(message.payload, 0).ok_or(Malformed("NLMSG_ERROR without an errno"))?;
    let mut ack = Ack {
        errno: positive_errno(error),
        message: None,
        offset: None,
        sequence: message.sequence,
    };
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return Ok(ack);
    }
    let request = message.payload.get(4..).unwrap_or_default();
    let request_bytes = match u32_at(request, 0) {
        Some(len) if message.flags & NLM_F_CAPPED == 0 => {
            usize::try_from(len).unwrap_or(usize::MAX)
        }
        _ => MESSAGE_HEADER_BYTES,
    };
    for attribute in attributes(after(request, request_bytes)) {
        match attribute.kind {
            NLMSGERR_ATTR_MSG => ack.message = Some(attribute.text()),
            NLMSGERR_ATTR_OFFS => ack.offset = attribute.u32(),
            _ => {}
        }
    }
    Ok(ack)
}

/// The kernel sends error numbers negated.
fn positive_errno(error: u32) -> i32 {
    (error as i32).saturating_abs()
}

/// An interface index; the kernel's are positive `int`s.
fn index(number: u32) -> Option<u32> {
    let is_index = number != 0 && i32::try_from(number).is_ok();
    is_index.then_some(number)
}

/// Overwrites a field where an attribute held a value for it.
fn take<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
