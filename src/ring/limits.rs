//! Every bound of the ring, each with its reason.
//!
//! What a caller chooses (queue and buffer sizes) stands in `Config`; here is what it cannot.

use std::time::Duration;

/// The kernel takes at most this many buffers in one provided-buffer ring, and wants a power of 2.
pub(super) const BUFFERS_PER_GROUP_MAX: u16 = 1 << 15;

/// Sockets of one ring. An engine needs two a namespace; the slot must fit the tag of a receive.
pub(super) const SOCKETS_MAX: usize = 4096;

/// How often a full submission queue is flushed at once for one entry. The kernel takes the whole
/// queue at the first try unless it is short of memory; what it does not take waits in our backlog.
pub(super) const FLUSHES_PER_PUSH_MAX: u32 = 2;

/// How often what inotify has queued is read before it is left for the next turn; each reading
/// takes at least 14 of its events, and it queues 16,384 (`fs.inotify.max_queued_events`).
pub(super) const NAME_READS_MAX: u32 = 2048;

/// How often in a row the kernel may answer "try again" before that is an error: a shortage of
/// memory that outlasts so many turns is not passing, and a loop around it would spin for ever.
pub(super) const SETBACKS_IN_A_ROW_MAX: u32 = 1000;

/// How often one reap fetches completions that had overflowed into the kernel's own list. Each
/// fetch brings a whole queue of them; what is left comes with the next reap.
pub(super) const OVERFLOW_FETCHES_PER_REAP_MAX: u32 = 16;

/// A collecting wait lasts at most so long, whatever is asked: nothing else ends it, not even a
/// waker.
pub(super) const COLLECT_MAX: Duration = Duration::from_millis(10);

/// A collecting wait ends early when completions fill this part (1/n) of the event buffers, so
/// that they do not run out while we wait for more.
pub(super) const COLLECT_BUFFERS_DIVISOR: u32 = 2;

/// When a ring is dropped: how often we wait for the last completions, and how long each time.
/// A cancelled receive ends within microseconds; after 2 s something is wrong with the kernel, and
/// the memory is leaked instead of being freed under its hands.
pub(super) const DROP_WAITS_MAX: u32 = 20;
/// See [`DROP_WAITS_MAX`].
pub(super) const DROP_WAIT: Duration = Duration::from_millis(100);

/// Send buffer asked for. A netlink request larger than the send buffer is refused (EMSGSIZE), and
/// this holds the largest batch; without privilege `net.core.wmem_max` caps it near 416 KiB.
pub(super) const SEND_BUFFER_BYTES: usize = 1 << 20;

/// The longest filter of a socket that the kernel takes (BPF_MAXINSNS, `linux/bpf_common.h`).
pub(super) const FILTER_INSTRUCTIONS_MAX: u16 = 4096;

/// Entries of the small rings of a doorbell and of an old kernel's waker: rings coalesce, so one
/// message is on its way at a time, and a second may follow while the first is being read.
pub(super) const BELL_ENTRIES: u32 = 4;

#[cfg(feature = "cli")]
/// How long the probe waits for the kernel's answer to an empty request. The kernel answers
/// before the send returns; a second without it means "does not work".
pub(super) const PROBE_WAIT: Duration = Duration::from_millis(200);
#[cfg(feature = "cli")]
/// Turns of the probe, each of at most [`PROBE_WAIT`].
pub(super) const PROBE_TURNS_MAX: u32 = 5;

#[cfg(feature = "cli")]
/// Ancestors of a user namespace: the kernel nests at most 32 deep.
pub(super) const USER_NAMESPACE_DEPTH_MAX: u32 = 33;
