//! What the API answers from.

use super::authorize::Authorizer;
use crate::command::Dispatcher;
use std::time::Duration;

/// What the API answers from.
#[derive(Clone, Debug)]
pub struct State {
    /// Runs the commands.
    pub dispatcher: Dispatcher,
    /// Decides who may do what.
    pub gate: Authorizer,
    /// When the agent started, since 1970-01-01 UTC.
    pub started_at: Duration,
    /// The agent's version as `/v1/status` shows it.
    pub version: &'static str,
}
