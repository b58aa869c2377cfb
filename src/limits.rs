//! Every bound of the engine, with its reason.

use std::time::Duration;

/// The longest chain of links on links that is ordered; the kernel nests at most 8
/// (MAX_NEST_DEV, `linux/netdevice.h`), and masters and peers add a few.
pub(crate) const LINK_DEPTH_MAX: usize = 32;

/// The most requests in one send, of those that the kernel takes long for: links, addresses, next
/// hop objects. Past about 64 a batch gains nothing (KERNEL: 0.72 of one send a request), and a
/// correction that comes meanwhile waits for its end.
pub(crate) const BATCH_REQUESTS_MAX: usize = 64;
/// How many requests that the kernel takes a few microseconds for (routes, rules, neighbours,
/// forwarding entries) count as one of the others: 512 of them take a millisecond or two. With 64,
/// what is to be done between two batches took longer than a batch.
pub(crate) const SHORT_REQUESTS_PER_LONG: usize = 8;

/// From how many requests on a batch is sent by a thread of the kernel, while this one goes on with
/// events. A correction is smaller: handing it over would take longer than making it.
pub(crate) const LONG_BATCH_REQUESTS_MIN: usize = 8;

/// How many things that others undo are made good at a time before a round is over; links, and the
/// addresses of as many, have the same room again.
pub(crate) const UNDONE_MAX: usize = 64;

/// How many steps of a great round are ready at a time: two of the largest batches.
pub(crate) const ROUND_STEPS: usize = 1_024;

/// After how many changes of a round an apply reads the tables before it compares anything:
/// the reading is needed at the end in any case, and comparing as many twice takes longer.
pub(crate) const READING_SUBJECTS_MIN: usize = 1_000;

/// The most bytes of requests in one send; a socket's send buffer takes at least 208 KiB.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How long a batch may stay without its last ack before its outcome counts as unknown. The
/// kernel answers inside the send; only a lost reply takes longer.
pub(crate) const BATCH_DEADLINE: Duration = Duration::from_secs(5);

/// The same for the deletion of a group of links, of which a thousand take 0.2 s on an idle host.
pub(crate) const GROUP_DEADLINE: Duration = Duration::from_secs(60);

/// More link deletions than this in a round go as one group. Each on its own waits for the
/// kernel's RCU (13 to 22 ms), while a group costs a reading of the tables beside one such wait.
pub(crate) const DELETIONS_SINGLY_MAX: usize = 4;

/// From how many links on that are to be set up or down the owner's group is, in one request, if
/// they are at least one of [`STATES_TOGETHER_PART`] of all. Among 500 that saves 0.1 ms a link,
/// and costs a reading of the tables, which is 15 us for each link that there is.
pub(crate) const STATES_TOGETHER_MIN: usize = 128;
/// See [`STATES_TOGETHER_MIN`].
pub(crate) const STATES_TOGETHER_PART: usize = 3;
/// No more than that many: 8,000 take 4 s, twice as many four times that, and nothing else of the
/// kernel's network changes meanwhile.
pub(crate) const STATES_TOGETHER_MAX: usize = 16_384;
/// From how many links on that are made in one round and shall be up they are made down, to be set
/// up together. With 2,000 it makes little difference, with 4,000 it saves a seventh of the time,
/// with 8,000 three quarters (33 s and 8.8).
pub(crate) const MADE_DOWN_MIN: usize = 1_000;

/// How many changes of settings by files are made in a turn: what comes meanwhile waits for them. A
/// file takes 12 us, one that turns IPv6 off or on, or forwarding, up to 0.3 ms.
pub(crate) const SYSCTL_CHANGES_PER_TURN_MAX: usize = 16;

/// How often what the kernel does not announce is read again of the links that declare it: a link
/// costs a request and some 10 us of the kernel's each time, so that a thousand cost less than a
/// thousandth of a CPU.
pub(crate) const SILENT_REREAD: Duration = Duration::from_secs(30);

/// How many links are read by one send. Each answer takes one of [`REPLY_BUFFERS`], so that many
/// take several turns.
pub(crate) const LOOKS_MAX: usize = 64;

