//! A link as the kernel shows it in RTM_NEWLINK.

use std::sync::Arc;

use super::identity::Identity;
use super::kind::{FewSettings, Kind, Settings, Value, ValueType};
use super::text::{KindName, LinkName, Mac};

/// IFF_UP: administratively up (`linux/if.h`).
pub const IFF_UP: u32 = 0x1;
/// IFF_LOOPBACK: the loopback device.
pub const IFF_LOOPBACK: u32 = 0x8;
/// IFF_RUNNING: operationally up.
pub const IFF_RUNNING: u32 = 0x40;
/// IFF_LOWER_UP: there is a carrier.
pub const IFF_LOWER_UP: u32 = 0x1_0000;

/// The names of the interface flags, as `ip` prints them.
pub const FLAG_NAMES: &[(u32, &str)] = &[
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (0x10, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x4, "DEBUG"),
    (0x4000, "DYNAMIC"),
    (0x8000, "AUTOMEDIA"),
    (0x2000, "PORTSEL"),
    (0x20, "NOTRAILERS"),
    (IFF_UP, "UP"),
    (IFF_LOWER_UP, "LOWER_UP"),
    (0x2_0000, "DORMANT"),
    (0x4_0000, "ECHO"),
];

/// The names of the operational states (RFC 2863), by IF_OPER_* number.
pub const OPER_NAMES: [&str; 7] =
    ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/// One link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The interface index, positive.
    pub index: u32,
    /// IFLA_IFNAME.
    pub name: LinkName,
    /// IFLA_INFO_KIND; empty for devices that no rtnl kind made.
    pub kind: KindName,
    /// IFF_* of `linux/if.h`.
    pub flags: u32,
    /// IFLA_OPERSTATE, an IF_OPER_* number.
    pub oper: u8,
    /// IFLA_MTU in bytes.
    pub mtu: u32,
    /// IFLA_ADDRESS; empty where the link has none.
    pub mac: Mac,
    /// IFLA_MASTER, an index; 0 for none.
    pub master: u32,
    /// IFLA_LINK, the index of the link below or of a veth's peer; 0 for none.
    pub lower: u32,
    /// IFLA_LINK_NETNSID: the namespace that `lower` counts in, where it is another one.
    pub lower_netns: Option<i32>,
    /// IFLA_GROUP.
    pub group: u32,
    /// What can be set of every link, by [`Kind::LINK`].
    pub common: FewSettings,
    /// The settings of a kind that we know.
    pub settings: Option<Settings>,
    /// What it is as a port of its master, where that is of a kind that we know.
    pub port: Option<FewSettings>,
    /// What it is known by beside its name, where there is something.
    pub identity: Option<Arc<Identity>>,
}

impl Link {
    /// A link of that index and name, and nothing else known.
    pub fn new(index: u32, name: LinkName) -> Self {
        Self {
            index,
            name,
            kind: KindName::default(),
            flags: 0,
            oper: 0,
            mtu: 0,
            mac: Mac::default(),
            master: 0,
            lower: 0,
            lower_netns: None,
            group: 0,
            common: Settings::new(Kind::LINK).narrowed(),
            settings: None,
            port: None,
            identity: None,
        }
    }

    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Whether it is up and can carry packets: IFF_UP and IFF_RUNNING (netdevice(7)).
    pub fn is_running(&self) -> bool {
        self.is_up() && self.flags & IFF_RUNNING != 0
    }

    /// Whether it is a loopback device.
    pub fn is_loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    /// Whether it says that the link of that index is its other end.
    pub(crate) fn is_tied_to(&self, peer: u32) -> bool {
        let Some(settings) = &self.settings else { return false };
        let keys = settings.kind.keys.iter();
        let mut ends = keys.enumerate().filter(|(_, key)| key.value == ValueType::Peer);
        self.lower == peer
            && self.lower_netns.is_none()
            && ends.next().is_some_and(|(at, _)| settings.get(at) == Some(Value::Index(peer)))
    }

    /// The same, tied to the link of that index in its own namespace; `None` where it is not one
    /// of a pair.
    pub fn tied_to(mut self, peer: u32) -> Option<Self> {
        let settings = self.settings.as_mut()?;
        let position = settings.kind.keys.iter().position(|key| key.value == ValueType::Peer)?;
        settings.set(position, Some(Value::Index(peer)));
        (self.lower, self.lower_netns) = (peer, None);
        Some(self)
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let differs = [
            (self.name != before.name, "name"),
            (self.kind != before.kind, "kind"),
            (self.is_up() != before.is_up(), "admin"),
            (self.oper != before.oper, "oper"),
            (self.mtu != before.mtu, "mtu"),
            (self.mac != before.mac, "mac"),
            (self.master != before.master, "master"),
            (self.lower != before.lower || self.lower_netns != before.lower_netns, "lower"),
            (self.flags != before.flags, "flags"),
            (self.group != before.group, "group"),
            (self.settings != before.settings, "settings"),
            (self.port != before.port, "port"),
            (self.alias() != before.alias(), "alias"),
            (self.altnames() != before.altnames(), "altnames"),
            (self.permanent_mac() != before.permanent_mac(), "permaddr"),
            (self.parent() != before.parent(), "parentdev"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
        if self.common != before.common {
            let (now, before) = (self.common.widened(), before.common.widened());
            let keys = Kind::LINK.keys.iter().enumerate();
            let differs = |at: usize| now.get(at) != before.get(at);
            keys.filter(|(at, _)| differs(*at)).for_each(|(_, key)| name(key.name));
        }
    }
}
