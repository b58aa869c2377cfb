//! What the fuzzers of `fuzz/` call. Not built otherwise.

use std::time::Instant;

use crate::host::{Host, Source};
use crate::model::network::{Network, Tables};
use crate::wire::decode::decode as decode_message;
use crate::wire::view::messages;

/// Walks a datagram and decodes each of its messages.
pub fn decode(datagram: &[u8]) {
    for message in messages(datagram) {
        let Ok(message) = message else { break };
        let mut values = 0_usize;
        let decoded = decode_message(&message, &mut |_| values += 1);
        assert_eq!(decoded.is_ok(), values > 0, "an error, or something that it says");
    }
}

/// Hands datagrams to a host: of each, the first byte says by which socket it comes, the next two
/// how long it is. Folding the events must give the mirror.
pub fn drive(now: Instant, mut input: &[u8]) {
    let mut host = Host::new(now, true, 1 << 20).following(now, Tables::ALL, true);
    let mut request = bytes::BytesMut::new();
    let (mut events, mut folded) = (Vec::new(), Network::default());
    while let [how, low, high, rest @ ..] = input {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (datagram, after) = rest.split_at(length);
        input = after;
        host.poll_transmit(now, &mut request);
        host.handle_sent(now, Ok(()));
        request.clear();
        let source = if how & 1 == 0 { Source::Events } else { Source::Replies };
        host.handle_datagram(now, source, 0, how & 2 != 0, datagram);
        if how & 4 != 0 {
            host.handle_drained(now);
        }
        host.poll_events(&mut events);
        events.drain(..).for_each(|event| folded.fold(&event.what));
    }
    assert!(folded.links().eq(host.network().links()));
    assert!(folded.addresses().eq(host.network().addresses()));
    assert!(folded.routes().eq(host.network().routes()));
}
