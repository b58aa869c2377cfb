//! What is wanted: the declared state, as values.
//!
//! A [`Desired`] comes from a document (`document.rs`, feature `document`) or from the builder
//! (`builder.rs`), and both pass the same checks (`checks.rs`, `values.rs`). It knows nothing of
//! the kernel.
//!
//! The way of a document: `load.rs` reads the files, `tree.rs` and `json.rs` make one tree with
//! locations of them, `read.rs` reads declarations from the tree (`fields.rs`, `text.rs` and
//! `suggest.rs` help), the checks join them, `diagnostic.rs` tells what is wrong.

mod builder;
mod builder_route;
mod checks;
#[cfg(feature = "document")]
mod diagnostic;
#[cfg(feature = "document")]
mod document;
#[cfg(feature = "document")]
mod export;
#[cfg(feature = "document")]
mod fields;
mod joint;
mod joint_fdb;
mod joint_netns;
mod joint_nexthop;
mod joint_settings;
mod joint_vlan;
#[cfg(feature = "document")]
mod json;
mod limits;
#[cfg(feature = "document")]
mod load;
mod loops;
mod matching;
#[cfg(feature = "document")]
mod read;
#[cfg(feature = "document")]
mod read_address;
#[cfg(feature = "document")]
mod read_fdb;
#[cfg(feature = "document")]
mod read_link;
#[cfg(feature = "document")]
mod read_match;
#[cfg(feature = "document")]
mod read_neighbour;
#[cfg(feature = "document")]
mod read_nexthop;
#[cfg(feature = "document")]
mod read_route;
#[cfg(feature = "document")]
mod read_rule;
#[cfg(feature = "document")]
mod read_vlan;
mod resolve;
#[cfg(feature = "document")]
mod schema;
#[cfg(feature = "document")]
mod suggest;
#[cfg(feature = "document")]
mod text;
#[cfg(feature = "document")]
mod tree;
mod values;
mod values_address;
mod values_fdb;
mod values_names;
mod values_netns;
mod values_nexthop;
mod values_route;
mod values_rule;
mod values_vlan;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use builder::{DesiredBuilder, DesiredError, DesiredProblem, ExtraAddresses, LinkDeclaration};
pub use builder_route::RouteDeclaration;
#[cfg(feature = "document")]
pub use diagnostic::{Diagnostic, DocumentError, Location, Source};
pub use matching::LinkMatch;
pub(crate) use resolve::{Resolution, Unmatched};
#[cfg(feature = "document")]
pub use schema::json_schema;

use crate::model::address::Prefix;
use crate::model::change::NextHop;
use crate::model::fdb::EthernetAddress;
use crate::model::filter::Filter;
use crate::model::identity::{Alias, AltName};
use crate::model::kind::{Kind, News, Settings};
use crate::model::network::{Table, Tables};
use crate::model::nexthop::Member;
use crate::model::object::ObjectId;
use crate::model::route::Metrics;
use crate::model::rule::Rule;
use crate::model::text::{LinkName, Mac};

/// The protocol number of our routes and addresses unless the owner says otherwise.
pub const PROTOCOL_DEFAULT: u8 = 82;

/// The declared state of one network namespace, checked: every name is declared once, every
/// link that another one names exists in the document or is a device that may come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    pub(crate) owner: Option<Owner>,
    pub(crate) links: Vec<DesiredLink>,
    pub(crate) routes: Arc<Vec<DesiredRoute>>,
    /// Whether links may be deleted and made anew.
    pub(crate) recreates: bool,
    /// What shall not be there any more, as far as it is ours.
    pub(crate) gone: Gone,
    pub(crate) rules: Vec<Rule>,
    pub(crate) neighbours: Vec<DesiredNeighbour>,
    pub(crate) nexthops: Vec<DesiredNexthop>,
    /// Where labels have been put in order: those that stand for no single link, by the names that
    /// stand for them.
    pub(crate) unmatched: BTreeMap<LinkName, Unmatched>,
    /// The network namespaces that other ends of pairs are in, by the numbers in their settings.
    pub(crate) namespaces: Arc<[Arc<str>]>,
}

