//! What a next hop object must be by itself, whatever it is read from.

use super::DesiredNexthop;
use super::values::{Fault, check_name};
use super::values_route::RouteFault;
use crate::limits::NEXTHOPS_MAX;

/// All that is wrong with a next hop by itself. The empty key is the next hop.
pub(super) fn check_nexthop(nexthop: &DesiredNexthop) -> Vec<RouteFault> {
    let DesiredNexthop { id, is_ipv6, via, dev, onlink, blackhole, .. } = *nexthop;
    let mut faults: Vec<RouteFault> = Vec::new();
    let mut push = |key, item, message: String, help: &str| {
        faults.push((key, item, Fault::new(message, help)));
    };
    if id == 0 {
        push("id", 0, "there is no next hop 0".to_owned(), "give a number from 1");
    }
    let has_way = via.is_some() || dev.is_some();
    match (nexthop.group.is_empty(), blackhole) {
        (false, _) if has_way || onlink || blackhole => {
            let help = "keep `group`, or what a single next hop has";
            push("group", 0, "a group leads where its members do".to_owned(), help);
        }
        (true, true) if has_way || onlink => {
            let help = "take `blackhole` out, or the rest";
            push("blackhole", 0, "a blackhole leads nowhere".to_owned(), help);
        }
        (true, false) if dev.is_none() => {
            let help = "give `dev`, the outgoing link; or `blackhole = true`, or `group`";
            push("", 0, format!("next hop {id} leads through no link"), help);
        }
        _ => {}
    }
    if onlink && via.is_none() && dev.is_some() {
        let help = "give `via`, or take `onlink` out";
        push("onlink", 0, "`onlink` says that `via` is on `dev`".to_owned(), help);
    }
    if let Some(via) = via {
        if via.is_unspecified() || via.is_multicast() {
            let help = "give the address of the next router";
            push("via", 0, format!("{via} cannot be a gateway"), help);
        } else if via.is_ipv6() != is_ipv6 {
            push("via", 0, format!("{via} is of another family"), "take `family` out");
        }
    }
    if nexthop.group.len() > NEXTHOPS_MAX {
        let message = format!("the group has {} members", nexthop.group.len());
        push("group", NEXTHOPS_MAX, message, "it can have 16");
    }
    for (at, member) in nexthop.group.iter().enumerate() {
        if member.id == 0 || member.id == id {
            let help = "name other next hops, by their `id`";
            push("group", at, format!("{} cannot be a member of {id}", member.id), help);
        } else if nexthop.group[..at].iter().any(|it| it.id == member.id) {
            let help = "keep one of the two, and give it the weight of both";
            push("group", at, format!("next hop {} is a member twice", member.id), help);
        }
        if !(1..=256).contains(&member.weight) {
            let message = format!("a weight of {} is impossible", member.weight);
            push("group", at, message, "it is a number from 1 to 256");
        }
    }
    if let Some(Err(fault)) = dev.map(check_name) {
        faults.push(("dev", 0, fault));
    }
    faults
}
