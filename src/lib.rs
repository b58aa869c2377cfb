//! ringlink sets up Linux network links and keeps them exactly as declared.
pub mod desired;
pub mod model;
// Temporary: nothing above this room exists yet to use it.
#[allow(dead_code, unused_imports)]
mod wire;
