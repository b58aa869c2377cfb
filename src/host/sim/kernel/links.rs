//! Links, and what goes or comes with them.

use netlink_packet_route::RouteNetlinkMessage as Rt;
use netlink_packet_route::link::{InfoData, LinkAttribute, LinkFlags, LinkMessage};

use super::routes::SCOPE_HOST;
use super::{Kernel, SimAddress, spell};

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct SimLink {
    pub(in super::super) name: String,
    pub(in super::super) kind: &'static str,
    pub(in super::super) up: bool,
    pub(in super::super) mtu: u32,
    pub(in super::super) mac: Vec<u8>,
    pub(in super::super) group: u32,
    pub(in super::super) master: u32,
    pub(in super::super) peer: u32,
    /// What it stands on and goes with.
    pub(in super::super) lower: u32,
    /// IFLA_INFO_DATA, shown as it came.
    pub(in super::super) data: Option<InfoData>,
    /// Whether someone chose its MTU; a bridge follows its ports else.
    is_mtu_chosen: bool,
}

impl SimLink {
    pub(super) fn loopback() -> Self {
        Self { up: true, mtu: 65536, ..Self::new("lo".to_owned(), "", 0) }
    }

    pub(super) fn new(name: String, kind: &'static str, index: u32) -> Self {
        let mac = vec![2, 0, 0, 0, 0, u8::try_from(index % 256).unwrap_or(0)];
        Self {
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
}

impl Kernel {
    pub(super) fn link_message(&self, index: u32) -> Rt {
        spell::link(index, &self.links[&index])
    }

    fn tell_link(&mut self, index: u32) {
        let message = self.link_message(index);
        self.tell(message, 0);
    }

    fn insert_link(&mut self, index: u32, link: SimLink) {
        self.links.insert(index, link);
        self.generations[0] += 1;
    }

    pub(super) fn create_link(&mut self, request: &LinkMessage) -> i32 {
        let Some(kind) = spell::kind_of(request) else { return libc::EOPNOTSUPP };
        let name = spell::name_of(request).expect("a created link has a name");
        let peer_request = spell::peer_of(request);
        let peer_name = peer_request.as_ref().and_then(spell::name_of);
        let is_taken = |name: &String| self.index_of(name).is_some();
        if is_taken(&name) || peer_name.as_ref().is_some_and(is_taken) {
            return libc::EEXIST;
        }
        let index = self.next_index;
        self.next_index += 1;
        let mut link = SimLink::new(name, kind, index);
        link.data = spell::data_of(request);
        if let Some(lower) = spell::lower_of(request) {
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
            let mut peer = SimLink::new(peer_name, kind, peer_index);
            peer.peer = index;
            link.peer = peer_index;
            if let Err(errno) = self.change(&mut peer, &peer_request) {
                return errno;
            }
            self.insert_link(peer_index, peer);
        }
        let peer = link.peer;
        self.insert_link(index, link);
        if peer != 0 {
            self.tell_link(peer);
        }
        self.tell_link(index);
        self.bridges_follow();
        0
    }

    /// A device that some driver brings.
    pub(in super::super) fn plug_in(&mut self, name: &str) -> u32 {
        if let Some(index) = self.index_of(name) {
            return index;
        }
        let index = self.next_index;
        self.next_index += 1;
        self.insert_link(index, SimLink::new(name.to_owned(), "", index));
        self.tell_link(index);
        index
    }

    /// A link that someone else makes, or a pair; nothing where a name is taken.
    pub(in super::super) fn make(&mut self, name: &str, kind: &'static str, other: &str) {
        if self.index_of(name).is_some() || (kind == "veth" && self.index_of(other).is_some()) {
            return;
        }
        let index = self.next_index;
        self.next_index += 2;
        let mut link = SimLink::new(name.to_owned(), kind, index);
        match kind {
            "veth" => {
                link.peer = index + 1;
                let peer = SimLink::new(other.to_owned(), kind, index + 1);
                self.insert_link(index + 1, SimLink { peer: index, ..peer });
                self.tell_link(index + 1);
            }
            "macvlan" => match self.index_of(other) {
                Some(lower) => link.lower = lower,
                None => return,
            },
            _ => {}
        }
        self.insert_link(index, link);
        self.tell_link(index);
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

    pub(super) fn set_link(&mut self, request: &LinkMessage) -> i32 {
        let index = request.header.index;
        let Some(before) = self.links.get(&index).cloned() else { return libc::ENODEV };
        let mut link = before.clone();
        if let Some(name) = spell::name_of(request).filter(|name| *name != link.name) {
            if self.index_of(&name).is_some() {
                return libc::EEXIST;
            }
            link.name = name;
        }
        let result = self.change(&mut link, request);
        if let Some(data) = spell::data_of(request) {
            // Of a link that is down it tells nobody.
            link.data = Some(spell::overlaid(link.data.take(), data));
            if !link.up {
                self.links.get_mut(&index).expect("a link").data = link.data.clone();
            }
        }
        let before = SimLink { data: self.links[&index].data.clone(), ..before };
        self.changed(index, &before, link);
        result.err().unwrap_or(0)
    }

    pub(in super::super) fn rename(&mut self, index: u32, name: &str) {
        if self.index_of(name).is_none() {
            self.links.get_mut(&index).expect("a link").name = name.to_owned();
            self.tell_link(index);
        }
    }

    pub(in super::super) fn update(&mut self, index: u32, change: impl FnOnce(&mut SimLink)) {
        let before = self.links[&index].clone();
        let mut link = before.clone();
        change(&mut link);
        self.changed(index, &before, link);
    }

    /// Stores what a link became, and does what follows.
    fn changed(&mut self, index: u32, before: &SimLink, link: SimLink) {
        let (master, is_up) = (link.master, link.up);
        if link != *before {
            if before.master != master && before.master != 0 {
                // Of family AF_BRIDGE: a port that leaves, not a link that is deleted.
                self.events.deliver(spell::bridge_port(index, &before.name, before.master, true));
            }
            self.links.insert(index, link);
            self.tell_link(index);
            if before.master != master && master != 0 {
                self.events.deliver(spell::bridge_port(index, &before.name, master, false));
            }
        }
        match (before.up, is_up) {
            (true, false) => self.went_down(index),
            (false, true) => self.went_up(index),
            _ => {}
        }
        self.bridges_follow();
    }

    fn went_up(&mut self, index: u32) {
        self.revive_hops(index);
        let own = self.addresses.keys().filter(|key| key.0 == index);
        for key in own.copied().collect::<Vec<_>>() {
            self.connect(key);
            let own = self.addresses.get_mut(&key).expect("an address");
            // The detection is over at once here.
            if std::mem::take(&mut own.tentative) {
                let message = spell::address((&key, &*own));
                self.tell(message, 0);
            }
        }
    }

    /// It was told that the link is down; now what goes with it goes: IPv4 routes in silence,
    /// save those of scope host; IPv6 routes and addresses told, unless sysctls say otherwise.
    fn went_down(&mut self, index: u32) {
        self.remove_ipv6_routes(index);
        let is_gone = |key: &&SimAddress| key.0 == index && key.1.is_ipv6();
        for key in self.addresses.keys().filter(is_gone).copied().collect::<Vec<_>>() {
            let own = self.addresses.get_mut(&key).expect("an address");
            if self.sysctls.keeps_addresses && own.permanent {
                own.tentative = true;
                continue;
            }
            self.forget_address(key);
        }
        self.kill_hops(index, |route| route.scope < SCOPE_HOST);
    }

    /// Its other end and all that stands on it go too.
    pub(in super::super) fn delete_link(&mut self, index: u32) -> i32 {
        self.unregister(index, false)
    }

    /// Into another namespace; there it is somebody else's.
    pub(in super::super) fn move_link(&mut self, index: u32) {
        self.unregister(index, true);
    }

    fn unregister(&mut self, index: u32, moves: bool) -> i32 {
        let Some(link) = self.links.get(&index).cloned() else { return 0 };
        let standing = self.links.iter().filter(|(_, it)| it.lower == index);
        for upper in standing.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.delete_link(upper);
        }
        let ports = self.links.iter().filter(|(_, it)| it.master == index);
        for port in ports.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.update(port, |link| link.master = 0);
        }
        if link.up {
            self.update(index, |link| link.up = false);
        }
        let addresses = self.addresses.keys().filter(|key| key.0 == index);
        for key in addresses.copied().collect::<Vec<_>>() {
            self.forget_address(key);
            self.remove_local(key);
        }
        // A route of several hops goes whole, whichever its device was.
        self.remove_routes(|slot, hop| slot.1.is_ipv4() && hop.uses(index), false);
        self.remove_routes(|slot, hop| slot.1.is_ipv6() && hop.dev == index, true);
        let link = self.links.get(&index).expect("it is still there").clone();
        if link.master != 0 {
            self.events.deliver(spell::bridge_port(index, &link.name, link.master, true));
        }
        let message = self.link_message(index);
        let message = if moves { spell::moved(message) } else { spell::deleted(message) };
        self.links.remove(&index);
        self.generations[0] += 1;
        self.tell(message, 0);
        // The other end of a pair goes with it, unless it only moved.
        if !moves {
            self.delete_link(link.peer);
        }
        self.bridges_follow();
        0
    }
}
