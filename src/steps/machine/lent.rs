//! The node as a caller other than Ironic describes it. It decides which disk is written to and whom rules let in, so it counts
//! for the command that brings it, and is forgotten with that.

use super::Machine;
use crate::node::WithSecrets;
use std::sync::Arc;

/// A command's own node: forgotten when dropped.
#[derive(Debug)]
#[must_use]
pub struct Lent<'a>(&'a Machine);

impl Machine {
    /// Works on this node until the answer is dropped, and remembers nothing of it; no disk is waited for. Commands run one at
    /// a time.
    pub fn lend_node(&self, node: WithSecrets) -> Lent<'_> {
        self.state().lent = Some(Arc::new(node.into_node()));
        Lent(self)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.state().lent = None;
    }
}
