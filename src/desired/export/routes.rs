//! Routes, rules and permanent neighbours.

use super::toml::{Field, inline, quoted};
use super::{Export, entry, not_ours, string, text};
use crate::model::address::scope_name;
use crate::model::neighbour::NUD_PERMANENT;
use crate::model::nexthop::RTNH_F_ONLINK;
use crate::model::route::{
    METRIC_IPV6_DEFAULT, PROTOCOL_KERNEL, RTN_UNICAST, Route, TABLE_LOCAL, TABLE_MAIN, table_name,
    type_name,
};
use crate::model::rule::{FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, PortRange, Rule};

/// RTPROT_REDIRECT and RTPROT_RA: what the kernel learnt and will learn again.
const LEARNT: [u8; 2] = [1, 9];

impl Export<'_> {
    pub(super) fn routes(&self, document: &mut String) {
        for route in self.network.routes() {
            let comes_by_itself = route.protocol == PROTOCOL_KERNEL
                || LEARNT.contains(&route.protocol)
                || (route.key.slot.table == TABLE_LOCAL && not_ours(route.protocol).is_some());
            if comes_by_itself {
                continue;
            }
            let reason = not_ours(route.protocol)
                .or(self.names_are_lost(route).then(|| "its link is out of reach".to_owned()));
            entry(document, "route", &self.route(route), reason.as_deref());
        }
    }

    fn names_are_lost(&self, route: &Route) -> bool {
        let mut devs = route.hops.iter().map(|hop| hop.dev).chain([route.key.dev]);
        devs.any(|dev| dev != 0 && self.name(dev).is_none())
    }

    fn route(&self, route: &Route) -> Vec<Field> {
        let mut fields = Fields::default();
        let slot = route.key.slot;
        let is_ipv4 = slot.to.is_ipv4();
        // A default is of the family of its gateway.
        let hops = route.hops.iter().map(|hop| hop.via);
        let gateway = hops.chain([route.key.via]).flatten().next();
        let is_default = route.nexthop_id == 0
            && slot.to.len == 0
            && gateway.is_some_and(|gateway| gateway.is_ipv4() == is_ipv4);
        fields.push("to", if is_default { quoted("default") } else { string(slot.to) });
        if route.key.route_type != RTN_UNICAST && route.nexthop_id == 0 {
            fields.named("type", type_name(route.key.route_type), route.key.route_type.into());
        }
        // Routes that lead nowhere stand on the loopback device in IPv6.
        let leads_somewhere = route.key.route_type < 6;
        fields.number("nhid", route.nexthop_id, 0);
        if route.hops.is_empty() && leads_somewhere && route.nexthop_id == 0 {
            fields.option("via", route.key.via.map(string));
            fields.option("dev", self.name(route.key.dev).map(|dev| quoted(&text(dev))));
            if route.flags & RTNH_F_ONLINK != 0 {
                fields.push("onlink", "true".to_owned());
            }
        }
        let usual = if is_ipv4 { 0 } else { METRIC_IPV6_DEFAULT };
        fields.number("metric", slot.metric, usual);
        if slot.table != TABLE_MAIN {
            fields.named("table", table_name(slot.table), slot.table);
        }
        fields.number("tos", slot.tos.into(), 0);
        if is_ipv4 && route.key.route_type == RTN_UNICAST && has_own_scope(route) {
            fields.named("scope", scope_name(route.scope), route.scope.into());
        }
        fields.option("source", route.source.map(string));
        fields.number("mtu", route.metrics.mtu, 0);
        fields.number("advmss", route.metrics.advmss, 0);
        if !route.hops.is_empty() && route.nexthop_id == 0 {
            let hops: Vec<_> = route.hops.iter().map(|hop| self.hop(hop)).collect();
            fields.push("nexthops", format!("[{}]", hops.join(", ")));
        }
        fields.0
    }

    fn hop(&self, hop: &crate::model::route::Hop) -> String {
        let mut fields = Fields::default();
        fields.option("via", hop.via.map(string));
        fields.option("dev", self.name(hop.dev).map(|dev| quoted(&text(dev))));
        fields.number("weight", hop.weight.into(), 1);
        if hop.onlink {
            fields.push("onlink", "true".to_owned());
        }
        inline(&fields.0)
    }

    pub(super) fn rules(&self, document: &mut String) {
        for rule in self.network.rules().filter(|rule| rule.protocol != PROTOCOL_KERNEL) {
            let reason = not_ours(rule.protocol);
            entry(document, "rule", &rule_fields(rule), reason.as_deref());
        }
    }

    pub(super) fn neighbours(&self, document: &mut String) {
        for neighbour in self.network.neighbours().filter(|it| it.state == NUD_PERMANENT) {
            let (Some(dev), Some(mac)) = (self.name(neighbour.key.index), neighbour.mac) else {
                continue;
            };
            let mut fields = Fields::default();
            fields.push("dev", quoted(&text(dev)));
            fields.push("address", string(neighbour.key.address));
            fields.push("mac", string(mac));
            let reason = not_ours(neighbour.protocol);
            entry(document, "neighbour", &fields.0, reason.as_deref());
        }
    }
}

