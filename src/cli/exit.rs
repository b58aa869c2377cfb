//! How the program ends.

use std::process::ExitCode;

use crate::applier::ApplyError;
use crate::desired::DocumentError;
use crate::engine::EngineError;
use crate::keeper::KeepError;
use crate::ring::NamespaceError;
use crate::watcher::WatchError;

/// An exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Clean,
    /// The network is not as declared.
    Not,
    /// Usage, or a bad file.
    Usage,
    /// It cannot be done here.
    Cannot,
    /// Ctrl-C, after a report.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Not => 1,
            Self::Usage => 2,
            Self::Cannot => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The document has errors.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The engine cannot start or go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The same, of a keeper.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// What was asked cannot be meant; the message tells why and the remedy.
    #[error("{0}")]
    Usage(String),
    /// Something else is missing; the message names it and the remedy.
    #[error("{0}")]
    Cannot(String),
    /// Interrupted before there was anything to report.
    #[error("interrupted; nothing was changed")]
    Interrupted,
    /// Whoever read the output has gone, as `head` does: no failure, so it ends with 0. A shell
    /// with `pipefail` then sees the status of a program that was told enough.
    #[error("the output was closed")]
    Closed,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Document(_) | Self::Usage(_) => Exit::Usage,
            Self::Interrupted => Exit::Interrupted,
            Self::Closed => Exit::Clean,
            _ => Exit::Cannot,
        }
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self::Engine(error.0)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Engine(error) => Self::Engine(error),
            ApplyError::Cancelled(_) => Self::Interrupted,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Output(error),
        }
    }
}
