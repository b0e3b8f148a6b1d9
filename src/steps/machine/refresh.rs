//! The node as Ironic knows it now. An agent may live through several deployments: what it heard of its node can be old when
//! the disk for the operating system is chosen.

use super::{Machine, NodeSource};
use crate::error::AgentError;

impl Machine {
    /// The same machine, which asks for its node before a deployment that names no disk.
    #[must_use]
    pub fn with_node_source(mut self, source: Box<dyn NodeSource>) -> Self {
        self.node_source = Some(source);
        self
    }

    /// Asks for the node anew where it wishes for no disk: the wish may have come since (IPA: `get_os_install_device` with
    /// `permit_refresh`). When it cannot be had, what is known counts.
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