/// How often a link is read of which news came meanwhile. One that changes all the time is read
/// again anyway.
pub(crate) const LOOK_TRIES_MAX: u32 = 3;

/// How long a dump may stay silent before it is asked for again.
pub(crate) const DUMP_DEADLINE: Duration = Duration::from_secs(5);

/// How often a dump that was interrupted by a change (NLM_F_DUMP_INTR) is started again before
/// what it brought is taken, and what it lacks is left to another reading.
pub(crate) const DUMP_RESTARTS_MAX: u32 = 16;

/// How long to wait before a dump that met EBUSY or another error is asked for again.
pub(crate) const DUMP_RETRY_DELAY: Duration = Duration::from_millis(10);

/// How many errors in a row end the attempts to dump.
pub(crate) const DUMP_ERRORS_MAX: u32 = 100;

/// How many acknowledged changes in a row may leave an object different before it counts as one
/// that does not take them. One in vain is ordinary: a later step may have undone it.
pub(crate) const IN_VAIN_MAX: u32 = 3;
/// How many changes in a row an object may need before it is as declared: it is made, set up, and
/// set again after its ports have joined. One that needs more is changed by someone meanwhile.
pub(crate) const ATTEMPTS_UNSETTLED_MAX: u32 = 16;
/// Changes further apart than this are not in a row.
pub(crate) const IN_VAIN_WINDOW: Duration = Duration::from_secs(1);

/// How many reverts of one object within [`REVERT_WINDOW`] are made at once.
pub(crate) const REVERTS_AT_ONCE_MAX: usize = 5;
/// The window that [`REVERTS_AT_ONCE_MAX`] counts in.
pub(crate) const REVERT_WINDOW: Duration = Duration::from_secs(10);
/// The first delay of a retry or of a fought-over revert; it doubles.
pub(crate) const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest delay of a retry or of a fought-over revert.
pub(crate) const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// The quiet that makes an object count as peaceful again.
pub(crate) const QUIET_RESET: Duration = Duration::from_secs(60);

/// How many rounds an `apply` makes before it reports what still differs. A round is one level
/// of dependency; more than a few mean that someone else is writing.
pub(crate) const APPLY_ROUNDS_MAX: u32 = 64;

/// How often the routes are dumped where a dump lacks a known route or was disturbed: a skipped
/// route is in the next dump, and a lost one is in none. The same holds for other tables of which
/// a dump may skip something.
pub(crate) const ROUTE_LOOKS_MAX: u32 = 3;
/// The same where a dump was disturbed, and lacks a known route or brought a new one that an
/// earlier look had skipped. A slow reader's dump skips a few of 1,500 routes each time; none is
/// skipped that often.
pub(crate) const ROUTE_LOOKS_DISTURBED_MAX: u32 = 8;

/// How many links, next hop objects and routes' slots are remembered whose changes during a
/// reading took something in silence. Beyond it nothing new of the reading is believed, and the
/// tables are read again.
pub(crate) const SILENCED_MAX: usize = 4096;

/// How long after a change that may have taken something in silence the tables are read again,
/// if the news that came since leave it in doubt. The kernel tells what it tells within that;
/// and no storm of such changes makes more readings than one in that time.
pub(crate) const DOUBT_DELAY: Duration = Duration::from_millis(20);
/// How many routes and addresses are remembered to be looked at then.
pub(crate) const DOUBTS_MAX: usize = 1024;

/// How many turns a drain may take. An overrun socket takes nothing new until it is empty, so a
/// drain that is longer found a socket that was not overrun, and has read what was queued.
pub(crate) const DRAIN_TURNS_MAX: u32 = 4096;

/// The most events that wait for the reader of a spawned watcher, about 4.5 MiB; past that they
/// give way to the differences between what it has read and what is.
pub(crate) const EVENTS_QUEUED_MAX: usize = 8192;

/// The most reports that wait for a keeper's reader; more are counted as missed.
pub(crate) const REPORTS_MAX: usize = 4096;

