//! A kernel made of values: enough of rtnetlink to be asked, to answer and to tell.
//!
//! It reads and writes bytes by netlink-packet-route, so that our own decoding meets another
//! codec, and knows the habits that matter: errors are always answered and success where asked,
//! notifications come before the ack, an overrun socket takes nothing until it is empty, and much
//! is taken away without a word.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Rt};

use crate::model::address::Prefix;

const NLM_F_MULTI: u16 = 2;
const NLM_F_DUMP_INTR: u16 = 0x10;
const TABLE_LOCAL: u32 = 255;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SimLink {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) up: bool,
    pub(super) mtu: u32,
    pub(super) mac: Vec<u8>,
    pub(super) group: u32,
    pub(super) master: u32,
    pub(super) peer: u32,
    /// What it stands on and goes with.
    pub(super) lower: u32,
    /// IFLA_INFO_DATA, shown as it came.
    data: Option<InfoData>,
    /// Whether someone chose its MTU; a bridge follows its ports else.
    is_mtu_chosen: bool,
}

/// What an address is, beside itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SimOwn {
    pub(super) permanent: bool,
    /// Not the first IPv4 address of its subnet on the link.
    pub(super) secondary: bool,
}

/// (link, address, prefix length)
pub(super) type SimAddress = (u32, IpAddr, u8);
/// (table, destination, prefix length, metric)
pub(super) type SimSlot = (u32, IpAddr, u8, u32);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SimRoute {
    pub(super) via: Option<IpAddr>,
    pub(super) dev: u32,
    pub(super) protocol: u8,
}

/// What is dumped, and how far it got.
#[derive(Debug)]
struct DumpState {
    sequence: u32,
    kind: DumpKind,
    next: usize,
    changes_at_start: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DumpKind {
    Links,
    Addresses,
    Routes,
}

/// Faults that the next requests meet.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Answer the next dump with EBUSY.
    pub(super) busy: bool,
    /// Lose the next ack.
    pub(super) lose_ack: bool,
    /// How many events the socket holds.
    pub(super) queue_len_max: usize,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) links: BTreeMap<u32, SimLink>,
    pub(super) addresses: BTreeMap<SimAddress, SimOwn>,
    pub(super) routes: BTreeMap<SimSlot, Vec<SimRoute>>,
    pub(super) events: VecDeque<Vec<u8>>,
    pub(super) replies: VecDeque<Vec<u8>>,
    pub(super) faults: Faults,
    /// net.ipv4.conf.*.promote_secondaries.
    pub(super) promotes: bool,
    /// Datagrams dropped since it was last told.
    pub(super) dropped: u64,
    is_congested: bool,
    next_index: u32,
    dump: Option<DumpState>,
    changes: u64,
    /// Requests that were no RTM_GET*.
    pub(super) writes: u64,
}

impl Kernel {
    pub(super) fn new(queue_len_max: usize) -> Self {
        let lo = SimLink { up: true, mtu: 65536, ..new_link("lo".to_owned(), "", 0) };
        Self {
            links: BTreeMap::from([(1, lo)]),
            addresses: BTreeMap::new(),
            routes: BTreeMap::new(),
            events: VecDeque::new(),
            replies: VecDeque::new(),
            faults: Faults { queue_len_max, ..Faults::default() },
            promotes: false,
            dropped: 0,
            is_congested: false,
            next_index: 2,
            dump: None,
            changes: 0,
            writes: 0,
        }
    }

    /// The next event, unless the queue is empty, which ends a congestion.
    pub(super) fn read_event(&mut self) -> Option<Vec<u8>> {
        let event = self.events.pop_front();
        self.is_congested &= event.is_some() && !self.events.is_empty();
        event
    }

    /// Makes the next part of a dump ahead of its reading, which then is older than the events
    /// that come before it.
    pub(super) fn prefetch(&mut self) {
        if let Some(part) = self.dump_part() {
            self.replies.push_back(part);
        }
    }

    /// Whether it has nothing more to say.
    pub(super) fn is_idle(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty() && self.dump.is_none()
    }

    /// The next answer; a dump makes its parts as they are read, at the latest.
    pub(super) fn read_reply(&mut self) -> Option<Vec<u8>> {
        self.replies.pop_front().or_else(|| self.dump_part())
    }

