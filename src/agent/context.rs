//! What every state of the agent works with.

use crate::config::Config;
use crate::handover::HistoryFile;
use crate::handover::systemd::Manager;
use crate::logging::Log;
use crate::policy::Enforcer;
use crate::root::Root;
use crate::secret::{AgentToken, Vault};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) struct AgentContext {
    pub(super) root: Root,
    /// What outlives this agent.
    pub(super) vault: Vault,
    /// The records of its commands, which outlive it too.
    pub(super) ledger: HistoryFile,
    /// Who keeps both, where no parent of ours does.
    pub(super) manager: Option<Manager>,
    pub(super) config: Config,
    /// Who may do what on its API.
    pub(super) policy: Arc<Enforcer>,
    pub(super) log: Log,
    pub(super) cancel: CancellationToken,
    pub(super) started_at: Instant,
}

impl AgentContext {
    /// The token that this agent has without asking: the one an agent before it settled, the operator's, the boot's.
    pub(super) fn local_token(&mut self) -> Option<AgentToken> {
        let configured = self.config.agent_token.take();
        let settled = self.vault.token();
        settled.or(configured).or_else(|| self.vault.boot_token())
    }
}
