//! The virtual extensible LAN tunnel (RFC 7348, drivers/net/vxlan, `ip link add type vxlan`).

use super::{Key, Kind, ValueType};

pub(super) static KIND: Kind = Kind {
    name: "vxlan",
    doc: "an Ethernet segment carried over UDP",
    mac_only_at_creation: false,
    can_have_ports: false,
    keys: &[
        Key {
            name: "id",
            value: ValueType::Number { min: 0, max: 0x00ff_ffff },
            required: true,
            only_at_creation: true,
            rounding: 0,
            doc: "the VXLAN network identifier (VNI)",
        },
        Key {
            name: "dev",
            value: ValueType::Lower,
            required: false,
            only_at_creation: true,
            rounding: 0,
            doc: "the link that carries the tunnel",
        },
        Key {
            name: "local",
            value: ValueType::Address,
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "the source address of tunnel packets",
        },
        Key {
            name: "remote",
            value: ValueType::Address,
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "where frames of unknown destination go; a multicast address is joined",
        },
        Key {
            name: "dstport",
            value: ValueType::Number { min: 1, max: 65535 },
            required: false,
            only_at_creation: true,
            rounding: 0,
            doc: "the UDP destination port; the kernel's default is 8472, the assigned one is 4789",
        },
        Key {
            name: "ttl",
            value: ValueType::Number { min: 0, max: 255 },
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "the hop limit of tunnel packets; 0, the kernel's default, lets the kernel choose",
        },
        Key {
            name: "learning",
            value: ValueType::Bool,
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "whether source addresses are learnt from received packets; the kernel's default is true",
        },
    ],
};
