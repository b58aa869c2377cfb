//! What a declared state's objects need and what needs them, found once.
//!
//! With it a single event is compared with the objects that it touches alone, so the cost of a
//! correction does not grow with the document.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Subject;
use crate::desired::{Desired, DesiredLink, DesiredRoute};
use crate::model::address::Prefix;
use crate::model::change::NextHop;
use crate::model::hash::{HashMap, IndexMap};
use crate::model::route::RouteSlot;
use crate::model::text::LinkName;

/// Look-up tables over one [`Desired`]; positions are those of its lists.
#[derive(Debug, Default)]
pub(crate) struct DesiredIndex {
    links: HashMap<LinkName, u32>,
    depths: Vec<u16>,
    /// What is to be looked at again when a link of that name comes, goes or changes.
    touched_by_link: HashMap<LinkName, Vec<Subject>>,
    /// In their order, in which they are made and compared: neighbours in memory are cheaper.
    routes_in_slot: IndexMap<RouteSlot, Positions>,
    /// For each next hop of each declared route the link that it leaves through: the one that it
    /// names, else the declared one whose addresses cover its gateway.
    route_devs: Vec<Option<LinkName>>,
    /// Where those of each declared route end.
    route_devs_end: Vec<u32>,
    /// The routes that are from an address.
    routes_from: HashMap<IpAddr, Vec<Subject>>,
    /// The declared link that has an address.
    holders: HashMap<IpAddr, u32>,
    /// Whether what is ours and not declared is looked for: there is an owner.
    has_strays: bool,
    rules_in: HashMap<(bool, u32), Vec<u32>>,
    rules_len: u32,
    nexthops: HashMap<u32, u32>,
    nexthops_len: u32,
    /// What is to be looked at again when a next hop object comes, goes or changes.
    touched_by_nexthop: HashMap<u32, Vec<Subject>>,
    /// The links that a declared next hop stands on, those of its members too.
    nexthop_devs: Vec<Box<[LinkName]>>,
    /// The links whose VLANs are declared.
    with_vlans: Vec<u32>,
    /// The links whose forwarding entries are declared.
    with_fdb: Vec<u32>,
    /// The pairs whose other end is in a network namespace, by its number.
    with_peer_in: HashMap<u16, Vec<u32>>,
    neighbours: HashMap<(LinkName, IpAddr), u32>,
    neighbours_len: u32,
}

impl DesiredIndex {
    pub(crate) fn new(desired: &Desired) -> Self {
        let mut index = Self { has_strays: desired.owner.is_some(), ..Self::default() };
        for (position, link) in desired.links.iter().enumerate() {
            index.links.insert(link.name, count(position));
        }
        index.depths = depths(desired, &index.links);
        for (position, link) in desired.links.iter().enumerate() {
            let position = count(position);
            let addresses = link.addresses.iter().flatten();
            index.holders.extend(addresses.map(|own| (own.prefix.address, position)));
            let own = subjects_of_link(link, position);
            index.touched_by_link.entry(link.name).or_default().extend(own);
            index.with_vlans.extend(link.vlans.as_ref().map(|_| position));
            index.with_fdb.extend(link.fdb.as_ref().map(|_| position));
            if let Some(netns) = link.settings.and_then(|settings| settings.peer_netns()) {
                index.with_peer_in.entry(netns).or_default().push(position);
            }
            for via in link.fdb.iter().flatten().filter_map(|own| own.via) {
                index.touched_by_link.entry(via).or_default().push(Subject::Fdb(position));
            }
            for other in needs(link).chain(link.settings.and_then(|settings| settings.peer())) {
                index.touched_by_link.entry(other).or_default().push(Subject::Link(position));
            }
        }
        index.add_nexthops(desired);
        let covering = Covering::new(desired);
        index.routes_in_slot.reserve(desired.routes.len());
        for (position, route) in desired.routes.iter().enumerate() {
            let subject = Subject::Route(count(position));
            let hops = hops_of(route);
            let devs = hops.iter().map(|hop| hop.dev.or_else(|| covering.link(desired, hop.via?)));
            let of_object = index.nexthop(route.nexthop_id);
            let of_object = of_object.map_or(Vec::new(), |at| index.nexthop_devs(at).to_vec());
            let begin = index.route_devs.len();
            index.route_devs.extend(devs.chain(of_object.into_iter().map(Some)));
            index.route_devs_end.push(count(index.route_devs.len()));
            if route.nexthop_id != 0 {
                let touched = index.touched_by_nexthop.entry(route.nexthop_id).or_default();
                touched.push(subject);
            }
            for dev in index.route_devs[begin..].iter().flatten() {
                index.touched_by_link.entry(*dev).or_default().push(subject);
            }
            if let Some(source) = route.source {
                index.routes_from.entry(source).or_default().push(subject);
            }
            let in_slot = index.routes_in_slot.entry(slot_of(route));
            let position = count(position);
            in_slot.and_modify(|it| it.push(position)).or_insert(Positions::One(position));
        }
        for (position, rule) in desired.rules.iter().enumerate() {
            let slot = (rule.is_ipv6, rule.priority);
            index.rules_in.entry(slot).or_default().push(count(position));
        }
        index.rules_len = count(desired.rules.len());
        for (position, neighbour) in desired.neighbours.iter().enumerate() {
            let subject = Subject::Neighbour(count(position));
            index.neighbours.insert((neighbour.dev, neighbour.address), count(position));
            index.touched_by_link.entry(neighbour.dev).or_default().push(subject);
        }
        index.neighbours_len = count(desired.neighbours.len());
        index
    }

