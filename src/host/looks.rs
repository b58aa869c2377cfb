//! Single links that are read, for what of them is not announced: asked for, and answered.

use std::time::Instant;

use bytes::BytesMut;

use super::Host;
use crate::wire::decode::{Decoded, decode};
use crate::wire::view::Message;

impl Host {
    /// Asks for the links of which something may have changed in silence.
    pub(super) fn request_looks(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        self.take_looks(now);
        let (looks, mirror) = (&mut self.looks, &mut self.mirror);
        let asked =
            looks.poll_request(now, &mut self.sequence, buffer, |index| mirror.look_begins(index));
        self.counters.looks += u64::from(asked);
        asked
    }

    pub(super) fn take_looks(&mut self, now: Instant) {
        let can_send = self.can_send();
        let (looks, network) = (&mut self.looks, self.mirror.network());
        if let Some(reconcile) = self.reconcile.as_mut().filter(|_| can_send) {
            reconcile.poll_looks(now, network, |index| looks.want(index));
        }
    }

    /// Whether a reply is the answer to a question for a single link.
    pub(super) fn handle_look(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let Some(answer) = self.looks.take(message.sequence) else {
            return false;
        };
        let (mirror, events) = (&mut self.mirror, &mut self.events);
        let mut is_taken = true;
        let decoded = decode(message, &mut |decoded| {
            if let Decoded::Link { link, deleted: false, .. } = decoded {
                is_taken = mirror.looked(link, &mut |event| events.push(event));
            }
        });
        self.counters.malformed += u64::from(decoded.is_err());
        if !is_taken {
            self.looks.again(answer);
        }
        self.tell(now);
        self.note_looked();
        true
    }

    /// What waited for a look is compared again, once all that was asked for has been answered.
    pub(super) fn note_looked(&mut self) {
        if let Some(reconcile) = self.reconcile.as_mut().filter(|_| self.looks.is_idle()) {
            reconcile.handle_looked();
        }
    }
}
