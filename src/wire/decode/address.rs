//! RTM_NEWADDR and RTM_DELADDR.

use super::super::numbers::*;
use super::super::view::{Malformed, attributes, u32_at};
use super::{Decoded, index, take};
use crate::model::address::{Address, AddressKey, Prefix};
use crate::model::text::LinkName;

// `struct ifaddrmsg` (`linux/if_addr.h`): u8 family, u8 prefixlen, u8 flags, u8 scope, u32 index.
const HEADER_BYTES: usize = 8;
const INDEX_OFFSET: usize = 4;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("an address message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let &[family, len, flags, scope, ..] = payload else {
        return Err(SHORT);
    };
    let len_max = match family {
        AF_INET => 32,
        AF_INET6 => 128,
        _ => return Ok(Decoded::Ignored),
    };
    if len > len_max {
        return Err(Malformed("an address has a longer prefix than its family"));
    }
    let index = u32_at(payload, INDEX_OFFSET)
        .and_then(index)
        .ok_or(Malformed("an address message has no index"))?;

    let mut flags = u32::from(flags);
    let mut protocol = 0;
    let mut label = LinkName::default();
    let mut local = None;
    let mut other = None;
    for attribute in attributes(body) {
        let address = || {
            let address = attribute.address();
            address.filter(|address| address.is_ipv4() == (family == AF_INET))
        };
        match attribute.kind {
            IFA_LOCAL => local = address(),
            IFA_ADDRESS => other = address(),
            IFA_LABEL => take(&mut label, attribute.inline_text()),
            IFA_FLAGS => take(&mut flags, attribute.u32()),
            IFA_PROTO => take(&mut protocol, attribute.u8()),
            _ => {}
        }
    }
    // IFA_ADDRESS is the far end where IFA_LOCAL is there too; IPv6 leaves IFA_LOCAL out where
    // there is no far end (see the comment in `linux/if_addr.h`).
    let address = local.or(other).ok_or(Malformed("an address message has no address"))?;
    Ok(Decoded::Address {
        address: Address {
            key: AddressKey {
                index,
                prefix: Prefix { address, len },
                peer: other.filter(|&other| other != address),
            },
            scope,
            flags,
            protocol,
            label,
        },
        deleted,
    })
}