    /// The position of the declared link of that name.
    pub(crate) fn link(&self, name: LinkName) -> Option<u32> {
        self.links.get(&name).copied()
    }

    /// The link that each next hop of a declared route leaves through, as far as the document
    /// tells.
    pub(crate) fn route_devs(&self, position: u32) -> &[Option<LinkName>] {
        let position = position as usize;
        let begin = position.checked_sub(1).and_then(|before| self.route_devs_end.get(before));
        let begin = begin.map_or(0, |it| *it as usize);
        let end = self.route_devs_end.get(position).map_or(begin, |it| *it as usize);
        self.route_devs.get(begin..end).unwrap_or(&[])
    }

    /// The routes that are from that address.
    pub(crate) fn routes_from(&self, source: IpAddr) -> &[Subject] {
        self.routes_from.get(&source).map_or(&[], Vec::as_slice)
    }

    /// The position of the declared link that has that address.
    pub(super) fn holder_of(&self, address: IpAddr) -> Option<u32> {
        self.holders.get(&address).copied()
    }

    /// The declared pairs whose other end is in that network namespace.
    pub(crate) fn with_peer_in(&self, netns: u16) -> &[u32] {
        self.with_peer_in.get(&netns).map_or(&[], Vec::as_slice)
    }

    /// How many links stand between that one and the ground.
    pub(crate) fn depth(&self, position: u32) -> u16 {
        self.depths.get(position as usize).copied().unwrap_or(0)
    }

