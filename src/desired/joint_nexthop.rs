//! The rules that join next hop objects with each other, with links and with routes.

use super::State;
use super::checks::About;
use super::joint::Joint;
use crate::model::hash::HashMap;

impl Joint<'_> {
    pub(super) fn check_nexthops(&mut self) {
        let mut seen = HashMap::default();
        for (index, nexthop) in self.rest.nexthops.iter().enumerate() {
            let about = |index, key, item| About::Nexthop { index, key, item };
            let first = *seen.entry(nexthop.id).or_insert(index);
            if first != index {
                let message = format!("next hop {} is declared twice", nexthop.id);
                let (about, other) = (about(index, "id", 0), about(first, "id", 0));
                self.push_against(about, other, message, "give each an id of its own");
            }
            self.check_gateway(about(index, "via", 0), nexthop.via);
            if let Some(dev) = nexthop.dev {
                self.check_is_one(about(index, "dev", 0), dev);
            }
            let dev = nexthop.dev.and_then(|dev| {
                let named = self.by_name.get(&dev).or_else(|| self.peer_of.get(&dev)).copied();
                named.filter(|at| self.links[*at].state == Some(State::Absent)).zip(Some(dev))
            });
            if let Some((gone, dev)) = dev {
                let message =
                    format!("next hop {} needs `{dev}`, which is to be absent", nexthop.id);
                let help = "name another link, or let that one exist";
                let other = About::link(gone, "state");
                self.push_against(about(index, "dev", 0), other, message, help);
            }
        }
        for (index, nexthop) in self.rest.nexthops.iter().enumerate() {
            for (item, member) in nexthop.group.iter().enumerate() {
                let own = seen.get(&member.id).copied();
                if let Some(own) = own.filter(|&at| !self.rest.nexthops[at].group.is_empty()) {
                    let message = format!("the member {} is a group itself", member.id);
                    let about = About::Nexthop { index, key: "group", item };
                    let other = About::Nexthop { index: own, key: "group", item: 0 };
                    self.push_against(about, other, message, "name its members here");
                }
            }
        }
    }
}
