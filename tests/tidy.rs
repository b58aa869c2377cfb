//! The rules of the house, checked as text. Each message says what to do.

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms that its code may name. `limits` is open to all.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("desired", &["model"]),
    ("plan", &["model", "desired"]),
    ("session", &["model", "wire"]),
    ("reconcile", &["model", "desired", "plan"]),
    ("host", &["model", "wire", "desired", "plan", "session", "reconcile"]),
    // The words of an error number are a fact, and the ring's errors use them.
    ("ring", &["model"]),
    ("engine", &["model", "wire", "host", "ring"]),
    ("fuzzing", &["model", "wire", "host"]),
    ("watcher", &["model", "engine", "host", "ring"]),
    ("applier", &["model", "desired", "plan", "reconcile", "engine", "host"]),
    ("keeper", &["desired", "reconcile", "engine", "host", "ring"]),
    ("aio", &["model", "engine", "ring", "watcher"]),
];

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// A source file without what is only built for tests.
struct Source {
    path: PathBuf,
    /// Its path below `src/`.
    name: String,
    text: String,
}

impl Source {
    /// Its folder below `src/`, or its own name where it stands there itself.
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Its lines of code, numbered from 1, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(at, line)| {
            let code = line.split(" // ").next().unwrap_or_default();
            (!code.trim_start().starts_with("//")).then_some((at + 1, code))
        })
    }

    fn complain(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

/// Every file below `src/` that is not a test.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "sim");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let name = path.strip_prefix(&root).expect("below src").display().to_string();
                sources.push(Source { name, text: text.to_owned(), path });
            }
        }
    }
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn arrows_go_down_only() {
    let rooms: Vec<_> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut complaints = Vec::new();
    for source in sources() {
        let Some((room, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.room()) else {
            continue;
        };
        for (line, code) in source.code() {
            if code.contains("crate::{") || code.contains("crate::*") {
                let what = "name one room in each `use crate::...`, so that its arrow can be seen";
                complaints.push(source.complain(line, what));
            }
            for path in code.split("crate::").skip(1) {
                let named = path.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let named = named.unwrap_or_default();
                if rooms.contains(&named) && named != *room && !allowed.contains(&named) {
                    let what = format!(
                        "`{room}` may not use `{named}`: move what both need into a room below them, \
                         or hand it over as an argument"
                    );
                    complaints.push(source.complain(line, &what));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_room_has_its_arrows() {
    for source in sources() {
        let room = source.room();
        let is_top = matches!(room, "lib" | "main" | "limits" | "cli");
        let is_known = is_top || ARROWS.iter().any(|(known, _)| *known == room);
        assert!(is_known, "{}: say in ARROWS what `{room}` may use", source.path.display());
    }
}

#[test]
fn system_calls_and_unsafe_stay_in_the_ring() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "ring") {
        for (line, code) in source.code() {
            let is_unsafe = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if is_unsafe.into_iter().any(|word| word == "unsafe") {
                complaints.push(source.complain(line, "`unsafe` belongs in src/ring/"));
            }
            if code.contains("io_uring::") || code.contains("rustix::") {
                let what = "a system call belongs in src/ring/, behind a type of its own";
                complaints.push(source.complain(line, what));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn only_the_engine_and_the_program_ask_the_time() {
    let mut complaints = Vec::new();
    for source in sources() {
        if matches!(source.room(), "engine" | "cli") {
            continue;
        }
        for (line, code) in source.code() {
            if code.contains("Instant::now") || code.contains("SystemTime::now") {
                let what = "time is an argument here; ask the clock in src/engine/";
                complaints.push(source.complain(line, what));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn kinds_are_named_in_their_own_files_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kind");
    let files = fs::read_dir(folder).expect("a folder of kinds");
    let stems = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let shared = ["mod", "key", "link", "settings"];
    let kinds: Vec<_> = stems.filter(|stem| !shared.contains(&stem.as_str())).collect();
    assert!(kinds.len() >= 5, "{kinds:?}");
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.name.contains("kind/")) {
        for (line, code) in source.code() {
            // What is said to people, in sentences, may speak of them.
            let parts = code.split('"').enumerate();
            let code = parts.filter(|(at, part)| at % 2 == 0 || !part.contains(' '));
            let is_apart = |c: char| !c.is_alphanumeric() && c != '_';
            for word in code.flat_map(|(_, part)| part.split(is_apart)) {
                if kinds.iter().any(|kind| word.eq_ignore_ascii_case(kind)) {
                    let what = format!(
                        "`{word}` is a kind of link: let its key table in src/model/kind/ say what is \
                         special about it"
                    );
                    complaints.push(source.complain(line, &what));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_are_short_and_begin_with_their_purpose() {
    let mut complaints = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            let what = format!("{lines} lines: split it along a subject");
            complaints.push(source.complain(1, &what));
        }
        if !source.text.starts_with("//!") {
            complaints.push(source.complain(1, "begin it with `//!` and why it exists"));
        }
        for (at, line) in source.text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX && !line.contains('"') {
                let what = format!("more than {COLUMNS_MAX} columns");
                complaints.push(source.complain(at + 1, &what));
            }
        }
    }
    assert_none(&complaints);
}
