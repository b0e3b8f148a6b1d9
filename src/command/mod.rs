//! Commands: their table, the one-at-a-time dispatcher, the records the conductor reads.
//!
//! This room is handed its table and knows no command by name, no HTTP and no disk.

mod dispatcher;
mod journal;
mod record;
mod spec;

pub use dispatcher::{Dispatcher, Turn};
pub use journal::{Journal, SavedRecord};
pub use record::{CommandView, State, Status};
pub use spec::{Command, CommandSpec, Commander, Job, Mode, Params};
