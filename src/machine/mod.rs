//! Operations on the machine as a whole: clocks, rescue, power actions, the marks of both, and the
//! permit for all of them. This module also waits for hardware that appears late.

pub mod clock;
pub mod marks;
mod permit;
pub mod power;
pub mod power_control;
pub mod rescue;
pub mod shutdown;
pub mod wait;

pub use permit::{InstalledSystem, Permit, PermitDenied};