    /// What to look at when a link of that name comes, goes or changes.
    pub(crate) fn touched_by_link(&self, name: LinkName) -> &[Subject] {
        self.touched_by_link.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The positions of the declared routes of that slot.
    pub(crate) fn routes_in(&self, slot: RouteSlot) -> &[u32] {
        self.routes_in_slot.get(&slot).map_or(&[], Positions::as_slice)
    }

    /// The positions of the declared rules of that family and priority.
    pub(crate) fn rules_in(&self, is_ipv6: bool, priority: u32) -> &[u32] {
        self.rules_in.get(&(is_ipv6, priority)).map_or(&[], Vec::as_slice)
    }

    /// The position of that declared neighbour.
    pub(crate) fn neighbour(&self, dev: LinkName, address: IpAddr) -> Option<u32> {
        self.neighbours.get(&(dev, address)).copied()
    }

    fn add_nexthops(&mut self, desired: &Desired) {
        for (position, nexthop) in desired.nexthops.iter().enumerate() {
            self.nexthops.insert(nexthop.id, count(position));
        }
        self.nexthops_len = count(desired.nexthops.len());
        for (position, nexthop) in desired.nexthops.iter().enumerate() {
            let subject = Subject::Nexthop(count(position));
            let members = nexthop.group.iter().map(|member| member.id);
            for id in members.clone().chain([nexthop.id]) {
                self.touched_by_nexthop.entry(id).or_default().push(subject);
            }
            let declared = members.filter_map(|id| self.nexthop(id));
            let declared = declared.filter_map(|at| desired.nexthops.get(at as usize));
            let devs = declared.chain([nexthop]).filter_map(|it| it.dev);
            let devs: Box<[_]> = devs.collect();
            for dev in &devs {
                self.touched_by_link.entry(*dev).or_default().push(subject);
            }
            self.nexthop_devs.push(devs);
        }
    }

    /// The position of the declared next hop of that id.
    pub(crate) fn nexthop(&self, id: u32) -> Option<u32> {
        self.nexthops.get(&id).copied()
    }

    /// The links that a declared next hop stands on.
    pub(super) fn nexthop_devs(&self, position: u32) -> &[LinkName] {
        self.nexthop_devs.get(position as usize).map_or(&[], |devs| devs)
    }

    /// What to look at when the next hop object of that id comes, goes or changes.
    pub(crate) fn touched_by_nexthop(&self, id: u32) -> &[Subject] {
        self.touched_by_nexthop.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether the VLANs of the link of that position are declared.
    pub(crate) fn has_vlans(&self, position: u32) -> bool {
        self.with_vlans.binary_search(&position).is_ok()
    }

    /// Whether the forwarding entries of the link of that position are declared.
    pub(crate) fn has_fdb(&self, position: u32) -> bool {
        self.with_fdb.binary_search(&position).is_ok()
    }

    /// How many things can be compared.
    pub(crate) fn subjects_len(&self) -> usize {
        let rest = (self.rules_len + self.neighbours_len) as usize
            + self.with_vlans.len()
            + self.with_fdb.len();
        let rest = rest + self.nexthops_len as usize;
        2 * self.depths.len() + self.route_devs_end.len() + usize::from(self.has_strays) + rest
    }

    /// Everything that can be compared, in order.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject> + use<> {
        let vlans = self.with_vlans.clone().into_iter().map(Subject::Vlans);
        let fdb = self.with_fdb.clone().into_iter().map(Subject::Fdb);
        let links = 0..count(self.depths.len());
        let routes = 0..count(self.route_devs_end.len());
        links
            .clone()
            .map(Subject::Link)
            .chain(links.map(Subject::Addresses))
            .chain(vlans)
            .chain(fdb)
            .chain((0..self.nexthops_len).map(Subject::Nexthop))
            .chain(routes.map(Subject::Route))
            .chain((0..self.rules_len).map(Subject::Rule))
            .chain((0..self.neighbours_len).map(Subject::Neighbour))
            .chain(self.has_strays.then_some(Subject::Strays))
    }
}

/// Which declared link's addresses cover a gateway, found by the few prefix lengths that there are.
struct Covering {
    /// The first link of each network.
    first: HashMap<Prefix, u32>,
    lens: BTreeSet<u8>,
}

impl Covering {
    fn new(desired: &Desired) -> Self {
        let mut covering = Self { first: HashMap::default(), lens: BTreeSet::new() };
        for (position, link) in desired.links.iter().enumerate() {
            for own in link.addresses.iter().flatten() {
                let network = own.reaches().network();
                covering.lens.insert(network.len);
                covering.first.entry(network).or_insert(count(position));
            }
        }
        covering
    }

    /// Where several links do, the first of them.
    fn link(&self, desired: &Desired, gateway: IpAddr) -> Option<LinkName> {
        let network = |len: &u8| Prefix { address: gateway, len: *len }.network();
        let covers = self.lens.iter().filter_map(|len| self.first.get(&network(len)));
        Some(desired.links.get(*covers.min()? as usize)?.name)
    }
}

/// Positions in a list, of which there is mostly one.
#[derive(Debug)]
enum Positions {
    One(u32),
    Many(Vec<u32>),
}

impl Positions {
    fn push(&mut self, position: u32) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, position]),
            Self::Many(positions) => positions.push(position),
        }
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(position) => std::slice::from_ref(position),
            Self::Many(positions) => positions,
        }
    }
}

