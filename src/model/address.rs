//! An address of a link as the kernel shows it in RTM_NEWADDR.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use super::text::LinkName;

/// IFA_F_PERMANENT: without a lifetime (`linux/if_addr.h`).
pub const IFA_F_PERMANENT: u32 = 0x80;
/// IFA_F_SECONDARY on IPv4; the same bit is IFA_F_TEMPORARY on IPv6.
pub const IFA_F_SECONDARY: u32 = 0x01;
/// IFA_F_NODAD: used without duplicate address detection.
pub const IFA_F_NODAD: u32 = 0x02;
/// IFA_F_OPTIMISTIC: used while duplicate address detection is under way.
pub const IFA_F_OPTIMISTIC: u32 = 0x04;
/// IFA_F_DADFAILED: duplicate address detection found another owner.
pub const IFA_F_DADFAILED: u32 = 0x08;
/// IFA_F_HOMEADDRESS: the home address of a mobile host (RFC 6275).
pub const IFA_F_HOMEADDRESS: u32 = 0x10;
/// IFA_F_DEPRECATED: not chosen as the source of anything new.
pub const IFA_F_DEPRECATED: u32 = 0x20;
/// IFA_F_MANAGETEMPADDR: the kernel makes temporary addresses of its prefix.
pub const IFA_F_MANAGETEMPADDR: u32 = 0x100;
/// IFA_F_NOPREFIXROUTE: without a route to its subnet.
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// IFA_F_TENTATIVE: duplicate address detection is under way.
pub const IFA_F_TENTATIVE: u32 = 0x40;

/// RT_SCOPE_LINK (`linux/rtnetlink.h`).
pub const SCOPE_LINK: u8 = 253;
/// RT_SCOPE_HOST.
pub const SCOPE_HOST: u8 = 254;

/// The names of the address flags, as `ip` prints them.
pub const FLAG_NAMES: &[(u32, &str)] = &[
    (IFA_F_SECONDARY, "secondary"),
    (IFA_F_NODAD, "nodad"),
    (IFA_F_OPTIMISTIC, "optimistic"),
    (IFA_F_DADFAILED, "dadfailed"),
    (IFA_F_HOMEADDRESS, "home"),
    (IFA_F_DEPRECATED, "deprecated"),
    (IFA_F_TENTATIVE, "tentative"),
    (IFA_F_PERMANENT, "permanent"),
    (IFA_F_MANAGETEMPADDR, "mngtmpaddr"),
    (IFA_F_NOPREFIXROUTE, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
];

/// An address with its prefix length, `192.0.2.1/24`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The address; bits past the length may be set.
    pub address: IpAddr,
    /// In bits: at most 32 for IPv4, 128 for IPv6.
    pub len: u8,
}

/// As one or two numbers: bytes take longer, and every route is found by its prefix.
impl Hash for Prefix {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.address {
            IpAddr::V4(address) => {
                state.write_u64(u64::from(address.to_bits()) << 8 | u64::from(self.len));
            }
            IpAddr::V6(address) => {
                state.write_u128(address.to_bits());
                state.write_u8(self.len);
            }
        }
    }
}

impl Prefix {
    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.len.min(32));
                let difference = own.to_bits() ^ other.to_bits();
                difference.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.len.min(128));
                let difference = own.to_bits() ^ other.to_bits();
                difference.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The same with the bits past the length cleared.
    pub fn network(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let shift = 32 - u32::from(self.len.min(32));
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let shift = 128 - u32::from(self.len.min(128));
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        Self { address, len: self.len }
    }
}

impl Ord for Prefix {
    /// By family, address and length, as the fields are. The tables are sorted by it, and comparing
    /// an address part by part is most of the work of finding a place in one.
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |address| match address {
            IpAddr::V4(it) => (false, u128::from(it.to_bits())),
            IpAddr::V6(it) => (true, it.to_bits()),
        };
        let order = number(self.address).cmp(&number(other.address));
        order.then(self.len.cmp(&other.len))
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What tells one address from another in the kernel's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// The index of the link that has it.
    pub index: u32,
    /// IFA_LOCAL, or IFA_ADDRESS where there is no other, with the prefix length.
    pub prefix: Prefix,
    /// The other end of a point-to-point address (IFA_ADDRESS where it is not the local one).
    pub peer: Option<IpAddr>,
}

/// One address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Where it is and what it is.
    pub key: AddressKey,
    /// RT_SCOPE_* of `linux/rtnetlink.h`; 0 is global.
    pub scope: u8,
    /// IFA_F_* of `linux/if_addr.h`.
    pub flags: u32,
    /// IFA_PROTO: who added it; 0 where the kernel does not say.
    pub protocol: u8,
    /// IFA_LABEL, on IPv4; mostly the name of the link.
    pub label: LinkName,
}

impl AddressKey {
    /// The subnet that the kernel counts it to: that of the far end, where it has one.
    pub fn subnet(&self) -> Prefix {
        let address = self.peer.unwrap_or(self.prefix.address);
        Prefix { address, len: self.prefix.len }.network()
    }
}

impl Address {
    /// Whether it has no lifetime.
    pub fn is_permanent(&self) -> bool {
        self.flags & IFA_F_PERMANENT != 0
    }

    /// Whether its network is still being asked whether it is free, and it is not in use yet.
    pub fn is_tentative(&self) -> bool {
        self.flags & IFA_F_TENTATIVE != 0 && self.flags & IFA_F_OPTIMISTIC == 0
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.scope != before.scope, "scope"),
            (self.flags != before.flags, "flags"),
            (self.protocol != before.protocol, "protocol"),
            (self.label != before.label, "label"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}

/// The name of a scope, as `ip` prints it, where it has one.
pub fn scope_name(scope: u8) -> Option<&'static str> {
    Some(match scope {
        0 => "global",
        200 => "site",
        SCOPE_LINK => "link",
        SCOPE_HOST => "host",
        255 => "nowhere",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, len: u8) -> Prefix {
        Prefix { address: address.parse().unwrap(), len }
    }

    #[test]
    fn prefixes_contain_what_they_cover() {
        assert!(prefix("192.0.2.1", 24).contains("192.0.2.254".parse().unwrap()));
        assert!(!prefix("192.0.2.1", 24).contains("192.0.3.1".parse().unwrap()));
        assert!(prefix("0.0.0.0", 0).contains("203.0.113.9".parse().unwrap()));
        assert!(!prefix("0.0.0.0", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(prefix("::", 0).contains("2001:db8::1".parse().unwrap()));
        assert_eq!(prefix("2001:db8::1", 64).network(), prefix("2001:db8::", 64));
        assert_eq!(prefix("192.0.2.1", 0).network(), prefix("0.0.0.0", 0));
    }
}
