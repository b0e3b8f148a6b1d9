//! Users known to Keystone, as seen by oslo.policy rules.

use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// The identity that a token stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// oslo.policy's credentials: the values of Ironic's context for the same token
    /// (`ironic/common/context.py`, `to_policy_values`).
    pub attributes: Map<String, Value>,
    /// The user for a log: `name@domain`.
    pub user: String,
    /// The token's scope for a log: `system all`, `project name@domain`, `domain name` or
    /// `no scope`.
    pub scope: String,
    /// Expiry of the token: time since 1970.
    pub(super) expires: Duration,
}

impl Identity {
    /// Returns the names of the user's roles.
    #[must_use]
    pub fn roles(&self) -> Vec<&str> {
        let roles = self.attributes.get("roles").and_then(Value::as_array);
        roles
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Returns whether the token has expired at that time since 1970.
    pub(super) fn has_expired(&self, now: Duration) -> bool {
        now >= self.expires
    }

    /// Returns a text that identifies user, scope and roles, for comparison with earlier ones.
    pub(super) fn summary(&self) -> String {
        let id = self.attributes.get("user_id").and_then(Value::as_str);
        let id = id.unwrap_or_default();
        format!("{id} {} {:?}", self.scope, self.roles())
    }
}

/// Reason for rejecting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token is unknown, expired, revoked or malformed.
    #[error("Keystone knows no such token")]
    Invalid,
    /// Keystone gives no usable response in time, or too many requests are pending.
    #[error("Keystone cannot be asked now")]
    Unavailable,
}

/// Outcome of a validation.
pub(super) type Outcome = Result<Arc<Identity>, Refusal>;
