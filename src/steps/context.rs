//! What a step is run with besides its arguments.

use crate::json::Json;
use crate::progress::{Cancel, Reporter};

/// Who wants a change of the machine: what a user does to a disk is not told, or taken, as Ironic's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commander {
    /// Ironic, or whoever else shows the agent token.
    Ironic,
    /// Somebody whom the policy lets run commands.
    User,
}

/// What a step is run with besides its arguments.
#[derive(Clone, Copy, Debug)]
pub struct StepContext<'a> {
    /// Who wants it.
    pub commander: Commander,
    /// The node's ports, as Ironic sends them: a list of objects.
    pub ports: &'a Json,
    /// Whether it is to stop.
    pub cancel: &'a Cancel,
    /// Where it says how far it is.
    pub progress: &'a Reporter,
}
