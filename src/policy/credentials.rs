//! Credentials of the callers that the agent authenticates itself, as rules see them. Credentials
//! of Keystone users come from Keystone.

use super::attributes::Attributes;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Credentials of a client with the agent token: an administrator with system scope.
pub static AGENT: LazyLock<Attributes> = LazyLock::new(|| {
    attributes(json!({
        "is_agent_token": true,
        "roles": ["admin"],
        "system_scope": "all",
    }))
});

/// Credentials of a client with the observer's secret: an observer with system scope.
pub static OBSERVER: LazyLock<Attributes> = LazyLock::new(|| {
    attributes(json!({
        "is_agent_token": false,
        "roles": ["observer"],
        "system_scope": "all",
    }))
});

/// Credentials of an unauthenticated client.
pub static ANONYMOUS: LazyLock<Attributes> = LazyLock::new(|| {
    attributes(json!({
        "is_agent_token": false,
        "roles": [],
    }))
});

fn attributes(value: Value) -> Attributes {
    match value {
        Value::Object(attributes) => attributes,
        _ => Attributes::new(),
    }
}
