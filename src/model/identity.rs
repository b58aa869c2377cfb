//! What only some links have: other names, words about them, and where their hardware is.

use std::sync::Arc;

use super::link::Link;
use super::text::{InlineBytes, Mac};

/// The most bytes of an alternative name (ALTIFNAMSIZ less the final zero, `linux/if.h`).
pub const ALTNAME_BYTES_MAX: usize = 127;

/// An alternative name: 1 to 127 bytes, no other link's name or alternative name.
pub type AltName = InlineBytes<ALTNAME_BYTES_MAX>;

/// The most bytes of an alias (IFALIASZ less one, `linux/if.h`; `dev_set_alias`).
pub const ALIAS_BYTES_MAX: usize = 255;

/// An alias: any bytes, which mean nothing to the kernel.
pub type Alias = InlineBytes<ALIAS_BYTES_MAX>;

/// What a link can be known by beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// IFLA_IFALIAS; empty where it has none.
    pub alias: Box<[u8]>,
    /// IFLA_ALT_IFNAME, in the order in which they were given.
    pub altnames: Box<[AltName]>,
    /// IFLA_PERM_ADDRESS: the hardware address that the device came with, where it has six bytes.
    /// The kernel shows one of devices that have not made theirs up.
    pub permanent_mac: Option<Mac>,
    /// IFLA_PARENT_DEV_NAME: the device on its bus, such as `0000:00:03.0` on PCI; empty where
    /// the link has none.
    pub parent: Box<[u8]>,
}

impl Identity {
    /// Kept by the link only where there is something of it.
    pub fn kept(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }
}

impl Link {
    /// IFLA_IFALIAS; empty where it has none.
    pub fn alias(&self) -> &[u8] {
        self.identity.as_ref().map_or(&[], |identity| &identity.alias)
    }

    /// Its alternative names, in the order in which they were given.
    pub fn altnames(&self) -> &[AltName] {
        self.identity.as_ref().map_or(&[], |identity| &identity.altnames)
    }

    /// The hardware address that the device came with.
    pub fn permanent_mac(&self) -> Option<Mac> {
        self.identity.as_ref()?.permanent_mac
    }

    /// The name of the device on its bus; empty where it has none.
    pub fn parent(&self) -> &[u8] {
        self.identity.as_ref().map_or(&[], |identity| &identity.parent)
    }

    /// The same, with another identity.
    pub fn with_identity(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        let mut identity = self.identity.as_deref().cloned().unwrap_or_default();
        change(&mut identity);
        self.identity = identity.kept();
        self
    }
}
