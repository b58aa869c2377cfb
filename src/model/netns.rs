//! A network namespace that a declared state names: what is known of it from here.

/// What a name, or a path, stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedNetns {
    /// Nothing, or nothing yet: a file that is no namespace becomes one when it is mounted there.
    Absent,
    /// What is there could not be opened, or is a namespace of another type.
    Refused {
        /// The kernel's number.
        errno: i32,
    },
    /// The network namespace that the network is of.
    Here,
    /// Another one.
    There {
        /// The number that this namespace has for it, by which links say that their other end is
        /// there (NETNSA_NSID). Where it has none, no link says so.
        nsid: Option<i32>,
    },
}
