//! What happens to the network: objects, and the events that tell of them.

use std::fmt;
use std::net::IpAddr;

use super::address::{Address, AddressKey, Prefix};
use super::bridge_vlan::{BridgeVlan, BridgeVlanKey};
use super::fdb::{EthernetAddress, FdbEntry, FdbKey};
use super::link::Link;
use super::neighbour::{Neighbour, NeighbourKey};
use super::netconf::{Netconf, NetconfKey};
use super::network::Table;
use super::nexthop::Nexthop;
use super::nsid::Nsid;
use super::route::{Route, RouteKey, TABLE_MAIN, table_name};
use super::rule::Rule;
use super::text::{LinkName, Mac};

/// An object of the kernel's network state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// A link.
    Link(Link),
    /// An address of a link.
    Address(Address),
    /// A route.
    Route(Route),
    /// A next hop object.
    Nexthop(Nexthop),
    /// A neighbour.
    Neighbour(Neighbour),
    /// A VLAN of a port of a bridge, or of the bridge itself.
    BridgeVlan(BridgeVlan),
    /// An entry of a forwarding database.
    Fdb(FdbEntry),
    /// A policy rule.
    Rule(Rule),
    /// The settings of a family on a link.
    Netconf(Netconf),
    /// The number of another namespace.
    Nsid(Nsid),
}

/// What tells an object from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectKey {
    /// A link, by its index.
    Link(u32),
    /// An address.
    Address(AddressKey),
    /// A route.
    Route(RouteKey),
    /// A next hop object, by its id.
    Nexthop(u32),
    /// A neighbour.
    Neighbour(NeighbourKey),
    /// A VLAN of a port of a bridge, or of the bridge itself.
    BridgeVlan(BridgeVlanKey),
    /// An entry of a forwarding database.
    Fdb(FdbKey),
    /// A rule is all that it says. It is boxed, for it would make every key as large.
    Rule(Box<Rule>),
    /// The settings of a family on a link.
    Netconf(NetconfKey),
    /// The number of another namespace.
    Nsid(Nsid),
}

impl Object {
    /// What tells it from all others.
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Link(it) => ObjectKey::Link(it.index),
            Self::Address(it) => ObjectKey::Address(it.key),
            Self::Route(it) => ObjectKey::Route(it.key),
            Self::Nexthop(it) => ObjectKey::Nexthop(it.id),
            Self::Neighbour(it) => ObjectKey::Neighbour(it.key),
            Self::BridgeVlan(it) => ObjectKey::BridgeVlan(it.key),
            Self::Fdb(it) => ObjectKey::Fdb(it.key),
            Self::Rule(it) => ObjectKey::Rule(Box::new(*it)),
            Self::Netconf(it) => ObjectKey::Netconf(it.key),
            Self::Nsid(it) => ObjectKey::Nsid(*it),
        }
    }

    /// The table that it stands in.
    pub fn table(&self) -> Table {
        match self {
            Self::Link(_) => Table::Links,
            Self::Address(_) => Table::Addresses,
            Self::Route(_) => Table::Routes,
            Self::Nexthop(_) => Table::Nexthops,
            Self::Neighbour(_) => Table::Neighbours,
            Self::BridgeVlan(_) => Table::BridgeVlans,
            Self::Fdb(_) => Table::Fdb,
            Self::Rule(_) => Table::Rules,
            Self::Netconf(_) => Table::Netconf,
            Self::Nsid(_) => Table::Nsids,
        }
    }
}

impl ObjectKey {
    /// The table that it stands in.
    pub fn table(&self) -> Table {
        match self {
            Self::Link(_) => Table::Links,
            Self::Address(_) => Table::Addresses,
            Self::Route(_) => Table::Routes,
            Self::Nexthop(_) => Table::Nexthops,
            Self::Neighbour(_) => Table::Neighbours,
            Self::BridgeVlan(_) => Table::BridgeVlans,
            Self::Fdb(_) => Table::Fdb,
            Self::Rule(_) => Table::Rules,
            Self::Netconf(_) => Table::Netconf,
            Self::Nsid(_) => Table::Nsids,
        }
    }
}

/// A message of a type that the library does not read, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// `nlmsg_type`: RTM_* of `linux/rtnetlink.h`.
    pub message_type: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// All behind the header, its own family's header first.
    pub payload: Box<[u8]>,
}

/// Tells the network namespaces of one watcher apart. Numbers are not used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetnsId(pub(crate) u32);

impl NetnsId {
    /// The namespace that the watcher was opened in.
    pub const HOME: Self = Self(0);
}

/// One change of the network, in the order in which it was learnt.
///
/// Folding all events of a namespace from an empty network gives its network.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counts up by one with each event of a watcher, from 1.
    pub seq: u64,
    /// The network namespace that it happened in.
    pub netns: NetnsId,
    /// How it was learnt.
    pub cause: Cause,
    /// The netlink port id of the process that caused it, where the kernel says; else 0.
    pub sender: u32,
    /// What happened.
    pub what: What,
}

