//! The rules of pairs whose other end is in another network namespace; see `checks.rs` for who
//! applies them.

use super::checks::About;
use super::joint::{Joint, key_of};
use crate::model::hash::HashMap;
use crate::model::kind::ValueType;

impl Joint<'_> {
    /// Names in two namespaces do not collide, so what is called the same here is another link.
    pub(super) fn check_peers_elsewhere(&mut self) {
        let mut seen = HashMap::default();
        for (index, link) in self.links.iter().enumerate() {
            let Some(name) = link.peer_netns.as_deref() else { continue };
            let Some(settings) = link.settings else { continue };
            let about = About::link(index, key_of(link, ValueType::Netns));
            if settings.kind.netns_position().is_some() && settings.peer_netns().is_none() {
                let message = format!("more than {} network namespaces are named", 1 << 16);
                self.push(about, message, "declare fewer of them together");
                return;
            }
            let Some(peer) = settings.peer_name() else { continue };
            let first = *seen.entry((peer, name)).or_insert(index);
            if first != index {
                let first_name = self.links[first].name;
                let message =
                    format!("`{peer}` in this network namespace is the peer of `{first_name}`");
                let other = About::link(first, key_of(&self.links[first], ValueType::Peer));
                let about = About::link(index, key_of(link, ValueType::Peer));
                let help = "give each of the two a name of its own there";
                self.push_against(about, other, message, help);
            }
        }
    }
}
