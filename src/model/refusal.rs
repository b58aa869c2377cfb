//! What comes of a request: the kernel's ack, or its refusal with everything that it said.

use std::fmt;

use super::change::Op;
use super::object::ObjectId;

/// The kernel refused a change.
///
/// `Display` is the sentence for a person; the fields are for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was attempted.
    pub op: Op,
    /// On which object.
    pub object: ObjectId,
    /// The positive error number (errno(3)).
    pub errno: i32,
    /// The kernel's own message (NLMSGERR_ATTR_MSG), escaped for a terminal.
    pub message: Option<Box<str>>,
    /// The byte offset in the request that the kernel points at (NLMSGERR_ATTR_OFFS).
    pub offset: Option<u32>,
    /// The sequence number of the request.
    pub sequence: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, object, errno, message, .. } = self;
        write!(f, "cannot {} {object}: ", op.name())?;
        match message {
            Some(message) => write!(f, "{message} ({})", Errno(*errno))?,
            None => write!(f, "{}", Errno(*errno))?,
        }
        remedy(*errno).map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl std::error::Error for Refusal {}

/// What came of a change.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The kernel made it.
    Done,
    /// The kernel refused it.
    Refused(Box<Refusal>),
    /// No answer came in time; the state is read anew, and compared.
    Unknown,
}

/// An error number that prints as its text and name would: `No such device, errno 19`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        write!(f, "{text}, errno {}", self.0)
    }
}

/// What a person can do about an error number of rtnetlink, where that is known.
fn remedy(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "run as root, or with CAP_NET_ADMIN in the network namespace's user namespace"
        }
        libc::EOPNOTSUPP => "this kernel, or the driver, cannot do that",
        libc::ENETUNREACH => "no connected route covers the gateway",
        libc::ENETDOWN => "the outgoing link is down",
        _ => return None,
    })
}
