//! Policy files: found, read, laid over the program's own rules, and looked at again.

mod content;
mod error;
mod loading;
mod plain;
mod read;
mod scalars;
mod trace;
mod yaml;

pub(super) use content::Content;
pub use content::PolicyFile;
pub use error::Error;
pub(super) use loading::{InForce, registered, take};
pub(super) use read::{read, read_text};
pub(super) use scalars::{Scalar, scalars};
pub(super) use trace::{Trace, traces};
pub(super) use yaml::parse;
