//! Objects of any type, put in and taken out by what they are.

use super::{Network, Table};
use crate::model::object::{Object, ObjectKey};

impl Network {
    /// Stores an object; returns what stood in its place.
    pub fn put(&mut self, object: Object) -> Option<Object> {
        match object {
            Object::Link(it) => self.put_link(it).map(Object::Link),
            Object::Address(it) => self.put_address(it).map(Object::Address),
            Object::Route(it) => self.put_route(it).map(Object::Route),
            Object::Nexthop(it) => self.nexthops.insert(it.id, it).map(Object::Nexthop),
            Object::Neighbour(it) => self.neighbours.insert(it.key, it).map(Object::Neighbour),
            Object::BridgeVlan(it) => self.bridge_vlans.insert(it.key, it).map(Object::BridgeVlan),
            Object::Fdb(it) => self.fdb.insert(it.key, it).map(Object::Fdb),
            Object::Rule(it) => self.rules.replace(it).map(Object::Rule),
            Object::Netconf(it) => self.netconf.insert(it.key, it).map(Object::Netconf),
            Object::Nsid(it) => self.nsids.replace(it).map(Object::Nsid),
        }
    }

    /// Takes an object out; what stands on it stays, for the caller to decide.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Object> {
        match key {
            ObjectKey::Link(index) => self.remove_link(*index).map(Object::Link),
            ObjectKey::Address(key) => self.remove_address(*key).map(Object::Address),
            ObjectKey::Route(key) => self.remove_route(*key).map(Object::Route),
            ObjectKey::Nexthop(id) => self.nexthops.remove(id).map(Object::Nexthop),
            ObjectKey::Neighbour(key) => self.neighbours.remove(key).map(Object::Neighbour),
            ObjectKey::BridgeVlan(key) => self.bridge_vlans.remove(key).map(Object::BridgeVlan),
            ObjectKey::Fdb(key) => self.fdb.remove(key).map(Object::Fdb),
            ObjectKey::Rule(rule) => self.rules.take(&**rule).map(Object::Rule),
            ObjectKey::Netconf(key) => self.netconf.remove(key).map(Object::Netconf),
            ObjectKey::Nsid(nsid) => self.nsids.take(nsid).map(Object::Nsid),
        }
    }

    /// The object of that key.
    pub fn get(&self, key: &ObjectKey) -> Option<Object> {
        match key {
            ObjectKey::Link(index) => self.links.get(index).cloned().map(Object::Link),
            ObjectKey::Address(key) => self.addresses.get(key).copied().map(Object::Address),
            ObjectKey::Route(key) => self.routes.get(key).cloned().map(Object::Route),
            ObjectKey::Nexthop(id) => self.nexthops.get(id).cloned().map(Object::Nexthop),
            ObjectKey::Neighbour(key) => self.neighbours.get(key).copied().map(Object::Neighbour),
            ObjectKey::BridgeVlan(key) => {
                self.bridge_vlans.get(key).copied().map(Object::BridgeVlan)
            }
            ObjectKey::Fdb(key) => self.fdb.get(key).copied().map(Object::Fdb),
            ObjectKey::Rule(rule) => self.rules.get(&**rule).copied().map(Object::Rule),
            ObjectKey::Netconf(key) => self.netconf.get(key).copied().map(Object::Netconf),
            ObjectKey::Nsid(nsid) => self.nsids.get(nsid).copied().map(Object::Nsid),
        }
    }

    /// Whether the object is there.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Link(index) => self.links.contains_key(index),
            ObjectKey::Address(key) => self.addresses.contains_key(key),
            ObjectKey::Route(key) => self.routes.get(key).is_some(),
            ObjectKey::Nexthop(id) => self.nexthops.contains_key(id),
            ObjectKey::Neighbour(key) => self.neighbours.contains_key(key),
            ObjectKey::BridgeVlan(key) => self.bridge_vlans.contains_key(key),
            ObjectKey::Fdb(key) => self.fdb.contains_key(key),
            ObjectKey::Rule(rule) => self.rules.contains(&**rule),
            ObjectKey::Netconf(key) => self.netconf.contains_key(key),
            ObjectKey::Nsid(nsid) => self.nsids.contains(nsid),
        }
    }

    /// The keys of all objects of a table, in no order.
    pub fn keys(&self, table: Table) -> Box<dyn Iterator<Item = ObjectKey> + '_> {
        match table {
            Table::Links => Box::new(self.links.keys().copied().map(ObjectKey::Link)),
            Table::Addresses => Box::new(self.addresses.keys().copied().map(ObjectKey::Address)),
            Table::Routes => Box::new(self.routes.iter().map(|route| ObjectKey::Route(route.key))),
            Table::Nexthops => Box::new(self.nexthops.keys().copied().map(ObjectKey::Nexthop)),
            Table::Neighbours => {
                Box::new(self.neighbours.keys().copied().map(ObjectKey::Neighbour))
            }
            Table::BridgeVlans => {
                Box::new(self.bridge_vlans.keys().copied().map(ObjectKey::BridgeVlan))
            }
            Table::Fdb => Box::new(self.fdb.keys().copied().map(ObjectKey::Fdb)),
            Table::Rules => Box::new(self.rules.iter().map(|it| ObjectKey::Rule(Box::new(*it)))),
            Table::Netconf => Box::new(self.netconf.keys().copied().map(ObjectKey::Netconf)),
            Table::Nsids => Box::new(self.nsids.iter().copied().map(ObjectKey::Nsid)),
        }
    }
}
