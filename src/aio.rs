//! The watcher as a stream, for one task of a tokio or tokio-uring runtime.
//!
//! The runtime waits for the ring's descriptor to become readable; the turns are the same as a
//! blocking watcher's and never wait. It costs about twice the CPU for each event: who has a
//! thread to spare gives it a [`Watcher`](crate::Watcher) instead.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

use crate::engine::{Canceller, EngineError};
use crate::model::network::Network;
use crate::model::object::Event;
use crate::ring::RingError;
use crate::watcher::{Batch, Wake, WatchError, Watcher as Blocking, WatcherBuilder};

/// Follows the network of its thread's namespace as a `Stream` of events.
///
/// It belongs to the thread that opened it: a current-thread runtime, a `LocalSet`, or the inside
/// of `tokio_uring::start`. Dropping it cancels the armed read and waits for its end; dropping a
/// future that waits for its next event loses none. After an error it has ended.
#[derive(Debug)]
pub struct Watcher {
    ring: AsyncFd<Pollable>,
    batch: Batch,
    ready: VecDeque<Event>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    has_failed: bool,
}

/// A watcher that can be waited for by its descriptor.
#[derive(Debug)]
struct Pollable(Blocking);

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.engine().ring().as_fd().as_raw_fd()
    }
}

impl Watcher {
    /// Opens a watcher with the defaults. Call it inside a runtime with I/O and time enabled.
    pub fn open() -> Result<Self, WatchError> {
        Self::from_builder(Blocking::builder())
    }

    /// Opens a watcher as the builder says.
    #[expect(
        deprecated,
        reason = "its successor leaves a promise to the caller: that the descriptor stays the \
                  same and open for as long as it is registered, as the ring's does"
    )]
    pub fn from_builder(builder: WatcherBuilder) -> Result<Self, WatchError> {
        let watcher = Pollable(builder.pollable().open()?);
        let ring = AsyncFd::try_with_interest(watcher, Interest::READABLE).map_err(|error| {
            let (_, error) = error.into_parts();
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            WatchError(EngineError::Ring(RingError::from_receive(errno)))
        })?;
        Ok(Self {
            ring,
            batch: Batch::default(),
            ready: VecDeque::new(),
            timer: None,
            has_failed: false,
        })
    }

    /// The network as it was last read. It may be ahead of the stream by the events that have
    /// been read and not been taken yet.
    pub fn observed(&self) -> &Network {
        self.ring.get_ref().0.observed()
    }

    /// Ends the stream from another thread or task: it gives `None` once, and goes on with the
    /// next event when it is polled again.
    pub fn canceller(&self) -> Canceller {
        self.ring.get_ref().0.canceller()
    }

    /// Waits for what the timer of the host is set to, beside the descriptor.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.ring.get_ref().0.engine().poll_timeout() else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.take_if(|(set, _)| *set == at);
        let (_, sleep) = self.timer.insert(timer.unwrap_or_else(|| {
            (at, Box::pin(tokio::time::sleep_until(tokio::time::Instant::from_std(at))))
        }));
        sleep.as_mut().poll(cx)
    }
}

impl Stream for Watcher {
    type Item = Result<Event, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut empty_turns = 0;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.has_failed {
                return Poll::Ready(None);
            }
            let watcher = &mut this.ring.get_mut().0;
            let now = watcher.engine().now();
            match watcher.next_before(&mut this.batch, Some(now)) {
                Ok(Wake::Events) => {
                    this.ready.extend(this.batch.drain());
                    continue;
                }
                Ok(Wake::Cancelled) => return Poll::Ready(None),
                Ok(Wake::Deadline) => empty_turns += 1,
                Err(error) => {
                    this.has_failed = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            // What an empty turn queued goes out with the next one.
            if empty_turns < 2 || watcher.engine().is_unfinished() {
                continue;
            }
            // Cleared before the turn that finds nothing, never after it: what comes in between
            // makes the descriptor ready again.
            if let Poll::Ready(guard) = this.ring.poll_read_ready_mut(cx) {
                match guard {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(libc::EIO);
                        let error = EngineError::Ring(RingError::from_receive(errno));
                        this.has_failed = true;
                        return Poll::Ready(Some(Err(WatchError(error))));
                    }
                }
                empty_turns = 0;
                continue;
            }
            ready!(this.poll_timer(cx));
            this.timer = None;
            empty_turns = 0;
        }
    }
}
