//! What each message means: to the mirror, to the conversation and to the reconciler.

use std::time::Instant;

use super::Host;
use crate::model::object::{Object, RawMessage};
use crate::wire::decode::{Decoded, decode};
use crate::wire::numbers::flags::{NLM_F_DUMP_INTR, NLM_F_MULTI};
use crate::wire::view::Message;

impl Host {
    pub(super) fn handle_notification(&mut self, message: &Message<'_>) {
        let sender = message.port;
        let (mirror, events, keeps_raw) = (&mut self.mirror, &mut self.events, self.keeps_raw);
        let (mut moved, mut lost, mut netconf) = (None, false, None);
        let decoded = decode(message, &mut |decoded| {
            let mut tell = |event| events.push(event);
            match decoded {
                Decoded::Link { link, deleted: false, .. } => mirror.link(link, sender, &mut tell),
                Decoded::Link { link, moved: is_moved, .. } => {
                    moved = is_moved.then_some(link.index);
                    mirror.link_gone(link.index, sender, &mut tell);
                }
                Decoded::Address { address, deleted } => {
                    mirror.address(address, deleted, sender, &mut tell);
                }
                Decoded::Route { route, deleted: true, .. } => {
                    mirror.route_gone(route.key, sender, &mut tell);
                }
                Decoded::Route { route, shared, .. } => {
                    mirror.route(route, shared, sender, &mut tell);
                }
                Decoded::Object { object, deleted } => {
                    if let Object::Netconf(it) = &object {
                        netconf = Some(it.key.scope);
                    }
                    mirror.object(object, deleted, sender, &mut tell);
                }
                Decoded::BridgePort { index, port, .. } => mirror.port(index, port, &mut tell),
                Decoded::Overrun => lost = true,
                Decoded::Unknown if keeps_raw => mirror.raw(raw(message), sender, &mut tell),
                _ => {}
            }
        });
        self.counters.malformed += u64::from(decoded.is_err());
        if let (Some(index), Some(reconcile)) = (moved, &mut self.reconcile) {
            reconcile.handle_moved(index);
        }
        if let (Some(scope), Some(reconcile)) = (netconf, &mut self.reconcile) {
            reconcile.handle_netconf(scope);
        }
        if lost {
            self.handle_lost(0);
        }
    }

    pub(super) fn handle_reply(&mut self, now: Instant, message: &Message<'_>) {
        let is_dump = self.dumps.is_mine(message.sequence);
        if is_dump {
            self.dumps.handle_part(now, message.flags & NLM_F_DUMP_INTR != 0);
        }
        let is_part = message.flags & NLM_F_MULTI != 0;
        if !is_dump && (self.handle_look(now, message) || self.handle_nsid(now, message)) {
            return;
        }
        let (mirror, events) = (&mut self.mirror, &mut self.events);
        let (mut end, mut closed) = (None, None);
        let decoded = decode(message, &mut |decoded| {
            let mut tell = |event| events.push(event);
            match decoded {
                Decoded::Ack(ack) if is_dump => end = Some(ack.errno),
                Decoded::Ack(ack) => closed = self.requests.handle_ack(&ack),
                Decoded::Done { errno } if is_dump => end = Some(errno),
                Decoded::Link { link, .. } if is_dump && is_part => {
                    mirror.dumped_link(link, &mut tell);
                }
                Decoded::Address { address, .. } if is_dump && is_part => {
                    mirror.dumped_address(address, &mut tell);
                }
                Decoded::Route { route, shared, .. } if is_dump && is_part => {
                    mirror.dumped_route(route, shared, &mut tell);
                }
                Decoded::Object { object, .. } if is_dump && is_part => {
                    mirror.dumped_object(object, &mut tell);
                }
                _ => {}
            }
        });
        self.counters.malformed += u64::from(decoded.is_err());
        match end {
            Some(0) if self.mirror.may_skip() => self.judging = true,
            Some(errno) => self.judge_dump(now, errno),
            None => {}
        }
        if let Some(outcomes) = closed {
            self.tell(now);
            self.handle_answered(now, outcomes);
        }
    }
}

fn raw(message: &Message<'_>) -> RawMessage {
    let Message { message_type, flags, payload, .. } = *message;
    RawMessage { message_type, flags, payload: payload.into() }
}
