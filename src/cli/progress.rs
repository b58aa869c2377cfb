//! A bar on the terminal for changes that take more than a second.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::exit::Failure;
use super::out::Out;
use crate::applier::Progress;

/// What takes less shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar is drawn anew.
const INTERVAL: Duration = Duration::from_millis(100);

/// The bar; it goes away with this value.
#[derive(Debug)]
pub(super) struct Bar {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Whether a bar would be seen.
pub(super) fn is_wanted(out: &Out) -> bool {
    !out.json && io::stderr().is_terminal()
}

impl Bar {
    /// Shows how many of that many steps have an answer, from a second on.
    pub(super) fn start(progress: Progress, steps: usize) -> Result<Self, Failure> {
        let (end, ended) = mpsc::channel();
        let before = progress.attempted();
        let work = move || {
            if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = bar(steps);
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let done = progress.attempted().saturating_sub(before);
                // Some steps show themselves only when others are made.
                bar.set_length(done.max(steps).try_into().unwrap_or(u64::MAX));
                bar.set_position(done.try_into().unwrap_or(u64::MAX));
                bar.tick();
            }
            bar.finish_and_clear();
        };
        let thread = super::start::on_thread("ringlink-progress", work)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.end.take());
        // The line is free again before anything else is printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn bar(steps: usize) -> ProgressBar {
    let steps = steps.try_into().unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr())
        .with_elapsed(PATIENCE);
    let template = "{bar:30} {pos}/{len} changes in {elapsed}; Ctrl-C ends it after this batch";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
