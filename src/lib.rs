//! ringlink sets up Linux network links and keeps them exactly as declared.
pub mod desired;
mod limits;
pub mod model;
pub mod plan;
mod reconcile;