/// Addresses and routes that are taken away where they bear our mark.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gone {
    pub(crate) addresses: Vec<(LinkName, Prefix)>,
    pub(crate) routes: Arc<Vec<DesiredRoute>>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) neighbours: Vec<DesiredNeighbour>,
    /// By their ids.
    pub(crate) nexthops: Vec<u32>,
    /// What these were declared in, where it has labels that are still to be put in order.
    pub(crate) declared: Option<Arc<Desired>>,
}

/// Who the created links belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name, from which the group is derived where none is given.
    pub name: String,
    /// IFLA_GROUP of the links that we create; `group + 1` marks those that are doomed.
    pub group: u32,
    /// The RTPROT_* number of our routes and IFA_PROTO of our addresses.
    pub protocol: u8,
    /// Whether links and routes that are the owner's and left the document are taken away.
    ///
    /// The owner's links are those of its group. Its routes are those of its protocol through
    /// such links, and all of its protocol where that is not [`PROTOCOL_DEFAULT`], which owners
    /// share.
    pub prune: bool,
}

/// One declared link.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredLink {
    /// Its name; where it has a match, the label that other declarations know it by.
    pub name: LinkName,
    /// What the links must be that it is about; without it the one of that name.
    pub matching: Option<Arc<LinkMatch>>,
    /// The label of the block that took this link by its match.
    pub(crate) label: Option<LinkName>,
    /// What is wanted of what can be set of every link, by
    /// [`Kind::LINK`](crate::model::kind::Kind::LINK).
    pub common: Settings,
    /// Its kind and settings; without them the device must exist, and is waited for.
    pub settings: Option<Settings>,
    /// The declared link that this one is the peer of; it has no settings of its own then.
    pub peer_of: Option<LinkName>,
    /// Whether it is up, down or gone; `None` leaves that alone.
    pub state: Option<State>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// The hardware address.
    pub mac: Option<Mac>,
    /// IFLA_GROUP. Of a link that the owner makes it is the owner's, and not said here.
    pub group: Option<u32>,
    /// The link that it is a port of.
    pub master: Option<LinkName>,
    /// What it is as a port of its master.
    pub port: Option<Settings>,
    /// Words about it; empty for none.
    pub alias: Option<Box<Alias>>,
    /// Its alternative names; `None` leaves them alone.
    pub altnames: Option<Vec<AltName>>,
    /// Whether alternative names that are not declared are taken away.
    pub remove_extra_altnames: bool,
    /// Its addresses, in their order; `None` leaves them alone.
    pub addresses: Option<Vec<DesiredAddress>>,
    /// Whether permanent addresses that are not declared are taken away.
    pub remove_extra_addresses: bool,
    /// The VLANs that it is a member of, as a bridge's port or as the bridge itself, all of them;
    /// `None` leaves them alone.
    pub vlans: Option<Vec<DesiredVlan>>,
    /// Its forwarding entries that stay; `None` leaves them alone.
    pub fdb: Option<Vec<DesiredFdb>>,
}

impl DesiredLink {
    /// Of which nothing is said but its name.
    pub(crate) fn bare(name: LinkName) -> Self {
        Self {
            name,
            matching: None,
            label: None,
            common: Settings::new(Kind::LINK),
            settings: None,
            peer_of: None,
            state: None,
            mtu: None,
            mac: None,
            group: None,
            master: None,
            port: None,
            alias: None,
            altnames: None,
            remove_extra_altnames: false,
            addresses: None,
            remove_extra_addresses: false,
            vlans: None,
            fdb: None,
        }
    }
}

