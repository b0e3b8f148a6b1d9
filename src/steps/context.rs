//! Context of a step, besides its arguments.

use crate::json::Json;
use crate::progress::{Cancel, Reporter};

/// Commander of a change to the machine. A user's change to a disk is neither reported nor reused
/// as Ironic's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commander {
    /// Ironic, or another client with the agent token.
    Ironic,
    /// A user that the policy allows to run commands.
    User,
}

/// Context of a step, besides its arguments.
#[derive(Clone, Copy, Debug)]
pub struct StepContext<'a> {
    /// Commander of the step.
    pub commander: Commander,
    /// Ports of the node, as Ironic sends them: a list of objects.
    pub ports: &'a Json,
    /// Cancellation of the step.
    pub cancel: &'a Cancel,
    /// Reporter of the step's progress.
    pub progress: &'a Reporter,
}