/// Whether its scope is another than iproute2 gives to such a route.
fn has_own_scope(route: &Route) -> bool {
    let has_gateway = route.key.via.is_some() || route.hops.iter().any(|hop| hop.via.is_some());
    let usual = if has_gateway || !route.hops.is_empty() { 0 } else { 253 };
    route.scope != usual
}

fn rule_fields(rule: &Rule) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.push("priority", rule.priority.to_string());
    if rule.src.or(rule.dst).is_none() {
        fields.push("family", quoted(if rule.is_ipv6 { "inet6" } else { "inet" }));
    }
    if rule.flags & FIB_RULE_INVERT != 0 {
        fields.push("not", "true".to_owned());
    }
    fields.option("from", rule.src.map(string));
    fields.option("to", rule.dst.map(string));
    for (key, name) in [("iif", rule.iif), ("oif", rule.oif)] {
        fields.option(key, (!name.is_empty()).then(|| quoted(&text(name))));
    }
    fields.number("fwmark", rule.fwmark, 0);
    if rule.fwmark != 0 || rule.fwmask != 0 {
        fields.number("fwmask", rule.fwmask, u32::MAX);
    }
    fields.number("tos", rule.tos.into(), 0);
    fields.number("ipproto", rule.ip_protocol.into(), 0);
    fields.option("sport", rule.source_ports.map(ports));
    fields.option("dport", rule.destination_ports.map(ports));
    match rule.action {
        FR_ACT_TO_TBL if rule.l3mdev => fields.push("l3mdev", "true".to_owned()),
        FR_ACT_TO_TBL => fields.named("table", table_name(rule.table), rule.table),
        FR_ACT_GOTO => fields.push("goto", rule.goto.to_string()),
        action => {
            let names = crate::model::rule::ACTION_NAMES;
            fields.named("action", names.get(usize::from(action)).copied(), action.into());
        }
    }
    let suppressed = rule.suppress_prefix_len.map(|len| len.to_string());
    fields.option("suppress_prefixlength", suppressed);
    fields.0
}

fn ports(range: PortRange) -> String {
    match range {
        PortRange { first, last, .. } if first == last => first.to_string(),
        PortRange { first, last, .. } => quoted(&format!("{first}-{last}")),
    }
}

/// The fields of one table, in the order in which they are written.
#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn push(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }

    fn option(&mut self, key: &str, value: Option<String>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }

    fn number(&mut self, key: &str, number: u32, usual: u32) {
        if number != usual {
            self.push(key, number.to_string());
        }
    }

    fn named(&mut self, key: &str, name: Option<&str>, number: u32) {
        self.push(key, name.map_or(number.to_string(), quoted));
    }
}
