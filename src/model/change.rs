//! One change of the network, as it is planned, sent and reported.
//!
//! Links are named, not numbered: the name is resolved when the request is encoded, so a plan
//! can speak of links that one of its earlier steps makes.

use std::net::IpAddr;

use super::address::Prefix;
use super::fdb::EthernetAddress;
use super::identity::{Alias, AltName};
use super::kind::Settings;
use super::nexthop::Member;
use super::object::ObjectId;
use super::route::{Metrics, RTN_UNICAST, TABLE_MAIN};
use super::rule::Rule;
use super::text::{LinkName, Mac};

/// A change of one object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Make a link; fails where the name is taken.
    CreateLink(Box<NewLink>),
    /// Change a link that exists.
    SetLink(Box<LinkUpdate>),
    /// Give a link another alternative name; fails where any link has it.
    AddAltname {
        /// The link, by the name it has now.
        link: LinkName,
        /// IFLA_ALT_IFNAME.
        altname: AltName,
    },
    /// Take an alternative name from a link.
    DeleteAltname {
        /// The link, by the name it has now.
        link: LinkName,
        /// IFLA_ALT_IFNAME.
        altname: AltName,
    },
    /// Write settings of a link that the kernel takes by their files under /proc/sys/net alone,
    /// those of [`Kind::LINK`](super::kind::Kind::LINK) that are
    /// `by_file`. One file after the other: what is refused ends it.
    SetSysctls {
        /// The link, by the name it has now.
        link: LinkName,
        /// What to write.
        settings: Settings,
    },
    /// Delete a link.
    DeleteLink(LinkName),
    /// Delete every link of that group; fails where one of them cannot be deleted.
    DeleteGroup(u32),
    /// Set every link of that group up or down; ends at the first that cannot be.
    SetGroup {
        /// IFLA_GROUP.
        group: u32,
        /// Administratively up or down.
        up: bool,
    },
    /// Add an address, or make it permanent again where `replace` is set.
    PutAddress {
        /// The link that gets it.
        link: LinkName,
        /// The address.
        prefix: Prefix,
        /// IFA_PROTO.
        protocol: u8,
        /// Whether it is there already, with other attributes.
        replace: bool,
        /// The other end of a point-to-point address.
        peer: Option<IpAddr>,
        /// What else is said of it.
        with: AddressAttributes,
    },
    /// Take an address away.
    DeleteAddress {
        /// The link that has it.
        link: LinkName,
        /// The address.
        prefix: Prefix,
        /// The other end of a point-to-point address.
        peer: Option<IpAddr>,
    },
    /// Add a route.
    CreateRoute(RouteChange),
    /// Put an IPv4 route in the place of the one that holds its slot. Never for IPv6.
    ReplaceRoute(RouteChange),
    /// Take a route away; all of its fields must match.
    DeleteRoute(RouteChange),
    /// Add a rule; fails where there is one like it.
    CreateRule(Box<Rule>),
    /// Take a rule away; all that it says must match.
    DeleteRule(Box<Rule>),
    /// Make an address a permanent neighbour, whatever it is now.
    PutNeighbour {
        /// The link that it is reached by.
        link: LinkName,
        /// NDA_DST.
        address: IpAddr,
        /// NDA_LLADDR.
        mac: Mac,
        /// NDA_PROTOCOL.
        protocol: u8,
        /// Whether it is a neighbour already.
        replace: bool,
    },
    /// Make a port of a bridge, or a bridge itself, a member of VLANs.
    PutVlans {
        /// The port, or the bridge.
        link: LinkName,
        /// The first of them, 1 and up.
        first: u16,
        /// The last of them, to 4094.
        last: u16,
        /// BRIDGE_VLAN_INFO_PVID, of one alone.
        pvid: bool,
        /// BRIDGE_VLAN_INFO_UNTAGGED.
        untagged: bool,
        /// Whether it is a member already.
        replace: bool,
    },
    /// Take a port of a bridge, or a bridge itself, out of VLANs.
    DeleteVlans {
        /// The port, or the bridge.
        link: LinkName,
        /// The first of them.
        first: u16,
        /// The last of them.
        last: u16,
    },
    /// Put an entry into a forwarding database, to stay there.
    PutFdb {
        /// The entry.
        entry: FdbChange,
        /// Whether another one has its place, and gives way.
        replace: bool,
    },
    /// Take an entry out of a forwarding database.
    DeleteFdb(FdbChange),
    /// Make a next hop object, or another one of the same id.
    PutNexthop {
        /// What it is.
        nexthop: NexthopChange,
        /// Whether one of that id is there.
        replace: bool,
    },
    /// Take a next hop object away, by its id.
    DeleteNexthop(u32),
    /// Forget a neighbour.
    DeleteNeighbour {
        /// The link that it is reached by.
        link: LinkName,
        /// NDA_DST.
        address: IpAddr,
    },
}

