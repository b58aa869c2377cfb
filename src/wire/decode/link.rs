//! RTM_NEWLINK and RTM_DELLINK.

use super::super::kind;
use super::super::link_settings;
use super::super::numbers::*;
use super::super::view::{Attribute, Malformed, attributes, u32_at};
use super::{Decoded, index, take};
use crate::model::identity::{ALTNAME_BYTES_MAX, Identity};
use crate::model::kind::{Kind, Settings};
use crate::model::link::Link;
use crate::model::text::{LinkName, Mac};

// `struct ifinfomsg` (`linux/rtnetlink.h`): u8 family, u8 pad, u16 type, i32 index, u32 flags,
// u32 change.
const HEADER_BYTES: usize = 16;
const INDEX_OFFSET: usize = 4;
const FLAGS_OFFSET: usize = 8;

pub(super) fn decode(payload: &[u8], deleted: bool) -> Result<Decoded<'static>, Malformed> {
    const SHORT: Malformed = Malformed("a link message is shorter than its header");
    let body = payload.get(HEADER_BYTES..).ok_or(SHORT)?;
    let family = payload.first().copied().ok_or(SHORT)?;
    let index = u32_at(payload, INDEX_OFFSET)
        .and_then(index)
        .ok_or(Malformed("a link message has no index"))?;
    match family {
        AF_UNSPEC => {}
        AF_BRIDGE => {
            // Of a port that leaves, what it was.
            let mut infos = attributes(body).filter(|_| !deleted);
            let info = infos.find(|attribute| attribute.kind == IFLA_PROTINFO);
            let port = info.and_then(|info| kind::bridge_port(info.value));
            return Ok(Decoded::BridgePort { index, deleted, port });
        }
        // Of AF_INET6 come the link's IPv6 settings alone, without its group and kind.
        _ => return Ok(Decoded::Ignored),
    }

    let mut link = Link::new(index, LinkName::default());
    link.flags = u32_at(payload, FLAGS_OFFSET).ok_or(SHORT)?;
    let mut common = Settings::new(Kind::LINK);
    link_settings::read_flags(link.flags, &mut common);
    let mut identity = Identity::default();
    let mut moved = false;
    let mut info = None;
    for attribute in attributes(body) {
        match attribute.kind {
            IFLA_IFNAME => take(&mut link.name, attribute.inline_text()),
            IFLA_MTU => take(&mut link.mtu, attribute.u32()),
            IFLA_ADDRESS => take(&mut link.mac, Mac::new(attribute.value)),
            IFLA_MASTER => take(&mut link.master, attribute.u32()),
            IFLA_LINK => take(&mut link.lower, attribute.u32()),
            IFLA_LINK_NETNSID => link.lower_netns = attribute.i32(),
            IFLA_GROUP => take(&mut link.group, attribute.u32()),
            IFLA_OPERSTATE => take(&mut link.oper, attribute.u8()),
            IFLA_NEW_NETNSID | IFLA_NEW_IFINDEX => moved = deleted,
            // An event of the wireless extensions in the shape of a link: a name, and no more of
            // what a link has (wireless_send_event in net/wireless/wext-core.c).
            IFLA_WIRELESS => return Ok(Decoded::Ignored),
            IFLA_LINKINFO => info = Some(attribute.value),
            IFLA_TXQLEN | IFLA_GSO_MAX_SIZE | IFLA_GSO_MAX_SEGS | IFLA_GRO_MAX_SIZE
            | IFLA_AF_SPEC => link_settings::read(&attribute, &mut common),
            IFLA_IFALIAS | IFLA_PROP_LIST | IFLA_PERM_ADDRESS | IFLA_PARENT_DEV_NAME => {
                identify(&attribute, &mut identity);
            }
            _ => {}
        }
    }
    link.identity = identity.kept();
    link.common = common.narrowed();
    if link.name.is_empty() {
        return Err(Malformed("a link message has no name"));
    }
    // The settings of a kind can be IFLA_LINK, which may stand on either side of IFLA_LINKINFO.
    if let Some(info) = info {
        kind::decode(info, &mut link);
    }
    Ok(Decoded::Link { link, deleted, moved })
}

/// What few links have. It alone is allocated, so a link without it costs nothing.
fn identify(attribute: &Attribute<'_>, identity: &mut Identity) {
    match attribute.kind {
        IFLA_IFALIAS => identity.alias = attribute.text().into(),
        IFLA_PERM_ADDRESS => {
            let is_ethernet = attribute.value.len() == 6;
            identity.permanent_mac = Mac::new(attribute.value).filter(|_| is_ethernet);
        }
        IFLA_PARENT_DEV_NAME => identity.parent = attribute.text().into(),
        _ => {
            let names = attributes(attribute.value).filter(|name| name.kind == IFLA_ALT_IFNAME);
            let names = names.filter_map(|name| name.inline_text::<ALTNAME_BYTES_MAX>());
            identity.altnames = names.filter(|name| !name.is_empty()).collect();
        }
    }
}
