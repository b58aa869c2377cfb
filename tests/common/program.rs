//! The program as a process, and its documents as files.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

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

/// A folder with a document in it.
pub(crate) fn document(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("doc.toml");
    std::fs::write(&path, content).expect("a writable folder");
    (folder, path)
}