/// Provided buffers of the event socket: one a notification, so a burst of that many is read in
/// one turn; untouched ones cost no memory.
pub(crate) const EVENT_BUFFERS: u16 = 512;
/// The bytes of each. A notification of a link with all its attributes is about 1.5 KiB; many
/// virtual functions make it longer. What does not fit leads to a resync.
pub(crate) const EVENT_BUFFER_BYTES: u32 = 8 * 1024;
/// Provided buffers of the socket of requests. A turn reads no more parts of a dump than that, and
/// meanwhile the event socket fills: these are about 2,000 routes, two milliseconds' work.
pub(crate) const REPLY_BUFFERS: u16 = 4;
/// The bytes of each: a dump's datagram has at most 32 KiB, beside the ring's own headers.
pub(crate) const REPLY_BUFFER_BYTES: u32 = 33 * 1024;
/// What to ask for as the event socket's receive buffer. The kernel's default holds 92 link
/// events; without CAP_NET_ADMIN in the initial user namespace `net.core.rmem_max` caps it.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// The same for the socket of requests, which holds the answers to one batch and one dump part.
pub(crate) const REPLY_RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;
/// A turn that read that many events was part of a burst: the next wait collects.
pub(crate) const COLLECT_AFTER_EVENTS: usize = 4;
/// How long the rest of a dump may wait while the event socket is half full, before one turn's
/// share of it is read all the same. Well below [`DUMP_DEADLINE`], after which one that nobody
/// fetches counts as lost; a reader that does not catch up within it is overrun anyway.
pub(crate) const BEHIND_MAX: Duration = Duration::from_secs(1);
/// How many buffers of sent requests are kept for the next ones.
pub(crate) const SPARE_BUFFERS_MAX: usize = 16;

/// How often a name in `/run/netns` that stands for nothing yet is looked at again: `ip netns add`
/// makes the file first and mounts the namespace on it a moment later, which inotify does not tell.
pub(crate) const NAME_LOOKS_MAX: u32 = 12;
/// The wait before the first of these looks; each is twice as long, and the last comes after 4 s.
pub(crate) const NAME_RETRY_DELAY: Duration = Duration::from_millis(1);

/// The longest wait before a declared network namespace that could not be opened is looked at
/// again, where nothing tells of it: a path that stands for nothing, or a descriptor too many.
pub(crate) const NETNS_LOOK_DELAY_MAX: Duration = Duration::from_secs(1);
/// How many declared network namespaces are open together; a process has 1,024 descriptors unless
/// it is given more (getrlimit(2)).
pub(crate) const NETNS_OPEN_MAX: usize = 64;

/// How long a wait may collect events of a burst.
pub(crate) const COLLECT_WINDOW: Duration = Duration::from_micros(200);

/// How many ranges of values a socket's filter tells apart for each kind of value: protocols,
/// tables, links. Nearest neighbours are joined until they fit, and what lies between them passes.
/// Four such sets and one of destinations at 7 instructions a range stay below the kernel's 4096.
pub(crate) const FILTER_RANGES_MAX: usize = 64;
/// The same for destinations. Programs are tried in this order: an old kernel gives the options
/// of a socket only 20 KiB (`net.core.optmem_max`), for the filter in use and the next together.
pub(crate) const FILTER_DESTINATIONS_MAX: [usize; 3] = [256, 32, 1];

/// The most next hops of a declared IPv4 route. They are stored inline, so that a change can be
/// copied; a host with more uplinks than that has a routing daemon.
pub(crate) const NEXTHOPS_MAX: usize = 16;

/// How long an apply waits for duplicate address detection, which the kernel begins within a second
/// and ends a second later, unless it is told to ask more often.
pub(crate) const DAD_WAIT_MAX: Duration = Duration::from_secs(3);

/// How far up the program looks for the session that it was started in: a login shell, `sudo`,
/// scripts that call scripts. A loop cannot be, but pids that are used again can look like one.
#[cfg(feature = "cli")]
pub(crate) const ANCESTORS_MAX: usize = 64;
/// How much of an ancestor's environment is read; the kernel allows 6 MiB of arguments and
/// environment together (execve(2)).
#[cfg(feature = "cli")]
pub(crate) const ENVIRONMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How many processes `doctor` looks at: more than a host has that still answers.
#[cfg(feature = "cli")]
pub(crate) const PROCESSES_MAX: usize = 100_000;
