//! The declared state as a program writes it: typed, and checked as a document is.
//!
//! The document reads into the same declarations, so it knows no rule that the builder lacks.

use std::fmt;
use std::sync::Arc;

use super::builder_route::RouteDeclaration;
use super::checks::{self, About, Rest};
use super::limits::DIAGNOSTICS_MAX;
use super::values;
use super::{
    Desired, DesiredAddress, DesiredFdb, DesiredNeighbour, DesiredNexthop, DesiredVlan, LinkMatch,
    Owner, PROTOCOL_DEFAULT, State,
};
use crate::model::identity::{Alias, AltName};
use crate::model::kind::{Kind, Settings};
use crate::model::object::ObjectId;
use crate::model::rule::Rule;
use crate::model::text::{LinkName, Mac};

impl Owner {
    /// An owner of that name, with the group derived from it and the default protocol.
    ///
    /// The derivation is fixed: the same name gives the same group in every version.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let group = values::group_of(&name);
        Self { name, group, protocol: PROTOCOL_DEFAULT, prune: false }
    }

    /// The group of links that are about to be deleted.
    pub fn doomed(&self) -> u32 {
        self.group.saturating_add(1)
    }
}

/// Whether the permanent addresses of a link that are not declared stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraAddresses {
    /// They stay.
    Keep,
    /// They are taken away.
    Remove,
}

/// One link to declare: all that is not said is left to its default, or not managed.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkDeclaration {
    pub(super) name: LinkName,
    pub(super) matching: Option<Arc<LinkMatch>>,
    pub(super) common: Settings,
    pub(super) settings: Option<Settings>,
    pub(super) peer_netns: Option<Arc<str>>,
    pub(super) state: Option<State>,
    pub(super) mtu: Option<u32>,
    pub(super) mac: Option<Mac>,
    pub(super) group: Option<u32>,
    pub(super) master: Option<LinkName>,
    pub(super) port: Option<Settings>,
    pub(super) alias: Option<Box<Alias>>,
    pub(super) altnames: Option<Vec<AltName>>,
    pub(super) addresses: Option<Vec<DesiredAddress>>,
    pub(super) extra_addresses: Option<ExtraAddresses>,
    pub(super) vlans: Option<Vec<DesiredVlan>>,
    pub(super) fdb: Option<Vec<DesiredFdb>>,
}

impl LinkDeclaration {
    /// The link of that name, which must exist and is waited for until it is given a kind.
    pub fn new(name: LinkName) -> Self {
        Self {
            name,
            matching: None,
            common: Settings::new(Kind::LINK),
            settings: None,
            peer_netns: None,
            state: None,
            mtu: None,
            mac: None,
            group: None,
            master: None,
            port: None,
            alias: None,
            altnames: None,
            addresses: None,
            extra_addresses: None,
            vlans: None,
            fdb: None,
        }
    }

    /// Every link for which that holds, save those that another declaration names or an earlier
    /// match takes. The name of this declaration is a label then, by which others may refer to the
    /// link where it is one. Such a link has no kind: it exists, or is waited for.
    pub fn matching(mut self, matching: LinkMatch) -> Self {
        self.matching = Some(Arc::new(matching));
        self
    }

    /// What can be set of every link, by [`Kind::LINK`]: its queue, flags, limits and the
    /// settings of IPv4 and IPv6 on it.
    ///
    /// # Panics
    ///
    /// Where these are the settings of a kind.
    pub fn common(mut self, common: Settings) -> Self {
        assert!(
            *common.kind == *Kind::LINK,
            "settings of every link, not of a {}",
            common.kind.name
        );
        self.common = common;
        self
    }

    /// Its kind and settings. A peer that they name is declared with it; a declaration of its
    /// own, without settings, may say more of the peer.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// The network namespace that the peer of its settings is in: a name as `ip netns list` shows
    /// it, or a path that begins with `/` or `./`. The peer is no link of this namespace then, and
    /// what more there is to say of it is for a declared state of that one.
    pub fn peer_netns(mut self, netns: &str) -> Self {
        self.peer_netns = Some(netns.into());
        self
    }

    /// Whether it is up, down or gone. Default: up where it has a kind or is a peer, else not
    /// managed.
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Its MTU in bytes.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Its hardware address.
    pub fn mac(mut self, mac: Mac) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Its group (IFLA_GROUP), 0 for `default`. Links that an owner makes are in the owner's.
    pub fn group(mut self, group: u32) -> Self {
        self.group = Some(group);
        self
    }

    /// The link that it is a port of.
    pub fn master(mut self, master: LinkName) -> Self {
        self.master = Some(master);
        self
    }

