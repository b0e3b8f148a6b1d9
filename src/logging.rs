//! Log events: console, ring buffer for log collection, redaction.
