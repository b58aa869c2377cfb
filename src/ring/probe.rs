//! What this kernel has of what the ring needs: found by trying, since versions lie.
//!
//! Nothing is changed on the host and nothing is sent but an empty request, which the kernel acks.

use std::time::Duration;

use bytes::BytesMut;

use super::bell::probe_register;
use super::error::{ErrnoText, io_uring_disabled, kernel_release, memory_lock_limit_bytes};
use super::limits::{PROBE_TURNS_MAX, PROBE_WAIT};
use super::queue::{Flavour, probe_flavour};
use super::{BufferGroup, Completion, Config, Ring, SocketConfig, Wait};

/// There, or why not.
pub(crate) type Feature = Result<(), String>;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// As `uname -r` prints it.
    pub(crate) kernel_release: String,
    /// The sysctl; none on kernels before 6.6.
    pub(crate) io_uring_disabled: Option<u32>,
    /// RLIMIT_MEMLOCK; none where it is unlimited.
    pub(crate) memory_lock_limit_bytes: Option<u64>,
    /// io_uring can be set up at all. Needed.
    pub(crate) setup: Feature,
    /// A ring whose work runs in our own enter. Wanted: cheaper.
    pub(crate) deferred: Feature,
    /// Provided buffers. Needed.
    pub(crate) buffer_ring: Feature,
    /// A multishot receive on a netlink socket, and its cancel. Needed.
    pub(crate) multishot_receive: Feature,
    /// Waking by one register call. Wanted: simpler.
    pub(crate) send_message: Feature,
    /// Waits that collect. Wanted: cheaper bursts.
    pub(crate) collecting_wait: Feature,
}

impl Probe {
    /// Can the ring be used here?
    pub(crate) fn is_usable(&self) -> bool {
        self.features().iter().all(|(_, needed, feature)| !needed || feature.is_ok())
    }

    /// Each feature: its name, whether the ring needs it, and what was found.
    pub(crate) fn features(&self) -> [(&'static str, bool, &Feature); 6] {
        [
            ("io_uring", true, &self.setup),
            ("deferred task work", false, &self.deferred),
            ("provided buffers", true, &self.buffer_ring),
            ("multishot netlink receive and cancel", true, &self.multishot_receive),
            ("waking by a register call", false, &self.send_message),
            ("collecting wait", false, &self.collecting_wait),
        ]
    }
}

/// Tries everything; takes a few milliseconds. The thread's later rings are not affected.
pub(crate) fn probe() -> Probe {
    let setup = probe_flavour(Flavour::Plain);
    let untried = || Err("not tried: io_uring cannot be set up".to_owned());
    let mut probe = Probe {
        kernel_release: kernel_release(),
        io_uring_disabled: io_uring_disabled(),
        memory_lock_limit_bytes: memory_lock_limit_bytes(),
        setup: setup.map_err(|e| e.to_string()),
        deferred: untried(),
        buffer_ring: untried(),
        multishot_receive: untried(),
        send_message: untried(),
        collecting_wait: untried(),
    };
    if probe.setup.is_err() {
        return probe;
    }
    probe.deferred = probe_flavour(Flavour::Deferred).map_err(|e| e.to_string());
    probe.send_message = probe_register().map_err(|errno| {
        format!("{}; Linux 6.13 has it, a small second ring stands in", ErrnoText(errno))
    });
    match Ring::open(&SMALL) {
        Ok(mut ring) => {
            probe.buffer_ring = Ok(());
            probe.multishot_receive = try_receive(&mut ring);
            if ring.can_collect() {
                probe.collecting_wait = Ok(());
            } else {
                probe.collecting_wait = Err("Linux 6.12 has it; bursts cost more turns".to_owned());
            }
        }
        Err(error) => {
            probe.buffer_ring = Err(error.to_string());
            probe.multishot_receive = Err("not tried: there are no provided buffers".to_owned());
            probe.collecting_wait = Err("not tried: there are no provided buffers".to_owned());
        }
    }
    probe
}

const SMALL: Config = Config {
    submission_entries: 8,
    completion_entries: 16,
    pollable: false,
    event_buffers: 4,
    event_buffer_bytes: 1024,
    reply_buffers: 4,
    reply_buffer_bytes: 1024,
};

/// One round trip and a cancel: the receive must still be armed after its first datagram.
fn try_receive(ring: &mut Ring) -> Feature {
    let config =
        SocketConfig { groups: &[], receive_buffer_bytes: 64 << 10, buffers: BufferGroup::Replies };
    let socket = ring.open_socket(&config).map_err(|e| e.to_string())?;
    ring.arm(socket);
    ring.send(socket, BytesMut::from(&EMPTY_REQUEST[..]), false, 0);
    let mut received = false;
    let mut failed = None;
    turn_until(ring, &mut |completion| match completion {
        Completion::Received(_) => {
            received = true;
            true
        }
        Completion::Failed { errno, .. } => {
            failed = Some(errno);
            true
        }
        _ => false,
    })?;
    if let Some(errno) = failed {
        return Err(super::RingError::from_receive(errno).to_string());
    }
    if !received {
        return Err("the kernel's answer did not arrive".to_owned());
    }
    if ring.counters().receives_armed != 1 || !ring.disarm(socket) {
        return Err("the receive ended after one datagram; this needs Linux 6.1".to_owned());
    }
    let mut cancelled = false;
    turn_until(ring, &mut |completion| {
        cancelled |= matches!(completion, Completion::Cancelled(_));
        cancelled
    })?;
    if cancelled { Ok(()) } else { Err("the receive could not be cancelled".to_owned()) }
}

fn turn_until(
    ring: &mut Ring,
    is_last: &mut dyn FnMut(Completion<'_>) -> bool,
) -> Result<(), String> {
    let wait = Wait::One { timeout: Some(PROBE_WAIT), collect: None::<Duration> };
    for _ in 0..PROBE_TURNS_MAX {
        ring.enter(wait).map_err(|e| e.to_string())?;
        let mut done = false;
        ring.reap(|completion| done |= is_last(completion));
        if done {
            break;
        }
    }
    Ok(())
}

/// A message without a meaning (NLMSG_NOOP) that asks for an ack (REQUEST | ACK): length 16, type
/// 1, flags 5, in the host's order.
const EMPTY_REQUEST: [u8; 16] = {
    let mut bytes = [0_u8; 16];
    let length = 16_u32.to_ne_bytes();
    let kind = 1_u16.to_ne_bytes();
    let flags = 5_u16.to_ne_bytes();
    bytes[0] = length[0];
    bytes[1] = length[1];
    bytes[2] = length[2];
    bytes[3] = length[3];
    bytes[4] = kind[0];
    bytes[5] = kind[1];
    bytes[6] = flags[0];
    bytes[7] = flags[1];
    bytes
};

#[cfg(test)]
mod tests {
    use super::probe;

    #[test]
    fn what_is_needed_is_found_where_a_ring_opens() {
        let probe = probe();
        for (name, needed, feature) in probe.features() {
            eprintln!("{name}: {feature:?} (needed: {needed})");
        }
        assert_eq!(probe.is_usable(), probe.multishot_receive.is_ok());
        assert!(!probe.kernel_release.is_empty());
    }
}
