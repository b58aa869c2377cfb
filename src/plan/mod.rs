//! What must change: the differences between what is declared and what is, as ordered steps.
//!
//! Pure functions over values. A plan does nothing; `reconcile/` decides when its steps are
//! sent, and `wire/` spells them.

mod address;
mod bridge_vlan;
mod cuts;
mod diff;
mod fdb;
mod index;
mod link;
mod mtu;
mod names;
mod neighbour;
mod netns;
mod nexthop;
mod port;
mod recreate;
mod route;
mod route_show;
mod rule;
mod show;
mod strays;
#[cfg(test)]
pub(crate) mod tests;
mod undo;
mod undo_rest;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

pub use self::cuts::{Session, cuts};
pub(crate) use self::diff::{Diff, Subject};
pub(crate) use self::index::{DesiredIndex, subjects_of_link};
pub use self::show::Shown;
pub use self::undo::{Irrevocable, Undo};
use crate::desired::{Desired, DesiredLink, LinkMatch};
use crate::model::address::{Address, IFA_F_DADFAILED};
use crate::model::change::Change;
use crate::model::kind::Kind;
use crate::model::link::{IFF_LOWER_UP, Link};
use crate::model::netns::NamedNetns;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::refusal::Errno;
use crate::model::text::{KindName, LinkName};

/// The changes that make the observed state the declared one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are to be made: lower links first, make before break.
    pub steps: Vec<Step>,
    /// What cannot be made so, or not yet.
    pub blocked: Vec<Blocked>,
    /// What is declared and comes back with its link, which is declared to be down.
    pub suspended: Vec<ObjectId>,
    /// The links that were taken by the match of a block, in the order of the declared state.
    pub matched: Vec<Matched>,
}

/// A link that was taken by the match of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// The link.
    pub link: LinkName,
    /// The label of the block.
    pub label: LinkName,
}

/// One change, and why it is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is to be done.
    pub change: Change,
    /// What differs; for a creation, what it is made with.
    pub differences: Vec<Difference>,
    /// What the kernel takes away by itself because of it.
    pub also_removes: Vec<ObjectId>,
    /// The links that carry nothing until a later step: those that are taken down for a change, or
    /// made anew, with what stands on them. What goes for good is in `also_removes`.
    pub interrupts: Vec<ObjectId>,
    pub(crate) subject: Subject,
    pub(crate) rank: Rank,
    /// A link that must exist by then, beside those that the change names.
    pub(crate) needs: Option<LinkName>,
    /// An address that must be there and in use by then.
    pub(crate) needs_source: Option<IpAddr>,
}

/// Where a step comes in the order of a plan.
///
/// Links by their depth first (a link comes after those that it stands on or joins), what stands
/// on them afterwards, deletions last and in the reverse order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A link goes to be made anew, after what stands on it.
    Recreate {
        depth: std::cmp::Reverse<u16>,
    },
    /// Before anything that may take the name.
    DeleteAltname,
    /// An MTU falls, before those below it.
    LowerMtu {
        depth: std::cmp::Reverse<u16>,
    },
    CreateLink {
        depth: u16,
    },
    SetLink {
        depth: u16,
    },
    /// The MTU of a master that may have taken that of a port which joined.
    MtuAfterPorts,
    BridgeVlan,
    Fdb,
    Address,
    /// Single ones before groups.
    Nexthop {
        is_group: bool,
    },
    /// Routes without a gateway first: they make gateways reachable.
    Route {
        has_gateway: bool,
    },
    Neighbour,
    /// Rules after the routes that they lead to.
    Rule,
    DeleteRule,
    DeleteNeighbour,
    DeleteAddress,
    DeleteVlan,
    DeleteFdb,
    DeleteRoute,
    DeleteNexthop,
    DeleteLink {
        depth: std::cmp::Reverse<u16>,
    },
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The name of the field, as documents and JSON spell it.
    pub key: &'static str,
    /// What is; `None` where there is nothing.
    pub from: Option<Shown>,
    /// What shall be; `None` where there shall be nothing.
    pub to: Option<Shown>,
}

/// A declared object that cannot be made as declared, or not yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// Which one.
    pub object: ObjectId,
    /// Why.
    pub reason: Reason,
    pub(crate) subject: Subject,
}

