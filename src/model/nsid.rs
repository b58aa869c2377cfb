//! The number that a network namespace gives to another one, as the kernel shows it in
//! RTM_NEWNSID. Links whose other end is elsewhere name that place by it.

/// One number; which namespace it stands for, only who can open that one can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nsid {
    /// NETNSA_NSID: 0 and up.
    pub id: i32,
}
