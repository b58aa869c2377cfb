//! The VLANs of bridges and their ports.

use super::Export;
use super::toml::inline;
use crate::model::bridge_vlan::BridgeVlan;
use crate::model::kind::{Kind, Value};
use crate::model::link::Link;

impl Export<'_> {
    /// The VLANs of a link, where they are not just what the bridge gives to each new port.
    pub(super) fn vlans(&self, link: &Link) -> Option<Vec<String>> {
        // Where none are known at all, they are not followed.
        self.network.bridge_vlans().next()?;
        let is_bridge = |link: &Link| {
            let kind = Kind::by_name(link.kind.as_bytes());
            kind.is_some_and(|kind| kind.has_vlans)
        };
        let switch = Some(link).filter(|link| is_bridge(link));
        let switch = switch.or(self.network.link(link.master).filter(|it| is_bridge(it)))?;
        let vlans: Vec<_> = self.network.bridge_vlans_of(link.index).copied().collect();
        let usual = switch.settings.and_then(|settings| settings.by_name("vlan_default_pvid"));
        let is_usual = |member: &BridgeVlan| {
            usual == Some(Value::Number(member.key.vid.into())) && member.pvid && member.untagged
        };
        match &vlans[..] {
            [] if usual == Some(Value::Number(0)) => return None,
            [only] if is_usual(only) => return None,
            _ => {}
        }
        Some(ranges(&vlans).iter().map(|(first, last)| spelled(first, last)).collect())
    }
}

/// Those that follow one another and are alike, each with the last of its range.
fn ranges(vlans: &[BridgeVlan]) -> Vec<(BridgeVlan, BridgeVlan)> {
    let mut ranges: Vec<(BridgeVlan, BridgeVlan)> = Vec::new();
    for &member in vlans {
        match ranges.last_mut() {
            Some((_, last))
                if last.key.vid + 1 == member.key.vid
                    && !(last.pvid || member.pvid)
                    && last.untagged == member.untagged =>
            {
                *last = member;
            }
            _ => ranges.push((member, member)),
        }
    }
    ranges
}

fn spelled(first: &BridgeVlan, last: &BridgeVlan) -> String {
    let vid = match first.key.vid == last.key.vid {
        true => first.key.vid.to_string(),
        false => format!("\"{}-{}\"", first.key.vid, last.key.vid),
    };
    if !first.pvid && !first.untagged {
        return vid;
    }
    let mut fields = vec![("vid".to_owned(), vid)];
    for (key, is) in [("pvid", first.pvid), ("untagged", first.untagged)] {
        fields.extend(is.then(|| (key.to_owned(), "true".to_owned())));
    }
    inline(&fields)
}
