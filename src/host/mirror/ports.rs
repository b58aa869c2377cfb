//! What bridges tell of their ports, in messages of their own.

use super::{Key, Mirror};
use crate::model::kind::Settings;
use crate::model::link::Link;
use crate::model::object::{Cause, Event};

impl Mirror {
    /// A notification of what a link is as a port of a bridge. That it is one, or no more, is told
    /// of the link; `None` says nothing. Such messages carry no one's port id.
    pub(crate) fn port(
        &mut self,
        index: u32,
        port: Option<Settings>,
        tell: &mut impl FnMut(Event),
    ) {
        let Some((link, port)) = self.network.link(index).cloned().zip(port) else { return };
        if link.port.is_some_and(|now| now.kind == port.kind) {
            self.touch(Key::Link(index));
            self.store_link(
                Link { port: Some(port.narrowed()), ..link },
                Cause::Notification,
                0,
                tell,
            );
        }
    }
}
