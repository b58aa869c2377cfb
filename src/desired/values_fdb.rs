//! What a forwarding entry must be by itself, whatever it is read from.

use super::DesiredFdb;
use super::values::{Fault, check_name};
use super::values_vlan::VID_MAX;
use crate::model::text::Mac;

/// All that is wrong with an entry by itself. Each fault names its key; the empty one is the entry.
pub(super) fn check_fdb(own: &DesiredFdb) -> Vec<(&'static str, Fault)> {
    let DesiredFdb { vid, dst, port, vni, via, .. } = *own;
    let mut faults = Vec::new();
    let mut push = |key, message: &str, help: &str| faults.push((key, Fault::new(message, help)));
    let mac = Mac::new(&own.mac).unwrap_or_default();
    if dst.is_none() && !mac.is_valid_unicast() {
        let message = format!("{mac} cannot be behind a port of a bridge");
        push("mac", &message, "give the address of a host; for a tunnel, give `dst` too");
    }
    if dst.is_none() && (port != 0 || vni != 0 || via.is_some()) {
        let help = "they belong to the other end of a tunnel: give `dst`, or take them out";
        push("dst", "`port`, `vni` and `via` say how a `dst` is reached, and there is none", help);
    }
    if dst.is_some() && vid != 0 {
        let help = "keep `dst` for a tunnel's own entry, `vid` for one of its bridge";
        push("vid", "a tunnel's own entry is of no VLAN", help);
    }
    if vid > VID_MAX {
        push("vid", &format!("there is no VLAN {vid}"), "give a number from 1 to 4094");
    }
    if dst.is_some_and(|dst| dst.is_unspecified()) {
        push("dst", "the unspecified address is no other end", "give that of the other host");
    }
    if let Some(Err(fault)) = via.map(check_name) {
        faults.push(("via", fault));
    }
    faults
}
