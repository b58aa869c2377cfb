//! Aliases and alternative names: declared, read, kept and shown, with `ip -d -j` as the judge.

#![cfg(feature = "cli")]

mod common;

use std::time::Duration;

use common::program::{Running, document, json, run, status, text, write};
use common::{eventually, in_namespace, ip, links};
use nix::sys::signal::Signal;
use serde_json::{Value, json as value};

const PATIENCE: Duration = Duration::from_secs(30);

const DOCUMENT: &str = "version = 1\n\
    [link.up0]\nkind = \"ifb\"\nalias = \"to the lab\"\naltnames = [\"lab\", \"a-very-long-name-of-it\"]\n\
    [link.down0]\nkind = \"ifb\"\nstate = \"down\"\nalias = \"spare\"\naltnames = [\"spare0\"]\n\
    [link.v0]\nveth = { peer = \"p0\" }\n\
    [link.p0]\naltnames = [\"far-end\"]\nalias = \"the other end\"\n\
    [link.dev0]\naltnames = [\"ours\"]\nalias = \"a device\"\n";

/// What `ip` shows of a link: its alias and its alternative names.
fn names_of(link: &str) -> (Value, Vec<String>) {
    let shown = links().remove(link).unwrap_or_else(|| panic!("no link {link}"));
    let altnames = shown["altnames"].as_array().cloned().unwrap_or_default();
    let altnames = altnames.iter().filter_map(|name| Some(name.as_str()?.to_owned()));
    let mut altnames: Vec<_> = altnames.collect();
    altnames.sort();
    (shown["ifalias"].clone(), altnames)
}

fn assert_converges(path: &str) {
    let applied = run(&["apply", "--yes", path]);
    assert_eq!(status(&applied), Some(0), "{}{}", text(&applied.stdout), text(&applied.stderr));
    assert!(!text(&applied.stdout).contains("failed"), "{}", text(&applied.stdout));
    let checked = run(&["check", path]);
    assert_eq!(status(&checked), Some(0), "{}", text(&checked.stdout));
}

#[test]
fn names_are_given_to_links_up_and_down_and_taken_again() {
    in_namespace("names_are_given_to_links_up_and_down_and_taken_again", || {
        ip("link add dev0 type ifb");
        ip("link property add dev dev0 altname theirs");
        let (_folder, path) = document(DOCUMENT);
        let file = path.to_string_lossy().into_owned();
        let planned = text(&run(&["plan", &file]).stdout);
        for line in ["    alias to the lab\n", "    altname lab\n", "    altname spare0\n"] {
            assert!(planned.contains(line), "{planned}");
        }
        assert_converges(&file);
        let up0 = vec!["a-very-long-name-of-it".to_owned(), "lab".to_owned()];
        assert_eq!(names_of("up0"), (value!("to the lab"), up0));
        assert_eq!(names_of("down0"), (value!("spare"), vec!["spare0".to_owned()]));
        assert_eq!(names_of("p0"), (value!("the other end"), vec!["far-end".to_owned()]));
        // On a device that is not ours they are added to what others gave it.
        let dev0 = vec!["ours".to_owned(), "theirs".to_owned()];
        assert_eq!(names_of("dev0"), (value!("a device"), dev0.clone()));
        let again = text(&run(&["apply", &file]).stdout);
        assert!(again.contains("nothing to do"), "{again}");

        // What others give one of ours goes; a name may pass from one link to another.
        ip("link property add dev up0 altname foreign");
        ip("link property add dev down0 altname foreign-too");
        let planned = json(&run(&["plan", "--json", &file]));
        assert_eq!(planned["changes"][0]["set"]["altname"]["from"], "foreign", "{planned}");
        write(
            &path,
            "version = 1\n[link.up0]\nkind = \"ifb\"\nalias = \"\"\naltnames = [\"spare0\"]\n\
             [link.down0]\nkind = \"ifb\"\nstate = \"down\"\naltnames = [\"lab\"]\n\
             [link.p0]\n[link.v0]\nveth = { peer = \"p0\" }\naltnames = []\n[link.dev0]\naltnames = []\n",
        );
        assert_converges(&file);
        assert_eq!(names_of("up0"), (Value::Null, vec!["spare0".to_owned()]));
        assert_eq!(names_of("down0"), (value!("spare"), vec!["lab".to_owned()]));
        assert_eq!(names_of("p0"), (value!("the other end"), vec!["far-end".to_owned()]));
        assert_eq!(names_of("dev0"), (value!("a device"), dev0));

        let exported = text(&run(&["export"]).stdout);
        for line in ["altnames = [\"lab\"]", "alias = \"spare\"", "alias = \"a device\""] {
            assert!(exported.contains(line), "no {line} in {exported}");
        }
        write(&path, &exported);
        let checked = run(&["check", &file]);
        assert_eq!(status(&checked), Some(0), "{}", text(&checked.stdout));
    });
}

