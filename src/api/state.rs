//! State that the request handler uses.

use super::authorize::Authorizer;
use crate::command::Dispatcher;
use std::time::Duration;

/// State that the request handler uses.
#[derive(Clone, Debug)]
pub struct State {
    /// Runs the commands.
    pub dispatcher: Dispatcher,
    /// Authorizes requests.
    pub gate: Authorizer,
    /// Start of the agent, as the time since 1970-01-01 UTC.
    pub started_at: Duration,
    /// The agent's version as `/v1/status` shows it.
    pub version: &'static str,
}
