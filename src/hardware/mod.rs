//! What the machine is: inventory, root device hints, steps.

mod permit;

pub use permit::{InstalledSystem, Permit, Refusal};
