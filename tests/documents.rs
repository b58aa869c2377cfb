//! What a document is told: every message, compared exactly, and that no text can do harm.
//!
//! `tests/documents/bad.txt` holds the bad documents, `bad.golden.txt` what is said of them.
//! `RINGLINK_BLESS=1 cargo test --test documents` writes the latter anew; read it before it is
//! committed.
#![cfg(feature = "document")]
// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringlink::desired::{Desired, DesiredAddress, Location, State};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents")
}

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/host.toml")).unwrap()
}

#[test]
fn the_document_of_the_readme_is_right() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```toml\n").expect("a document");
    let (document, _) = rest.split_once("```").expect("its end");
    let desired = Desired::from_toml("README.md", document);
    assert!(desired.is_ok(), "{}", desired.unwrap_err());
}

/// The sections of a table of documents: `=== name.toml: what it shows`, then the text. Files
/// that follow one another with `+++ name.toml` are one document.
fn sections(table: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in table.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            let name = title.split(':').next().unwrap().to_owned();
            sections.push((title.to_owned(), vec![(name, String::new())]));
        } else if let Some(name) = line.strip_prefix("+++ ") {
            let files = &mut sections.last_mut().unwrap().1;
            files.push((name.to_owned(), String::new()));
        } else if let Some((_, files)) = sections.last_mut() {
            let text = &mut files.last_mut().unwrap().1;
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

/// What is said of one document. A line `!escape` stands for a terminal's escape sequence.
fn verdict(files: &[(String, String)]) -> String {
    let unescaped = |text: &str| text.replace("!escape", "\x1b]0;owned\x07");
    let result = match files {
        [(name, text)] if name.ends_with(".json") => Desired::from_json(name, &unescaped(text)),
        [(name, text)] => Desired::from_toml(name, &unescaped(text)),
        files => {
            let directory = tempfile::tempdir().unwrap();
            let paths = files.iter().map(|(name, text)| {
                let path = directory.path().join(name);
                fs::write(&path, text).unwrap();
                path
            });
            let paths: Vec<_> = paths.collect();
            let result = Desired::load(&paths);
            let prefix = format!("{}/", directory.path().display());
            return match result {
                Ok(_) => panic!("{}: accepted", files[0].0),
                Err(error) => error.to_string().replace(&prefix, ""),
            };
        }
    };
    match result {
        Ok(_) => panic!("{}: accepted", files[0].0),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_bad_document_is_told_what_where_and_what_to_do() {
    let table = fs::read_to_string(directory().join("bad.txt")).unwrap();
    let mut said = String::new();
    let sections = sections(&table);
    assert!(sections.len() >= 60, "{} documents", sections.len());
    for (title, files) in &sections {
        writeln!(said, "=== {title}\n{}\n", verdict(files)).unwrap();
    }
    assert!(!said.contains('\x1b'), "an escape sequence reached the output");
    let golden = directory().join("bad.golden.txt");
    if std::env::var_os("RINGLINK_BLESS").is_some() {
        fs::write(&golden, &said).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    for (said, expected) in said.split("=== ").zip(expected.split("=== ")) {
        assert_eq!(said, expected, "RINGLINK_BLESS=1 accepts it, if it is right");
    }
    assert_eq!(said.len(), expected.len(), "run with RINGLINK_BLESS=1");
}

#[test]
fn the_example_is_valid() {
    let desired = Desired::from_toml("host.toml", &example()).unwrap_or_else(|e| panic!("{e}"));
    let link = |name: &str| {
        let found = desired.links().iter().find(|l| l.name.as_str() == Some(name));
        found.unwrap()
    };
    assert_eq!(desired.owner().unwrap().name, "host");
    assert_eq!(link("br-lan").state, Some(State::Up));
    assert!(link("br-lan").remove_extra_addresses);
    assert_eq!(link("a-eth0").peer_of, Some(link("guest-a").name));
    assert_eq!(desired.routes()[0].metric, 0);
    assert_eq!(desired.routes()[1].metric, 1024);
    assert_eq!(desired.links()[0].name.as_str(), Some("br-lan"), "in the document's order");
}

#[test]
fn every_gateway_of_the_example_is_on_a_subnet_of_its_link() {
    let desired = Desired::from_toml("host.toml", &example()).unwrap();
    for route in desired.routes().iter().filter(|route| route.via.is_some()) {
        let link = desired.links().iter().find(|link| Some(link.name) == route.dev).unwrap();
        let addresses = link.addresses.as_ref().unwrap();
        let covers = |own: &DesiredAddress| own.prefix.contains(route.via.unwrap());
        assert!(addresses.iter().any(covers), "{route:?}");
    }
}

#[test]
fn toml_and_json_are_the_same_document() {
    let toml = r#"
        version = 1
        owner = { name = "host", protocol = 99, prune = false }
        [link.br0]
        bridge = { priority = 4096 }
        addresses = ["192.0.2.1/24"]
        [[route]]
        to = "198.51.100.0/24"
        via = "192.0.2.2"
        table = 100
    "#;
    let toml = toml.replace("99", "77");
    let json = r#"{
        "version": 1,
        "owner": {"name": "host", "protocol": 77, "prune": false},
        "link": {"br0": {"bridge": {"priority": 4096}, "addresses": ["192.0.2.1/24"]}},
        "route": [{"to": "198.51.100.0/24", "via": "192.0.2.2", "table": 100}]
    }"#;
    let from_toml = Desired::from_toml("a.toml", &toml).unwrap();
    let from_json = Desired::from_json("a.json", json).unwrap();
    assert_eq!(from_toml, from_json);
}

#[test]
fn the_defaults_follow_from_the_kind() {
    let text = r#"
        version = 1
        [link.eth0]
        addresses = ["192.0.2.1/24"]
        [link.v0]
        veth = { peer = "p0" }
        [link.v1]
        veth = { peer = "p1" }
        [link.p1]
        mtu = 1400
    "#;
    let desired = Desired::from_toml("a.toml", text).unwrap();
    let names: Vec<_> = desired.links().iter().map(|link| link.name.to_string()).collect();
    assert_eq!(names, ["eth0", "v0", "v1", "p1", "p0"]);
    let shown = |at: usize| {
        let link = &desired.links()[at];
        (link.state, link.remove_extra_addresses, link.peer_of.is_some())
    };
    assert_eq!(shown(0), (None, false, false));
    assert_eq!(shown(1), (Some(State::Up), true, false));
    assert_eq!(shown(3), (Some(State::Up), true, true));
    assert_eq!(shown(4), (None, false, true));
    assert_eq!(desired.protocol(), 82);
}

#[test]
fn a_directory_is_one_document() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("10-base.toml", "version = 1\n[link.br0]\nkind = \"bridge\"\n");
    write("20-more.toml", "[link.v0]\nveth = { peer = \"p0\" }\nmaster = \"br0\"\n");
    write("notes.txt", "not = a document");
    write(".hidden.toml", "neither = this");
    let desired = Desired::load(&[directory.path()]).unwrap();
    assert_eq!(desired.links().len(), 3);
}

#[test]
fn an_error_that_a_program_unwraps_does_not_show_the_whole_document() {
    let long = format!("version = 1\nx = 1\n{}", "# a comment\n".repeat(10_000));
    let error = Desired::from_toml("long.toml", &long).unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("long.toml") && shown.contains("`x`"), "{shown}");
    assert!(shown.len() < 1_000, "{} bytes", shown.len());
}

#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let said = |path: PathBuf| Desired::load(&[path]).unwrap_err().to_string();
    assert!(said(directory.path().to_owned()).contains("has no `*.toml` files"));
    nix::unistd::mkfifo(&path("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(said(path("pipe.toml")).contains("is a pipe"));
    assert!(said("/dev/zero".into()).contains("is a device"));
    assert!(said(path("absent.toml")).contains("No such file"));
    fs::write(path("latin.toml"), b"version = 1\n# caf\xe9\n").unwrap();
    assert!(said(path("latin.toml")).contains("offset 17, in line 2"));
    let huge = fs::File::create(path("huge.toml")).unwrap();
    huge.set_len(100 << 20).unwrap();
    assert!(said(path("huge.toml")).contains("more than 8 MiB"));
    let none: [PathBuf; 0] = [];
    assert!(Desired::load(&none).is_err());
}

#[test]
fn an_unreadable_file_hides_no_other_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let bad = directory.path().join("bad.toml");
    fs::write(&bad, "[link.br0]\nmut = 1500\n").unwrap();
    let error = Desired::load(&[directory.path().join("absent.toml"), bad]).unwrap_err();
    assert_eq!(error.diagnostics().len(), 2, "{error}");
}

#[test]
fn hostile_texts_are_errors_and_not_the_end() {
    let deep = 200_000;
    let texts = [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("a = {}", "{a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=".repeat(16)),
        "=\n".repeat(deep),
        "[".repeat(deep),
        "[[route]]\n".repeat(deep),
        format!("{} = 1", "k".repeat(1 << 20)),
        format!("version = {}", "9".repeat(1 << 20)),
        format!("link = \"{}\"", "x".repeat(1 << 20)),
        format!(
            "[link.a]\n{}",
            (0..deep).fold(String::new(), |text, at| text + &format!("k{at}=1\n"))
        ),
        "\u{feff}version = 2".to_owned(),
        "\0\x1b[2J".to_owned(),
        "x".repeat(9 << 20),
    ];
    for text in texts {
        let error = Desired::from_toml("hostile.toml", &text).unwrap_err();
        assert!(error.diagnostics().len() <= 100);
        assert!(error.to_string().len() < 100_000);
        let error = Desired::from_json("hostile.json", &text).unwrap_err();
        assert!(error.to_string().len() < 100_000);
    }
    let deep_json = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    assert!(Desired::from_json("hostile.json", &deep_json).is_err());
    let wide_json = format!("[{}1]", "1,".repeat(1_100_000));
    assert!(Desired::from_json("hostile.json", &wide_json).is_err());
}

#[test]
fn a_long_chain_of_links_is_walked_without_recursion() {
    let mut text = String::from("version = 1\n");
    for at in 0..20_000 {
        writeln!(text, "[link.b{at}]\nkind = \"bridge\"\nmaster = \"b{}\"", at + 1).unwrap();
    }
    assert!(Desired::from_toml("chain.toml", &text).is_ok());
    writeln!(text, "[link.b20000]\nkind = \"bridge\"\nmaster = \"b0\"").unwrap();
    let error = Desired::from_toml("chain.toml", &text).unwrap_err();
    assert_eq!(error.diagnostics().len(), 1);
}

#[test]
fn more_mistakes_than_anyone_reads_are_counted() {
    let mut text = String::from("version = 1\n[link.br0]\n");
    (0..500).for_each(|at| writeln!(text, "key{at} = 1").unwrap());
    let error = Desired::from_toml("many.toml", &text).unwrap_err();
    assert_eq!((error.diagnostics().len(), error.omitted()), (100, 400));
    assert!(error.to_string().ends_with("and 400 more"));
}

#[test]
fn spans_hold_in_the_inert_text() {
    let text = "version = 1\n[link.br0]\n\"\u{9b}\u{202e}é\" = 1\n";
    let error = Desired::from_toml("a.toml", text).unwrap_err();
    let source = &error.sources()[0];
    let inert = source.inert_text();
    assert_eq!(inert.len(), text.len());
    assert!(inert.contains('é') && !inert.contains('\u{202e}'));
    let Location::Text { span, line, .. } = &error.diagnostics()[0].location else {
        panic!("{error:?}");
    };
    assert_eq!(*line, 3);
    assert_eq!(&source.text()[span.clone()], "\"\u{9b}\u{202e}é\"");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = Desired::from_toml("a.toml", &text).map_err(|error| error.to_string());
        let _ = Desired::from_json("a.json", &text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = Desired::from_toml("a.toml", &text).map_err(|error| error.to_string());
        let _ = Desired::from_json("a.json", &text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_mutation_of_a_valid_document_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[a-z0-9\\[\\]{}=\".,/:# \n]{0,8}"), 1..6)
    ) {
        let mut lines: Vec<String> = example().lines().map(str::to_owned).collect();
        for (at, what, text) in edits {
            let at = at.index(lines.len());
            match what {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => lines[at] = text,
                3 => lines[at].push_str(&text),
                4 => lines[at] = lines[at].replacen(['"', ']', '='], &text, 1),
                _ => lines.insert(at, text),
            }
            if lines.is_empty() {
                lines.push(String::new());
            }
        }
        if let Err(error) = Desired::from_toml("a.toml", &lines.join("\n")) {
            prop_assert!(!error.diagnostics().is_empty());
            let _ = error.to_string();
        }
    }
}
