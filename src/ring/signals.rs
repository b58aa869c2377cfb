//! The end by Ctrl-C or SIGTERM, without a handler.
//!
//! The signals are blocked in every thread and waited for in one, so nothing is ever interrupted
//! in the middle: no handler, no pipe, no flag.

#[cfg(test)]
use std::time::Duration;

/// A signal that asks the program to end, or to read its files again.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
}

/// SIGINT, SIGTERM and SIGHUP, blocked since this was made.
pub(crate) struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks them in the calling thread and in every thread that it starts from now on. Call it
    /// before the first: a thread that does not block them would die of them.
    pub(crate) fn block() -> Signals {
        // SAFETY: the set is a plain C structure that sigemptyset initializes; the calls only
        // write to it. They fail for bad arguments alone, and these are constants.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::sigaddset(&mut set, number);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Signals { set }
        }
    }

    /// Sleeps until one of them comes; one that came before counts.
    pub(crate) fn wait(&self) -> Signal {
        loop {
            // SAFETY: the set lives through the call; nothing else is asked for.
            let number = unsafe { libc::sigwaitinfo(&self.set, std::ptr::null_mut()) };
            if let Some(signal) = Signal::from_number(number) {
                return signal;
            }
        }
    }

    #[cfg(test)]
    /// As [`wait`](Signals::wait), for at most so long. It may return earlier without a signal.
    pub(crate) fn wait_timeout(&self, timeout: Duration) -> Option<Signal> {
        let timespec = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        // SAFETY: the set and the time live through the call.
        let number = unsafe { libc::sigtimedwait(&self.set, std::ptr::null_mut(), &timespec) };
        Signal::from_number(number)
    }
}

impl Signal {
    fn from_number(number: i32) -> Option<Signal> {
        match number {
            libc::SIGINT => Some(Signal::Interrupt),
            libc::SIGTERM => Some(Signal::Terminate),
            libc::SIGHUP => Some(Signal::Hangup),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::{Signal, Signals};

    #[test]
    fn a_signal_sent_before_the_wait_is_not_lost() {
        // A thread of its own, since the mask stays with it.
        thread::spawn(|| {
            let signals = Signals::block();
            assert_eq!(signals.wait_timeout(Duration::ZERO), None);
            for (number, signal) in [
                (libc::SIGTERM, Signal::Terminate),
                (libc::SIGINT, Signal::Interrupt),
                (libc::SIGHUP, Signal::Hangup),
            ] {
                // SAFETY: to this very thread, which blocks it.
                let sent = unsafe { libc::pthread_kill(libc::pthread_self(), number) };
                assert_eq!(sent, 0);
                assert_eq!(signals.wait(), signal);
            }
            assert_eq!(signals.wait_timeout(Duration::from_millis(5)), None);
        })
        .join()
        .unwrap();
    }
}