    pub(super) fn index_of(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(index, _)| *index)
    }

    /// Takes a datagram of requests.
    pub(super) fn request(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let message = NetlinkMessage::<Rt>::deserialize(bytes).expect("a sound request");
            let len = usize::try_from(message.header.length).expect("a length").next_multiple_of(4);
            bytes = &bytes[len.min(bytes.len())..];
            self.one(message);
        }
    }

    fn one(&mut self, message: NetlinkMessage<Rt>) {
        let header = message.header;
        let NetlinkPayload::InnerMessage(request) = message.payload else { panic!("no request") };
        if header.flags & NLM_F_DUMP == NLM_F_DUMP {
            return self.begin_dump(header.sequence_number, &request);
        }
        self.writes += 1;
        let is_new = header.flags & NLM_F_CREATE != 0;
        let is_exclusive = header.flags & NLM_F_EXCL != 0;
        let replaces = header.flags & NLM_F_REPLACE != 0;
        let errno = match request {
            Rt::NewLink(link) if is_new => self.create_link(&link),
            Rt::NewLink(link) => self.set_link(&link),
            Rt::DelLink(link) => match self.links.contains_key(&link.header.index) {
                true => self.delete_link(link.header.index),
                false => libc::ENODEV,
            },
            Rt::NewAddress(address) => self.put_address(&address, replaces),
            Rt::DelAddress(address) => self.delete_address(key_of_address(&address)),
            Rt::NewRoute(route) => self.put_route(&route, is_exclusive, replaces),
            Rt::DelRoute(route) => self.delete_route(&route),
            other => panic!("not asked for so far: {other:?}"),
        };
        if errno != 0 || header.flags & NLM_F_ACK != 0 {
            if std::mem::take(&mut self.faults.lose_ack) {
                return;
            }
            let mut ack = vec![0; 36];
            ack[0..4].copy_from_slice(&36_u32.to_ne_bytes());
            ack[4..6].copy_from_slice(&2_u16.to_ne_bytes());
            ack[8..12].copy_from_slice(&header.sequence_number.to_ne_bytes());
            ack[16..20].copy_from_slice(&(-errno).to_ne_bytes());
            self.replies.push_back(ack);
        }
    }

    fn begin_dump(&mut self, sequence: u32, request: &Rt) {
        let kind = match request {
            Rt::GetLink(_) => DumpKind::Links,
            Rt::GetAddress(_) => DumpKind::Addresses,
            Rt::GetRoute(_) => DumpKind::Routes,
            other => panic!("no dump: {other:?}"),
        };
        if std::mem::take(&mut self.faults.busy) || self.dump.is_some() {
            let mut busy = vec![0; 36];
            busy[0..4].copy_from_slice(&36_u32.to_ne_bytes());
            busy[4..6].copy_from_slice(&2_u16.to_ne_bytes());
            busy[8..12].copy_from_slice(&sequence.to_ne_bytes());
            busy[16..20].copy_from_slice(&(-libc::EBUSY).to_ne_bytes());
            self.replies.push_back(busy);
            return;
        }
        let changes_at_start = self.changes;
        self.dump = Some(DumpState { sequence, kind, next: 0, changes_at_start });
    }

    /// Two entries a datagram, of the state as it is now; entries that move are skipped or
    /// repeated, as the kernel's are. Routes never say that they were interrupted.
    fn dump_part(&mut self) -> Option<Vec<u8>> {
        let state = self.dump.as_ref()?;
        let (sequence, next) = (state.sequence, state.next);
        let entries: Vec<Rt> = match state.kind {
            DumpKind::Links => self.links.keys().map(|&index| self.link_message(index)).collect(),
            DumpKind::Addresses => self.addresses.iter().map(address_message).collect(),
            DumpKind::Routes => {
                let routes = self.routes.iter();
                routes
                    .flat_map(|(slot, hops)| hops.iter().map(|hop| route_message(*slot, hop)))
                    .collect()
            }
        };
        let is_changed = self.changes != state.changes_at_start && state.kind != DumpKind::Routes;
        let interrupted = if is_changed { NLM_F_DUMP_INTR } else { 0 };
        let flags = NLM_F_MULTI | interrupted;
        let mut bytes = Vec::new();
        for entry in entries.into_iter().skip(next).take(2) {
            let entry = match entry {
                Rt::NewLink(_) | Rt::NewAddress(_) | Rt::NewRoute(_) => entry,
                other => panic!("{other:?}"),
            };
            bytes.extend(encoded(entry, flags, sequence));
        }
        if bytes.is_empty() {
            self.dump = None;
            bytes = vec![0; 20];
            bytes[0..4].copy_from_slice(&20_u32.to_ne_bytes());
            bytes[4..6].copy_from_slice(&3_u16.to_ne_bytes());
            bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
            bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        } else if let Some(state) = &mut self.dump {
            state.next += 2;
        }
        Some(bytes)
    }

    fn tell(&mut self, message: Rt, flags: u16) {
        self.changes += 1;
        let is_full = self.events.len() >= self.faults.queue_len_max;
        if is_full || self.is_congested {
            self.is_congested = true;
            self.dropped += 1;
            return;
        }
        self.events.push_back(encoded(message, flags, 0));
    }

    fn tell_link(&mut self, index: u32) {
        let message = self.link_message(index);
        self.tell(message, 0);
    }

    fn create_link(&mut self, request: &LinkMessage) -> i32 {
        let Some(kind) = kind_of(request) else { return libc::EOPNOTSUPP };
        let name = name_of(request).expect("a created link has a name");
        let peer_request = peer_of(request);
        let peer_name = peer_request.as_ref().and_then(name_of);
        let is_taken = |name: &String| self.index_of(name).is_some();
        if is_taken(&name) || peer_name.as_ref().is_some_and(is_taken) {
            return libc::EEXIST;
        }
        let index = self.next_index;
        self.next_index += 1;
        let mut link = new_link(name, kind, index);
        link.data = data_of(request);
        if let Some(lower) = lower_of(request) {
            if !self.links.contains_key(&lower) {
                return libc::ENODEV;
            }
            link.lower = lower;
        }
        if let Err(errno) = self.change(&mut link, request) {
            return errno;
        }
        if let (Some(peer_request), Some(peer_name)) = (peer_request, peer_name) {
            let peer_index = self.next_index;
            self.next_index += 1;
            let mut peer = new_link(peer_name, kind, peer_index);
            peer.peer = index;
            link.peer = peer_index;
            if let Err(errno) = self.change(&mut peer, &peer_request) {
                return errno;
            }
            self.links.insert(peer_index, peer);
        }
        let peer = link.peer;
        self.links.insert(index, link);
        if peer != 0 {
            self.tell_link(peer);
        }
        self.tell_link(index);
        self.bridges_follow();
        0
    }

    /// A device that some driver brings.
    pub(super) fn plug_in(&mut self, name: &str) {
        if self.index_of(name).is_none() {
            let index = self.next_index;
            self.next_index += 1;
            self.links.insert(index, new_link(name.to_owned(), "", index));
            self.tell_link(index);
        }
    }

    /// A bridge whose MTU nobody chose has the least of its ports' (`br_mtu_auto_adjust`).
    fn bridges_follow(&mut self) {
        for index in self.links.keys().copied().collect::<Vec<_>>() {
            let link = &self.links[&index];
            let ports = self.links.values().filter(|port| port.master == index);
            let least = ports.map(|port| port.mtu).min().unwrap_or(1500);
            if link.kind == "bridge" && !link.is_mtu_chosen && link.mtu != least {
                self.links.get_mut(&index).expect("a bridge").mtu = least;
                self.tell_link(index);
            }
        }
    }

    /// What a message says of a link, as far as it can be done: in part, like the kernel.
    fn change(&self, link: &mut SimLink, request: &LinkMessage) -> Result<(), i32> {
        for attribute in &request.attributes {
            match attribute {
                LinkAttribute::Mtu(mtu) => (link.mtu, link.is_mtu_chosen) = (*mtu, true),
                LinkAttribute::Address(mac) => link.mac = mac.to_vec(),
                LinkAttribute::Group(group) => link.group = *group,
                LinkAttribute::Controller(master) if *master != 0 => {
                    let master_link = self.links.get(master).ok_or(libc::EINVAL)?;
                    if master_link.kind != "bridge" {
                        return Err(libc::EOPNOTSUPP);
                    }
                    link.master = *master;
                }
                _ => {}
            }
        }
        if request.header.change_mask.contains(LinkFlags::Up) {
            link.up = request.header.flags.contains(LinkFlags::Up);
        }
        Ok(())
    }

    fn set_link(&mut self, request: &LinkMessage) -> i32 {
        let index = request.header.index;
        let Some(before) = self.links.get(&index).cloned() else { return libc::ENODEV };
        let mut link = before.clone();
        if let Some(name) = name_of(request).filter(|name| *name != link.name) {
            if self.index_of(&name).is_some() {
                return libc::EEXIST;
            }
            link.name = name;
        }
        let result = self.change(&mut link, request);
        let (was_up, is_up) = (before.up, link.up);
        if link != before {
            self.links.insert(index, link);
            self.tell_link(index);
        }
        self.link_went(index, was_up, is_up);
        self.bridges_follow();
        result.err().unwrap_or(0)
    }

    fn link_went(&mut self, index: u32, was_up: bool, is_up: bool) {
        match (was_up, is_up) {
            (true, false) => self.link_went_down(index),
            (false, true) => {
                let own = self.addresses.keys().filter(|key| key.0 == index);
                for key in own.copied().collect::<Vec<_>>() {
                    self.connect(key);
                }
            }
            _ => {}
        }
    }

    /// IPv4 routes go in silence, save local ones; IPv6 routes and addresses are told of.
    fn link_went_down(&mut self, index: u32) {
        let is_gone = |slot: &SimSlot| slot.1.is_ipv4() && slot.0 != TABLE_LOCAL;
        self.remove_routes(|slot, hop| hop.dev == index && is_gone(slot), false);
        self.remove_routes(|slot, hop| hop.dev == index && slot.1.is_ipv6(), true);
        let gone = self.addresses.keys().filter(|key| key.0 == index && key.1.is_ipv6());
        for key in gone.copied().collect::<Vec<_>>() {
            self.addresses.remove(&key);
            self.tell(
                deleted(address_message((&key, &SimOwn { permanent: true, secondary: false }))),
                0,
            );
        }
    }

    /// Its other end and all that stands on it go too.
    pub(super) fn delete_link(&mut self, index: u32) -> i32 {
        let Some(link) = self.links.get(&index).cloned() else { return 0 };
        let standing = self.links.iter().filter(|(_, it)| it.lower == index);
        for upper in standing.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.delete_link(upper);
        }
        let ports = self.links.iter().filter(|(_, it)| it.master == index);
        for port in ports.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.links.get_mut(&port).expect("a port").master = 0;
            self.tell_link(port);
        }
        let gone = self.addresses.keys().filter(|key| key.0 == index && key.1.is_ipv6());
        // IPv6 addresses are told of, most others go in silence.
        for key in gone.copied().collect::<Vec<_>>() {
            let own = self.addresses.remove(&key).expect("an address");
            self.tell(deleted(address_message((&key, &own))), 0);
        }
        self.remove_routes(|_, hop| hop.dev == index, false);
        self.addresses.retain(|key, _| key.0 != index);
        let message = deleted(self.link_message(index));
        self.links.remove(&index);
        self.tell(message, 0);
        self.delete_link(link.peer);
        self.bridges_follow();
        0
    }

    fn put_address(&mut self, request: &AddressMessage, replaces: bool) -> i32 {
        let key = key_of_address(request);
        if !self.links.contains_key(&key.0) {
            return libc::ENODEV;
        }
        if self.addresses.contains_key(&key) && !replaces {
            return libc::EEXIST;
        }
        self.set_address(key, true);
        0
    }

    pub(super) fn set_address(&mut self, key: SimAddress, permanent: bool) {
        let before = self.addresses.get(&key).copied();
        let mut alike = self.addresses.iter().filter(|(other, _)| is_same_subnet(other, &key));
        let secondary = match before {
            Some(before) => before.secondary,
            None => alike.any(|(_, own)| !own.secondary),
        };
        let own = SimOwn { permanent, secondary };
        self.addresses.insert(key, own);
        self.tell(address_message((&key, &own)), 0);
        self.connect(key);
    }

    /// The routes that the kernel makes for an address (`fib_add_ifaddr`).
    fn connect(&mut self, key: SimAddress) {
        let (dev, address, _) = key;
        let route = SimRoute { via: None, dev, protocol: 2 };
        let mut wanted = Vec::new();
        if address.is_ipv4() {
            wanted.push((TABLE_LOCAL, address, 32, 0));
        }
        let is_secondary = self.addresses.get(&key).is_some_and(|own| own.secondary);
        if self.links[&dev].up && !is_secondary {
            wanted.extend(connected_slot(key));
        }
        for slot in wanted {
            if !self.routes.get(&slot).is_some_and(|hops| hops.contains(&route)) {
                self.set_route(slot, route.clone(), false);
            }
        }
    }

    pub(super) fn delete_address(&mut self, key: SimAddress) -> i32 {
        let Some(own) = self.addresses.remove(&key) else { return libc::EADDRNOTAVAIL };
        let alike = self.addresses.keys().filter(|other| is_same_subnet(other, &key));
        let alike: Vec<_> = alike.copied().filter(|_| !own.secondary).collect();
        let heir = alike.first().copied().filter(|_| self.promotes);
        if heir.is_none() {
            for secondary in alike {
                self.delete_address(secondary);
            }
        }
        self.tell(deleted(address_message((&key, &own))), 0);
        let (dev, address, _) = key;
        self.remove_routes(|slot, hop| is_local_of(slot, address) && hop.dev == dev, true);
        let is_covered = self
            .addresses
            .keys()
            .any(|other| connected_slot(*other) == connected_slot(key) && other.0 == dev);
        let connected =
            connected_slot(key).filter(|_| !own.secondary && (!is_covered || heir.is_some()));
        if let Some(connected) = connected {
            self.remove_routes(
                |slot, hop| *slot == connected && hop.dev == dev && hop.protocol == 2,
                true,
            );
        }
        if let Some(heir) = heir {
            let promoted = self.addresses.get_mut(&heir).expect("an heir");
            promoted.secondary = false;
            let message = address_message((&heir, &*promoted));
            self.tell(message, 0);
            self.connect(heir);
        }
        let is_last = !self.addresses.keys().any(|other| other.0 == dev && other.1.is_ipv4());
        if address.is_ipv4() && is_last {
            self.remove_routes(|slot, hop| hop.dev == dev && slot.1.is_ipv4(), false);
        }
        0
    }

    /// The link that a gateway is reached through.
    fn link_to(&self, gateway: IpAddr, dev: u32) -> Option<u32> {
        let mut own = self.addresses.keys().filter(|key| {
            (dev == 0 || key.0 == dev)
                && self.links[&key.0].up
                && network_of(**key) == network_of((0, gateway, key.2))
        });
        own.next().map(|key| key.0)
    }

    fn put_route(&mut self, request: &RouteMessage, exclusive: bool, replaces: bool) -> i32 {
        let (slot, mut route) = route_of(request);
        if let Some(via) = route.via {
            match self.links.get(&route.dev) {
                None if route.dev != 0 => return libc::ENODEV,
                Some(link) if !link.up => return libc::ENETDOWN,
                _ => {}
            }
            let unreachable = if via.is_ipv4() { libc::ENETUNREACH } else { libc::EHOSTUNREACH };
            let Some(dev) = self.link_to(via, route.dev) else { return unreachable };
            route.dev = dev;
        }
        let Some(link) = self.links.get(&route.dev) else { return libc::ENODEV };
        if !link.up {
            return libc::ENETDOWN;
        }
        let is_same = |hop: &SimRoute| (hop.via, hop.dev) == (route.via, route.dev);
        let hops = self.routes.get(&slot).map_or(&[][..], Vec::as_slice);
        if !replaces && (hops.iter().any(is_same) || (exclusive && !hops.is_empty())) {
            return libc::EEXIST;
        }
        self.set_route(slot, route, replaces);
        0
    }

    /// A replacement tells of itself only, with NLM_F_REPLACE.
    pub(super) fn set_route(&mut self, slot: SimSlot, route: SimRoute, replaces: bool) {
        let hops = self.routes.entry(slot).or_default();
        if replaces {
            hops.clear();
        }
        hops.push(route.clone());
        let flags = if replaces { NLM_F_REPLACE } else { 0 };
        self.tell(route_message(slot, &route), flags);
    }

    fn delete_route(&mut self, request: &RouteMessage) -> i32 {
        let (slot, route) = route_of(request);
        match self.routes.get(&slot).is_some_and(|hops| hops.contains(&route)) {
            true => self.remove_routes(|at, hop| *at == slot && *hop == route, true),
            false => return libc::ESRCH,
        }
        0
    }

    pub(super) fn remove_routes(&mut self, gone: impl Fn(&SimSlot, &SimRoute) -> bool, told: bool) {
        let mut removed = Vec::new();
        for (slot, hops) in &mut self.routes {
            hops.retain(|hop| {
                let goes = gone(slot, hop);
                if goes {
                    removed.push((*slot, hop.clone()));
                }
                !goes
            });
        }
        self.routes.retain(|_, hops| !hops.is_empty());
        self.changes += u64::from(!removed.is_empty());
        for (slot, hop) in removed.iter().filter(|_| told) {
            self.tell(deleted(route_message(*slot, hop)), 0);
        }
    }

    fn link_message(&self, index: u32) -> Rt {
        let link = &self.links[&index];
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags.set(LinkFlags::Up, link.up);
        message.attributes = vec![
            LinkAttribute::IfName(link.name.clone()),
            LinkAttribute::Mtu(link.mtu),
            LinkAttribute::Address(link.mac.clone()),
            LinkAttribute::Group(link.group),
        ];
        if link.master != 0 {
            message.attributes.push(LinkAttribute::Controller(link.master));
        }
        // A vxlan names its lower link in its data alone.
        let below = if link.kind == "macvlan" { link.lower } else { link.peer };
        if below != 0 {
            message.attributes.push(LinkAttribute::Link(below));
        }
        if !link.kind.is_empty() {
            let mut info = vec![LinkInfo::Kind(InfoKind::from(link.kind))];
            info.extend(link.data.clone().map(LinkInfo::Data));
            message.attributes.push(LinkAttribute::LinkInfo(info));
        }
        Rt::NewLink(message)
    }

    pub(super) fn rename(&mut self, index: u32, name: &str) {
        if self.index_of(name).is_none() {
            self.links.get_mut(&index).expect("a link").name = name.to_owned();
            self.tell_link(index);
        }
    }

    pub(super) fn update(&mut self, index: u32, change: impl FnOnce(&mut SimLink)) {
        let link = self.links.get_mut(&index).expect("a link");
        let was_up = link.up;
        change(link);
        let is_up = link.up;
        self.tell_link(index);
        self.link_went(index, was_up, is_up);
        self.bridges_follow();
    }
}

