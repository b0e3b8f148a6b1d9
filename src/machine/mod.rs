//! What is done with the machine as a whole: its clocks, its hand-over to an owner, its end, what marks both, and the permit for
//! all of it. It also waits for hardware that shows up late.

pub mod clock;
pub mod marks;
mod permit;
pub mod power;
pub mod power_control;
pub mod rescue;
pub mod shutdown;
pub mod wait;

pub use permit::{InstalledSystem, Permit, PermitDenied};