#[test]
fn names_that_others_change_are_put_right_by_the_news_of_it() {
    in_namespace("names_that_others_change_are_put_right_by_the_news_of_it", || {
        let (_folder, path) = document(
            "version = 1\n[link.up0]\nkind = \"ifb\"\nalias = \"mine\"\naltnames = [\"one\", \"two\"]\n\
             [link.down0]\nkind = \"ifb\"\nstate = \"down\"\nalias = \"spare\"\naltnames = [\"three0\"]\n",
        );
        let mut running = Running::start(&["run", &path.to_string_lossy()]);
        // What goes in silence on the one that is down is read, and not made again and again.
        let first = running.line();
        assert!(first.starts_with("converged: "), "{first}");
        let mine = (value!("mine"), vec!["one".to_owned(), "two".to_owned()]);
        for drift in [
            "link set up0 alias theirs",
            "link property del dev up0 altname two",
            "link property add dev up0 altname three",
        ] {
            ip(drift);
            let is_mended = eventually(PATIENCE, || names_of("up0") == mine);
            assert!(is_mended, "{drift}: {:?}", names_of("up0"));
            let line = running.line_with("set link up0");
            assert!(line.contains("alias theirs -> mine") || line.contains("altname "), "{line}");
        }
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn names_are_shown_and_never_obeyed() {
    in_namespace("names_are_shown_and_never_obeyed", || {
        ip("link add dev0 type ifb");
        ip("link set dev0 up");
        let mut watching = Running::start(&["watch", "--dump", "--json", "link"]);
        watching.line_with("\"dev0\"");
        ip("link set dev0 alias \x1b[2Jclear\u{202e}");
        let line = watching.line_with("\"changed\"");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["changed"], value!(["alias"]));
        assert_eq!(event["before"]["alias"], Value::Null);
        let shown = json(&run(&["show", "--json", "link"]));
        let links = shown["links"].as_array().expect("a list");
        let dev0 = links.iter().find(|link| link["name"] == "dev0").expect("it is there");
        assert_eq!(dev0["alias"], "\\x1b[2Jclear\\xe2\\x80\\xae");
        assert_eq!(dev0["alias_hex"], "1b5b324a636c656172e280ae");
        assert_eq!(event["link"], *dev0);
        ip("link property add dev dev0 altname x\x1b]0;owned\x07");
        let line = watching.line_with("\"altnames\"");
        assert!(line.contains("x\\\\x1b]0;owned\\\\x07") && !line.contains('\x1b'), "{line}");
        // What a document says is escaped as well.
        let (_folder, path) = document("version = 1\n[link.dev0]\nalias = \"\\u001b[2J\"\n");
        let planned = text(&run(&["plan", &path.to_string_lossy()]).stdout);
        assert!(planned.contains("alias \\x1b[2Jclear\\xe2\\x80\\xae -> \\x1b[2J"), "{planned}");
        drop(watching);
    });
}