fn new_link(name: String, kind: &'static str, index: u32) -> SimLink {
    let mac = vec![2, 0, 0, 0, 0, u8::try_from(index % 256).unwrap_or(0)];
    SimLink {
        name,
        kind,
        up: false,
        mtu: 1500,
        mac,
        group: 0,
        master: 0,
        peer: 0,
        lower: 0,
        data: None,
        is_mtu_chosen: false,
    }
}

fn encoded(message: Rt, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    (header.flags, header.sequence_number) = (flags, sequence);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
    message.serialize(&mut bytes);
    bytes
}

fn deleted(message: Rt) -> Rt {
    match message {
        Rt::NewLink(link) => Rt::DelLink(link),
        Rt::NewAddress(address) => Rt::DelAddress(address),
        Rt::NewRoute(route) => Rt::DelRoute(route),
        other => other,
    }
}

fn name_of(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn kind_of(message: &LinkMessage) -> Option<&'static str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Kind(InfoKind::Bridge) => Some("bridge"),
            LinkInfo::Kind(InfoKind::Veth) => Some("veth"),
            LinkInfo::Kind(InfoKind::Ifb) => Some("ifb"),
            LinkInfo::Kind(InfoKind::MacVlan) => Some("macvlan"),
            LinkInfo::Kind(InfoKind::Vxlan) => Some("vxlan"),
            _ => None,
        }),
        _ => None,
    })
}

