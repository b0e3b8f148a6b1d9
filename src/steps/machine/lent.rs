//! The node of a command from a caller other than Ironic. It decides which disk is written and
//! which policy rules match, so it is used for that command alone and then dropped.

use super::Machine;
use crate::node::WithSecrets;
use std::sync::Arc;

/// Guard of a command's own node, which is discarded on drop.
#[derive(Debug)]
#[must_use]
pub struct Lent<'a>(&'a Machine);

impl Machine {
    /// Uses this node until the guard is dropped. It is not stored, and no disk is waited for.
    /// Commands run one at a time.
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
