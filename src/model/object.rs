//! What happens to the network: objects, and the events that tell of them.

use std::fmt;
use std::net::IpAddr;

use super::address::{Address, Prefix};
use super::link::Link;
use super::route::{Route, TABLE_MAIN, table_name};
use super::text::LinkName;

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
    },
}

impl ObjectId {
    /// The word for what it is: `link`, `address` or `route`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Address { .. } => "address",
            Self::Route { .. } => "route",
        }
    }
}

/// As one would say it to `ip`: `link br0`, `address 192.0.2.1/24 dev br0`,
/// `route 198.51.100.0/24 via 192.0.2.2 dev br0`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link {name}"),
            Self::Address { link, prefix } => write!(f, "address {prefix} dev {link}"),
            Self::Route { to, via, dev, metric, table } => {
                match to.len {
                    0 if to.is_ipv4() => f.write_str("route default")?,
                    _ => write!(f, "route {to}")?,
                }
                via.iter().try_for_each(|via| write!(f, " via {via}"))?;
                dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))?;
                if *metric != 0 {
                    write!(f, " metric {metric}")?;
                }
                match table_name(*table) {
                    _ if *table == TABLE_MAIN => Ok(()),
                    Some(name) => write!(f, " table {name}"),
                    None => write!(f, " table {table}"),
                }
            }
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
