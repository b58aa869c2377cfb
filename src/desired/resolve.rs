//! Which link is taken by which block, and the declared state with the names of those links.
//!
//! A block with a `match` has a label in place of a name, and stands for every link that it holds
//! for and that no block before it takes; one that names a link takes it before all others. What
//! is declared is compared with the network by names alone, so labels are put in order first:
//! [`Resolution::resolved`] is an ordinary declared state, in which each declared object keeps its
//! position whatever links come and go. A label that stands for no link, or for several where one
//! alone can be meant, is a name that no link can bear.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Desired, DesiredAddress, DesiredLink, Gone, LinkMatch, State};
use crate::model::hash::{HashMap, HashSet};
use crate::model::kind::Value;
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::text::LinkName;

/// A label that stands for no single link.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unmatched {
    pub(crate) label: LinkName,
    pub(crate) wanted: Arc<LinkMatch>,
    /// The links that it stands for: none, or several.
    pub(crate) links: Box<[LinkName]>,
}

/// The blocks with a `match`, found by what a link has: what it costs to judge one does not grow
/// with their number, save those of patterns alone.
#[derive(Debug, Default)]
struct Blocks {
    /// Names that a block bears without a `match`.
    named: HashSet<LinkName>,
    by_mac: HashMap<Box<[u8]>, Vec<u32>>,
    by_parent: HashMap<Box<[u8]>, Vec<u32>>,
    by_name: HashMap<Box<[u8]>, Vec<u32>>,
    by_altname: HashMap<Box<[u8]>, Vec<u32>>,
    rest: Vec<u32>,
}

/// A place in the resolved state for a link of a block.
#[derive(Debug, Clone, Copy)]
struct Place {
    block: u32,
    /// The link's index and name.
    link: Option<(u32, LinkName)>,
}

/// The links of one network, each with the block that takes it.
#[derive(Debug, Default)]
pub(crate) struct Resolution {
    blocks: Blocks,
    /// By position in the resolved state: those of the blocks themselves, and further ones behind
    /// all declared links.
    places: BTreeMap<u32, Place>,
    /// By a link's index, its position.
    taken: HashMap<u32, u32>,
    next: u32,
}

impl Desired {
    /// Whether any block has a `match`.
    pub(crate) fn has_matches(&self) -> bool {
        self.links.iter().any(|link| link.matching.is_some()) || self.gone.declared.is_some()
    }

    /// The same, with the names of the links of that network.
    pub(crate) fn resolve(&self, observed: &Network) -> Cow<'_, Self> {
        if !self.has_matches() {
            return Cow::Borrowed(self);
        }
        let mut resolution = Resolution::new(self);
        for link in observed.links() {
            resolution.judge(self, link.index, Some(link));
        }
        Cow::Owned(resolution.resolved(self, observed))
    }

    /// Of a name that stands for a label without its link.
    pub(crate) fn unmatched(&self, name: LinkName) -> Option<&Unmatched> {
        self.unmatched.get(&name)
    }

    /// Whether that is no name, but stands for a label without its link.
    #[cfg(feature = "cli")]
    pub(crate) fn is_stand_in(&self, name: LinkName) -> bool {
        name.as_bytes().first() == Some(&b'/')
    }

    /// The same object, with labels as they are written.
    pub(crate) fn as_written(&self, object: ObjectId) -> ObjectId {
        let written = |name: LinkName| self.unmatched(name).map_or(name, |it| it.label);
        match object {
            _ if self.unmatched.is_empty() => object,
            ObjectId::Link(name) => ObjectId::Link(written(name)),
            ObjectId::Address { link, prefix } => ObjectId::Address { link: written(link), prefix },
            ObjectId::Neighbour { link, address } => {
                ObjectId::Neighbour { link: written(link), address }
            }
            ObjectId::Route { to, via, dev, metric, table, tos } => {
                ObjectId::Route { to, via, dev: dev.map(written), metric, table, tos }
            }
            ObjectId::BridgeVlan { link, first, last } => {
                ObjectId::BridgeVlan { link: written(link), first, last }
            }
            ObjectId::Fdb { link, mac, vid, dst } => {
                ObjectId::Fdb { link: written(link), mac, vid, dst }
            }
            other => other,
        }
    }

    /// Puts other names in the place of those that refer to links. A link's own name stays.
    fn rename_references(&mut self, rename: impl Fn(LinkName) -> LinkName) {
        for link in &mut self.links {
            link.master = link.master.map(&rename);
            for own in link.fdb.iter_mut().flatten() {
                own.via = own.via.map(&rename);
            }
            let Some(settings) = &mut link.settings else { continue };
            // A label stands for no link of another namespace.
            if settings.peer_netns().is_some() {
                continue;
            }
            for position in 0..settings.kind.keys.len() {
                if let Some(Value::Link(name)) = settings.get(position) {
                    settings.set(position, Some(Value::Link(rename(name))));
                }
            }
        }
        for route in Arc::make_mut(&mut self.routes) {
            route.dev = route.dev.map(&rename);
            for hop in &mut route.hops {
                hop.dev = hop.dev.map(&rename);
            }
        }
        for nexthop in &mut self.nexthops {
            nexthop.dev = nexthop.dev.map(&rename);
        }
        for rule in &mut self.rules {
            (rule.iif, rule.oif) = (rename(rule.iif), rename(rule.oif));
        }
        for neighbour in &mut self.neighbours {
            neighbour.dev = rename(neighbour.dev);
        }
    }
}

