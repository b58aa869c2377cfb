//! The rules that join the forwarding entries of a link with each other and with its master.

use super::checks::About;
use super::joint::Joint;
use super::{DesiredFdb, State};
use crate::model::fdb::leads_to_several;
use crate::model::hash::HashMap;
use crate::model::text::Mac;

impl Joint<'_> {
    pub(super) fn check_fdb(&mut self, index: usize) {
        let link = &self.links[index];
        let Some(all) = link.fdb.as_ref().filter(|_| link.state != Some(State::Absent)) else {
            return;
        };
        let about = |item| About::Link { index, key: "fdb", item };
        for (item, own) in all.iter().enumerate() {
            let is_same = |other: &DesiredFdb| match (own.dst, other.dst) {
                (Some(_), Some(_)) if leads_to_several(own.mac) => other == own,
                (Some(_), Some(_)) => other.mac == own.mac,
                (None, None) => (other.mac, other.vid) == (own.mac, own.vid),
                _ => false,
            };
            if let Some(first) = all[..item].iter().position(is_same) {
                let mac = Mac::new(&own.mac).unwrap_or_default();
                let message = format!("`{}` has {mac} twice", link.name);
                self.push_against(about(item), about(first), message, "keep one of the two");
            }
            if let Some(via) = own.via {
                self.check_reference(about(item), link.name, via);
            }
        }
        self.check_fdb_has_a_place(index);
    }

    /// An address is behind one port of a bridge.
    pub(super) fn check_fdb_of_bridges(&mut self) {
        let mut seen = HashMap::default();
        for (index, link) in self.links.iter().enumerate() {
            let Some(master) = link.master else { continue };
            let all = link.fdb.iter().flatten().enumerate();
            for (item, own) in all.filter(|(_, own)| own.dst.is_none()) {
                let key = (master, own.mac, own.vid);
                let (first, first_item) = *seen.entry(key).or_insert((index, item));
                if first != index {
                    let mac = Mac::new(&own.mac).unwrap_or_default();
                    let name = self.links[first].name;
                    let about = |index, item| About::Link { index, key: "fdb", item };
                    let message = format!("{mac} is behind `{name}` already");
                    let (about, other) = (about(index, item), about(first, first_item));
                    self.push_against(about, other, message, "keep one of the two");
                }
            }
        }
    }

    /// A device that exists may be a tunnel, or be a port of a bridge that is not declared.
    fn check_fdb_has_a_place(&mut self, index: usize) {
        let link = &self.links[index];
        let own = link.settings.map(|settings| settings.kind);
        let is_ours = own.is_some() || self.peer_of.contains_key(&link.name);
        let about = |item| About::Link { index, key: "fdb", item };
        let all = || link.fdb.iter().flatten().enumerate();
        let tunneled = all().find(|(_, own)| own.dst.is_some());
        if let Some((item, _)) = tunneled.filter(|_| is_ours && own.is_none_or(|it| !it.has_fdb)) {
            let message = format!("`{}` is no tunnel that has other ends by address", link.name);
            let help = "take `dst` out, or declare a link of a kind that has them";
            return self.push(about(item), message, help);
        }
        let Some((item, _)) = all().find(|(_, own)| own.dst.is_none()) else { return };
        let Some(master) = link.master else {
            if is_ours {
                let message = format!("`{}` is no port of a bridge", link.name);
                let help = "name the bridge, `master = \"br0\"`, or the other end, `dst`";
                self.push(about(item), message, help);
            }
            return;
        };
        let declared = self.by_name.get(&master).and_then(|&at| self.links[at].settings);
        if let Some(kind) = declared.map(|it| it.kind).filter(|kind| !kind.has_vlans) {
            let message = format!("`{master}` is of kind {}, which does not switch", kind.name);
            self.push(about(item), message, "take the entry out, or make it a port of a bridge");
        }
    }
}
