//! Ironic's node: parsed once, with the selection of disks that follows from it.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod hints;
mod parsed;
pub mod root_device;

pub use parsed::{Error, Node, WithSecrets};
