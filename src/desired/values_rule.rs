//! What a rule and a neighbour must be by themselves, whatever they are read from.

use super::DesiredNeighbour;
use super::values::{Fault, check_mac, check_name};
use super::values_route::check_destination;
use crate::model::address::Prefix;
use crate::model::rule::{
    FIB_RULE_INVERT, FR_ACT_BLACKHOLE, FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_PROHIBIT, FR_ACT_TO_TBL,
    FR_ACT_UNREACHABLE, PortRange, Rule,
};
use crate::model::text::LinkName;

/// The actions that can be declared, by the names of `ip rule`.
pub(super) const ACTIONS: &[(&str, u8)] = &[
    ("lookup", FR_ACT_TO_TBL),
    ("blackhole", FR_ACT_BLACKHOLE),
    ("unreachable", FR_ACT_UNREACHABLE),
    ("prohibit", FR_ACT_PROHIBIT),
    ("goto", FR_ACT_GOTO),
    ("nop", FR_ACT_NOP),
];

/// All that is wrong with a rule by itself. Each fault names its key; the empty one is the rule.
pub(super) fn check_rule(rule: &Rule) -> Vec<(&'static str, Fault)> {
    let named = |name: LinkName| if name.is_empty() { Ok(()) } else { check_name(name) };
    let checked = [
        ("priority", check_priority(rule)),
        ("from", check_prefix(rule, rule.src)),
        ("to", check_prefix(rule, rule.dst)),
        ("iif", named(rule.iif)),
        ("oif", named(rule.oif)),
        ("tos", check_tos(rule.tos)),
        ("sport", check_ports(rule.source_ports)),
        ("dport", check_ports(rule.destination_ports)),
        ("", check_flags(rule)),
    ];
    let faults = checked.into_iter().filter_map(|(key, checked)| Some((key, checked.err()?)));
    faults.chain(check_action(rule)).collect()
}

fn check_priority(rule: &Rule) -> Result<(), Fault> {
    match rule.priority {
        0 => Err(Fault::new(
            "priority 0 is that of the kernel's own rule for its addresses",
            "give a number from 1 to 32765, before the rule for the main table",
        )),
        _ => Ok(()),
    }
}

fn check_prefix(rule: &Rule, prefix: Option<Prefix>) -> Result<(), Fault> {
    let Some(prefix) = prefix else { return Ok(()) };
    check_destination(prefix)?;
    if prefix.is_ipv4() == rule.is_ipv6 {
        let family = if rule.is_ipv6 { "IPv6" } else { "IPv4" };
        return Err(Fault::new(
            format!("{prefix} stands in a rule of {family}"),
            "declare a rule for each family",
        ));
    }
    if prefix.len == 0 {
        return Err(Fault::new(format!("{prefix} is every address"), "leave it out"));
    }
    Ok(())
}

fn check_tos(tos: u8) -> Result<(), Fault> {
    if tos % 4 == 0 {
        return Ok(());
    }
    Err(Fault::new(
        format!("a tos of {tos} has bits of congestion notification set"),
        format!("write a multiple of 4, such as {}", tos & !3),
    ))
}

fn check_ports(ports: Option<PortRange>) -> Result<(), Fault> {
    match ports {
        Some(PortRange { first, last, .. }) if first == 0 || first > last => Err(Fault::new(
            format!("the ports {first}-{last} are none"),
            "write a port from 1 to 65535, or the first and the last of a range",
        )),
        _ => Ok(()),
    }
}

fn check_flags(rule: &Rule) -> Result<(), Fault> {
    match rule.flags & !FIB_RULE_INVERT {
        0 => Ok(()),
        flags => {
            let message = format!("the flags {flags:#x} are the kernel's own");
            Err(Fault::new(message, "take them out"))
        }
    }
}

fn check_action(rule: &Rule) -> Option<(&'static str, Fault)> {
    let name = rule.action_name().unwrap_or_default();
    let looks_up = rule.action == FR_ACT_TO_TBL;
    let fault = |key, message: String, help: &str| Some((key, Fault::new(message, help)));
    if !ACTIONS.iter().any(|(_, action)| *action == rule.action) {
        let message = format!("a rule cannot have action {}", rule.action);
        return fault("action", message, "the usual one is FR_ACT_TO_TBL, with a table");
    }
    if looks_up && rule.l3mdev && rule.table != 0 {
        let message =
            "`l3mdev` looks up the table of the link's master, and `table` another".to_owned();
        return fault("table", message, "keep one of the two");
    }
    if looks_up && !rule.l3mdev && rule.table == 0 {
        let message = "the rule says no table to look up".to_owned();
        return fault("", message, "give `table`, or another `action`");
    }
    if !looks_up && rule.table != 0 {
        let message = format!("a rule with action {name} looks nothing up");
        return fault("table", message, "take `table` out, or `action`");
    }
    if !looks_up && (rule.suppress_prefix_len.is_some() || rule.suppress_group.is_some()) {
        let message = format!("a rule with action {name} finds no route to suppress");
        return fault("suppress_prefixlength", message, "take it out, or `action`");
    }
    if let Some(len) = rule.suppress_prefix_len.filter(|len| *len > 128) {
        let message = format!("no prefix is {len} bits long");
        return fault("suppress_prefixlength", message, "0 suppresses default routes");
    }
    if rule.action == FR_ACT_GOTO && rule.goto <= rule.priority {
        let message = format!("a rule of priority {} cannot go to {}", rule.priority, rule.goto);
        return fault("goto", message, "rules are gone through upwards: give a greater priority");
    }
    if rule.action != FR_ACT_GOTO && rule.goto != 0 {
        let message = format!("a rule with action {name} goes nowhere");
        return fault("goto", message, "take `goto` out, or `action`");
    }
    None
}

/// All that is wrong with a neighbour by itself.
pub(super) fn check_neighbour(neighbour: &DesiredNeighbour) -> Vec<(&'static str, Fault)> {
    let address = neighbour.address;
    let reachable = match address.is_multicast() || address.is_unspecified() {
        true => Err(Fault::new(
            format!("{address} cannot be a neighbour"),
            "give the address of a host on the link's network",
        )),
        false => Ok(()),
    };
    let checked = [
        ("dev", check_name(neighbour.dev)),
        ("address", reachable),
        ("mac", check_mac(neighbour.mac)),
    ];
    checked.into_iter().filter_map(|(key, checked)| Some((key, checked.err()?))).collect()
}