impl Blocks {
    fn new(desired: &Desired) -> Self {
        let mut blocks = Self::default();
        for (position, link) in (0..).zip(&desired.links) {
            let Some(wanted) = &link.matching else {
                blocks.named.insert(link.name);
                continue;
            };
            let literal = |glob: &Option<_>| {
                let glob: &crate::model::glob::Glob = glob.as_ref()?;
                glob.literal().map(Box::from)
            };
            let (map, key) = if let Some(mac) = wanted.mac {
                (&mut blocks.by_mac, mac.as_bytes().into())
            } else if let Some(parent) = &wanted.parent {
                (&mut blocks.by_parent, parent.clone())
            } else if let Some(name) = literal(&wanted.name) {
                (&mut blocks.by_name, name)
            } else if let Some(name) = literal(&wanted.altname) {
                (&mut blocks.by_altname, name)
            } else {
                blocks.rest.push(position);
                continue;
            };
            map.entry(key).or_default().push(position);
        }
        blocks
    }

    /// The block that takes the link: the first whose match holds, unless another one names it.
    fn of(&self, desired: &Desired, link: &Link) -> Option<u32> {
        if self.named.contains(&link.name) {
            return None;
        }
        let mac = link.permanent_mac();
        let by_mac = mac.and_then(|mac| self.by_mac.get(mac.as_bytes()));
        let by_parent = self.by_parent.get(link.parent());
        let by_name = self.by_name.get(link.name.as_bytes());
        let names = link.altnames().iter();
        let by_altname = names.filter_map(|name| self.by_altname.get(name.as_bytes()));
        let exact = by_mac.into_iter().chain(by_parent).chain(by_name).chain(by_altname);
        let all = exact.chain([&self.rest]).flatten().copied();
        let holds = |at: &u32| {
            let wanted = desired.links.get(*at as usize).and_then(|it| it.matching.as_ref());
            wanted.is_some_and(|wanted| wanted.holds(link))
        };
        all.filter(holds).min()
    }
}

impl Resolution {
    /// No link is taken yet.
    pub(crate) fn new(desired: &Desired) -> Self {
        let positions = (0..).zip(&desired.links);
        let blocks = positions.filter(|(_, link)| link.matching.is_some());
        let places = blocks.map(|(block, _)| (block, Place { block, link: None }));
        let next = u32::try_from(desired.links.len()).unwrap_or(u32::MAX);
        let blocks = Blocks::new(desired);
        Self { places: places.collect(), blocks, taken: HashMap::default(), next }
    }

    /// Whether the position is one of links that a match takes.
    pub(crate) fn is_by_match(&self, position: u32) -> bool {
        self.places.contains_key(&position)
    }