/// An entry of a forwarding database: of a tunnel where it has `dst`, else of the bridge that the
/// link is a port of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbChange {
    /// The tunnel, or the port.
    pub link: LinkName,
    /// NDA_LLADDR.
    pub mac: EthernetAddress,
    /// NDA_VLAN; 0 for none.
    pub vid: u16,
    /// NDA_DST.
    pub dst: Option<IpAddr>,
    /// NDA_PORT; 0 is the tunnel's own.
    pub port: u16,
    /// NDA_VNI; 0 is the tunnel's own.
    pub vni: u32,
    /// NDA_IFINDEX.
    pub via: Option<LinkName>,
}

impl FdbChange {
    /// How plans and reports name it.
    pub fn object(&self) -> ObjectId {
        let Self { link, mac, vid, dst, .. } = *self;
        ObjectId::Fdb { link, mac, vid, dst }
    }
}

/// A next hop object to be made: one way, or a group of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NexthopChange {
    /// NHA_ID.
    pub id: u32,
    /// Whether it is of IPv6; a group is of neither.
    pub is_ipv6: bool,
    /// NHA_GATEWAY.
    pub via: Option<IpAddr>,
    /// NHA_OIF.
    pub dev: Option<LinkName>,
    /// RTNH_F_ONLINK.
    pub onlink: bool,
    /// NHA_BLACKHOLE.
    pub blackhole: bool,
    /// The RTPROT_* number.
    pub protocol: u8,
    /// NHA_GROUP; empty for a single one.
    pub members: Box<[Member]>,
}

/// A link to be made, with all that one message can say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewLink {
    /// IFLA_IFNAME.
    pub name: LinkName,
    /// The kind and its settings; links in them are [`Value::Link`](super::kind::Value::Link).
    pub settings: Settings,
    /// IFLA_MTU in bytes.
    pub mtu: Option<u32>,
    /// IFLA_ADDRESS.
    pub mac: Option<Mac>,
    /// IFLA_GROUP.
    pub group: Option<u32>,
    /// Whether it is made administratively up.
    pub up: bool,
    /// IFLA_MASTER.
    pub master: Option<LinkName>,
    /// What the peer is made with, for kinds that come in pairs. Its name is in `settings`.
    pub peer: Option<NewPeer>,
}

/// What a peer is made with; up and master take a [`LinkUpdate`] afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewPeer {
    /// IFLA_MTU in bytes.
    pub mtu: Option<u32>,
    /// IFLA_ADDRESS.
    pub mac: Option<Mac>,
    /// IFLA_GROUP.
    pub group: Option<u32>,
}

/// What to change of a link; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkUpdate {
    /// The link, by the name it has now.
    pub link: LinkName,
    /// The name it shall have.
    pub rename: Option<LinkName>,
    /// IFLA_MTU in bytes.
    pub mtu: Option<u32>,
    /// IFLA_ADDRESS.
    pub mac: Option<Mac>,
    /// IFLA_GROUP.
    pub group: Option<u32>,
    /// Administratively up or down.
    pub up: Option<bool>,
    /// IFLA_MASTER; an empty name is none.
    pub master: Option<LinkName>,
    /// What can be set of every link, by [`Kind::LINK`](super::kind::Kind::LINK).
    pub common: Option<Settings>,
    /// The settings of its kind that differ.
    pub settings: Option<Settings>,
    /// What differs of what it is as a port. It must be one already.
    pub port: Option<Settings>,
    /// IFLA_IFALIAS; an empty one is none.
    pub alias: Option<Alias>,
}

