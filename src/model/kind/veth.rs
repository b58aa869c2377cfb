//! The virtual Ethernet pair (drivers/net/veth.c, veth(4)).

use super::{Key, Kind};

pub(super) static KIND: Kind = Kind::new(
    "veth",
    "one end of a virtual cable; the other end is its peer",
    &[
        Key::peer("the name of the other end, which is created and deleted with this one")
            .required()
            .only_at_creation(),
        Key::netns(
            "peer_netns",
            "the network namespace to make the other end in, a name or a path that begins with `/` \
             or `./`: it is no link of this one, and its name there cannot be seen from here",
        )
        .only_at_creation(),
    ],
);