/// One declared address of a link. What is not said of it is left as it is, save that an address is
/// there for ever unless it is given a lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredAddress {
    /// The address with the length of its prefix.
    pub prefix: Prefix,
    /// The other end of a point-to-point address; the prefix length is its own then.
    pub peer: Option<IpAddr>,
    /// IFA_LABEL, on IPv4: at most 15 bytes.
    pub label: Option<LinkName>,
    /// The RT_SCOPE_* number, on IPv4.
    pub scope: Option<u8>,
    /// The IFA_F_* flags that it has, of those that can be asked for.
    pub flags: u32,
    /// The flags that it does not have.
    pub flags_off: u32,
    /// For how many seconds it is valid from when it is put there; `None` is for ever. It counts
    /// down, so of an address that is there only whether it has any lifetime is compared. When it
    /// is over the kernel takes the address away, and a keeper puts it back.
    pub valid_lft: Option<u32>,
    /// For how many seconds it is preferred; `None` is for as long as it is valid. With 0 it is
    /// deprecated at once, which is compared.
    pub preferred_lft: Option<u32>,
}

impl DesiredAddress {
    /// Nothing but the address.
    pub fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            peer: None,
            label: None,
            scope: None,
            flags: 0,
            flags_off: 0,
            valid_lft: None,
            preferred_lft: None,
        }
    }

    /// The subnet that it makes reachable: its own, or that of its other end.
    pub(crate) fn reaches(&self) -> Prefix {
        Prefix { address: self.peer.unwrap_or(self.prefix.address), len: self.prefix.len }
    }
}

/// One declared VLAN of a link, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredVlan {
    /// The first of them, 1 and up.
    pub first: u16,
    /// The last of them, to 4094; the same where it is one.
    pub last: u16,
    /// Whether what comes in untagged is in it; of one VLAN of a link alone.
    pub pvid: bool,
    /// Whether it leaves untagged.
    pub untagged: bool,
}

impl DesiredVlan {
    /// That VLAN, tagged.
    pub fn new(vid: u16) -> Self {
        Self::range(vid, vid)
    }

    /// The VLANs from the one to the other, both included, tagged.
    pub fn range(first: u16, last: u16) -> Self {
        Self { first, last, pvid: false, untagged: false }
    }

    pub(crate) fn contains(&self, vid: u16) -> bool {
        (self.first..=self.last).contains(&vid)
    }
}

/// One declared forwarding entry of a link: its own, of a tunnel, where it has `dst`, and else that
/// of the bridge that it is a port of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredFdb {
    /// The hardware address; all zero stands for all that a tunnel does not know.
    pub mac: EthernetAddress,
    /// The VLAN, on a bridge; 0 is none, and all that the port is a member of.
    pub vid: u16,
    /// The other end of the tunnel. To all zero and to multicast there may be several.
    pub dst: Option<IpAddr>,
    /// The UDP port of the other end; 0 is the tunnel's own.
    pub port: u16,
    /// The network at the other end; 0 is the tunnel's own.
    pub vni: u32,
    /// The link that the other end is reached by.
    pub via: Option<LinkName>,
}

impl DesiredFdb {
    /// That address, behind the link as a port of its bridge.
    pub fn new(mac: EthernetAddress) -> Self {
        Self { mac, vid: 0, dst: None, port: 0, vni: 0, via: None }
    }

    /// That address, behind that other end of the tunnel.
    pub fn behind(mac: EthernetAddress, dst: IpAddr) -> Self {
        Self { dst: Some(dst), ..Self::new(mac) }
    }
}

impl DesiredNeighbour {
    pub(crate) fn id(&self) -> ObjectId {
        ObjectId::Neighbour { link: self.dev, address: self.address }
    }
}

impl From<Prefix> for DesiredAddress {
    fn from(prefix: Prefix) -> Self {
        Self::new(prefix)
    }
}

/// `192.0.2.1/24`, `192.0.2.1 peer 192.0.2.2/32`.
impl fmt::Display for DesiredAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            None => self.prefix.fmt(f),
            Some(peer) => write!(f, "{} peer {peer}/{}", self.prefix.address, self.prefix.len),
        }
    }
}

