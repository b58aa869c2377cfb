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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Not => 1,
            Exit::Usage => 2,
            Exit::Cannot => 3,
            Exit::Interrupted => 130,
        })
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
    /// Something else is missing; the message names it and the remedy.
    #[error("{0}")]
    Cannot(String),
    /// Interrupted before there was anything to report.
    #[error("interrupted")]
    Interrupted,
    /// Whoever read the output has gone, which is no failure.
    #[error("the output was closed")]
    Closed,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Document(_) => Exit::Usage,
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