/// Why an object is blocked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It, or a link that it needs, does not exist and is not ours to make. It is waited for.
    #[error("waiting for link {0}, which does not exist")]
    NoSuchLink(LinkName),
    /// No link is what the match of a block wants. One is waited for.
    #[error("waiting for `{label}`: no link matches {wanted}")]
    NoMatch {
        /// The block's label.
        label: LinkName,
        /// Its match.
        wanted: Arc<LinkMatch>,
    },
    /// The match of a block holds for several links where it can be about one alone.
    #[error(
        "`{label}` stands for several links, such as {} and {}: make its match narrower",
        .links.0, .links.1
    )]
    SeveralMatch {
        /// The block's label.
        label: LinkName,
        /// Two of them.
        links: (LinkName, LinkName),
    },
    /// Its link is down, and whether that link is up is not declared. It is waited for.
    #[error("waiting for link {0}, which is down; declare `state = \"up\"` or bring it up")]
    LinkIsDown(LinkName),
    /// A next hop object needs a link with a carrier. It is waited for.
    #[error("waiting for link {0} to have a carrier")]
    NoCarrier(LinkName),
    /// The next hop object that it goes by is not there. It is waited for.
    #[error("waiting for next hop {0}, which does not exist")]
    NoSuchNexthop(u32),
    /// The host does not have the address that the route is from. It is waited for.
    #[error("waiting for address {0}, which this host does not have")]
    NoSuchAddress(IpAddr),
    /// The address is being looked for on its network (duplicate address detection). That is
    /// waited for.
    #[error("waiting for {0} to be in use: its network is asked whether it is free")]
    Tentative(IpAddr),
    /// Duplicate address detection found the address in use.
    #[error("another host on its network has {0}: take it away there, or declare another one")]
    AddressTaken(IpAddr),
    /// VLANs or forwarding entries are declared of it, and it is neither a bridge nor a port of
    /// one. That is waited for.
    #[error("waiting for link {0} to be a bridge or a port of one")]
    NoVlans(LinkName),
    /// A link of that name exists and is of another kind.
    #[error("a link of that name exists with kind {}, not {wanted}; rename that link, or let `--recreate` delete it", kind_or_none(.found))]
    OtherKind {
        /// The kind that is declared.
        wanted: &'static str,
        /// The kind that is there; empty for a device that no rtnl kind made.
        found: KindName,
    },
    /// The kernel takes that setting at creation alone.
    #[error(
        "`{key}` is {from}, not {to}, and can only be set at creation; `--recreate` makes the link anew"
    )]
    OnlyAtCreation {
        /// The setting.
        key: &'static str,
        /// What is.
        from: Shown,
        /// What is declared.
        to: Shown,
    },
    /// The declared peer's name belongs to another link.
    #[error(
        "its peer's name {0} is taken by another link; rename that link, or let `--recreate` delete it"
    )]
    PeerNameTaken(LinkName),
    /// The link that it is the peer of exists without it.
    #[error("link {0} exists, and this is not its peer; `--recreate` makes the pair anew")]
    NotThePeerOf(LinkName),
    /// The network namespace that its peer is to be in does not exist. It is waited for.
    #[error(
        "waiting for network namespace {}, which does not exist{}",
        netns::Netns(.0),
        netns::remedy(.0)
    )]
    NoSuchNetns(Arc<str>),
    /// The network namespace that its peer is to be in could not be opened.
    #[error("cannot open the network namespace {}: {}", netns::Netns(.netns), Errno(*.errno))]
    NetnsRefused {
        /// Its name, or the path to it.
        netns: Arc<str>,
        /// The kernel's number.
        errno: i32,
    },
    /// The network namespace that its peer is to be in is this one.
    #[error(
        "network namespace {} is this one: take `peer_netns` out, for both ends are here",
        netns::Netns(.0)
    )]
    NetnsIsHere(Arc<str>),
    /// A daemon holds the route.
    #[error("it is held by protocol {}; set `takeover = true` to take it", show::Protocol(*.protocol))]
    HeldByDaemon {
        /// The RTPROT_* number of the route that is there.
        protocol: u8,
    },
    /// The link was moved to another network namespace.
    #[error("the link was moved to another network namespace; move it back or delete it")]
    MovedAway,
}

impl Reason {
    /// Whether it goes away by itself when what it waits for comes.
    pub fn is_waiting(&self) -> bool {
        matches!(
            self,
            Self::NoSuchLink(_)
                | Self::NoMatch { .. }
                | Self::LinkIsDown(_)
                | Self::NoSuchAddress(_)
                | Self::Tentative(_)
                | Self::NoVlans(_)
                | Self::NoCarrier(_)
                | Self::NoSuchNexthop(_)
                | Self::NoSuchNetns(_)
        )
    }

