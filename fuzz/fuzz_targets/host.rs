//! Any datagrams by either socket: the mirror stays what its events add up to.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ringlink::fuzzing::drive(Instant::now(), input));
