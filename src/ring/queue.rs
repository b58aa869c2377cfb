//! The submission side of the io_uring: how it is set up, filled and entered.
//!
//! It never drops an entry: what a full queue does not take waits in a backlog, in order.

use std::collections::VecDeque;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{Builder, EnterFlags, IoUring, squeue};

use super::error::{RingError, errno_of};
use super::limits::{COLLECT_MAX, FLUSHES_PER_PUSH_MAX, SETBACKS_IN_A_ROW_MAX};
use super::{Config, Wait};

const SUBMIT: &str = "submit to io_uring";

pub(super) struct Queue {
    pub(super) uring: IoUring,
    /// Entries that the submission queue had no room for, oldest first.
    backlog: VecDeque<squeue::Entry>,
    /// The kernel posts completions inside our own enter only.
    pub(super) deferred: bool,
    has_collect: bool,
    pub(super) enters: u64,
    setbacks_in_a_row: u32,
}

impl Queue {
    pub(super) fn open(config: &Config) -> Result<Queue, RingError> {
        let mut refusal = None;
        for flavour in flavours(config.pollable) {
            let mut builder = IoUring::builder();
            builder.setup_clamp().setup_cqsize(config.completion_entries.max(1));
            flavour.choose(&mut builder);
            match builder.build(config.submission_entries.max(1)) {
                Ok(uring) => {
                    let has_collect = uring.params().is_feature_min_timeout();
                    return Ok(Queue {
                        uring,
                        backlog: VecDeque::new(),
                        deferred: *flavour == Flavour::Deferred,
                        has_collect,
                        enters: 0,
                        setbacks_in_a_row: 0,
                    });
                }
                // An unknown flag; the next flavour asks for less.
                Err(e) if errno_of(&e) == libc::EINVAL => refusal = Some(libc::EINVAL),
                Err(e) => return Err(RingError::from_setup("set up io_uring", errno_of(&e))),
            }
        }
        Err(RingError::from_setup("set up io_uring", refusal.unwrap_or(libc::EINVAL)))
    }

    #[cfg(feature = "cli")]
    pub(super) fn has_collect(&self) -> bool {
        self.has_collect
    }

    /// Queues one entry; it reaches the kernel with the next enter at the latest.
    ///
    /// # Safety
    ///
    /// What the entry points to must stay valid until its last completion was reaped.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry) {
        for _ in 0..FLUSHES_PER_PUSH_MAX {
            // SAFETY: the caller's promise, passed on.
            if self.backlog.is_empty() && unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
            // A failure here is not lost: the entry waits, and the enter that follows reports it.
            if self.submit(0, EnterFlags::empty(), &SubmitArgs::new()).is_err() {
                break;
            }
            self.fill();
        }
        self.backlog.push_back(entry);
    }

    /// One `io_uring_enter`: submits what is queued and waits as told. `collect_count` ends a
    /// collecting wait early.
    pub(super) fn enter(&mut self, wait: &Wait, collect_count: u32) -> Result<(), RingError> {
        self.fill();
        let (mut want, timeout, collect) = match wait {
            Wait::None => (0, None, None),
            Wait::One { timeout, collect } => (1, *timeout, *collect),
        };
        let mut flags = EnterFlags::GETEVENTS;
        let mut args = SubmitArgs::new();
        let timespec = timeout.map(Timespec::from);
        if !self.backlog.is_empty() {
            // What still waits for its submission may be what the wait is for.
            want = 0;
        }
        if want > 0 {
            if let Some(timespec) = &timespec {
                flags |= EnterFlags::EXT_ARG;
                args = args.timespec(timespec);
            }
            if let Some(collect) = collect.filter(|c| self.has_collect && !c.is_zero()) {
                flags |= EnterFlags::EXT_ARG;
                args = args.min_wait_usec(collect.min(COLLECT_MAX).as_micros() as u32);
                want = collect_count.max(1);
            }
        }
        self.submit(want, flags, &args)
    }

    /// Brings completions that overflowed into the kernel's own list to the queue.
    pub(super) fn fetch_overflow(&mut self) -> Result<(), RingError> {
        self.submit(0, EnterFlags::GETEVENTS, &SubmitArgs::new())
    }

    pub(super) fn has_overflow(&mut self) -> bool {
        self.uring.submission().cq_overflow()
    }

    /// Is every entry with the kernel?
    pub(super) fn is_flushed(&mut self) -> bool {
        self.backlog.is_empty() && self.uring.submission().is_empty()
    }

    fn fill(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let mut queue = self.uring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: promised to `push` when the entry came; it is still before its completion.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
    }

    fn submit(
        &mut self,
        want: u32,
        flags: EnterFlags,
        args: &SubmitArgs<'_, '_>,
    ) -> Result<(), RingError> {
        let count = self.uring.submission().len() as u32;
        self.enters += 1;
        // SAFETY: `args` lives through the call and is read only where EXT_ARG says so (else its
        // size is not looked at either: the kernel then takes the argument for a signal mask, so
        // none is passed). The entries' own pointers were promised to `push`.
        let result = unsafe {
            let args = flags.contains(EnterFlags::EXT_ARG).then_some(args);
            self.uring.submitter().enter(count, want, flags.bits(), args)
        };
        let errno = match result {
            Ok(_) => 0,
            Err(e) => errno_of(&e),
        };
        match errno {
            0 | libc::ETIME | libc::EINTR => {
                self.setbacks_in_a_row = 0;
                Ok(())
            }
            // Completions must be reaped first, or memory is short for the moment. Nothing was
            // lost: the entries are still queued.
            libc::EBUSY | libc::EAGAIN if self.setbacks_in_a_row < SETBACKS_IN_A_ROW_MAX => {
                self.setbacks_in_a_row += 1;
                Ok(())
            }
            errno => Err(RingError::from_enter(SUBMIT, errno)),
        }
    }
}

#[cfg(feature = "cli")]
/// Sets a ring of that flavour up, and closes it.
pub(super) fn probe_flavour(flavour: Flavour) -> Result<(), RingError> {
    let mut builder = IoUring::builder();
    flavour.choose(&mut builder);
    builder.build(1).map(drop).map_err(|e| RingError::from_setup("set up io_uring", errno_of(&e)))
}

/// Ways to set a ring up, the best first; an older kernel refuses the flags it does not know.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(super) enum Flavour {
    /// Completions are posted inside our own enter: the cheapest, but epoll never wakes for them.
    Deferred,
    /// For a ring that is waited for by epoll.
    SingleIssuer,
    Plain,
}

fn flavours(pollable: bool) -> &'static [Flavour] {
    if pollable {
        &[Flavour::SingleIssuer, Flavour::Plain]
    } else {
        &[Flavour::Deferred, Flavour::SingleIssuer, Flavour::Plain]
    }
}

impl Flavour {
    fn choose(self, builder: &mut Builder) {
        match self {
            Flavour::Deferred => {
                builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
            }
            Flavour::SingleIssuer => {
                builder.setup_single_issuer().setup_submit_all();
            }
            Flavour::Plain => {}
        }
    }
}
