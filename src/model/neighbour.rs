//! A neighbour: the link-layer address of an IP address, as the kernel shows it in RTM_NEWNEIGH.
//!
//! The kernel moves neighbours between states without a word, so not all that a dump shows can
//! be followed. [`Neighbour::followed`] says what is kept, and no more than that is compared.

use std::net::IpAddr;

use super::text::Mac;

/// NUD_INCOMPLETE: being asked for, for the first time (`linux/neighbour.h`).
pub const NUD_INCOMPLETE: u16 = 0x01;
/// NUD_REACHABLE: confirmed a short while ago.
pub const NUD_REACHABLE: u16 = 0x02;
/// NUD_STALE: not confirmed for a while.
pub const NUD_STALE: u16 = 0x04;
/// NUD_DELAY: stale and in use; it will be probed unless it is confirmed first.
pub const NUD_DELAY: u16 = 0x08;
/// NUD_PROBE: being asked whether it is still there.
pub const NUD_PROBE: u16 = 0x10;
/// NUD_FAILED: did not answer.
pub const NUD_FAILED: u16 = 0x20;
/// NUD_NOARP: needs no asking.
pub const NUD_NOARP: u16 = 0x40;
/// NUD_PERMANENT: set by hand.
pub const NUD_PERMANENT: u16 = 0x80;

/// NTF_EXT_LEARNED: put there by a routing daemon.
pub const NTF_EXT_LEARNED: u32 = 0x10;

/// The names of the states, as `ip` prints them.
pub const STATE_NAMES: &[(u16, &str)] = &[
    (NUD_INCOMPLETE, "INCOMPLETE"),
    (NUD_REACHABLE, "REACHABLE"),
    (NUD_STALE, "STALE"),
    (NUD_DELAY, "DELAY"),
    (NUD_PROBE, "PROBE"),
    (NUD_FAILED, "FAILED"),
    (NUD_NOARP, "NOARP"),
    (NUD_PERMANENT, "PERMANENT"),
];

/// The names of the flags, as `ip` prints them: those of `ndm_flags`, and eight bits higher those
/// of NDA_FLAGS_EXT.
pub const FLAG_NAMES: &[(u32, &str)] =
    &[(0x80, "router"), (NTF_EXT_LEARNED, "extern_learn"), (0x20, "offload"), (0x100, "managed")];

/// What tells one neighbour from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// The index of the link that it is reached by.
    pub index: u32,
    /// NDA_DST.
    pub address: IpAddr,
}

/// One neighbour of IPv4 or IPv6. Proxies, and the entries of bridges, are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Where it is and what it is.
    pub key: NeighbourKey,
    /// NDA_LLADDR; the kernel shows none of one that failed.
    pub mac: Option<Mac>,
    /// One of the NUD_* bits. The kernel announces neither the way to NUD_DELAY nor that to
    /// NUD_INCOMPLETE: a neighbour told as reachable or stale may be in delay by now, and one
    /// that failed may be asked for again.
    pub state: u16,
    /// NTF_* of `linux/neighbour.h`, and those of NDA_FLAGS_EXT eight bits higher.
    pub flags: u32,
    /// NDA_PROTOCOL: who added it, an RTPROT_* number; 0 where nobody said.
    pub protocol: u8,
}

impl Neighbour {
    /// What is kept of this news, where `known` was; `None` where it counts as no neighbour.
    ///
    /// What the kernel makes and changes in silence is left out: an address that is being asked
    /// for the first time, and one that needs no asking (multicast, mostly), unless a routing
    /// daemon put it there; `ip neigh` hides the latter too. In delay it counts as what it was,
    /// or as stale.
    pub fn followed(self, known: Option<&Self>) -> Option<Self> {
        match self.state {
            NUD_INCOMPLETE => known.filter(|known| known.state == NUD_FAILED).copied(),
            0 => None,
            NUD_NOARP if self.flags & NTF_EXT_LEARNED == 0 => None,
            NUD_DELAY => {
                let lasting = [NUD_REACHABLE, NUD_STALE];
                let before = known.map(|known| known.state).filter(|it| lasting.contains(it));
                Some(Self { state: before.unwrap_or(NUD_STALE), ..self })
            }
            _ => Some(self),
        }
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.mac != before.mac, "lladdr"),
            (self.state != before.state, "state"),
            (self.flags != before.flags, "flags"),
            (self.protocol != before.protocol, "protocol"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(state: u16) -> Neighbour {
        let key = NeighbourKey { index: 2, address: IpAddr::from([192, 0, 2, 9]) };
        Neighbour { key, mac: None, state, flags: 0, protocol: 0 }
    }

    fn followed(state: u16, known: Option<u16>) -> Option<u16> {
        let known = known.map(neighbour);
        neighbour(state).followed(known.as_ref()).map(|it| it.state)
    }

    #[test]
    fn what_is_not_announced_does_not_count() {
        assert_eq!(followed(NUD_DELAY, None), Some(NUD_STALE));
        assert_eq!(followed(NUD_DELAY, Some(NUD_REACHABLE)), Some(NUD_REACHABLE));
        assert_eq!(followed(NUD_DELAY, Some(NUD_PROBE)), Some(NUD_STALE));
        assert_eq!(followed(NUD_INCOMPLETE, None), None);
        assert_eq!(followed(NUD_INCOMPLETE, Some(NUD_FAILED)), Some(NUD_FAILED));
        assert_eq!(followed(NUD_INCOMPLETE, Some(NUD_REACHABLE)), None);
        assert_eq!(followed(NUD_NOARP, Some(NUD_PERMANENT)), None);
        assert_eq!(followed(0, Some(NUD_PERMANENT)), None);
        let by_daemon = Neighbour { flags: NTF_EXT_LEARNED, ..neighbour(NUD_NOARP) };
        assert_eq!(by_daemon.followed(None), Some(by_daemon));
    }
}