/// What an [`Event`] tells.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each event")]
#[non_exhaustive]
pub enum What {
    /// The object is there, and was not.
    New(Object),
    /// The object is there in another state.
    Changed {
        /// How it was.
        before: Object,
        /// How it is.
        after: Object,
    },
    /// The object, as last known, is gone.
    Deleted(Object),
    /// Notifications were lost; the differences follow as events of cause [`Cause::Dump`].
    Resync {
        /// How many datagrams the kernel says it dropped.
        dropped: u64,
    },
    /// Another network namespace is watched from now on; nothing of it is known yet.
    NetnsAdded {
        /// How it was named when it was added.
        name: String,
    },
    /// The namespace is watched no more, and all that was in it is out of sight.
    NetnsRemoved,
    /// The kernel sent a message that the library does not read; only where it was asked for.
    Raw(RawMessage),
}

/// How an event was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The kernel announced it.
    Notification,
    /// A dump showed it.
    Dump,
    /// It follows from another event; the kernel does not announce it.
    Derived,
    /// The filter was changed and wants the object no more: it is gone from here, and may well
    /// exist.
    Filter,
}

/// Names an object in plans, reports and errors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectId {
    /// A link.
    Link(LinkName),
    /// All links of a group (IFLA_GROUP).
    Group(u32),
    /// An address of a link.
    Address {
        /// The link that has it.
        link: LinkName,
        /// The address.
        prefix: Prefix,
    },
    /// A route.
    Route {
        /// The destination.
        to: Prefix,
        /// The gateway.
        via: Option<IpAddr>,
        /// The outgoing link.
        dev: Option<LinkName>,
        /// The metric.
        metric: u32,
        /// The routing table.
        table: u32,
        /// The IPv4 type of service.
        tos: u8,
    },
    /// A policy rule. Rules that differ in more than this bear the same name.
    Rule {
        /// Whether it is of IPv6.
        is_ipv6: bool,
        /// Its priority.
        priority: u32,
        /// What it matches of source addresses.
        src: Option<Prefix>,
        /// What it matches of destinations.
        dst: Option<Prefix>,
    },
    /// A neighbour.
    Neighbour {
        /// The link that it is reached by.
        link: LinkName,
        /// Its address.
        address: IpAddr,
    },
    /// A next hop object, by its id.
    Nexthop(u32),
    /// VLANs of a port of a bridge, or of the bridge itself.
    BridgeVlan {
        /// The port, or the bridge.
        link: LinkName,
        /// The first of them.
        first: u16,
        /// The last of them; the same where it is one.
        last: u16,
    },
    /// An entry of a forwarding database.
    Fdb {
        /// The port of a bridge, or the tunnel.
        link: LinkName,
        /// The hardware address.
        mac: EthernetAddress,
        /// The VLAN; 0 for none.
        vid: u16,
        /// The other end of the tunnel.
        dst: Option<IpAddr>,
    },
}

impl ObjectId {
    /// The word for what it is: `link`, `group`, `address`, `route`, `rule`, `neighbour`,
    /// `nexthop`, `bridge_vlan` or `fdb`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Group(_) => "group",
            Self::Address { .. } => "address",
            Self::Route { .. } => "route",
            Self::Rule { .. } => "rule",
            Self::Neighbour { .. } => "neighbour",
            Self::Nexthop(_) => "nexthop",
            Self::BridgeVlan { .. } => "bridge_vlan",
            Self::Fdb { .. } => "fdb",
        }
    }
}

/// As one would say it to `ip`: `link br0`, `address 192.0.2.1/24 dev br0`,
/// `route 198.51.100.0/24 via 192.0.2.2 dev br0`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link {name}"),
            Self::Group(group) => write!(f, "links of group {group}"),
            Self::Address { link, prefix } => write!(f, "address {prefix} dev {link}"),
            Self::Route { to, via, dev, metric, table, tos } => {
                match to.len {
                    0 if to.is_ipv4() => f.write_str("route default")?,
                    _ => write!(f, "route {to}")?,
                }
                via.iter().try_for_each(|via| write!(f, " via {via}"))?;
                dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))?;
                if *tos != 0 {
                    write!(f, " tos {tos:#x}")?;
                }
                if *metric != 0 {
                    write!(f, " metric {metric}")?;
                }
                match table_name(*table) {
                    _ if *table == TABLE_MAIN => Ok(()),
                    Some(name) => write!(f, " table {name}"),
                    None => write!(f, " table {table}"),
                }
            }
            Self::Rule { is_ipv6, priority, src, dst } => {
                f.write_str("rule")?;
                match src {
                    Some(src) => write!(f, " from {src}")?,
                    None if *is_ipv6 && dst.is_none() => f.write_str(" inet6 from all")?,
                    None => f.write_str(" from all")?,
                }
                dst.iter().try_for_each(|dst| write!(f, " to {dst}"))?;
                write!(f, " pref {priority}")
            }
            Self::Neighbour { link, address } => write!(f, "neighbour {address} dev {link}"),
            Self::Nexthop(id) => write!(f, "nexthop id {id}"),
            Self::BridgeVlan { link, first, last } if first == last => {
                write!(f, "bridge vlan {first} dev {link}")
            }
            Self::BridgeVlan { link, first, last } => {
                write!(f, "bridge vlan {first}-{last} dev {link}")
            }
            Self::Fdb { link, mac, vid, dst } => {
                write!(f, "fdb {} dev {link}", Mac::new(mac).unwrap_or_default())?;
                if *vid != 0 {
                    write!(f, " vlan {vid}")?;
                }
                dst.iter().try_for_each(|dst| write!(f, " dst {dst}"))
            }
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