    /// Judges the link of that index as it is now, `None` where it is gone or another block's; says
    /// whether that changes the resolved state.
    pub(crate) fn judge(&mut self, desired: &Desired, index: u32, link: Option<&Link>) -> bool {
        let block = link.and_then(|link| self.blocks.of(desired, link));
        let position = self.taken.get(&index).copied();
        let place = position.and_then(|at| self.places.get_mut(&at));
        if let (Some(place), Some(link)) = (place, link) {
            if Some(place.block) == block {
                let before = place.link.replace((index, link.name));
                return before != place.link;
            }
        }
        if let Some(position) = position {
            self.taken.remove(&index);
            self.leave(position);
        }
        if let (Some(block), Some(link)) = (block, link) {
            let position = self.free(block);
            self.places.insert(position, Place { block, link: Some((index, link.name)) });
            self.taken.insert(index, position);
        }
        position.is_some() || block.is_some()
    }

    /// Frees a place. That of the block itself is taken by the next of its links.
    fn leave(&mut self, position: u32) {
        let Some(block) = self.places.get(&position).map(|place| place.block) else { return };
        let is_heir = |(at, place): &(&u32, &Place)| {
            place.block == block && **at != position && place.link.is_some()
        };
        let heir = self.places.iter().find(is_heir).map(|(at, place)| (*at, place.link));
        let heir = heir.filter(|_| position == block);
        if let Some(place) = self.places.get_mut(&position) {
            place.link = heir.and_then(|(_, link)| link);
        }
        if let Some((at, link)) = heir {
            if let Some(place) = self.places.get_mut(&at) {
                place.link = None;
            }
            self.taken.extend(link.map(|(index, _)| (index, position)));
        }
    }