fn peer_of(message: &LinkMessage) -> Option<LinkMessage> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))) => Some(peer.clone()),
            _ => None,
        }),
        _ => None,
    })
}

/// What a kind's data says, save a pair's, which is not shown again.
fn data_of(message: &LinkMessage) -> Option<InfoData> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Data(InfoData::Veth(_)) => None,
            LinkInfo::Data(data) => Some(data.clone()),
            _ => None,
        }),
        _ => None,
    })
}

/// IFLA_LINK, or what a vxlan's data has in its place.
fn lower_of(message: &LinkMessage) -> Option<u32> {
    let below = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(below) => Some(*below),
        _ => None,
    });
    below.or_else(|| match data_of(message)? {
        InfoData::Vxlan(infos) => infos.iter().find_map(|info| match info {
            InfoVxlan::Link(below) => Some(*below),
            _ => None,
        }),
        _ => None,
    })
}

fn network_of((_, address, len): SimAddress) -> Prefix {
    Prefix { address, len }.network()
}

fn is_same_subnet(one: &SimAddress, two: &SimAddress) -> bool {
    one.0 == two.0 && one.1.is_ipv4() && network_of(*one) == network_of(*two)
}

fn is_local_of(slot: &SimSlot, address: IpAddr) -> bool {
    slot.0 == TABLE_LOCAL && slot.1 == address
}

