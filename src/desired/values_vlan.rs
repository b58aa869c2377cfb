//! What a VLAN of a link must be by itself, whatever it is read from.

use super::DesiredVlan;
use super::values::Fault;

/// The greatest VLAN; 4095 is reserved (IEEE 802.1Q).
pub(super) const VID_MAX: u16 = 4094;

/// All that is wrong with a VLAN by itself. Each fault names its key.
pub(super) fn check_vlan(member: &DesiredVlan) -> Vec<(&'static str, Fault)> {
    let DesiredVlan { first, last, pvid, .. } = *member;
    let mut faults = Vec::new();
    if first == 0 || last > VID_MAX {
        let wrong = if first == 0 { first } else { last };
        let help = format!("give a number from 1 to {VID_MAX}");
        faults.push(("vid", Fault::new(format!("there is no VLAN {wrong}"), help)));
    } else if first > last {
        let help = "write the lesser one first";
        faults.push(("vid", Fault::new(format!("{first}-{last} is no range"), help)));
    }
    if pvid && first != last {
        let message = format!("of {first}-{last} one alone can be the `pvid`");
        faults.push(("pvid", Fault::new(message, "give that one an entry of its own")));
    }
    faults
}
