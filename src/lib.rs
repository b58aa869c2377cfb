//! ringlink sets up Linux network links and keeps them exactly as declared.
pub mod desired;
pub mod model;
#[allow(dead_code)]
mod ring;

pub use self::ring::{NamespaceError, RingError};