/// One declared neighbour: an address whose hardware address is known, and not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredNeighbour {
    /// The link that it is reached by.
    pub dev: LinkName,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address.
    pub mac: Mac,
}

/// The administrative state of a declared link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There and up.
    Up,
    /// There and down; its routes and IPv6 addresses are suspended.
    Down,
    /// Not there.
    Absent,
}

/// One declared route; of an IPv6 route of several next hops, one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredRoute {
    /// The destination, its bits past the length zero.
    pub to: Prefix,
    /// The gateway, of the destination's family or, to IPv4, of either.
    pub via: Option<IpAddr>,
    /// The outgoing link. A route that leads somewhere has `via`, `dev` or `hops`.
    pub dev: Option<LinkName>,
    /// RTA_PRIORITY, with the kernel's default filled in: 0 on IPv4, 1024 on IPv6.
    pub metric: u32,
    /// The routing table.
    pub table: u32,
    /// Whether it may be taken from a routing daemon that holds it.
    pub takeover: bool,
    /// The RTN_* number.
    pub route_type: u8,
    /// The RT_SCOPE_* number, with iproute2's default filled in; 0 on IPv6.
    pub scope: u8,
    /// The source address of what is sent along it.
    pub source: Option<IpAddr>,
    /// Whether the gateway is on the link, whatever the routes say.
    pub onlink: bool,
    /// RTA_METRICS.
    pub metrics: Metrics,
    /// The IPv4 type of service.
    pub tos: u8,
    /// The weight among the next hops of an IPv6 route, 1 and up.
    pub weight: u16,
    /// The next hops of an IPv4 route that has several; else empty.
    pub hops: Box<[NextHop]>,
    /// The next hop object that it goes by, in place of `via`, `dev` and `hops`; 0 for none.
    pub nexthop_id: u32,
}

/// One declared next hop object: one way, or a group of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredNexthop {
    /// By which routes and groups name it.
    pub id: u32,
    /// Whether it is of IPv6; of a group it says nothing.
    pub is_ipv6: bool,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The outgoing link, which must have a carrier.
    pub dev: Option<LinkName>,
    /// Whether the gateway is on the link, whatever the routes say.
    pub onlink: bool,
    /// Whether it drops what is sent to it.
    pub blackhole: bool,
    /// The members of a group, each a single next hop; else empty.
    pub group: Vec<Member>,
    /// Whether it may be taken from a routing daemon that holds its id.
    pub takeover: bool,
}

impl DesiredNexthop {
    /// That one, of IPv4, which leads nowhere yet.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            is_ipv6: false,
            via: None,
            dev: None,
            onlink: false,
            blackhole: false,
            group: Vec::new(),
            takeover: false,
        }
    }

    /// By that gateway on that link.
    pub fn by(id: u32, via: IpAddr, dev: LinkName) -> Self {
        Self { is_ipv6: via.is_ipv6(), via: Some(via), dev: Some(dev), ..Self::new(id) }
    }

    /// A group of others, with their weights.
    pub fn of(id: u32, group: impl IntoIterator<Item = Member>) -> Self {
        Self { group: group.into_iter().collect(), ..Self::new(id) }
    }
}

impl Desired {
    /// The declared links: those of the document in its order, then peers without a block.
    pub fn links(&self) -> &[DesiredLink] {
        &self.links
    }

    /// The declared routes, in the order of the document.
    pub fn routes(&self) -> &[DesiredRoute] {
        &self.routes
    }

    /// The declared rules, in the order of the document, with the protocol of ours.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The declared next hop objects, in the order of the document.
    pub fn nexthops(&self) -> &[DesiredNexthop] {
        &self.nexthops
    }

    /// The declared neighbours, in the order of the document.
    pub fn neighbours(&self) -> &[DesiredNeighbour] {
        &self.neighbours
    }

