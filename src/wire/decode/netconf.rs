//! RTM_NEWNETCONF and RTM_DELNETCONF of IPv4 and IPv6. A notification tells of the setting that
//! changed alone.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes};
use super::Decoded;
use crate::model::netconf::{Netconf, NetconfKey, NetconfScope};
use crate::model::object::Object;

// `struct netconfmsg` (`linux/netconf.h`): u8 family, and the padding to the attributes.
const HEADER_BYTES: usize = 4;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    let family = payload.first().copied();
    let family = family.ok_or(Malformed("a netconf message is shorter than its header"))?;
    if !matches!(family, AF_INET | AF_INET6) {
        return Ok(Decoded::Ignored);
    }
    let body = payload.get(HEADER_BYTES..).unwrap_or_default();
    let mut scope = None;
    let key = NetconfKey { is_ipv6: family == AF_INET6, scope: NetconfScope::All };
    let mut netconf = Netconf::new(key);
    for attribute in attributes(body) {
        let value = attribute.i32();
        match attribute.kind {
            NETCONFA_IFINDEX => scope = value.and_then(scope_of),
            NETCONFA_FORWARDING => netconf.forwarding = value,
            NETCONFA_RP_FILTER => netconf.rp_filter = value,
            NETCONFA_MC_FORWARDING => netconf.mc_forwarding = value,
            NETCONFA_PROXY_NEIGH => netconf.proxy_neigh = value,
            NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN => netconf.ignore_routes_with_linkdown = value,
            NETCONFA_BC_FORWARDING => netconf.bc_forwarding = value,
            _ => {}
        }
    }
    netconf.key.scope = scope.ok_or(Malformed("a netconf message has no index"))?;
    Ok(Decoded::Object { object: Object::Netconf(netconf), deleted })
}

fn scope_of(index: i32) -> Option<NetconfScope> {
    match index {
        NETCONFA_IFINDEX_ALL => Some(NetconfScope::All),
        NETCONFA_IFINDEX_DEFAULT => Some(NetconfScope::Default),
        _ => u32::try_from(index).ok().filter(|&index| index != 0).map(NetconfScope::Link),
    }
}
