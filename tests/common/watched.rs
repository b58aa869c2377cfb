//! `ringlink watch --json --dump` as another process, and what its lines add up to.
#![cfg(feature = "cli")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::slowness;
use super::state::{LineFold, State, at_rest, from_ip};

/// How long a fold may take to become true once the namespace is at rest,
/// and longer on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, and the thread that reads it.
#[derive(Debug)]
pub(crate) struct Watched {
    child: Child,
    fold: Arc<Mutex<LineFold>>,
    /// Whether the reader pauses, as one does that has other things to do.
    sleeps: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Watched {
    /// In the network namespace of this thread.
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringlink"))
            .args(["watch", "--json", "--dump"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("a pipe");
        let fold = Arc::new(Mutex::new(LineFold::default()));
        let sleeps = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (fold, sleeps) = (Arc::clone(&fold), Arc::clone(&sleeps));
            move || read(out, &fold, &sleeps)
        });
        Self { child, fold, sleeps, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it lives");
    }

    /// From now on nobody reads the pipe, or somebody does again.
    pub(crate) fn sleep(&self, sleeps: bool) {
        self.sleeps.store(sleeps, Ordering::Release);
    }

    pub(crate) fn resyncs(&self) -> u64 {
        self.fold.lock().expect("the reader has not failed").resyncs
    }

    fn state(&self) -> State {
        self.fold.lock().expect("the reader has not failed").state()
    }

    /// Waits until the lines add up to what `ip` tells, which must be soon after the rest.
    pub(crate) fn becomes_true(&self) {
        let patience = PATIENCE * slowness();
        let deadline = Instant::now() + patience;
        loop {
            let before = at_rest(patience);
            let told = self.state();
            if from_ip() == before {
                if told == before {
                    return;
                }
                let difference = told.difference(&before, "in the lines", "in ip");
                assert!(Instant::now() < deadline, "the lines are not true:\n{difference}");
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.sleep(false);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read(out: ChildStdout, fold: &Mutex<LineFold>, sleeps: &AtomicBool) {
    for line in BufReader::new(out).lines() {
        while sleeps.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let Ok(line) = line else { return };
        fold.lock().expect("this thread alone fails").take(&line);
    }
}
