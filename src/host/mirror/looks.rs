//! A single link that was read, for what of it the kernel does not announce.

use super::{Cause, Event, Mirror};
use crate::model::link::Link;

impl Mirror {
    /// A link is about to be asked for.
    pub(crate) fn look_begins(&mut self, index: u32) {
        self.looking.insert(index);
    }

    /// The answer. Of it is taken what may change in silence, and nothing else: the rest may be
    /// ahead of its news, and of what goes along with them. `false` where news of the link came
    /// meanwhile: which of both is newer cannot be told.
    pub(crate) fn looked(&mut self, shown: Link, tell: &mut impl FnMut(Event)) -> bool {
        if !self.looking.remove(&shown.index) {
            return false;
        }
        let Some(known) = self.network.link(shown.index).cloned() else { return true };
        let mut link = Link {
            group: shown.group,
            common: shown.common,
            identity: shown.identity,
            ..known.clone()
        };
        if known.kind == shown.kind && known.lower == shown.lower {
            link.settings = shown.settings;
        }
        if known.master == shown.master {
            link.port = shown.port;
        }
        // Of a pair, both ends are known to be one where either says so.
        if known.lower_netns.is_none() {
            link = link.clone().tied_to(known.lower).unwrap_or(link);
        }
        self.store_link(link, Cause::Dump, 0, tell);
        true
    }
}
