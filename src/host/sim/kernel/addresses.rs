//! Addresses, and the routes that the kernel makes for them.

use std::net::IpAddr;

use netlink_packet_route::address::AddressMessage;

use super::routes::{SCOPE_HOST, SimRoute, SimSlot};
use super::{Kernel, Put, TABLE_LOCAL, spell};
use crate::model::address::Prefix;

/// What an address is, beside itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct SimOwn {
    pub(in super::super) permanent: bool,
    /// Not the first IPv4 address of its subnet on the link.
    pub(in super::super) secondary: bool,
    pub(in super::super) tentative: bool,
}

/// (link, address, prefix length)
pub(in super::super) type SimAddress = (u32, IpAddr, u8);

impl Kernel {
    pub(super) fn put_address(&mut self, request: &AddressMessage, replaces: bool) -> i32 {
        let key = spell::key_of_address(request);
        if !self.links.contains_key(&key.0) {
            return libc::ENODEV;
        }
        if self.addresses.contains_key(&key) && !replaces {
            return libc::EEXIST;
        }
        self.set_address(key, true);
        0
    }

    pub(in super::super) fn set_address(&mut self, key: SimAddress, permanent: bool) {
        let before = self.addresses.get(&key).copied();
        let mut alike = self.addresses.iter().filter(|(other, _)| is_same_subnet(other, &key));
        let secondary = match before {
            Some(before) => before.secondary,
            None => alike.any(|(_, own)| !own.secondary),
        };
        let tentative = key.1.is_ipv6() && !self.links[&key.0].up;
        let own = SimOwn { permanent, secondary, tentative };
        self.addresses.insert(key, own);
        self.generations[1] += 1;
        self.tell(spell::address((&key, &own)), 0);
        self.connect(key);
        if key.1.is_ipv4() && self.links[&key.0].up {
            self.revive_hops(key.0);
        }
    }

    /// The routes that the kernel makes for an address (`fib_add_ifaddr`).
    pub(super) fn connect(&mut self, key: SimAddress) {
        let (dev, address, _) = key;
        let route = SimRoute { protocol: 2, ..SimRoute::through(None, dev) };
        let mut wanted = Vec::new();
        if address.is_ipv4() {
            let local = SimRoute { scope: SCOPE_HOST, ..route.clone() };
            wanted.push(((TABLE_LOCAL, address, 32, 0), local));
        }
        let is_secondary = self.addresses.get(&key).is_some_and(|own| own.secondary);
        if self.links[&dev].up && !is_secondary {
            wanted.extend(connected_slot(key).map(|slot| (slot, route)));
        }
        for (slot, route) in wanted {
            let is_there = |hop: &SimRoute| (hop.dev, hop.via) == (dev, None);
            if !self.routes.get(&slot).is_some_and(|hops| hops.iter().any(is_there)) {
                self.set_route(slot, route, Put::Append);
            }
        }
    }

    /// Takes an address out and tells of it, no more.
    pub(super) fn forget_address(&mut self, key: SimAddress) {
        if let Some(own) = self.addresses.remove(&key) {
            self.generations[1] += 1;
            self.tell(spell::deleted(spell::address((&key, &own))), 0);
            self.forget_source(key.1);
        }
    }

    pub(super) fn remove_local(&mut self, (dev, address, _): SimAddress) {
        self.remove_routes(|slot, hop| is_local_of(slot, address) && hop.dev == dev, true);
    }

    pub(in super::super) fn delete_address(&mut self, key: SimAddress) -> i32 {
        let Some(own) = self.addresses.get(&key).copied() else { return libc::EADDRNOTAVAIL };
        let others = self.addresses.keys().filter(|other| **other != key);
        let alike = others.filter(|other| is_same_subnet(other, &key));
        let alike: Vec<_> = alike.copied().filter(|_| !own.secondary).collect();
        let heir = alike.first().copied().filter(|_| self.sysctls.promotes);
        if heir.is_none() {
            for secondary in alike {
                self.delete_address(secondary);
            }
        }
        // It is told of before what goes with it goes.
        self.forget_address(key);
        self.remove_local(key);
        let (dev, address, _) = key;
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
            let message = spell::address((&heir, &*promoted));
            self.generations[1] += 1;
            self.tell(message, 0);
            self.connect(heir);
        }
        let is_last = !self.addresses.keys().any(|other| other.0 == dev && other.1.is_ipv4());
        if address.is_ipv4() && is_last {
            self.kill_hops(dev, |_| true);
        }
        0
    }

    /// Nobody has that address any more: IPv4 routes from it go and are told of, those of IPv6
    /// lose their source without a word.
    fn forget_source(&mut self, address: IpAddr) {
        if self.addresses.keys().any(|other| other.1 == address) {
            return;
        }
        let source = Some(address);
        self.remove_routes(|slot, hop| slot.1.is_ipv4() && hop.source == source, true);
        let of_ipv6 = self.routes.values_mut().flatten().filter(|hop| hop.source == source);
        of_ipv6.for_each(|hop| hop.source = None);
    }

    /// The link that a gateway is reached through.
    pub(super) fn link_to(&self, gateway: IpAddr, dev: u32) -> Option<u32> {
        let mut own = self.addresses.keys().filter(|key| {
            (dev == 0 || key.0 == dev)
                && self.links[&key.0].up
                && network_of(**key) == network_of((0, gateway, key.2))
        });
        own.next().map(|key| key.0)
    }
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