    /// Whether what it waits for seems to have come.
    pub(crate) fn seems_over(&self, observed: &Network) -> bool {
        match self {
            Self::NoMatch { wanted, .. } => observed.links().any(|link| wanted.holds(link)),
            Self::NoSuchLink(link) => observed.index_of(*link).is_some(),
            Self::LinkIsDown(link) => observed.link_named(*link).is_none_or(Link::is_up),
            Self::NoSuchNexthop(id) => observed.nexthop(*id).is_some(),
            Self::NoSuchNetns(netns) => observed.named_netns(netns) != Some(NamedNetns::Absent),
            Self::NoCarrier(link) => {
                observed.link_named(*link).is_none_or(|link| link.flags & IFF_LOWER_UP != 0)
            }
            Self::NoVlans(link) => {
                observed.link_named(*link).is_none_or(|link| has_vlans(link, observed))
            }
            Self::NoSuchAddress(address) => {
                let is_it = |own: &Address| own.key.prefix.address == *address;
                observed.addresses().any(|own| is_it(own) && !own.is_tentative())
            }
            // Found to be free or taken, or gone.
            Self::Tentative(address) => {
                let is_it = |own: &Address| own.key.prefix.address == *address;
                let is_asked =
                    |own: &Address| own.is_tentative() && own.flags & IFA_F_DADFAILED == 0;
                !observed.addresses().any(|own| is_it(own) && is_asked(own))
            }
            _ => false,
        }
    }
}

fn kind_or_none(kind: &KindName) -> String {
    if kind.is_empty() { "none".to_owned() } else { kind.to_string() }
}

/// Whether a link is a bridge, or a port of one.
fn has_vlans(link: &Link, observed: &Network) -> bool {
    let is_bridge = |link: &Link| {
        let kind = Kind::by_name(link.kind.as_bytes());
        kind.is_some_and(|kind| kind.has_vlans)
    };
    is_bridge(link) || observed.link(link.master).is_some_and(is_bridge)
}

impl Plan {
    /// What must change in `observed` for all that `desired` declares.
    pub fn new(desired: &Desired, observed: &Network) -> Self {
        let desired = &*desired.resolve(observed);
        let index = DesiredIndex::new(desired);
        Self::of(desired, &index, observed, index.subjects())
    }

    /// What must change for these subjects of `desired`, whose labels stand for links.
    pub(crate) fn of(
        desired: &Desired,
        index: &DesiredIndex,
        observed: &Network,
        subjects: impl Iterator<Item = Subject>,
    ) -> Self {
        let mut plan = Self::default();
        let standing = OnceCell::new();
        let (renames_live, standing) = (true, &standing);
        let mut diff = Diff { desired, index, observed, standing, renames_live, plan: &mut plan };
        for subject in subjects {
            diff.subject(subject, None);
        }
        plan.sort();
        let taken = |link: &DesiredLink| Some(Matched { link: link.name, label: link.label? });
        plan.matched = desired.links.iter().filter_map(taken).collect();
        plan
    }

    /// Takes all out, and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.blocked.clear();
        self.suspended.clear();
        self.matched.clear();
    }

    /// Whether all is as declared.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty()
    }

    /// What is blocked until something comes.
    pub fn waiting(&self) -> impl Iterator<Item = &Blocked> {
        self.blocked.iter().filter(|blocked| blocked.reason.is_waiting())
    }

    /// Puts the steps in their order; those of one rank keep theirs.
    pub(crate) fn sort(&mut self) {
        self.steps.sort_by_key(|step| step.rank);
        // Of several ports each wants it.
        self.steps
            .dedup_by(|one, other| one.rank == Rank::MtuAfterPorts && one.change == other.change);
    }
}

impl Step {
    /// A step of which nothing more is to be told.
    pub(crate) fn bare(change: Change, subject: Subject, rank: Rank) -> Self {
        let (differences, also_removes, interrupts) = (Vec::new(), Vec::new(), Vec::new());
        let (needs, needs_source) = (None, None);
        Self { change, differences, also_removes, interrupts, subject, rank, needs, needs_source }
    }

    /// Whether a link is deleted to be made anew, which [`Desired::with_recreation`] allows.
    pub fn is_recreation(&self) -> bool {
        matches!(self.rank, Rank::Recreate { .. })
    }
}

impl Difference {
    fn new(key: &'static str, from: impl Into<Shown>, to: impl Into<Shown>) -> Self {
        Self { key, from: Some(from.into()), to: Some(to.into()) }
    }

    fn made(key: &'static str, to: impl Into<Shown>) -> Self {
        Self { key, from: None, to: Some(to.into()) }
    }
}

/// `via` as a field: absent is shown as none.
fn via_shown(via: Option<IpAddr>) -> Option<Shown> {
    via.map(Shown::Address)
}
