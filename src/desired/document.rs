//! A document, from text or from files, to a [`Desired`]: all of it, or all that is wrong.

use std::path::Path;

use super::Desired;
use super::diagnostic::{DocumentError, Reports, Source};
use super::limits::DOCUMENT_BYTES_MAX;
use super::tree::{At, Node};
use super::{json, load, read, tree};

impl Desired {
    /// The declared state of a TOML text. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in one error.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DocumentError> {
        from_text(name, text, tree::from_toml)
    }

    /// The declared state of a JSON text, the same document in another notation. Errors in it
    /// are located by path, such as `link.br0.mtu`, and syntax errors by line and column.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in one error; of several syntax errors the first.
    pub fn from_json(name: &str, text: &str) -> Result<Self, DocumentError> {
        from_text(name, text, json::from_json)
    }

    /// The declared state of the document that these files are together. A directory stands
    /// for its `*.toml` files in the order of their names, save hidden ones; a file that ends
    /// in `.json` is JSON, any other TOML. This reads files and so may block on a slow disk,
    /// though never on a pipe or a device, which it refuses.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, unreadable files included, in one error.
    pub fn load(paths: &[impl AsRef<Path>]) -> Result<Self, DocumentError> {
        load_from(paths, None)
    }

    /// The same for a process with more rights than whoever can write these files may have: one
    /// that neither root nor a user of `owners` owns, or that others may write, is refused, and so
    /// is such a directory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_owned(paths: &[impl AsRef<Path>], owners: &[u32]) -> Result<Self, DocumentError> {
        load_from(paths, Some(owners))
    }
}

fn load_from(paths: &[impl AsRef<Path>], owners: Option<&[u32]>) -> Result<Desired, DocumentError> {
    let mut reports = Reports::default();
    let files = load::read_all(paths, owners, &mut reports);
    if files.is_empty() {
        reports.push(&At::File(0), "there is no file to read", "name at least one");
        return Err(reports.finish(vec![Source::new("document", "")]));
    }
    // A file that is missing may hold what another one refers to.
    reports.note_unread();
    let mut trees = Vec::new();
    for (index, (path, source)) in files.iter().enumerate() {
        let is_json =
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let parse = if is_json { json::from_json } else { tree::from_toml };
        if !reports.has_unread(index) {
            trees.extend(parse(index, source.text(), &mut reports));
        }
    }
    let sources = files.into_iter().map(|(_, source)| source).collect();
    conclude(&trees, reports, sources)
}

fn from_text(
    name: &str,
    text: &str,
    parse: impl FnOnce(usize, &str, &mut Reports) -> Option<Node>,
) -> Result<Desired, DocumentError> {
    let mut reports = Reports::default();
    if text.len() > DOCUMENT_BYTES_MAX {
        let mebibytes = DOCUMENT_BYTES_MAX >> 20;
        let message = format!("the document has more than {mebibytes} MiB");
        reports.push(&At::File(0), message, "declare less in one document");
        return Err(reports.finish(vec![Source::new(name, "")]));
    }
    let tree = parse(0, text, &mut reports);
    conclude(tree.as_slice(), reports, vec![Source::new(name, text)])
}

fn conclude(
    trees: &[Node],
    mut reports: Reports,
    sources: Vec<Source>,
) -> Result<Desired, DocumentError> {
    match read::read(trees, &mut reports) {
        Some(desired) if reports.is_empty() => Ok(desired),
        _ => Err(reports.finish(sources)),
    }
}
