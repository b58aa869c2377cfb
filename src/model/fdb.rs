//! Entries of forwarding databases: behind which port of a bridge, or which other end of a tunnel,
//! a hardware address is. RTM_NEWNEIGH of family AF_BRIDGE shows them.
//!
//! Followed is what was put there to stay, and what leads to several ends, which nothing learns.
//! What is learnt comes and goes with the traffic; and
//! the addresses of bridges and ports themselves, which `bridge` calls permanent, the kernel moves
//! from one to the other in silence (`fdb_delete_local` in net/bridge/br_fdb.c).

use std::net::{IpAddr, Ipv4Addr};

use super::neighbour::{NUD_NOARP, NUD_PERMANENT};
use super::text::Mac;

/// What an entry without another end has in its place.
const NOWHERE: Remote = Remote { dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, vni: 0, via: 0 };

/// The bytes of an Ethernet address.
pub type EthernetAddress = [u8; 6];

/// What tells one entry from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FdbKey {
    /// The index of the bridge, or of the tunnel, whose database it is in.
    pub on: u32,
    /// NDA_LLADDR.
    pub mac: EthernetAddress,
    /// NDA_VLAN; 0 for none.
    pub vid: u16,
    /// NDA_SRC_VNI, of a tunnel that carries several networks; else 0.
    pub source_vni: u32,
    /// Where it leads, of the addresses that lead to several ends: all zero, and multicast.
    pub remote: Option<Remote>,
}

/// The other end of a tunnel; 0 is the tunnel's own port, network or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote {
    /// NDA_DST.
    pub dst: IpAddr,
    /// NDA_PORT.
    pub port: u16,
    /// NDA_VNI.
    pub vni: u32,
    /// NDA_IFINDEX: the link that it is reached by.
    pub via: u32,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbEntry {
    /// Which one it is.
    pub key: FdbKey,
    /// The port of the bridge, or the tunnel.
    pub dev: u32,
    /// Where it leads, in a tunnel.
    pub remote: Option<Remote>,
    /// NUD_* bits.
    pub state: u16,
    /// NTF_* of `linux/neighbour.h`, and those of NDA_FLAGS_EXT eight bits higher.
    pub flags: u32,
}

/// The names of the flags that are told, as `bridge` prints them.
pub const FLAG_NAMES: &[(u32, &str)] =
    &[(0x02, "self"), (0x10, "extern_learn"), (0x20, "offload"), (0x40, "sticky")];

impl FdbEntry {
    /// Whether it is kept here. What leads to several ends has one state, and the kernel may bring
    /// an end that is told of no more to stay with that of another one.
    pub fn is_followed(&self) -> bool {
        self.key.remote.is_some() || self.is_static()
    }

    /// Whether it was put there to stay.
    pub fn is_static(&self) -> bool {
        match self.remote {
            Some(_) => self.state & (NUD_NOARP | NUD_PERMANENT) != 0,
            None => self.state & NUD_NOARP != 0 && self.state & NUD_PERMANENT == 0,
        }
    }

    /// Its hardware address.
    pub fn mac(&self) -> Mac {
        // Six bytes always fit.
        Mac::new(&self.key.mac).unwrap_or_default()
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let (now, was) = (self.remote.unwrap_or(NOWHERE), before.remote.unwrap_or(NOWHERE));
        let differs = [
            (self.dev != before.dev, "dev"),
            (now.dst != was.dst, "dst"),
            (now.port != was.port, "port"),
            (now.vni != was.vni, "vni"),
            (now.via != was.via, "via"),
            (self.state != before.state, "state"),
            (self.flags != before.flags, "flags"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}

/// Whether an address leads to several ends of a tunnel: it is multicast, or all zero, which
/// stands for all that are not known.
pub fn leads_to_several(mac: EthernetAddress) -> bool {
    mac[0] & 1 != 0 || mac == [0; 6]
}
