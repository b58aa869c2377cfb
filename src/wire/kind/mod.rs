//! How the settings of each link kind are spelled within IFLA_LINKINFO.
//!
//! A kind is a table here too: one [`Field`] for each key of its table in `model::kind`, in the
//! same order. Reading and writing are both derived from it, so a kind costs a table and a line
//! in [`SPELLINGS`].

mod bond;
mod bridge;
mod dummy;
mod geneve;
mod gre;
mod gretap;
mod ifb;
mod ipip;
mod ipvlan;
mod macvlan;
mod macvtap;
mod shape;
mod sit;
mod veth;
mod vlan;
mod vrf;
mod vxlan;
mod wireguard;

use netlink_packet_core::{DefaultNla, Emitable};

use self::shape::Shape;
use super::numbers::*;
use super::view::attributes;
use crate::model::kind::{KEYS_MAX, Kind, Settings, Value};
use crate::model::link::Link;
use crate::model::text::{KindName, LinkName};

/// The spelling of every kind in [`Kind::ALL`].
static SPELLINGS: &[&Spelling] = &[
    &bond::SPELLING,
    &bridge::SPELLING,
    &dummy::SPELLING,
    &geneve::SPELLING,
    &gre::SPELLING,
    &gretap::SPELLING,
    &ifb::SPELLING,
    &ipip::SPELLING,
    &ipvlan::SPELLING,
    &macvlan::SPELLING,
    &macvtap::SPELLING,
    &sit::SPELLING,
    &veth::SPELLING,
    &vlan::SPELLING,
    &vrf::SPELLING,
    &vxlan::SPELLING,
    &wireguard::SPELLING,
];

/// How a kind's settings are spelled.
struct Spelling {
    /// IFLA_INFO_KIND, and IFLA_INFO_SLAVE_KIND of its ports.
    kind: &'static str,
    /// What stands in IFLA_INFO_DATA.
    own: Fields,
    /// What stands in IFLA_INFO_SLAVE_DATA of its ports.
    port: Option<Fields>,
}

impl Spelling {
    const fn new(kind: &'static str, fields: &'static [Field]) -> Self {
        Self { kind, own: Fields::new(fields), port: None }
    }

    const fn with_port(mut self, fields: &'static [Field]) -> Self {
        self.port = Some(Fields::new(fields));
        self
    }
}

/// How the keys of one table are spelled: one for each, in its order.
struct Fields {
    fields: &'static [Field],
    /// By attribute number, a bit for each field that it can hold. Drivers show dozens of
    /// attributes with every message.
    by_attribute: [u64; ATTRIBUTES_MAX],
}

/// No kind has attributes from this number on.
const ATTRIBUTES_MAX: usize = 64;

/// How a key is spelled.
struct Field {
    /// The key's name, as in the kind's key table.
    key: &'static str,
    shape: Shape,
}

impl Fields {
    const fn new(fields: &'static [Field]) -> Self {
        assert!(fields.len() <= KEYS_MAX, "more fields than keys");
        let mut by_attribute = [0; ATTRIBUTES_MAX];
        let mut at = 0;
        while at < fields.len() {
            let [one, other] = fields[at].shape.numbers();
            if one != 0 {
                by_attribute[one as usize] |= 1 << at;
                by_attribute[other as usize] |= 1 << at;
            }
            at += 1;
        }
        Self { fields, by_attribute }
    }

    /// The settings in a sequence of attributes.
    fn read(&self, data: &[u8], link: &Link, settings: &mut Settings) {
        for attribute in attributes(data) {
            let number = usize::from(attribute.kind);
            let mut positions = self.by_attribute.get(number).copied().unwrap_or(0);
            while positions != 0 {
                let position = positions.trailing_zeros() as usize;
                positions &= positions - 1;
                let field = self.fields.get(position).zip(settings.kind.keys.get(position));
                if let Some((field, key)) = field {
                    settings.set(position, field.shape.read(&attribute, link, key.value));
                }
            }
        }
    }
}

/// Reads an IFLA_LINKINFO into the kind, the settings and the port settings of `link`, whose
/// other fields are already known.
pub(super) fn decode(info: &[u8], link: &mut Link) {
    let (mut data, mut port_data): (&[u8], &[u8]) = (&[], &[]);
    let mut master = None;
    for attribute in attributes(info) {
        match attribute.kind {
            IFLA_INFO_KIND => link.kind = KindName::truncated(attribute.text()),
            IFLA_INFO_DATA => data = attribute.value,
            IFLA_INFO_SLAVE_KIND => master = spelling(attribute.text()),
            IFLA_INFO_SLAVE_DATA => port_data = attribute.value,
            _ => {}
        }
    }
    link.port = master.and_then(|master| port(master, port_data, link)).map(|it| it.narrowed());
    let name = link.kind.as_bytes();
    let Some((kind, spelling)) = Kind::by_name(name).zip(spelling(name)) else {
        return;
    };
    let mut settings = Settings::new(kind);
    for (position, field) in spelling.own.fields.iter().enumerate() {
        match field.shape {
            Shape::LinkBelow | Shape::Peer(_) => {
                settings.set(position, shape::local_index(link.lower, link));
            }
            Shape::SparseFlag { .. } => {
                settings.set(position, Some(Value::Bool(false)));
            }
            _ => {}
        }
    }
    spelling.own.read(data, link, &mut settings);
    link.settings = Some(settings);
}

