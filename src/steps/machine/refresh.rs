//! Refresh of the node. An agent may run through several deployments, so its node may be outdated
//! when the root device is chosen.

use super::{Machine, NodeSource};
use crate::error::AgentError;

impl Machine {
    /// Adds a source for refreshing the node before a deployment without root device hints.
    #[must_use]
    pub fn with_node_source(mut self, source: Box<dyn NodeSource>) -> Self {
        self.node_source = Some(source);
        self
    }

    /// Refreshes the node if it has no root device hints, because they may have been set since
    /// (IPA: `get_os_install_device` with `permit_refresh`). If the source is unavailable, the
    /// stored node is used.
    pub(in crate::steps) fn refresh_node(&self) -> Result<(), AgentError> {
        let Some(source) = &self.node_source else {
            return Ok(());
        };
        if self.disk_selection()?.has_hints() {
            return Ok(());
        }
        tracing::info!("asking Ironic for the node again, before a disk is chosen");
        if let Some(node) = source.node() {
            self.remember_node(node);
        }
        Ok(())
    }
}
