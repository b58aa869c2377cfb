//! Waking a thread that waits in a ring, from any other thread.
//!
//! A message is posted into the ring itself: by one register call where the kernel has it (6.13),
//! else from a small ring of our own. Never by a pipe, an eventfd, a socket pair, a file or a
//! signal. Rings coalesce: until the first was seen, a second is the same one, so a sleeper that is
//! rung a million times holds one completion.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, opcode, squeue};

use super::error::{RingError, errno_of};
use super::limits::BELL_ENTRIES;
use super::token::Token;

/// IORING_REGISTER_SEND_MSG_RING, which the io-uring crate has no call for.
const REGISTER_SEND_MSG_RING: libc::c_uint = 31;

const _: () = assert!(size_of::<squeue::Entry>() == 64);

/// Wakes the thread of a [`Ring`](super::Ring) with `Completion::Woken`. Any thread may hold one;
/// it neither keeps the ring alive nor can it reach anything else once the ring is gone.
#[derive(Clone)]
pub(crate) struct Waker(pub(super) Arc<Bell>);

impl Waker {
    /// Makes the ring's current or next wait return. False when the ring is gone, or when the
    /// kernel had no memory for the message.
    pub(crate) fn wake(&self) -> bool {
        self.0.ring()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

/// Where a consumer's thread sleeps until an engine, or any thread, rings.
pub(crate) struct Doorbell {
    shared: Arc<SharedDoorbell>,
}

/// Rings a [`Doorbell`]. It keeps the doorbell's descriptor open, so a message that is still
/// queued somewhere can never reach a stranger that got its number.
#[derive(Clone)]
pub(crate) struct DoorbellHandle {
    pub(super) shared: Arc<SharedDoorbell>,
}

pub(super) struct SharedDoorbell {
    pub(super) bell: Bell,
    ring: IoUring,
}

impl Doorbell {
    pub(crate) fn new() -> Result<Doorbell, RingError> {
        let ring = small_ring()?;
        let bell = Bell::new(ring.as_raw_fd())?;
        Ok(Doorbell { shared: Arc::new(SharedDoorbell { bell, ring }) })
    }

    pub(crate) fn handle(&self) -> DoorbellHandle {
        DoorbellHandle { shared: Arc::clone(&self.shared) }
    }

    /// Sleeps until rung; true then, false when the time is over or a signal came first. A ring
    /// from before the wait ends it at once. Without a timeout only a ring ends it.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<bool, RingError> {
        let timespec = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(timespec) = &timespec {
            args = args.timespec(timespec);
        }
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        loop {
            // SAFETY: nothing is submitted, and `args` lives through the call.
            let entered =
                unsafe { self.shared.ring.submitter().enter(0, 1, flags.bits(), Some(&args)) };
            if self.take() {
                return Ok(true);
            }
            match entered.map_err(|e| errno_of(&e)) {
                Ok(_) | Err(libc::EINTR | libc::EAGAIN | libc::EBUSY) if timeout.is_none() => {}
                Ok(_) | Err(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME) => {
                    return Ok(false);
                }
                Err(errno) => return Err(RingError::from_enter("wait for a doorbell", errno)),
            }
        }
    }

    /// Takes all rings that have come.
    fn take(&mut self) -> bool {
        // SAFETY: a completion queue is read here only, and `&mut self` of the one `Doorbell`
        // (it is not `Clone`, its handles cannot get here) makes this the only reader.
        let seen = unsafe { self.shared.ring.completion_shared() }.count();
        if seen > 0 {
            self.shared.bell.answer();
        }
        seen > 0
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").finish_non_exhaustive()
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.shared.bell.close();
    }
}

impl DoorbellHandle {
    /// Rings from any thread, with one system call unless it has been rung already. False when
    /// the doorbell is gone.
    pub(crate) fn ring(&self) -> bool {
        self.shared.bell.ring()
    }

    /// The entry with which a ring's own submission rings this bell; none when it has been rung
    /// already.
    pub(super) fn entry(&self) -> Option<squeue::Entry> {
        (!self.shared.bell.mark()).then(|| message(self.shared.ring.as_raw_fd()))
    }

    /// Rings again, after a queued message failed.
    pub(super) fn retry(&self) {
        self.shared.bell.answer();
        self.ring();
    }
}

impl fmt::Debug for DoorbellHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorbellHandle").finish_non_exhaustive()
    }
}

/// What a waker and a doorbell have in common: one ring to post into, and whether it was.
pub(super) struct Bell {
    /// Rung, and not answered yet.
    rung: AtomicBool,
    target: Mutex<Target>,
}

struct Target {
    /// None once the ring to wake is gone: its number may be another file's by now.
    ring: Option<RawFd>,
    means: Means,
}

enum Means {
    Register,
    Ring(Box<IoUring>),
}

