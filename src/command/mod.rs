//! Commands: the command table, a dispatcher that runs one command at a time, and the records for
//! the conductor.
//!
//! The caller provides the table. This module knows no command by name, and uses neither HTTP nor
//! disks.

mod dispatcher;
mod journal;
mod record;
mod spec;

pub use dispatcher::{Dispatcher, Turn};
pub use journal::{Journal, SavedRecord};
pub use record::{CommandView, State, Status};
pub use spec::{Command, CommandSpec, Commander, Job, Mode, Params};