impl LinkUpdate {
    /// Changes nothing of that link.
    pub fn new(link: LinkName) -> Self {
        Self {
            link,
            rename: None,
            mtu: None,
            mac: None,
            group: None,
            up: None,
            master: None,
            common: None,
            settings: None,
            port: None,
            alias: None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.link)
    }
}

/// What is said of an address beside what it is. Absent is left to the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AddressAttributes {
    /// IFA_LABEL, on IPv4.
    pub label: Option<LinkName>,
    /// The RT_SCOPE_* number, on IPv4.
    pub scope: Option<u8>,
    /// IFA_F_* flags to set.
    pub flags: u32,
    /// For how many seconds from now it is valid; `None` is for ever.
    pub valid_lft: Option<u32>,
    /// For how many seconds from now it is preferred; `None` is for as long as it is valid.
    pub preferred_lft: Option<u32>,
}

/// A route to be made, replaced or deleted; a deletion looks at no attribute below `tos`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange {
    /// The destination.
    pub to: Prefix,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The outgoing link; without one the kernel finds it by the gateway.
    pub dev: Option<LinkName>,
    /// RTA_PRIORITY.
    pub metric: u32,
    /// The routing table.
    pub table: u32,
    /// The RTPROT_* number; in a deletion 0 is any.
    pub protocol: u8,
    /// The RTN_* number.
    pub route_type: u8,
    /// The IPv4 type of service.
    pub tos: u8,
    /// The RT_SCOPE_* number; IPv6 has none.
    pub scope: u8,
    /// RTA_PREFSRC.
    pub source: Option<IpAddr>,
    /// RTA_METRICS.
    pub metrics: Metrics,
    /// RTNH_F_ONLINK of the only next hop.
    pub onlink: bool,
    /// The weight of the only next hop, where it is one of several of an IPv6 route.
    pub weight: u16,
    /// The next hops of an IPv4 route that has several; `via` and `dev` are empty then.
    pub hops: Box<[NextHop]>,
    /// RTA_NH_ID: the next hop object that it goes by; 0 for none. With one, `via`, `dev` and
    /// `hops` are but what the kernel shows of it, and not sent.
    pub nexthop_id: u32,
}

/// One next hop of a route, its link by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The outgoing link; without one the kernel finds it by the gateway.
    pub dev: Option<LinkName>,
    /// The weight, 1 to 256.
    pub weight: u16,
    /// Whether the gateway is on the link, whatever the routes say.
    pub onlink: bool,
}

impl From<NewLink> for Change {
    fn from(new: NewLink) -> Self {
        Self::CreateLink(Box::new(new))
    }
}

impl From<LinkUpdate> for Change {
    fn from(update: LinkUpdate) -> Self {
        Self::SetLink(Box::new(update))
    }
}

impl Change {
    /// The number of the other network namespace that it makes something in, if any.
    pub(crate) fn netns(&self) -> Option<u16> {
        match self {
            Self::CreateLink(new) => new.settings.peer_netns(),
            _ => None,
        }
    }

    /// Whether the kernel takes but a few microseconds for it, and changes neither a link nor an
    /// address.
    pub(crate) fn is_short(&self) -> bool {
        matches!(
            self,
            Self::CreateRoute(_)
                | Self::ReplaceRoute(_)
                | Self::DeleteRoute(_)
                | Self::CreateRule(_)
                | Self::DeleteRule(_)
                | Self::PutNeighbour { .. }
                | Self::DeleteNeighbour { .. }
                | Self::PutFdb { .. }
                | Self::DeleteFdb(_)
        )
    }