    /// A place for another link of a block.
    fn free(&mut self, block: u32) -> u32 {
        let is_free =
            |at: u32, place: &Place| place.link.is_none() && (at == block || place.block != at);
        if self.places.get(&block).is_some_and(|place| is_free(block, place)) {
            return block;
        }
        let free = self.places.iter().find(|(at, place)| is_free(**at, place)).map(|(at, _)| *at);
        free.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// The declared state with the links' names. It is the same for the same links, in whatever
    /// order they came, save for where further links of a block stand behind the declared ones.
    pub(crate) fn resolved(&self, desired: &Desired, observed: &Network) -> Desired {
        let mut resolved = desired.clone();
        let mut links = BTreeMap::<u32, BTreeSet<(u32, LinkName)>>::new();
        for place in self.places.values() {
            links.entry(place.block).or_default().extend(place.link);
        }
        let mut names = HashMap::default();
        for (&block, links) in &links {
            let Some(own) = desired.links.get(block as usize) else { continue };
            let Some(wanted) = own.matching.clone() else { continue };
            let mut each = links.iter().map(|(_, name)| *name);
            if let (Some(only), None) = (each.next(), each.next()) {
                names.insert(own.name, only);
                continue;
            }
            let links = links.iter().map(|(_, name)| *name).collect();
            let stand_in = stand_in(block);
            names.insert(own.name, stand_in);
            resolved.unmatched.insert(stand_in, Unmatched { label: own.name, wanted, links });
        }
        resolved.rename_references(|name| names.get(&name).copied().unwrap_or(name));
        // Renamed there, once for all of its links.
        let declared = resolved.links.clone();
        let len = self.places.keys().last().map_or(0, |last| *last as usize + 1);
        while resolved.links.len() < len {
            let position = u32::try_from(resolved.links.len()).unwrap_or(u32::MAX);
            resolved.links.push(nothing(position));
        }
        for (&position, place) in &self.places {
            let (Some(link), Some(own)) =
                (resolved.links.get_mut(position as usize), declared.get(place.block as usize))
            else {
                continue;
            };
            let is_alone = links.get(&place.block).is_some_and(|links| links.len() == 1);
            *link = match place.link {
                Some((_, name)) if is_alone || !is_for_one(own) => {
                    DesiredLink { name, label: Some(own.name), ..own.clone() }
                }
                _ if position == place.block => {
                    DesiredLink { name: stand_in(position), ..own.clone() }
                }
                _ => nothing(position),
            };
        }
        if let Some(declared) = &desired.gone.declared {
            let declared = declared.resolve(observed);
            resolved.gone = Gone { declared: None, ..declared.as_gone() };
        }
        resolved
    }
}

/// Whether several links cannot have what a block says.
fn is_for_one(link: &DesiredLink) -> bool {
    let is_link_local = |own: &DesiredAddress| match own.prefix.address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let has_address = link.addresses.iter().flatten().any(|own| !is_link_local(own));
    let has_altname = link.altnames.iter().flatten().next().is_some();
    // An address is behind one port of a bridge.
    let has_host = link.fdb.iter().flatten().any(|own| own.dst.is_none());
    link.mac.is_some() || has_altname || has_address || has_host
}

/// A name that no link can bear, for the label of the block at that position.
fn stand_in(block: u32) -> LinkName {
    LinkName::truncated(format!("/{block}").as_bytes())
}

/// A place that stands for no link.
fn nothing(position: u32) -> DesiredLink {
    let name = LinkName::truncated(format!("//{position}").as_bytes());
    DesiredLink { state: Some(State::Absent), ..DesiredLink::bare(name) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::desired::{LinkDeclaration, RouteDeclaration};
    use crate::model::address::Prefix;
    use crate::model::glob::Glob;
    use crate::model::identity::AltName;
    use crate::model::text::Mac;

    const NAMES: &[&str] = &["eth0", "eth1", "lan", "a", "b"];
    const GLOBS: &[&str] = &["eth*", "*", "eth0", "lan", "?", "[a-l]*", "e*1"];

    fn name(text: &str) -> LinkName {
        LinkName::truncated(text.as_bytes())
    }

    fn mac(number: u8) -> Mac {
        Mac::new(&[2, 0, 0, 0, 0, number]).expect("a mac")
    }

    /// A link of that index, of few names and others.
    fn link() -> impl Strategy<Value = Link> {
        let names = (0..NAMES.len(), 0..NAMES.len() + 2, 0..3_u8, 0..3_u8);
        (1..6_u32, names).prop_map(|(index, (own, other, hardware, parent))| {
            Link::new(index, name(NAMES[own])).with_identity(|identity| {
                let altname = NAMES.get(other).map(|name| AltName::truncated(name.as_bytes()));
                identity.altnames = altname.into_iter().collect();
                identity.permanent_mac = (hardware > 0).then(|| mac(hardware));
                identity.parent =
                    if parent > 0 { Box::from([b'0' + parent]) } else { Box::default() };
            })
        })
    }

    fn matching() -> impl Strategy<Value = LinkMatch> {
        let glob = || {
            let glob = |at: usize| GLOBS.get(at).map(|it| Glob::new(it.as_bytes()).expect("one"));
            (0..GLOBS.len() * 2).prop_map(glob)
        };
        (glob(), glob(), 0..6_u8, 0..6_u8).prop_map(|(name, altname, hardware, parent)| LinkMatch {
            name,
            altname,
            mac: (1..3).contains(&hardware).then(|| mac(hardware)),
            parent: (1..3).contains(&parent).then(|| Box::from([b'0' + parent])),
        })
    }

    /// Blocks that name a link, and blocks that match; each is a link of the state.
    fn blocks() -> impl Strategy<Value = Desired> {
        prop::collection::vec((prop::option::of(matching()), 0..NAMES.len()), 0..7).prop_map(
            |all| {
                let mut desired = Desired::default();
                for (at, (matching, own)) in all.into_iter().enumerate() {
                    let own = if matching.is_some() {
                        format!("label{at}")
                    } else {
                        NAMES[own].to_owned()
                    };
                    if !desired.links.iter().any(|link| link.name == name(&own)) {
                        let matching = matching.map(Arc::new);
                        let link = DesiredLink { name: name(&own), matching, ..nothing(0) };
                        desired.links.push(DesiredLink { state: None, mtu: Some(1400), ..link });
                    }
                }
                desired
            },
        )
    }

    fn taken(resolved: &Desired) -> BTreeSet<(LinkName, LinkName)> {
        resolved.links.iter().filter_map(|link| Some((link.name, link.label?))).collect()
    }

    /// The rule, as one would say it.
    fn by_the_rule(desired: &Desired, network: &Network) -> BTreeSet<(LinkName, LinkName)> {
        let is_named =
            |name| desired.links.iter().any(|block| block.matching.is_none() && block.name == name);
        let first = |link: &Link| {
            let holds =
                |block: &&DesiredLink| block.matching.as_ref().is_some_and(|it| it.holds(link));
            desired.links.iter().find(holds).map(|block| (link.name, block.name))
        };
        network.links().filter(|link| !is_named(link.name)).filter_map(first).collect()
    }

    /// Links that bear different names, as the kernel has it.
    fn put(network: &mut Network, link: Option<Link>, index: u32) {
        network.remove_link(index);
        if let Some(link) = link.filter(|link| network.link_named(link.name).is_none()) {
            network.put_link(link);
        }
    }

    proptest! {
        #[test]
        fn each_link_is_taken_by_one_block_as_the_rule_says(
            desired in blocks(),
            links in prop::collection::vec(link(), 0..8),
        ) {
            let mut network = Network::default();
            links.into_iter().for_each(|link| {
                let index = link.index;
                put(&mut network, Some(link), index);
            });
            let resolved = desired.resolve(&network);
            prop_assert_eq!(taken(&resolved), by_the_rule(&desired, &network));
            // Each declared object keeps its position, and each name is there once.
            for (before, after) in desired.links.iter().zip(&resolved.links) {
                let is_named = before.matching.is_none();
                prop_assert!(!is_named || before == after);
                prop_assert!(is_named || after.label.is_none_or(|label| label == before.name));
            }
            let names: HashSet<_> = resolved.links.iter().map(|link| link.name).collect();
            prop_assert_eq!(names.len(), resolved.links.len());
        }

        #[test]
        fn links_judged_by_their_news_are_taken_as_if_judged_at_once(
            desired in blocks(),
            news in prop::collection::vec((link(), any::<bool>()), 0..30),
        ) {
            let mut network = Network::default();
            let mut resolution = Resolution::new(&desired);
            let mut before = resolution.resolved(&desired, &network);
            for (link, is_there) in news {
                let index = link.index;
                put(&mut network, Some(link).filter(|_| is_there), index);
                let is_changed = resolution.judge(&desired, index, network.link(index));
                let after = resolution.resolved(&desired, &network);
                prop_assert!(is_changed || after == before, "it changed and does not say so");
                prop_assert_eq!(taken(&after), by_the_rule(&desired, &network));
                let at_once = desired.resolve(&network);
                let unmatched = |state: &Desired| state.unmatched.clone();
                prop_assert_eq!(unmatched(&after), unmatched(&at_once));
                // The other links stay where they are, save one that takes the place of its block.
                let own = network.link(index).map(|link| link.name);
                let mut moved = 0;
                for (at, link) in before.links.iter().enumerate() {
                    let stays = after.links.iter().any(|it| it.name == link.name);
                    let is_other = link.label.is_some() && Some(link.name) != own && stays;
                    moved += usize::from(is_other && after.links[at].name != link.name);
                }
                prop_assert!(moved <= 1, "{moved} moved");
                before = after;
            }
        }
    }

    #[test]
    fn what_refers_to_a_label_means_its_link_or_none() {
        let lan =
            LinkMatch { altname: Some(Glob::new(b"x").expect("one")), ..LinkMatch::default() };
        let prefix = Prefix { address: IpAddr::from([198, 51, 100, 0]), len: 24 };
        let desired = Desired::builder()
            .link(LinkDeclaration::new(name("lan")).matching(lan))
            .link(LinkDeclaration::new(name("eth1")).master(name("lan")))
            .route(RouteDeclaration::new(prefix).dev(name("lan")))
            .build()
            .expect("valid");
        let mut network = Network::default();
        // It bears the name of the label.
        network.put_link(Link::new(1, name("lan")));
        let resolved = desired.resolve(&network);
        let dev = resolved.routes[0].dev.expect("a link");
        assert!(LinkName::valid(dev.as_bytes()).is_err(), "{dev} could be a link");
        assert_eq!(resolved.links[1].master, Some(dev));
        assert_eq!(resolved.unmatched(dev).expect("it is told").label, name("lan"));
        assert_eq!(resolved.as_written(ObjectId::Link(dev)), ObjectId::Link(name("lan")));
        let altname = AltName::truncated(b"x");
        network.put_link(
            Link::new(2, name("eth7")).with_identity(|it| it.altnames = [altname].into()),
        );
        let resolved = desired.resolve(&network);
        assert_eq!(resolved.routes[0].dev, Some(name("eth7")));
        assert_eq!(resolved.links[1].master, Some(name("eth7")));
    }
}
