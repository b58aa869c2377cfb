//! The room against the kernel, against netlink-packet-route, and against nonsense.

pub(crate) mod bpf;
mod filter;
mod kernel_changes;
mod kernel_state;
mod namespace;
mod nonsense;
mod round_trips;

use super::decode::{Decoded, decode};
use super::view::messages;

/// All that the messages of a datagram say; what cannot be read fails the test.
fn decode_all(datagram: &[u8]) -> Vec<Decoded<'_>> {
    let mut all = Vec::new();
    for message in messages(datagram) {
        decode(&message.unwrap(), &mut |decoded| all.push(decoded)).unwrap();
    }
    all
}