    /// The object that it changes.
    pub fn object(&self) -> ObjectId {
        match self {
            Self::CreateLink(new) => ObjectId::Link(new.name),
            Self::DeleteLink(name) => ObjectId::Link(*name),
            Self::DeleteGroup(group) | Self::SetGroup { group, .. } => ObjectId::Group(*group),
            Self::SetLink(update) => ObjectId::Link(update.rename.unwrap_or(update.link)),
            Self::AddAltname { link, .. } | Self::DeleteAltname { link, .. } => {
                ObjectId::Link(*link)
            }
            Self::SetSysctls { link, .. } => ObjectId::Link(*link),
            Self::PutAddress { link, prefix, .. } | Self::DeleteAddress { link, prefix, .. } => {
                ObjectId::Address { link: *link, prefix: *prefix }
            }
            Self::CreateRoute(route) | Self::ReplaceRoute(route) | Self::DeleteRoute(route) => {
                route.object()
            }
            Self::PutNexthop { nexthop, .. } => ObjectId::Nexthop(nexthop.id),
            Self::DeleteNexthop(id) => ObjectId::Nexthop(*id),
            Self::PutFdb { entry, .. } | Self::DeleteFdb(entry) => entry.object(),
            Self::CreateRule(rule) | Self::DeleteRule(rule) => rule.id(),
            Self::PutNeighbour { link, address, .. } | Self::DeleteNeighbour { link, address } => {
                ObjectId::Neighbour { link: *link, address: *address }
            }
            Self::PutVlans { link, first, last, .. } | Self::DeleteVlans { link, first, last } => {
                ObjectId::BridgeVlan { link: *link, first: *first, last: *last }
            }
        }
    }

    /// Which of the three things it does to the object.
    pub fn op(&self) -> Op {
        match self {
            Self::CreateLink(_) | Self::CreateRoute(_) | Self::CreateRule(_) => Op::Create,
            Self::PutNeighbour { replace, .. }
            | Self::PutVlans { replace, .. }
            | Self::PutFdb { replace, .. }
            | Self::PutNexthop { replace, .. } => {
                if *replace {
                    Op::Set
                } else {
                    Op::Create
                }
            }
            Self::DeleteRule(_) | Self::DeleteNeighbour { .. } => Op::Delete,
            Self::DeleteVlans { .. } | Self::DeleteFdb(_) => Op::Delete,
            Self::DeleteNexthop(_) => Op::Delete,
            Self::PutAddress { replace: false, .. } => Op::Create,
            Self::AddAltname { .. } | Self::DeleteAltname { .. } => Op::Set,
            Self::SetLink(_) | Self::SetGroup { .. } | Self::SetSysctls { .. } => Op::Set,
            Self::PutAddress { .. } | Self::ReplaceRoute(_) => Op::Set,
            Self::DeleteLink(_) | Self::DeleteGroup(_) => Op::Delete,
            Self::DeleteAddress { .. } | Self::DeleteRoute(_) => Op::Delete,
        }
    }
}

impl RouteChange {
    /// How plans and reports name it.
    pub fn object(&self) -> ObjectId {
        let Self { to, via, dev, metric, table, tos, .. } = *self;
        ObjectId::Route { to, via, dev, metric, table, tos }
    }

    /// A unicast route of the main table to that destination, which goes nowhere yet.
    pub fn new(to: Prefix, protocol: u8) -> Self {
        Self {
            to,
            via: None,
            dev: None,
            metric: 0,
            table: TABLE_MAIN,
            protocol,
            route_type: RTN_UNICAST,
            tos: 0,
            scope: 0,
            source: None,
            metrics: Metrics::default(),
            onlink: false,
            weight: 1,
            hops: Box::default(),
            nexthop_id: 0,
        }
    }

    /// The links that it names.
    pub fn devs(&self) -> impl Iterator<Item = LinkName> + '_ {
        self.dev.into_iter().chain(self.hops.iter().filter_map(|hop| hop.dev))
    }
}

/// What a change does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// It is made.
    Create,
    /// It is there and gets other values.
    Set,
    /// It is taken away.
    Delete,
}

impl Op {
    /// `create`, `set` or `delete`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }
}