    /// What it is as a port of its master, by [`Kind::port`](crate::model::kind::Kind::port) of the
    /// master's kind, which must be declared.
    pub fn port(mut self, port: Settings) -> Self {
        self.port = Some(port);
        self
    }

    /// Words about it (IFLA_IFALIAS), without a zero byte; empty ones take those away that it has.
    pub fn alias(mut self, alias: Alias) -> Self {
        self.alias = Some(Box::new(alias));
        self
    }

    /// Its alternative names (IFLA_ALT_IFNAME), at most 32. Others are taken away where the link
    /// has a kind or is a peer, else they stay.
    pub fn altnames(mut self, names: impl IntoIterator<Item = AltName>) -> Self {
        self.altnames = Some(names.into_iter().collect());
        self
    }

    /// Its addresses, in their order; the first IPv4 one of a subnet is its primary.
    pub fn addresses<A: Into<DesiredAddress>>(
        mut self,
        addresses: impl IntoIterator<Item = A>,
    ) -> Self {
        self.addresses = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// The VLANs that it is a member of as a port of a bridge, or as the bridge itself: all of
    /// them. Others, such as what the bridge gives to each new port, it leaves.
    pub fn vlans(mut self, vlans: impl IntoIterator<Item = DesiredVlan>) -> Self {
        self.vlans = Some(vlans.into_iter().collect());
        self
    }

    /// Its forwarding entries that stay. Where it has a kind or is a peer, others that were put
    /// there to stay go.
    pub fn fdb(mut self, entries: impl IntoIterator<Item = DesiredFdb>) -> Self {
        self.fdb = Some(entries.into_iter().collect());
        self
    }

    /// Whether permanent addresses that are not declared stay. Default: removed where the link
    /// has a kind or is a peer, else kept. Without [`Self::addresses`] all of them stay.
    pub fn extra_addresses(mut self, extra: ExtraAddresses) -> Self {
        self.extra_addresses = Some(extra);
        self
    }
}

/// Collects declarations; [`DesiredBuilder::build`] checks them.
///
/// ```
/// use ringlink::desired::{Desired, LinkDeclaration, State};
/// use ringlink::model::text::LinkName;
///
/// let uplink = LinkDeclaration::new(LinkName::valid(b"eth0")?).state(State::Up).mtu(9000);
/// let desired = Desired::builder().link(uplink).build()?;
/// assert_eq!(desired.links().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DesiredBuilder {
    owner: Option<Owner>,
    links: Vec<LinkDeclaration>,
    routes: Vec<RouteDeclaration>,
    rest: Rest,
}

impl Desired {
    /// A builder without any declaration.
    pub fn builder() -> DesiredBuilder {
        DesiredBuilder::default()
    }
}

impl DesiredBuilder {
    /// Who the created links belong to.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Declares a link.
    pub fn link(mut self, link: LinkDeclaration) -> Self {
        self.links.push(link);
        self
    }

    /// Declares a route.
    pub fn route(mut self, route: RouteDeclaration) -> Self {
        self.routes.push(route);
        self
    }

    /// Declares a policy rule: all that it says, save the protocol, which is that of ours. Its
    /// priority tells it from others; ours of the same priority that are not declared go.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rest.rules.push(rule);
        self
    }

    /// Declares a next hop object; its id tells it from others.
    pub fn nexthop(mut self, nexthop: DesiredNexthop) -> Self {
        self.rest.nexthops.push(nexthop);
        self
    }

    /// Declares a permanent neighbour.
    pub fn neighbour(mut self, neighbour: DesiredNeighbour) -> Self {
        self.rest.neighbours.push(neighbour);
        self
    }

    /// The declared state, or all that is wrong with it.
    pub fn build(self) -> Result<Desired, DesiredError> {
        let owner = self.owner.as_ref();
        let mut problems = checks::check_each(owner, &self.links, &self.routes, &self.rest);
        let names: Vec<_> = self.links.iter().map(|link| link.name).collect();
        let routes: Vec<_> = self.routes.iter().map(RouteDeclaration::id).collect();
        let rules: Vec<_> = self.rest.rules.iter().map(Rule::id).collect();
        let neighbours: Vec<_> = self.rest.neighbours.iter().map(DesiredNeighbour::id).collect();
        let nexthops: Vec<_> = self.rest.nexthops.iter().map(|it| it.id).collect();
        let (desired, joint) = checks::complete(self.owner, self.links, self.routes, self.rest);
        problems.extend(joint);
        if problems.is_empty() {
            return Ok(desired);
        }
        let omitted = problems.len().saturating_sub(DIAGNOSTICS_MAX);
        problems.truncate(DIAGNOSTICS_MAX);
        let problems = problems.into_iter().map(|problem| DesiredProblem {
            object: match problem.about {
                About::Owner { .. } => None,
                About::Link { index, .. } => names.get(index).copied().map(ObjectId::Link),
                About::Route { index, .. } => routes.get(index).copied(),
                About::Rule { index, .. } => rules.get(index).copied(),
                About::Neighbour { index, .. } => neighbours.get(index).copied(),
                About::Nexthop { index, .. } => nexthops.get(index).copied().map(ObjectId::Nexthop),
            },
            message: problem.fault.message,
            help: problem.fault.help,
        });
        Err(DesiredError { problems: problems.collect(), omitted })
    }
}

