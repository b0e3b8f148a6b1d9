//! The steps that Ironic asks for: which are offered, what each does, and the machine as commands see it.

mod context;
mod injection;
mod machine;
mod managers;

pub use context::{Commander, StepContext};
pub use machine::lent::Lent;
pub use machine::{BootLoader, Machine, NodeSource, Settings};
pub use managers::{Argument, Phase, StepSpec, is_same_version, versions};
