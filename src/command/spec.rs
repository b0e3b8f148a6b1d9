//! Defines a command: its wire name, its mode and its two functions. It is one row of an
//! extension's table.

use crate::error::{AgentError, shortened};
use crate::progress::{Cancel, Reporter};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Parameters of a command as received.
pub type Params = Map<String, Value>;

/// Whether a client waits for the end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The command continues in the background; the client reads its record later.
    Async,
    /// The command has finished when the client receives the response, which must be within 60
    /// seconds.
    Sync,
}

/// Caller that sent a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commander {
    /// The conductor, or any other client with the agent token.
    Conductor,
    /// A user whom the policy permits to run it.
    User {
        /// Whether start and end of the command are logged: users could fill the log.
        is_logged: bool,
    },
}

impl Commander {
    /// Returns whether the caller showed the agent token.
    #[must_use]
    pub const fn is_conductor(self) -> bool {
        matches!(self, Self::Conductor)
    }

    /// Returns whether the command is logged.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        matches!(self, Self::Conductor | Self::User { is_logged: true })
    }

    /// Returns the commander for the commands of a flow. Nested flows of users are not logged,
    /// because one request could contain thousands of commands.
    #[must_use]
    pub const fn within_flow(self) -> Self {
        match self {
            Self::Conductor => Self::Conductor,
            Self::User { .. } => Self::User { is_logged: false },
        }
    }

    /// Returns an error's text for the log. A user's is truncated, because it may repeat the
    /// request.
    #[must_use]
    pub fn reason(self, error: &AgentError) -> String {
        let reason = error.to_string();
        match self {
            Self::Conductor => reason,
            Self::User { .. } => shortened(reason, MAX_REASON_LEN),
        }
    }
}

/// Defaults to the caller with the fewest rights.
impl Default for Commander {
    fn default() -> Self {
        Self::User { is_logged: true }
    }
}

/// Context of a running command besides its parameters.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Caller that sent the command.
    pub commander: Commander,
    /// Cancellation, to be checked between pieces of work.
    pub cancel: Cancel,
    /// Reporter of progress, which the command list shows.
    pub progress: Reporter,
}

/// One row of an extension's table. `C` is the context of the extension's functions.
pub struct CommandSpec<C: 'static> {
    /// Part of the wire name before the dot: `standby`.
    pub extension: &'static str,
    /// Part of the wire name after the dot: `prepare_image`.
    pub name: &'static str,
    /// Whether the client waits.
    pub mode: Mode,
    /// Whether Ironic reads or compares parts of the result that could be masked, so nothing in it
    /// is masked. Such a result contains no secret of its own.
    pub is_read_by_ironic: bool,
    /// Validates the parameters without side effects, quickly. An error refuses the command, and
    /// nothing is recorded.
    pub validate: fn(&C, &Params) -> Result<(), AgentError>,
    /// Performs the work: blocking code on its own thread. A panic fails only this command.
    pub run: fn(&C, Params, &Job) -> Result<Value, AgentError>,
}

impl<C: Send + Sync + 'static> CommandSpec<C> {
    /// Binds the command to its context, so that commands of different `C` fit in one table.
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

/// Command that is ready to run.
#[derive(Clone)]
pub struct Command {
    pub(super) extension: &'static str,
    pub(super) name: &'static str,
    pub(super) mode: Mode,
    pub(super) is_read_by_ironic: bool,
    pub(super) work: Arc<dyn Work>,
}

impl Command {
    /// Returns the name on the wire: `standby.sync`.
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

/// The two functions of a command, with its context erased.
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

/// Maximum length of an error in the log, for callers other than the conductor, in bytes.
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
