//! What rules are asked about.

/// What is known of whoever asks, or of what is asked for.
pub type Attributes = serde_json::Map<String, serde_json::Value>;
