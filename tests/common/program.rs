//! The program as a process, and its documents as files.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::slowness;

pub(crate) fn ringlink() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringlink"))
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    ringlink().args(arguments).output().expect("the program starts")
}

pub(crate) fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8")
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", text(&output.stdout), text(&output.stderr))
    })
}

/// A copy of the program in that folder, which everybody may come to then, unlike where it was built.
///
/// Another process makes it: one that another test starts meanwhile would get our descriptor of it,
/// and what is open for writing anywhere cannot be executed (ETXTBSY in execve(2)).
pub(crate) fn copy_for_all(folder: &Path) -> PathBuf {
    let open = |path: &Path| {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("our own");
    };
    let program = folder.join("ringlink");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ringlink")).arg(&program).status();
    assert!(copied.expect("the tests need `cp`").success(), "no copy of the program");
    open(folder);
    open(&program);
    program
}

/// A folder with a document in it.
pub(crate) fn document(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("doc.toml");
    write(&path, content);
    (folder, path)
}

/// A file that root obeys, whatever the umask is.
pub(crate) fn write(path: &Path, content: &str) {
    std::fs::write(path, content).expect("a writable folder");
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, mode).expect("a file of ours");
}

/// The program with its output piped, read line by line.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(ringlink().args(arguments))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("another line").expect("UTF-8")
    }

    pub(crate) fn line_with(&mut self, part: &str) -> String {
        for _ in 0..200 {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
        panic!("no line with {part}");
    }

    /// Asks it to end by a signal; what it still says comes by [`line`](Self::line).
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, signal).expect("it lives");
    }

    /// Ends it by a signal; its exit status.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) * slowness() {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

/// A test that fails leaves nothing running.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
