//! An address of a link as the kernel shows it in RTM_NEWADDR.

use std::fmt;
use std::net::IpAddr;

/// IFA_F_PERMANENT: without a lifetime (`linux/if_addr.h`).
pub const IFA_F_PERMANENT: u32 = 0x80;
/// IFA_F_SECONDARY on IPv4; the same bit is IFA_F_TEMPORARY on IPv6.
pub const IFA_F_SECONDARY: u32 = 0x01;
/// IFA_F_NODAD: used without duplicate address detection.
pub const IFA_F_NODAD: u32 = 0x02;
/// IFA_F_DADFAILED: duplicate address detection found another owner.
pub const IFA_F_DADFAILED: u32 = 0x08;
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
    (0x04, "optimistic"),
    (IFA_F_DADFAILED, "dadfailed"),
    (0x10, "home"),
    (0x20, "deprecated"),
    (IFA_F_TENTATIVE, "tentative"),
    (IFA_F_PERMANENT, "permanent"),
    (0x100, "mngtmpaddr"),
    (0x200, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
];

/// An address with its prefix length, `192.0.2.1/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address; bits past the length may be set.
    pub address: IpAddr,
    /// In bits: at most 32 for IPv4, 128 for IPv6.
    pub len: u8,
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
}

impl Address {
    /// Whether it has no lifetime.
    pub fn is_permanent(&self) -> bool {
        self.flags & IFA_F_PERMANENT != 0
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.scope != before.scope, "scope"),
            (self.flags != before.flags, "flags"),
            (self.protocol != before.protocol, "protocol"),
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