/// What a link is as a port of a bridge, from the IFLA_PROTINFO of family AF_BRIDGE.
pub(super) fn bridge_port(data: &[u8]) -> Option<Settings> {
    // None of its settings depends on another field of the link.
    port(&bridge::SPELLING, data, &Link::new(0, LinkName::default()))
}

fn port(master: &Spelling, data: &[u8], link: &Link) -> Option<Settings> {
    let kind = Kind::by_name(master.kind.as_bytes())?;
    let mut settings = Settings::new(kind.port?);
    master.port.as_ref()?.read(data, link, &mut settings);
    Some(settings)
}

/// The parts of a request that say a link's settings.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The value of IFLA_INFO_DATA; empty where no setting stands in it.
    pub data: Vec<u8>,
    /// IFLA_LINK.
    pub below: Option<u32>,
}

/// Spells settings, their links by the index that `resolve` gives.
///
/// `peer` is the link message that a kind with a peer is made with; changes of a link that
/// exists have none.
///
/// # Panics
///
/// In debug builds, on a value that its key cannot have; else that value is left out.
pub(super) fn encode<E>(
    settings: &Settings,
    mut peer: Option<Vec<u8>>,
    resolve: impl Fn(LinkName) -> Result<u32, E>,
) -> Result<Encoded, E> {
    let mut encoded = Encoded::default();
    let mut attributes: Vec<(u16, Vec<u8>)> = Vec::new();
    for (position, field) in fields_of(settings.kind).iter().enumerate() {
        if let Shape::Peer(attribute) = field.shape {
            attributes.extend(peer.take().map(|peer| (attribute, peer)));
            continue;
        }
        if matches!(field.shape, Shape::PeerNetns) {
            continue;
        }
        let Some(value) = settings.get(position) else {
            continue;
        };
        let index = match value {
            Value::Link(name) => Some(resolve(name)?),
            Value::Index(index) => Some(index),
            _ => None,
        };
        if matches!(field.shape, Shape::LinkBelow) {
            encoded.below = index;
            continue;
        }
        let written = field.shape.write(value, index);
        debug_assert!(written.is_some(), "{}: {value:?}", field.key);
        for (number, bytes) in written.into_iter().flatten() {
            // Flags that share an attribute are joined; nothing else has a number twice.
            match attributes.iter_mut().find(|(own, _)| *own == number) {
                Some((_, own)) => own.iter_mut().zip(bytes).for_each(|(own, bit)| *own |= bit),
                None => attributes.push((number, bytes)),
            }
        }
    }
    let attributes: Vec<_> =
        attributes.into_iter().map(|(number, bytes)| DefaultNla::new(number, bytes)).collect();
    let attributes = attributes.as_slice();
    encoded.data.resize(attributes.buffer_len(), 0);
    attributes.emit(&mut encoded.data);
    Ok(encoded)
}

/// The IFLA_INFO_SLAVE_KIND that a table of port settings goes with.
pub(super) fn master_kind_of(port: &Kind) -> Option<&'static str> {
    let is_its = |kind: &&&'static Kind| kind.port.is_some_and(|own| own == port);
    Kind::ALL.iter().find(is_its).map(|kind| kind.name)
}

/// How a table's keys are spelled, be it of a kind or of a kind's ports.
fn fields_of(table: &Kind) -> &'static [Field] {
    if let Some(spelling) = spelling(table.name.as_bytes()) {
        return spelling.own.fields;
    }
    let master = master_kind_of(table).and_then(|master| spelling(master.as_bytes()));
    master.and_then(|master| master.port.as_ref()).map_or(&[], |port| port.fields)
}

fn spelling(kind: &[u8]) -> Option<&'static Spelling> {
    SPELLINGS.iter().find(|spelling| spelling.kind.as_bytes() == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_spelled_key_by_key() {
        assert_eq!(SPELLINGS.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let spelling = spelling(kind.name.as_bytes()).expect(kind.name);
            assert_eq!(kind.port.is_some(), spelling.port.is_some(), "{}", kind.name);
            for table in [Some(*kind), kind.port].into_iter().flatten() {
                let keys: Vec<_> = table.keys.iter().map(|key| key.name).collect();
                let fields: Vec<_> = fields_of(table).iter().map(|field| field.key).collect();
                assert_eq!(keys, fields, "{}", table.name);
            }
        }
    }

    #[test]
    fn attributes_that_no_key_has_are_passed_over() {
        let mut link = Link::new(1, LinkName::default());
        link.lower = 5;
        for kind in Kind::ALL {
            let mut info = vec![20, 0, 1, 0];
            info.extend(kind.name.as_bytes());
            info.resize(20, 0);
            decode(&info, &mut link);
            let without = link.settings;
            assert!(without.is_some_and(|it| it.kind == *kind));
            info.extend([28, 0, 2, 0]);
            for number in [0_u8, 63, 200] {
                info.extend([8, 0, number, 0, 1, 0, 0, 0]);
            }
            decode(&info, &mut link);
            assert_eq!(link.settings, without);
        }
    }
}
