//! Somebody whom Keystone knows, as rules of oslo.policy see him.

use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Who shows a token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// oslo.policy's credentials: what Ironic's context gives of the same token (`ironic/common/context.py`,
    /// `to_policy_values`).
    pub attributes: Map<String, Value>,
    /// The user for a log: `name@domain`.
    pub user: String,
    /// What the token is for, for a log: `system all`, `project name@domain`, `domain name` or `no scope`.
    pub scope: String,
    /// When the token ends: time since 1970.
    pub(super) expires: Duration,
}

impl Identity {
    /// Names of the user's roles.
    #[must_use]
    pub fn roles(&self) -> Vec<&str> {
        let roles = self.attributes.get("roles").and_then(Value::as_array);
        roles
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Whether the token has ended at that time since 1970.
    pub(super) fn has_expired(&self, now: Duration) -> bool {
        now >= self.expires
    }

    /// What makes it another than one seen before.
    pub(super) fn summary(&self) -> String {
        let id = self.attributes.get("user_id").and_then(Value::as_str);
        let id = id.unwrap_or_default();
        format!("{id} {} {:?}", self.scope, self.roles())
    }
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is nobody's: unknown, expired, revoked, or no token at all.
    #[error("Keystone knows no such token")]
    Invalid,
    /// Nobody knows: Keystone gives no usable answer in time, or is asked too much already.
    #[error("Keystone cannot be asked now")]
    Unavailable,
}

/// What became of a question.
pub(super) type Outcome = Result<Arc<Identity>, Refusal>;
