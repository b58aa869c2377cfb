//! An engine on a thread of its own.

use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use super::{Canceller, Engine, EngineError, Options};
use crate::ring::DoorbellHandle;

/// The name of the thread, as `top -H` and strace show it.
const THREAD_NAME: &str = "ringlink-engine";

/// A running engine's thread, and how to reach it.
#[derive(Debug)]
pub(crate) struct EngineThread {
    pub(crate) canceller: Canceller,
    thread: JoinHandle<Result<(), EngineError>>,
}

impl EngineThread {
    /// Opens an engine on a new thread, in the network namespace of this one, and lets `work` turn
    /// it there. Returns once ring and sockets are open. When it ends, `ended` is called and then
    /// `doorbell` rung.
    pub(crate) fn spawn(
        options: Options,
        doorbell: DoorbellHandle,
        work: impl FnOnce(Engine, &DoorbellHandle) -> Result<(), EngineError> + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Self, EngineError> {
        let (opened, is_open) = mpsc::sync_channel(1);
        let run = move || {
            let engine = Engine::open(&options)?;
            // The spawner waits for it; where it has gone, nobody is left to work for.
            let _ = opened.send(engine.canceller());
            drop(opened);
            let result = work(engine, &doorbell);
            ended();
            doorbell.ring();
            result
        };
        let thread = Builder::new().name(THREAD_NAME.to_owned()).spawn(run);
        let thread = thread.map_err(|error| EngineError::Thread {
            errno: error.raw_os_error().unwrap_or(libc::EAGAIN),
        })?;
        match is_open.recv() {
            Ok(canceller) => Ok(Self { canceller, thread }),
            Err(mpsc::RecvError) => Err(joined(thread).err().unwrap_or(EngineError::Panicked)),
        }
    }

    /// Waits until it has ended, and tells how.
    pub(crate) fn join(self) -> Result<(), EngineError> {
        joined(self.thread)
    }
}

fn joined(thread: JoinHandle<Result<(), EngineError>>) -> Result<(), EngineError> {
    thread.join().unwrap_or(Err(EngineError::Panicked))
}
