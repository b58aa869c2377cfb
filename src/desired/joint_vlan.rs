//! The rules that join the VLANs of a link with each other and with its bridge.

use super::State;
use super::checks::About;
use super::joint::Joint;

impl Joint<'_> {
    pub(super) fn check_vlans(&mut self, index: usize) {
        let link = &self.links[index];
        let Some(vlans) = link.vlans.as_ref().filter(|_| link.state != Some(State::Absent)) else {
            return;
        };
        let about = |item| About::Link { index, key: "vlans", item };
        for (item, member) in vlans.iter().enumerate() {
            let before = &vlans[..item];
            let overlaps =
                before.iter().position(|it| it.first <= member.last && member.first <= it.last);
            if let Some(first) = overlaps {
                let vid = member.first.max(before[first].first);
                let message = format!("`{}` has VLAN {vid} twice", link.name);
                self.push_against(about(item), about(first), message, "keep one of the two");
            }
            let other = before.iter().position(|it| it.pvid && member.pvid);
            if let Some(first) = other {
                let message = format!("`{}` has two VLANs that are the `pvid`", link.name);
                let help = "untagged frames can be in one VLAN alone: keep one of the two";
                self.push_against(about(item), about(first), message, help);
            }
        }
        self.check_vlans_have_a_bridge(index);
    }

    /// A device that exists may be a bridge, or be a port of one that is not declared.
    fn check_vlans_have_a_bridge(&mut self, index: usize) {
        let link = &self.links[index];
        let own = link.settings.map(|settings| settings.kind);
        if own.is_some_and(|kind| kind.has_vlans) {
            return;
        }
        let about = About::link(index, "vlans");
        let is_ours = own.is_some() || self.peer_of.contains_key(&link.name);
        let Some(master) = link.master else {
            if is_ours {
                let message = format!("`{}` has `vlans`, but is no port of a bridge", link.name);
                self.push(about, message, "name the bridge: `master = \"br0\"`");
            }
            return;
        };
        let declared = self.by_name.get(&master).and_then(|&at| self.links[at].settings);
        if let Some(kind) = declared.map(|it| it.kind).filter(|kind| !kind.has_vlans) {
            let message = format!("`{master}` is of kind {}, whose ports have no VLANs", kind.name);
            self.push(about, message, "take `vlans` out, or make it a port of a bridge");
        }
    }
}
