//! What a command is: its wire name, its kind and its two functions. One row of an extension's table.

use crate::error::{AgentError, shortened};
use crate::progress::{Cancel, Reporter};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// A command's parameters as they came over the wire.
pub type Params = Map<String, Value>;

/// Whether the caller waits for a command by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Runs on; the caller reads its record later.
    Async,
    /// Finished when the caller has its answer, which must come within 60 seconds.
    Sync,
}

/// Whose command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commander {
    /// Ironic's, or of whoever else shows the agent token.
    Conductor,
    /// Of somebody whom the policy lets run it.
    User {
        /// Whether the log is told that it began and how it ended: such callers could fill it.
        is_logged: bool,
    },
}

impl Commander {
    /// Whether it shows the agent token.
    #[must_use]
    pub const fn is_conductor(self) -> bool {
        matches!(self, Self::Conductor)
    }

    /// Whether the log is told of the command.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        matches!(self, Self::Conductor | Self::User { is_logged: true })
    }

    /// The same for the commands of a flow. Flows within one have no lines of their own, where the caller is not the conductor: one
    /// request could hold thousands.
    #[must_use]
    pub const fn within_flow(self) -> Self {
        match self {
            Self::Conductor => Self::Conductor,
            Self::User { .. } => Self::User { is_logged: false },
        }
    }

    /// An error for the log: of the conductor's whole, of others only its beginning, for it may repeat what they sent.
    #[must_use]
    pub fn reason(self, error: &AgentError) -> String {
        let reason = error.to_string();
        match self {
            Self::Conductor => reason,
            Self::User { .. } => shortened(reason, MAX_REASON_LEN),
        }
    }
}

/// Who has the least say, where it is not known.
impl Default for Commander {
    fn default() -> Self {
        Self::User { is_logged: true }
    }
}

/// What a running command is given beside its parameters.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Whose command it is.
    pub commander: Commander,
    /// The wish that it stop: asked between pieces of work.
    pub cancel: Cancel,
    /// Where it says how far it is: the command list shows it.
    pub progress: Reporter,
}

/// One row of an extension's table. `C` is what the extension's functions work on.
pub struct CommandSpec<C: 'static> {
    /// The part of the wire name before the dot: `standby`.
    pub extension: &'static str,
    /// The part after it: `prepare_image`.
    pub name: &'static str,
    /// Whether the caller waits.
    pub mode: Mode,
    /// Whether Ironic reads or compares the result in places where a mask could come, so that nothing in it is masked. It has no secret
    /// of its own then.
    pub is_read_by_ironic: bool,
    /// Looks at the parameters alone, quickly: an error here refuses the command and records nothing.
    pub validate: fn(&C, &Params) -> Result<(), AgentError>,
    /// The work: blocking code on a thread of its own. A panic fails this command only.
    pub run: fn(&C, Params, &Job) -> Result<Value, AgentError>,
}

impl<C: Send + Sync + 'static> CommandSpec<C> {
    /// The command with what it works on; commands of different `C` then stand in one table.
    #[must_use]
    pub fn bind(&'static self, context: &Arc<C>) -> Command {
        Command {
            extension: self.extension,
            name: self.name,
            mode: self.mode,
            is_read_by_ironic: self.is_read_by_ironic,
            work: Arc::new(Bound {
                spec: self,
                context: Arc::clone(context),
            }),
        }
    }
}

impl<C> fmt::Debug for CommandSpec<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ({:?})", self.extension, self.name, self.mode)
    }
}

/// A command ready to be run.
#[derive(Clone)]
pub struct Command {
    pub(super) extension: &'static str,
    pub(super) name: &'static str,
    pub(super) mode: Mode,
    pub(super) is_read_by_ironic: bool,
    pub(super) work: Arc<dyn Work>,
}

impl Command {
    /// The name on the wire: `standby.sync`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.extension, self.name)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ({:?})", self.extension, self.name, self.mode)
    }
}

/// The two functions of a command, its context hidden.
pub(super) trait Work: Send + Sync {
    fn validate(&self, params: &Params) -> Result<(), AgentError>;
    fn run(&self, params: Params, job: &Job) -> Result<Value, AgentError>;
}

struct Bound<C: 'static> {
    spec: &'static CommandSpec<C>,
    context: Arc<C>,
}

impl<C: Send + Sync> Work for Bound<C> {
    fn validate(&self, params: &Params) -> Result<(), AgentError> {
        (self.spec.validate)(&self.context, params)
    }

    fn run(&self, params: Params, job: &Job) -> Result<Value, AgentError> {
        (self.spec.run)(&self.context, params, job)
    }
}

/// Bytes of an error's text that the log repeats of a caller other than the conductor.
const MAX_REASON_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    #[test]
    fn of_a_users_error_the_log_repeats_the_beginning_and_of_the_conductors_all() {
        let error = AgentError::new(ErrorClass::CleaningError, "x".repeat(1 << 20));
        let whole = Commander::Conductor.reason(&error);
        assert_eq!(whole, error.to_string());
        let begun = Commander::default().reason(&error);
        assert_eq!(begun, format!("Clean step failed: {}…", "x".repeat(237)));
    }
}
