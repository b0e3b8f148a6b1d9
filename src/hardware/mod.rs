//! What the machine is: inventory, root device hints, steps.

pub mod bmc;
pub mod choice;
pub mod clock;
pub mod cpu;
pub mod diagnostics;
pub mod hints;
mod injection;
pub mod inventory;
mod last_logged;
mod machine;
pub mod memory;
pub mod network;
mod permit;
pub mod power;
pub mod rescue;
pub mod steps;
pub mod system;
pub mod wait;
pub mod wire;

pub use machine::lent::Lent;
pub use machine::{BootLoader, Machine, NodeSource, Settings};
pub use permit::{InstalledSystem, Permit, Refusal};