/// The slot of a declared route.
pub(super) fn slot_of(route: &DesiredRoute) -> RouteSlot {
    let DesiredRoute { table, to, tos, metric, .. } = *route;
    RouteSlot { table, to, tos, metric }
}

/// The next hops of a declared route; none where it leads nowhere.
pub(super) fn hops_of(route: &DesiredRoute) -> Hops<'_, NextHop> {
    let DesiredRoute { via, dev, weight, onlink, .. } = *route;
    match (&route.hops[..], via.is_some() || dev.is_some()) {
        ([], true) => Hops::One(NextHop { via, dev, weight, onlink }),
        (hops, _) => Hops::Many(hops),
    }
}

/// The next hops of a route, of which most have one.
pub(super) enum Hops<'a, T> {
    One(T),
    Many(&'a [T]),
}

impl<T> std::ops::Deref for Hops<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(hop) => std::slice::from_ref(hop),
            Self::Many(hops) => hops,
        }
    }
}

/// What a link's block declares of it.
pub(crate) fn subjects_of_link(
    link: &DesiredLink,
    position: u32,
) -> impl Iterator<Item = Subject> + use<> {
    let vlans = link.vlans.as_ref().map(|_| Subject::Vlans(position));
    let fdb = link.fdb.as_ref().map(|_| Subject::Fdb(position));
    [Subject::Link(position), Subject::Addresses(position)].into_iter().chain(vlans).chain(fdb)
}

/// The links that must exist before that one can be as declared.
fn needs(link: &DesiredLink) -> impl Iterator<Item = LinkName> + use<> {
    let lower = link.settings.and_then(|settings| settings.lower());
    lower.into_iter().chain(link.master).chain(link.peer_of)
}

/// The longest chain of needs below each link. The document's checks refuse cycles; a state
/// that has one all the same ends at the bound instead of turning for ever.
fn depths(desired: &Desired, links: &HashMap<LinkName, u32>) -> Vec<u16> {
    let mut depths = vec![0u16; desired.links.len()];
    for _ in 0..crate::limits::LINK_DEPTH_MAX {
        let mut settled = true;
        for (position, link) in desired.links.iter().enumerate() {
            for below in needs(link).filter_map(|name| links.get(&name)) {
                let above_it = depths[*below as usize].saturating_add(1);
                // A peer is made by the link that names it, in the same message.
                let least = if link.peer_of.is_some() { above_it - 1 } else { above_it };
                if depths[position] < least {
                    depths[position] = least;
                    settled = false;
                }
            }
        }
        if settled {
            break;
        }
    }
    depths
}

/// Lists of a document are bounded by its size, far below this.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::LinkDeclaration;
    use crate::plan::tests::random::name;

    #[test]
    fn a_gateway_is_covered_by_the_first_link_whose_addresses_reach_it() {
        let link = |own_name: &str, addresses: &[(&str, u8)]| {
            let prefix = |&(address, len): &(&str, u8)| Prefix {
                address: address.parse().expect("an address"),
                len,
            };
            LinkDeclaration::new(name(own_name)).addresses(addresses.iter().map(prefix))
        };
        let desired = Desired::builder()
            .link(link("a", &[("10.1.2.1", 24), ("2001:db8::1", 64)]))
            .link(link("b", &[("10.1.0.1", 16)]))
            .link(link("c", &[("10.1.2.9", 28), ("10.9.0.1", 32)]))
            .build()
            .expect("valid");
        let covering = Covering::new(&desired);
        for (gateway, wanted) in [
            ("10.1.2.7", Some("a")),
            ("10.1.3.7", Some("b")),
            ("10.9.0.1", Some("c")),
            ("10.9.0.2", None),
            ("2001:db8::7", Some("a")),
            ("2001:db8:1::7", None),
        ] {
            let gateway = gateway.parse().expect("an address");
            assert_eq!(covering.link(&desired, gateway), wanted.map(name), "{gateway}");
        }
    }
}
