//! The seam to what outlives an agent: records as plain values, and whoever keeps them.

use super::spec::Mode;
use crate::error::{AgentError, ErrorClass};
use serde_json::Value;
use std::sync::Arc;

/// A command's record as it outlives its agent.
#[derive(Clone, PartialEq)]
#[expect(missing_debug_implementations, reason = "a result may hold secrets")]
pub struct SavedRecord {
    /// A random UUID.
    pub id: String,
    /// The command's name without its extension.
    pub name: String,
    /// Its kind.
    pub mode: Mode,
    /// Whether it was the conductor's.
    pub is_conductors: bool,
    /// How it ended: its result as it goes over the wire, or why there is none. None while it runs.
    pub outcome: Option<Result<Arc<Value>, AgentError>>,
}

/// Who keeps records for the next agent. It must not fail: a command's work is worth more than its record.
pub trait Journal: Send + Sync {
    /// Keeps a record as it is now, in place of what was kept of it before. `all` tells every other one, for who wants to let
    /// go of what nobody asks for any more.
    fn keep(&self, record: &SavedRecord, all: &dyn Fn() -> Vec<SavedRecord>);
}

/// Why a command failed that ran when its agent ended.
pub(super) fn interrupted(name: &str) -> AgentError {
    AgentError::new(
        ErrorClass::CommandExecutionError,
        format!(
            "the agent was started anew while {name} ran: it did not finish, and what it was writing may be written in part; \
             run the step again"
        ),
    )
}
