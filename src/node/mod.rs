//! The node as Ironic describes it: root device hints, and what follows from them.

pub mod hints;
pub mod root_device;
