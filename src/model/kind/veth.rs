//! The virtual Ethernet pair (drivers/net/veth.c, veth(4)).

use super::{Key, Kind, ValueType};

pub(super) static KIND: Kind = Kind {
    name: "veth",
    doc: "one end of a virtual cable; the other end is its peer",
    mac_only_at_creation: false,
    can_have_ports: false,
    keys: &[Key {
        name: "peer",
        value: ValueType::Peer,
        required: true,
        only_at_creation: true,
        rounding: 0,
        doc: "the name of the other end, which is created and deleted with this one",
    }],
};
