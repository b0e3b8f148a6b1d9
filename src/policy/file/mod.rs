//! Policy files: finding, reading, merging with the program's rules, and detecting changes.

mod content;
mod error;
mod loading;
mod read;
mod spans;
mod trace;
mod yaml;
mod yaml_scalar;

pub(super) use content::Content;
pub use content::PolicyFile;
pub use error::Error;
pub(super) use loading::{ActivePolicy, registered, take};
pub(super) use read::{read, read_text};
pub(super) use spans::{Scalar, scalars};
pub(super) use trace::{FileStamp, traces};
pub(super) use yaml::parse;