/// One reason why declarations are not a declared state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredProblem {
    /// The declared object; `None` is the owner.
    pub object: Option<ObjectId>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for DesiredProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.message)?,
            None => write!(f, "owner: {}", self.message)?,
        }
        self.help.iter().try_for_each(|help| write!(f, " (help: {help})"))
    }
}

/// All that is wrong with the declarations of a builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredError {
    problems: Vec<DesiredProblem>,
    omitted: usize,
}

impl DesiredError {
    /// The problems, at most 100 of them.
    pub fn problems(&self) -> &[DesiredProblem] {
        &self.problems
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for DesiredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

impl std::error::Error for DesiredError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Prefix;
    use crate::model::kind::Value;

    fn name(text: &str) -> LinkName {
        LinkName::valid(text.as_bytes()).unwrap()
    }

    fn prefix(address: &str, len: u8) -> Prefix {
        let address = address.parse().unwrap();
        Prefix { address, len }
    }

    fn pair(end: &str, peer: &str) -> LinkDeclaration {
        let kind = Kind::ALL.iter().find(|kind| kind.has_peer()).unwrap();
        let settings = Settings::new(kind).with("peer", Value::Link(name(peer)));
        LinkDeclaration::new(name(end)).settings(settings.unwrap())
    }

    #[test]
    fn a_peer_is_declared_with_its_creator() {
        let peer = LinkDeclaration::new(name("p1")).mtu(1400);
        let builder = Desired::builder().link(pair("v0", "p0")).link(pair("v1", "p1"));
        let desired = builder.link(peer).build().unwrap();
        let states: Vec<_> = desired.links().iter().map(|link| link.state).collect();
        assert_eq!(states, [Some(State::Up), Some(State::Up), Some(State::Up), None]);
        assert_eq!(desired.links()[2].peer_of, Some(name("v1")));
        assert_eq!(desired.links()[3].peer_of, Some(name("v0")));
    }

    #[test]
    fn an_absent_creator_declares_no_peer() {
        let builder = Desired::builder().link(pair("v0", "p0").state(State::Absent));
        assert_eq!(builder.build().unwrap().links().len(), 1);
    }

    #[test]
    fn all_problems_are_told_and_each_names_its_object() {
        let link = LinkDeclaration::new(LinkName::truncated(b"a b")).mtu(1);
        let route = RouteDeclaration::new(prefix("192.0.2.1", 24)).table(0);
        let owner = Owner { protocol: 2, ..Owner::new("host") };
        let builder = Desired::builder().owner(owner).link(link.clone()).link(link);
        let error = builder.route(route).build().unwrap_err();
        let said = error.to_string();
        for part in ["owner: protocol 2", "link a b: an interface name", "MTU of 1 byte"] {
            assert!(said.contains(part), "{said}");
        }
        for part in ["declared twice", "bits set past", "goes nowhere", "no table 0"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(error.problems()[0].object, None);
    }

    #[test]
    fn settings_must_fit_their_key_table() {
        let kind = Kind::ALL.iter().find(|kind| kind.has_peer()).unwrap();
        let missing = LinkDeclaration::new(name("v0")).settings(Settings::new(kind));
        assert!(Desired::builder().link(missing).build().is_err());
        assert_eq!(Settings::new(kind).with("peer", Value::Bool(true)), None);
        let wrong = Settings::new(kind).with("peer", Value::Link(LinkName::truncated(b"a b")));
        let wrong = LinkDeclaration::new(name("v0")).settings(wrong.unwrap());
        assert!(Desired::builder().link(wrong).build().is_err());
    }

    #[test]
    fn a_zero_metric_is_the_kernels_own_on_ipv6() {
        let route = RouteDeclaration::new(prefix("2001:db8::", 32)).metric(0).dev(name("e"));
        let again = RouteDeclaration::new(prefix("2001:db8::", 32)).dev(name("e"));
        let one = Desired::builder().route(route.clone()).build().unwrap();
        assert_eq!(one.routes()[0].metric, 1024);
        assert!(Desired::builder().route(route).route(again).build().is_err());
    }
}
