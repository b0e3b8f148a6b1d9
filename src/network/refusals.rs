//! What was logged already of what hosts on the link cause.

use std::fmt;

/// Texts that were logged: each once, and at most [`MAX_LOGGED`], because any host on the link can cause one.
#[derive(Debug, Default)]
pub(super) struct Logged(Vec<String>);

impl Logged {
    /// Whether a text is to be logged now.
    pub(super) fn is_new(&mut self, text: &str) -> bool {
        let new = self.0.len() < MAX_LOGGED && !self.0.iter().any(|logged| logged == text);
        if new {
            self.0.push(text.to_owned());
        }
        new
    }
}

/// Reasons that were logged since the last lease.
#[derive(Debug, Default)]
pub(super) struct Refusals(Logged);

impl Refusals {
    pub(super) fn log(&mut self, interface: &str, reason: &impl fmt::Display) {
        if self.0.is_new(&reason.to_string()) {
            tracing::warn!(interface, %reason, "got no address from a DHCP server");
        } else {
            tracing::debug!(interface, %reason, "got no address from a DHCP server");
        }
    }
}

const MAX_LOGGED: usize = 8;
