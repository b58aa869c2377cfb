//! The link messages of changes.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoPortData, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::super::kind;
use super::super::link_settings;
use super::super::numbers::*;
use super::EncodeError;
use crate::model::change::{LinkUpdate, NewLink, NewPeer};
use crate::model::identity::AltName;
use crate::model::kind::Settings;
use crate::model::text::{LinkName, Mac};

/// A link as it is made, with all that the kernel takes in the same message.
pub(super) fn create(
    new: &NewLink,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
    open_netns: &dyn Fn(u16) -> Option<i32>,
) -> Result<LinkMessage, EncodeError> {
    let mut message = LinkMessage::default();
    message.attributes.push(name(new.name));
    common(&mut message, new.mtu, new.mac, new.group);
    if new.up {
        set_up(&mut message, true);
    }
    if let Some(master) = new.master {
        let master = LinkAttribute::Controller(resolve(master)?);
        message.attributes.push(master);
    }
    let netns = new.settings.peer_netns();
    let netns = netns.map(|number| open_netns(number).ok_or(EncodeError::UnknownNetns));
    let netns = netns.transpose()?;
    let peer = new
        .settings
        .kind
        .has_peer()
        .then(|| peer(new.settings.peer_name(), netns, new.peer.unwrap_or_default()));
    settings(&mut message, &new.settings, peer, resolve)?;
    Ok(message)
}

/// A link as it shall be from now on. A name beside an index is a new name.
pub(super) fn update(
    update: &LinkUpdate,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<LinkMessage, EncodeError> {
    let mut message = LinkMessage::default();
    message.header.index = resolve(update.link)?;
    message.attributes.extend(update.rename.map(name));
    common(&mut message, update.mtu, update.mac, update.group);
    if let Some(up) = update.up {
        set_up(&mut message, up);
    }
    if let Some(alias) = update.alias {
        let alias = DefaultNla::new(IFLA_IFALIAS, alias.as_bytes().to_vec());
        message.attributes.push(LinkAttribute::Other(alias));
    }
    if let Some(wanted) = &update.common {
        link_settings::write(wanted, &mut message);
    }
    if let Some(master) = update.master {
        let master = if master.is_empty() { 0 } else { resolve(master)? };
        let master = LinkAttribute::Controller(master);
        message.attributes.push(master);
    }
    if let Some(wanted) = &update.settings {
        settings(&mut message, wanted, None, &resolve)?;
    }
    if let Some(wanted) = &update.port {
        port(&mut message, wanted, resolve)?;
    }
    Ok(message)
}

/// The message that sets all links of a group up or down.
pub(super) fn update_group(group: u32, up: bool) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(group));
    set_up(&mut message, up);
    message
}

/// The message that gives or takes that alternative name.
pub(super) fn altname(index: u32, altname: AltName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let mut name = altname.as_bytes().to_vec();
    name.push(0);
    let name = DefaultNla::new(IFLA_ALT_IFNAME, name);
    let mut list = vec![0; name.buffer_len()];
    name.emit(&mut list);
    let list = DefaultNla::new(IFLA_PROP_LIST | NLA_F_NESTED, list);
    message.attributes.push(LinkAttribute::Other(list));
    message
}

/// The link message of a peer, without its netlink header; `netns` is open on its namespace. It
/// never says IFF_UP, which the kernel refuses there.
fn peer(peer_name: Option<LinkName>, netns: Option<i32>, peer: NewPeer) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.attributes.extend(peer_name.map(name));
    message.attributes.extend(netns.map(LinkAttribute::NetNsFd));
    common(&mut message, peer.mtu, peer.mac, peer.group);
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn common(message: &mut LinkMessage, mtu: Option<u32>, mac: Option<Mac>, group: Option<u32>) {
    let mac = mac.map(|mac| LinkAttribute::Address(mac.as_bytes().into()));
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(mac);
    message.attributes.extend(group.map(LinkAttribute::Group));
}

fn set_up(message: &mut LinkMessage, up: bool) {
    message.header.flags.set(LinkFlags::Up, up);
    message.header.change_mask.insert(LinkFlags::Up);
}

fn settings(
    message: &mut LinkMessage,
    settings: &Settings,
    peer: Option<Vec<u8>>,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<(), EncodeError> {
    let encoded = kind::encode(settings, peer, resolve)?;
    let mut info = vec![LinkInfo::Kind(InfoKind::from(settings.kind.name))];
    // IFLA_INFO_DATA, even an empty one, is an error for kinds without settings to change.
    if !encoded.data.is_empty() {
        info.push(LinkInfo::Data(InfoData::Other(encoded.data)));
    }
    message.attributes.extend(encoded.below.map(LinkAttribute::Link));
    message.attributes.push(LinkAttribute::LinkInfo(info));
    Ok(())
}

/// The kernel takes them only of a link that is a port already.
fn port(
    message: &mut LinkMessage,
    wanted: &Settings,
    resolve: impl Fn(LinkName) -> Result<u32, EncodeError>,
) -> Result<(), EncodeError> {
    let encoded = kind::encode(wanted, None, resolve)?;
    let master = kind::master_kind_of(wanted.kind).unwrap_or_default().to_owned();
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Other(master)),
        LinkInfo::PortData(InfoPortData::Other(encoded.data)),
    ]));
    Ok(())
}

/// IFLA_IFNAME. `LinkAttribute::IfName` holds a `String`; interface names are bytes.
fn name(name: LinkName) -> LinkAttribute {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    LinkAttribute::Other(DefaultNla::new(IFLA_IFNAME, bytes))
}
