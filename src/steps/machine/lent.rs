//! The node as a caller other than Ironic describes it. It decides which disk is written to and whom rules let in, so it counts
//! for the command that brings it, and is forgotten with that.

use super::{Machine, uuid};
use crate::error::AgentError;
use serde_json::{Map, Value};

/// A command's own node: forgotten when dropped.
#[derive(Debug)]
#[must_use]
pub struct Lent<'a>(&'a Machine);

impl Machine {
    /// Works on this node until the answer is dropped, and remembers nothing of it; no disk is waited for. Commands run one at
    /// a time.
    ///
    /// # Errors
    /// The node has no `uuid`.
    pub fn lend_node(&self, node: Map<String, Value>) -> Result<Lent<'_>, AgentError> {
        uuid(&node)?;
        self.state().lent = Some(Value::Object(node));
        Ok(Lent(self))
    }

    /// Remembers the node that somebody gave an agent without Ironic; no disk is waited for.
    ///
    /// # Errors
    /// The node has no `uuid`.
    pub fn give_node(&self, node: Map<String, Value>) -> Result<(), AgentError> {
        uuid(&node)?;
        self.remember_node(Value::Object(node));
        Ok(())
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.state().lent = None;
    }
}
