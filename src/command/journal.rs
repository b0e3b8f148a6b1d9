//! Interface to save command records beyond the agent's exit, as plain values.

use super::spec::Mode;
use crate::error::{AgentError, ErrorClass};
use serde_json::Value;
use std::sync::Arc;

/// Record of a command, in the form in which it survives a restart of the agent.
#[derive(Clone, PartialEq)]
#[expect(missing_debug_implementations, reason = "a result may hold secrets")]
pub struct SavedRecord {
    /// Random UUID.
    pub id: String,
    /// Name of the command without its extension.
    pub name: String,
    /// Mode of the command.
    pub mode: Mode,
    /// Whether the conductor sent the command.
    pub is_conductors: bool,
    /// Result as sent over the wire, or the error; `None` while the command runs.
    pub outcome: Option<Result<Arc<Value>, AgentError>>,
}

/// Saves records for the next agent. It cannot fail: the work of a command is worth more than its
/// record.
pub trait Journal: Send + Sync {
    /// Saves a record in its current state, replacing an earlier one. `all` returns all records, so
    /// that the implementation can remove obsolete ones.
    fn keep(&self, record: &SavedRecord, all: &dyn Fn() -> Vec<SavedRecord>);
}

/// Returns the error of a command that was running when its agent exited.
pub(super) fn interrupted(name: &str) -> AgentError {
    AgentError::new(
        ErrorClass::CommandExecutionError,
        format!(
            "the agent was started anew while {name} ran: it did not finish, and what it was writing may be written in part; \
             run the step again"
        ),
    )
}
