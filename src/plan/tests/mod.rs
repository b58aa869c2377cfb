//! Plans against a network made of values: whatever is declared and whatever is there.

mod interrupts;
pub(crate) mod model;
mod model_rest;
mod mtus;
mod properties;
pub(crate) mod random;
