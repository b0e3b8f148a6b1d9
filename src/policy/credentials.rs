//! Who asks, as rules see them: the attributes of callers whom the agent knows by itself. Those of Keystone's users are Keystone's.

use super::attributes::Attributes;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Whoever shows the agent token: an administrator of the whole system.
pub static AGENT: LazyLock<Attributes> = LazyLock::new(|| {
    attributes(json!({
        "is_agent_token": true,
        "roles": ["admin"],
        "system_scope": "all",
    }))
});

/// Whoever shows the observer's secret: an observer of the whole system.
pub static OBSERVER: LazyLock<Attributes> = LazyLock::new(|| {
    attributes(json!({
        "is_agent_token": false,
        "roles": ["observer"],
        "system_scope": "all",
    }))
});

/// Whoever shows nothing.
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