    /// The tables that tell whether anything differs: those to follow, and of routes none where
    /// none of its own are declared or may have to go. A host may have a million of others.
    pub(crate) fn compared_tables(&self) -> Tables {
        let has_routes = self.prunes() || !self.routes.is_empty() || !self.gone.routes.is_empty();
        match has_routes {
            true => self.tables(),
            false => self.tables().without(Table::Routes),
        }
    }

    fn prunes(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.prune)
    }

    /// The tables to follow while it is applied or kept. What is no link, address or route is
    /// followed only where it is declared, or where ours of earlier may have to go: neighbours
    /// change all the time, and rules are looked for by a prune.
    pub(crate) fn tables(&self) -> Tables {
        let prunes = self.prunes();
        let has_rules = prunes || !self.rules.is_empty() || !self.gone.rules.is_empty();
        let has_neighbours = !self.neighbours.is_empty() || !self.gone.neighbours.is_empty();
        let mut tables = Tables::default();
        if has_rules {
            tables = tables.with(Table::Rules);
        }
        if prunes || !self.nexthops.is_empty() || !self.gone.nexthops.is_empty() {
            tables = tables.with(Table::Nexthops);
        }
        if has_neighbours {
            tables = tables.with(Table::Neighbours);
        }
        let by_netconf =
            |link: &DesiredLink| link.common.iter().any(|(key, _)| key.news == News::Netconf);
        if self.links.iter().any(by_netconf) {
            tables = tables.with(Table::Netconf);
        }
        if self.links.iter().any(|link| link.vlans.is_some()) {
            tables = tables.with(Table::BridgeVlans);
        }
        if self.links.iter().any(|link| link.fdb.is_some()) {
            tables = tables.with(Table::Fdb);
        }
        tables
    }

    /// The network namespaces that it names: those that other ends of pairs are in.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(|name| &**name)
    }

    /// The name that a number in settings stands for.
    pub(crate) fn namespace(&self, number: u16) -> Option<&Arc<str>> {
        self.namespaces.get(usize::from(number))
    }

    /// Who the created links belong to.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// The state without anything that this one's owner made: its links, its routes, and what it
    /// gave to devices that are not its own. `None` without an owner, since then nothing tells
    /// what is whose.
    pub fn destroyed(&self) -> Option<Self> {
        let owner = Owner { prune: true, ..self.owner.clone()? };
        let declared = self.has_matches().then(|| Arc::new(self.clone()));
        let gone = Gone { declared, ..self.as_gone() };
        Some(Self { owner: Some(owner), gone, ..Self::default() })
    }

    /// What it declares, as what shall be there no more.
    pub(crate) fn as_gone(&self) -> Gone {
        let devices = self.links.iter().filter(|it| it.settings.is_none() && it.peer_of.is_none());
        let addresses = devices.flat_map(|device| {
            let addresses = device.addresses.iter().flatten();
            addresses.map(|own| (device.name, own.prefix))
        });
        Gone {
            addresses: addresses.collect(),
            routes: Arc::clone(&self.routes),
            rules: self.rules.clone(),
            neighbours: self.neighbours.clone(),
            nexthops: self.nexthops.iter().map(|it| it.id).collect(),
            declared: None,
        }
    }

    /// The same, and links that cannot be made as declared in place may be deleted and made anew:
    /// those that differ in what only creation sets, or are of another kind. Without this they
    /// are blocked. A device that no rtnl kind made is never deleted.
    pub fn with_recreation(mut self) -> Self {
        self.recreates = true;
        self
    }

    /// What must be heard of to keep it: all links and addresses, our own routes, and whatever
    /// competes for the place of a declared one.
    pub(crate) fn filter(&self) -> Filter {
        let destinations = self.routes.iter().chain(self.gone.routes.iter()).map(|route| route.to);
        Filter::everything().protocols([self.protocol()]).and_destinations(destinations)
    }

    /// The protocol number of our routes and addresses.
    pub fn protocol(&self) -> u8 {
        self.owner.as_ref().map_or(PROTOCOL_DEFAULT, |owner| owner.protocol)
    }
}
