//! Reads the files of a document, and no more of them than a document has.
//!
//! A FIFO or a device would block or never end, so only regular files are read: the kind is
//! asked for before the open, which must not block, and again of what was opened.
//!
//! What root obeys must be root's: where owners are given, a file or directory of anyone else, or
//! that others may write, is refused.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::diagnostic::{Reports, Source};
use super::limits::{DOCUMENT_BYTES_MAX, FILES_MAX};
use super::tree::At;
use super::values::Fault;

/// S_IWGRP and S_IWOTH (inode(7)).
const OTHERS_WRITE: u32 = 0o022;

/// Reads every file; each that cannot be read is reported and leaves an empty source. With
/// `owners`, only files are read that nobody but these and root can have written.
pub(super) fn read_all(
    paths: &[impl AsRef<Path>],
    owners: Option<&[u32]>,
    reports: &mut Reports,
) -> Vec<(PathBuf, Source)> {
    let mut sources = Vec::new();
    let mut bytes_left = DOCUMENT_BYTES_MAX;
    for path in paths {
        let files = match files_of(path.as_ref(), owners) {
            Ok(files) => files,
            Err(fault) => {
                reports.push_fault(&At::File(sources.len()), fault, None);
                sources.push((path.as_ref().to_owned(), source(path.as_ref(), String::new())));
                continue;
            }
        };
        for file in files {
            let at = At::File(sources.len());
            if sources.len() == FILES_MAX {
                let message = format!("the document has more than {FILES_MAX} files");
                reports.push(&at, message, "join some of them");
                sources.push((file.clone(), source(&file, String::new())));
                return sources;
            }
            let text = match read_file(&file, bytes_left, owners) {
                Ok(text) => text,
                Err(fault) => {
                    reports.push_fault(&at, fault, None);
                    String::new()
                }
            };
            bytes_left -= text.len();
            sources.push((file.clone(), source(&file, text)));
        }
    }
    sources
}

fn source(path: &Path, text: String) -> Source {
    Source::new(path.to_string_lossy(), text)
}

/// The file itself, or the `*.toml` of a directory, sorted by name.
fn files_of(path: &Path, owners: Option<&[u32]>) -> Result<Vec<PathBuf>, Fault> {
    let metadata = path.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    check_owner(&metadata, owners)?;
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(|error| unreadable(&error))? {
        let file = entry.map_err(|error| unreadable(&error))?.path();
        let is_hidden =
            file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if file.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            break;
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Fault::new(
            "the directory has no `*.toml` files",
            "put the document there, or name the right directory or a file",
        ));
    }
    Ok(files)
}

fn read_file(path: &Path, bytes_max: usize, owners: Option<&[u32]>) -> Result<String, Fault> {
    let metadata = path.metadata().map_err(|error| unreadable(&error))?;
    check_metadata(&metadata)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    check_metadata(&metadata)?;
    check_owner(&metadata, owners)?;
    let bytes = read_bounded(file, bytes_max)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault::new(
            format!("the file is not UTF-8: a wrong byte at offset {at}, in line {line}"),
            "save it as UTF-8",
        )
    })
}

fn check_metadata(metadata: &Metadata) -> Result<(), Fault> {
    let file_type = metadata.file_type();
    let what = match file_type {
        _ if file_type.is_file() => return Ok(()),
        _ if file_type.is_dir() => "a directory",
        _ if file_type.is_fifo() => "a pipe",
        _ if file_type.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Fault::new(format!("this is {what}, not a file"), "write the document to a file first"))
}

/// Whoever can write what root obeys is root.
fn check_owner(metadata: &Metadata, owners: Option<&[u32]>) -> Result<(), Fault> {
    let Some(owners) = owners else {
        return Ok(());
    };
    let (uid, mode) = (metadata.uid(), metadata.mode());
    let what = if metadata.is_dir() { "directory" } else { "file" };
    if uid != 0 && !owners.contains(&uid) {
        return Err(Fault::new(
            format!("root is to obey this {what}, and it belongs to user {uid}"),
            "give it to root (`chown root`), if what it says is to be done",
        ));
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(Fault::new(
            format!(
                "root is to obey this {what}, and others may write it (mode {:04o})",
                mode & 0o7777
            ),
            "take that right away with `chmod go-w`",
        ));
    }
    Ok(())
}

fn read_bounded(file: File, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // No file is longer than a u64 counts.
    let limit = (bytes_max as u64).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > bytes_max {
        let mebibytes = DOCUMENT_BYTES_MAX >> 20;
        return Err(Fault::new(
            format!("the document, all its files together, has more than {mebibytes} MiB"),
            "declare less in one document",
        ));
    }
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Fault {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check the permissions of the file and its directories",
        _ => "check the file",
    };
    Fault::new(format!("cannot be read: {error}"), help)
}