/// The slot of the route to an address's own subnet; host addresses have none.
fn connected_slot(key: SimAddress) -> Option<SimSlot> {
    let network = network_of(key);
    let (len_max, metric) = if key.1.is_ipv4() { (32, 0) } else { (128, 256) };
    (key.2 < len_max).then_some((254, network.address, key.2, metric))
}

fn family_of(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address_message((key, own): (&SimAddress, &SimOwn)) -> Rt {
    let mut message = AddressMessage::default();
    message.header.family = family_of(key.1);
    message.header.prefix_len = key.2;
    message.header.index = key.0;
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Permanent, own.permanent);
    flags.set(AddressFlags::Secondary, own.secondary);
    message.attributes = vec![
        AddressAttribute::Address(key.1),
        AddressAttribute::Local(key.1),
        AddressAttribute::Flags(flags),
    ];
    Rt::NewAddress(message)
}

fn key_of_address(message: &AddressMessage) -> SimAddress {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(local) => Some(*local),
        _ => None,
    });
    (message.header.index, local.expect("a local address"), message.header.prefix_len)
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn route_message((table, to, len, metric): SimSlot, route: &SimRoute) -> Rt {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(to);
    message.header.destination_prefix_length = len;
    message.header.table = 254;
    message.header.protocol = RouteProtocol::from(route.protocol);
    let is_local = table == TABLE_LOCAL;
    message.header.kind = if is_local { RouteType::Local } else { RouteType::Unicast };
    if is_local && to.is_ipv4() {
        message.header.scope = netlink_packet_route::route::RouteScope::Host;
    }
    message.attributes = vec![
        RouteAttribute::Destination(route_address(to)),
        RouteAttribute::Table(table),
        RouteAttribute::Oif(route.dev),
        RouteAttribute::Priority(metric),
    ];
    message.attributes.extend(route.via.map(|via| RouteAttribute::Gateway(route_address(via))));
    Rt::NewRoute(message)
}

fn route_of(message: &RouteMessage) -> (SimSlot, SimRoute) {
    let plain = |address: &RouteAddress| match address {
        RouteAddress::Inet(address) => IpAddr::V4(*address),
        RouteAddress::Inet6(address) => IpAddr::V6(*address),
        other => panic!("{other:?}"),
    };
    let (mut to, mut via, mut dev, mut metric) = (None, None, 0, 0);
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = Some(plain(address)),
            RouteAttribute::Gateway(address) => via = Some(plain(address)),
            RouteAttribute::Oif(index) => dev = *index,
            RouteAttribute::Priority(number) => metric = *number,
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let to = to.expect("the tests have no default routes");
    let slot = (table, to, message.header.destination_prefix_length, metric);
    (slot, SimRoute { via, dev, protocol: message.header.protocol.into() })
}
