//! What tells links that exist, or will, from others: the `match` of a block.

use std::fmt;

use super::values::{self, Fault};
use crate::model::glob::Glob;
use crate::model::link::Link;
use crate::model::text::{LinkName, Mac, write_escaped};

/// What a link must be to be taken by a block: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LinkMatch {
    /// Its name.
    pub name: Option<Glob>,
    /// One of its alternative names.
    pub altname: Option<Glob>,
    /// The hardware address that it came with (IFLA_PERM_ADDRESS).
    pub mac: Option<Mac>,
    /// The device on its bus (IFLA_PARENT_DEV_NAME), such as `0000:00:03.0`.
    pub parent: Option<Box<[u8]>>,
}

impl LinkMatch {
    /// Whether it holds for that link.
    pub fn holds(&self, link: &Link) -> bool {
        let has_altname =
            |glob: &Glob| link.altnames().iter().any(|name| glob.matches(name.as_bytes()));
        self.name.as_ref().is_none_or(|glob| glob.matches(link.name.as_bytes()))
            && self.altname.as_ref().is_none_or(has_altname)
            && self.mac.is_none_or(|mac| link.permanent_mac() == Some(mac))
            && self.parent.as_ref().is_none_or(|parent| **parent == *link.parent())
    }

    /// Whether it can hold for several links, by what it says: patterns alone. What says more may
    /// still do so on a host, and is told then.
    pub(super) fn is_wide(&self) -> bool {
        let is_exact = |glob: &Option<Glob>| glob.as_ref().is_some_and(|it| it.literal().is_some());
        let is_of_hardware = self.mac.is_some() || self.parent.is_some();
        !is_of_hardware && !is_exact(&self.name) && !is_exact(&self.altname)
    }

    /// The only name that it holds for.
    pub(super) fn only_name(&self) -> Option<LinkName> {
        LinkName::new(self.name.as_ref()?.literal()?)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if *self == Self::default() {
            let help = "say `name`, `altname`, `mac` or `parent`";
            return Err(Fault::new("`match` says nothing, so it would hold for every link", help));
        }
        if let Some(bytes) = self.name.as_ref().and_then(Glob::literal) {
            let help = "write the name that `ip link` shows, or a pattern of it";
            values::check_name_bytes(bytes).map_err(|fault| Fault::new(fault.message, help))?;
        }
        self.mac.map_or(Ok(()), values::check_mac)
    }
}

/// `name eth*, mac 52:54:00:12:34:56`.
impl fmt::Display for LinkMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut next = |f: &mut fmt::Formatter<'_>, key: &str| {
            write!(f, "{}{key} ", std::mem::replace(&mut separator, ", "))
        };
        if let Some(name) = &self.name {
            next(f, "name")?;
            name.fmt(f)?;
        }
        if let Some(altname) = &self.altname {
            next(f, "altname")?;
            altname.fmt(f)?;
        }
        if let Some(mac) = self.mac {
            next(f, "mac")?;
            mac.fmt(f)?;
        }
        if let Some(parent) = &self.parent {
            next(f, "parent")?;
            write_escaped(f, parent)?;
        }
        Ok(())
    }
}