impl Bell {
    /// A bell of the ring `fd`, whose owner calls `close` before it closes that.
    pub(super) fn new(fd: RawFd) -> Result<Bell, RingError> {
        // To no descriptor at all: a kernel that has the call complains about that.
        let means = match send_by_register(&message(-1)) {
            Err(libc::EBADF) => Means::Register,
            _ => Means::Ring(Box::new(small_ring()?)),
        };
        Ok(Bell::with_means(fd, means))
    }

    fn with_means(fd: RawFd, means: Means) -> Bell {
        Bell { rung: AtomicBool::new(false), target: Mutex::new(Target { ring: Some(fd), means }) }
    }

    pub(super) fn ring(&self) -> bool {
        // The lock is held while the message goes out, so `close` waits for it.
        let mut target = self.target();
        let Some(fd) = target.ring else {
            return false;
        };
        if self.mark() {
            return true;
        }
        let sent = match &mut target.means {
            Means::Register => send_by_register(&message(fd)),
            Means::Ring(ring) => send_by_ring(ring, message(fd)),
        };
        if sent.is_err() {
            self.answer();
        }
        sent.is_ok()
    }

    /// Notes a ring; true when one is pending already, which then stands for this one too.
    fn mark(&self) -> bool {
        self.rung.swap(true, Ordering::AcqRel)
    }

    /// The sleeper saw the ring. A read-modify-write, so that it sees what every ringer wrote
    /// before it rang, those included whose ring was coalesced.
    pub(super) fn answer(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    pub(super) fn close(&self) {
        self.target().ring = None;
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        // Nothing panics while it holds the lock; if it did, the target would still be whole.
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(fd: RawFd) -> squeue::Entry {
    opcode::MsgRingData::new(Fd(fd), 0, Token::Wake.encode(), None).build()
}

#[cfg(feature = "cli")]
/// Is the call there? For the probe.
pub(super) fn probe_register() -> Result<(), i32> {
    match send_by_register(&message(-1)) {
        Err(libc::EBADF) => Ok(()),
        Err(errno) => Err(errno),
        Ok(()) => Ok(()),
    }
}

fn send_by_register(entry: &squeue::Entry) -> Result<(), i32> {
    // SAFETY: the kernel reads the 64 bytes of the one entry before the call returns. The message
    // carries no pointer.
    let result = unsafe {
        libc::syscall(libc::SYS_io_uring_register, -1, REGISTER_SEND_MSG_RING, &raw const *entry, 1)
    };
    if result >= 0 { Ok(()) } else { Err(errno_of(&io::Error::last_os_error())) }
}

/// Success is not waited for: on some kernels it comes only after the other thread has run.
fn send_by_ring(ring: &mut IoUring, entry: squeue::Entry) -> Result<(), i32> {
    // Failures of earlier messages; each was to a ring that was going away.
    ring.completion().for_each(drop);
    let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
    // SAFETY: the message carries no pointer.
    unsafe { ring.submission().push(&entry) }.map_err(|_| libc::EBUSY)?;
    ring.submit().map_err(|e| errno_of(&e))?;
    match ring.completion().next() {
        Some(failed) if failed.result() < 0 => Err(-failed.result()),
        _ => Ok(()),
    }
}

fn small_ring() -> Result<IoUring, RingError> {
    IoUring::new(BELL_ENTRIES)
        .map_err(|e| RingError::from_setup("set up the ring of a waker", errno_of(&e)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::thread;
    use std::time::Duration;

    use super::{Bell, Doorbell, Means, small_ring};

    #[test]
    fn a_ring_before_the_wait_ends_it_at_once_and_many_are_one() {
        let mut doorbell = Doorbell::new().unwrap();
        let handle = doorbell.handle();
        for _ in 0..10_000 {
            assert!(handle.ring());
        }
        assert!(doorbell.wait(Some(Duration::from_secs(10))).unwrap());
        assert!(!doorbell.wait(Some(Duration::ZERO)).unwrap());
    }

    #[test]
    fn a_ring_from_another_thread_ends_a_wait_without_a_timeout() {
        let mut doorbell = Doorbell::new().unwrap();
        let handle = doorbell.handle();
        let ringer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            assert!(handle.ring());
        });
        assert!(doorbell.wait(None).unwrap());
        ringer.join().unwrap();
    }

    #[test]
    fn a_handle_of_a_dropped_doorbell_does_nothing() {
        let doorbell = Doorbell::new().unwrap();
        let handle = doorbell.handle();
        drop(doorbell);
        assert!(!handle.ring());
    }

    #[test]
    fn an_old_kernels_means_rings_too() {
        let ring = small_ring().unwrap();
        let bell = Bell::with_means(ring.as_raw_fd(), Means::Ring(Box::new(small_ring().unwrap())));
        for _ in 0..1000 {
            assert!(bell.ring());
            ring.submit_and_wait(1).unwrap();
            // SAFETY: this is the only reader of this ring.
            assert_eq!(unsafe { ring.completion_shared() }.count(), 1);
            bell.answer();
        }
        bell.close();
        assert!(!bell.ring());
    }
}
