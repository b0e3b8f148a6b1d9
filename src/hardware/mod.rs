//! What the machine is: inventory, root device hints, steps.

pub mod choice;
pub mod hints;
mod permit;

pub use permit::{InstalledSystem, Permit, Refusal};
