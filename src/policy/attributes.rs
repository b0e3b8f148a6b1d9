//! Attributes of credentials and targets.

/// Attributes of a caller's credentials or of a request's target.
pub type Attributes = serde_json::Map<String, serde_json::Value>;
