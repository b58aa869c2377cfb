//! News of routes: what the mirror takes from one, and what that means for others of its slot.

use super::hidden::may_have_siblings;
use super::{Cause, Event, Key, Mirror, Object, What};
use crate::model::network::Table;
use crate::model::route::{Metrics, Route, RouteKey};

impl Mirror {
    /// A notification that a route is there; `shared` where it is one of several IPv6 next hops.
    pub(crate) fn route(
        &mut self,
        mut route: Route,
        shared: bool,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) {
        if !self.tables.contains(Table::Routes) {
            return;
        }
        let is_wanted = self.filter.wants_route(&route);
        if is_wanted {
            self.touch(Key::Route(route.key));
        }
        let displaced = if route.replaced { self.displaced_by(&route) } else { Vec::new() };
        for &key in &displaced {
            self.touch(Key::Route(key));
            self.remove_by(key, sender, tell);
        }
        if !is_wanted {
            return;
        }
        if shared && !route.replaced {
            (route.protocol, route.metrics) = self.shown_for_all(&route);
        }
        if !shared && !route.replaced {
            self.note_alone(&route);
        }
        // The mark of a replacement is kept only where something else was pushed out.
        route.replaced = !displaced.is_empty();
        let key = route.key;
        self.store_route(route, Cause::Notification, sender, tell);
        self.note_joined(key);
    }

    /// A notification that a route is gone.
    pub(crate) fn route_gone(&mut self, key: RouteKey, sender: u32, tell: &mut impl FnMut(Event)) {
        if !self.tables.contains(Table::Routes) {
            return;
        }
        self.touch(Key::Route(key));
        self.remove_by(key, sender, tell);
        let has_others = self.network.routes_in(key.slot).any(|other| !other.is_ipv4());
        if key.via.is_some() && has_others {
            self.doubt.note_slot(key.slot, &self.network);
        }
        if let (Some(reading), true) = (&mut self.reading, key.via.is_some()) {
            reading.silence.note_slot(key.slot);
        }
        self.note_parted(key);
    }

    /// Stores a route; whether there was none of its key.
    pub(super) fn store_route(
        &mut self,
        route: Route,
        cause: Cause,
        sender: u32,
        tell: &mut impl FnMut(Event),
    ) -> bool {
        let network = &mut self.network;
        let mut put = |route| match cause {
            Cause::Dump => network.put_dumped_route(route),
            _ => network.put_route(route),
        };
        if !self.are_routes_heard {
            return put(route).is_none();
        }
        let mut after = route.clone();
        let before = put(route);
        let Some(before) = before else {
            self.tell(cause, sender, What::New(Object::Route(after)), tell);
            return true;
        };
        // As it was put.
        after.replaced |= cause == Cause::Dump && before.replaced;
        if before != after {
            let (before, after) = (Object::Route(before), Object::Route(after));
            self.tell(cause, sender, What::Changed { before, after }, tell);
        }
        false
    }

    fn remove_by(&mut self, key: RouteKey, sender: u32, tell: &mut impl FnMut(Event)) {
        if let Some(gone) = self.network.remove_route(key) {
            self.tell(Cause::Notification, sender, What::Deleted(Object::Route(gone)), tell);
        }
    }

    /// The protocol and the metrics by which a dump shows one of several IPv6 next hops: those of
    /// the oldest, while the notification that it came has its own.
    fn shown_for_all(&self, route: &Route) -> (u8, Metrics) {
        let mut others = self.network.routes_in(route.key.slot);
        let known = self.network.route(route.key);
        let known = known.or_else(|| others.find(|other| may_have_siblings(other)));
        let shown = known.unwrap_or(route);
        (shown.protocol, shown.metrics)
    }

    /// The routes that a replacement took the place of: on IPv4 the first of the slot, on IPv6
    /// all next hops with a gateway, or the first without (`fib6_add_rt2node`).
    fn displaced_by(&mut self, route: &Route) -> Vec<RouteKey> {
        if let Some(reading) = &mut self.reading {
            reading.silence.note_slot(route.key.slot);
        }
        if !self.filter.wants_rivals(&route.key.slot.to) {
            // It may have pushed out a route that is not held here.
            if self.network.routes_in(route.key.slot).next().is_some() {
                self.doubt.raise();
            }
            return Vec::new();
        }
        let others = self.network.routes_in(route.key.slot).filter(|old| old.key != route.key);
        let others: Vec<_> = others.map(|old| old.key).collect();
        if !self.is_whole {
            if !others.is_empty() {
                self.doubt.raise();
            }
            return Vec::new();
        }
        if self.hidden.is_where(route.key.slot) {
            // It may have pushed out one that is not shown.
            self.doubt.raise();
            return Vec::new();
        }
        let is_known = self.network.route(route.key).is_some();
        if route.is_ipv4() {
            if others.len() + usize::from(is_known) > 1 {
                self.doubt.raise();
            }
            return if is_known { Vec::new() } else { others.into_iter().take(1).collect() };
        }
        let has_gateway = route.key.via.is_some();
        let alike = others.iter().copied().filter(|old| old.via.is_some() == has_gateway);
        let alike: Vec<_> = alike.collect();
        if others.len() > 1 || (is_known && !others.is_empty()) {
            self.doubt.raise();
        }
        let directs = others.iter().filter(|old| old.via.is_none()).count();
        let takes_direct = alike.is_empty() || !has_gateway;
        if takes_direct && directs + usize::from(is_known) > 1 {
            // Which of them it took is a guess, and the other one may be hidden before it shows.
            self.hidden.note(route.key.slot);
        }
        match alike.len() {
            0 if is_known => alike,
            0 => others.into_iter().take(1).collect(),
            _ if has_gateway => alike,
            _ if is_known => Vec::new(),
            _ => alike.into_iter().take(1).collect(),
        }
    }
}
