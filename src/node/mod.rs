//! The node as Ironic describes it: parsed once, and what follows from it for the disks.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod hints;
mod parsed;
pub mod root_device;

pub use parsed::{Error, Node, WithSecrets};
