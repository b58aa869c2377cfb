//! The software bridge (net/bridge, `ip link add type bridge`).

use super::{Key, Kind, ValueType};

pub(super) static KIND: Kind = Kind {
    name: "bridge",
    doc: "a software switch; links join it with `master`",
    mac_only_at_creation: false,
    can_have_ports: true,
    keys: &[
        Key {
            name: "stp_state",
            value: ValueType::Bool,
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "whether the spanning tree protocol runs; the kernel's default is false",
        },
        Key {
            name: "priority",
            value: ValueType::Number { min: 0, max: 65535 },
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "the bridge's priority in the spanning tree; the kernel's default is 32768",
        },
        Key {
            name: "ageing_time",
            value: ValueType::Number { min: 0, max: 100_000_000 },
            required: false,
            only_at_creation: false,
            rounding: 1,
            doc: "how long a learnt address is kept, in hundredths of a second; the kernel's default is 30000",
        },
        Key {
            name: "vlan_filtering",
            value: ValueType::Bool,
            required: false,
            only_at_creation: false,
            rounding: 0,
            doc: "whether ports obey VLAN membership; the kernel's default is false",
        },
    ],
};
