//! VETH_INFO_PEER of `linux/veth.h`; parsed in drivers/net/veth.c, which shows nothing of it.

use super::{Field, Shape, Spelling};

pub(super) static SPELLING: Spelling = Spelling::new("veth", FIELDS);

const FIELDS: &[Field] = &[
    // VETH_INFO_PEER.
    Field { key: "peer", shape: Shape::Peer(1) },
    // IFLA_NET_NS_FD, within it.
    Field { key: "peer_netns", shape: Shape::PeerNetns },
];
