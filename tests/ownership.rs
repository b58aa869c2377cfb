//! Whose is what: one writer an owner.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::program::{document, ringlink, run, status, text};
use common::{eventually, in_namespace, links};

/// A process that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ringlink run`, once `link` is there.
fn keep(path: &Path, link: &str) -> Running {
    let mut program = ringlink();
    program.arg("run").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(program.spawn().expect("the program starts"));
    let is_there = || links().contains_key(link);
    assert!(eventually(Duration::from_secs(20), is_there), "{link} does not come");
    running
}

#[test]
fn one_owner_has_one_writer_and_the_other_is_told_who_it_is() {
    in_namespace("one_owner_has_one_writer_and_the_other_is_told_who_it_is", || {
        let text_of = |owner: &str, link: &str| {
            format!("version = 1\n{owner}[link.{link}]\nkind = \"ifb\"\n")
        };
        let (_folder, one) = document(&text_of("[owner]\nname = \"one\"\n", "a0"));
        let (_folder_two, two) = document(&text_of("[owner]\nname = \"two\"\n", "b0"));
        let (_folder_none, none) = document(&text_of("", "c0"));
        let running = keep(&one, "a0");
        let apply = |path: &Path| run(&["apply", &path.to_string_lossy()]);
        let refused = apply(&one);
        let said = text(&refused.stderr);
        assert_eq!(status(&refused), Some(3), "{said}");
        let pid = running.0.id();
        assert!(said.contains(&format!("process {pid} (`")) && said.contains(" run "), "{said}");
        assert!(said.contains("`one`") && said.contains("Nothing was changed"), "{said}");
        // Reading is for everyone, and so is writing for another owner.
        for verb in ["plan", "check"] {
            assert_eq!(status(&run(&[verb, &one.to_string_lossy()])), Some(0));
        }
        assert_eq!(status(&apply(&two)), Some(0));
        let unowned = keep(&none, "c0");
        let refused = apply(&none);
        assert_eq!(status(&refused), Some(3));
        assert!(text(&refused.stderr).contains("documents without an owner"));
        // The lock ends with the process, however that ended.
        drop((running, unowned));
        let free = || status(&apply(&one)) == Some(0) && status(&apply(&none)) == Some(0);
        assert!(eventually(Duration::from_secs(10), free));
    });
}
