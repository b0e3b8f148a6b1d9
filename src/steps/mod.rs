//! Steps that Ironic runs: the offered ones, their functions, and the machine as commands see it.

mod context;
mod erase;
#[cfg(test)]
mod fixture;
mod inject_files;
mod machine;
mod managers;
mod run;
mod spec;
mod write_image;

pub use context::{Commander, StepContext};
pub use machine::boot_loader::BootLoader;
pub use machine::lent::Lent;
pub use machine::{Machine, NodeSource, Priorities, Settings};
pub use managers::{is_same_version, versions};
pub use spec::Phase;
