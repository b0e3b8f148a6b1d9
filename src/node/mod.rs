//! The node as Ironic describes it: root device hints, and what follows from them.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod hints;
pub mod root_device;
