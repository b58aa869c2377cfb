//! Any bytes as one datagram: it is walked to its end and decoded, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| ringlink::fuzzing::decode(datagram));
