//! The conversation with the kernel over one socket of requests: what was asked, what is in
//! flight, what was answered.
//!
//! Pure: messages come in as decoded values, requests go out as bytes, time is an argument. What
//! the answers mean for the network is the mirror's and the reconciler's business.

mod dump;
mod looks;
mod namespaces;
mod requests;
#[cfg(test)]
mod tests;

pub(crate) use self::dump::{DumpStep, Dumps};
pub(crate) use self::looks::Looks;
pub(crate) use self::namespaces::{Namespaces, Opened};
pub(crate) use self::requests::{Requests, gone};

/// Sequence numbers of one socket; 0 is what the kernel's own notifications carry.
#[derive(Debug, Default)]
pub(crate) struct Sequence(u32);

impl Sequence {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1).max(1);
        self.0
    }
}
