//! What a person at a terminal sees of changes that take long, and what Ctrl-C leaves.

#![cfg(feature = "cli")]

mod common;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use common::program::{document, ringlink, status, text};
use common::{in_namespace, ip_batch, links, slowness};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

/// Links that are deleted one by one, which takes some 15 ms each, for want of an owner.
const LINKS: usize = 200;

fn declared_absent() -> (tempfile::TempDir, String) {
    let mut batch = String::new();
    let mut content = "version = 1\n".to_owned();
    for number in 0..LINKS {
        writeln!(batch, "link add d{number} type ifb").expect("a string");
        writeln!(content, "[link.d{number}]\nstate = \"absent\"").expect("a string");
    }
    ip_batch(&batch);
    let (folder, path) = document(&content);
    (folder, path.to_string_lossy().into_owned())
}

/// The program with a terminal for its complaints, and what comes there.
fn at_a_terminal(path: &str) -> (Child, Receiver<String>) {
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(Some(&size), None).expect("a terminal");
    let child = ringlink()
        .args(["apply", "--yes", path])
        .stdout(Stdio::piped())
        .stderr(Stdio::from(pair.slave))
        .spawn()
        .expect("the program starts");
    (child, read(pair.master))
}

/// What comes from the terminal, until its last user is gone.
fn read(master: OwnedFd) -> Receiver<String> {
    let (sender, parts) = mpsc::channel();
    std::thread::spawn(move || {
        let mut terminal = File::from(master);
        let mut buffer = [0; 4096];
        // EIO tells that nobody writes any more.
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            if sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).is_err() {
                return;
            }
        }
    });
    parts
}

/// What was seen up to and with that text.
fn seen_until(parts: &Receiver<String>, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let part = parts.recv_timeout(PATIENCE * slowness());
        seen += &part.unwrap_or_else(|error| panic!("{error}: no {wanted:?} in {seen:?}"));
    }
    seen
}

#[test]
fn what_takes_long_shows_how_far_it_is_and_leaves_no_trace_of_that() {
    in_namespace("what_takes_long_shows_how_far_it_is_and_leaves_no_trace_of_that", || {
        let (_folder, path) = declared_absent();
        let (child, parts) = at_a_terminal(&path);
        seen_until(&parts, &format!("/{LINKS} changes in "));
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(status(&output), Some(0), "{}", text(&output.stdout));
        let rest: String = parts.iter().collect();
        assert!(rest.ends_with("\r\x1b[2K"), "a clean line: {rest:?}");
        let told = text(&output.stdout);
        assert!(told.contains(&format!("converged: {LINKS} changes in ")), "{told}");
        assert_eq!(links().keys().filter(|name| name.starts_with('d')).count(), 0);
    });
}

#[test]
fn an_interrupt_in_the_middle_ends_it_after_the_batch_with_a_report() {
    in_namespace("an_interrupt_in_the_middle_ends_it_after_the_batch_with_a_report", || {
        let (_folder, path) = declared_absent();
        let (child, parts) = at_a_terminal(&path);
        seen_until(&parts, &format!("/{LINKS} changes in "));
        let pid = Pid::from_raw(child.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it lives");
        let output = child.wait_with_output().expect("it ends");
        let told = text(&output.stdout);
        assert_eq!(status(&output), Some(130), "declare more links: it was done by then");
        let deleted = told.lines().filter(|line| line.starts_with("delete link d")).count();
        let left = links().keys().filter(|name| name.starts_with('d')).count();
        assert_eq!(deleted + left, LINKS, "{told}");
        assert!(told.contains("interrupted: "), "{told}");
        assert!(told.contains(&format!(", {left} left")), "{told}");
    });
}

#[test]
fn a_reader_that_is_no_terminal_gets_no_bar() {
    in_namespace("a_reader_that_is_no_terminal_gets_no_bar", || {
        let (_folder, path) = declared_absent();
        let output = ringlink().args(["apply", "--yes", &path]).output().expect("it starts");
        assert_eq!(status(&output), Some(0));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    });
}
