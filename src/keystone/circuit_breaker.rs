//! Circuit breaker for requests to Keystone, and rate limits for log messages about it and its
//! users.

use super::error::Error;
use super::identity::Identity;
use crate::error::chain;
use crate::logging::LogBudget;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// State of the circuit breaker and its log budgets.
pub(super) struct CircuitBreaker {
    state: Mutex<State>,
    /// Budget for log lines about failed validations: clients cause them with invented tokens.
    endings: LogBudget,
    /// Budget for log lines about users.
    users: LogBudget,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            endings: LogBudget::new(LINES_A_MINUTE),
            users: LogBudget::new(LINES_A_MINUTE),
        }
    }
}

#[derive(Default)]
struct State {
    /// Whether the current outage was logged.
    is_told: bool,
    /// When an outage was logged last.
    logged: Option<Instant>,
    /// End of the pause without requests.
    left_alone: Option<Instant>,
    /// When a wrong clock was logged last.
    clock_logged: Option<Instant>,
    /// Users seen, the latest last.
    seen: VecDeque<String>,
}

impl CircuitBreaker {
    /// Returns whether requests are paused after a failure.
    pub(super) fn is_open(&self) -> bool {
        self.state()
            .left_alone
            .is_some_and(|until| until > Instant::now())
    }

    /// Records a response: ends the pause, and logs the end of an outage.
    pub(super) fn record_success(&self) {
        let mut state = self.state();
        state.left_alone = None;
        if std::mem::take(&mut state.is_told) {
            tracing::info!("Keystone answers again");
        }
    }

    /// Records a failure. An outage is logged once, and at most once a minute. A client's odd token
    /// that Keystone fails on must not fill the log.
    pub(super) fn record_failure(&self, error: &Error) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(pause) = pause_after(error) {
            state.left_alone = Some(now + pause);
        }
        let error = chain(error);
        if state.is_told || is_recent(state.logged) {
            if let Some(untold) = self.endings.take() {
                tracing::debug!(error, untold, "Keystone does not tell whose a token is");
            }
            return;
        }
        state.is_told = true;
        state.logged = Some(now);
        tracing::warn!(
            error,
            "Keystone does not tell whose a token is: nobody is let in by one"
        );
    }

    /// Logs why Keystone rejects a token.
    pub(super) fn refuses(&self, reason: &str) {
        if let Some(untold) = self.endings.take() {
            tracing::debug!(reason, untold, "Keystone knows nobody by a caller's token");
        }
    }

    /// Logs that Keystone rejects the agent's own token.
    pub(super) fn forgets(&self) {
        if let Some(untold) = self.endings.take() {
            tracing::debug!(
                untold,
                "Keystone does not know the agent's own token any more"
            );
        }
    }

    /// Warns that a token accepted by Keystone has expired by this machine's clock.
    pub(super) fn warn_of_clock(&self) {
        let mut state = self.state();
        if !is_recent(state.clock_logged) {
            state.clock_logged = Some(Instant::now());
            tracing::warn!(
                "A token that counts for Keystone has expired by this machine's clock: is the clock right?"
            );
        }
    }

    /// Logs a user that was not seen before.
    pub(super) fn sees(&self, identity: &Identity) {
        let mut state = self.state();
        let seen = identity.summary();
        if state.seen.contains(&seen) {
            return;
        }
        let Some(untold) = self.users.take() else {
            return;
        };
        if state.seen.len() >= MAX_SEEN {
            state.seen.pop_front();
        }
        state.seen.push_back(seen);
        let Identity { user, scope, .. } = identity;
        let roles = identity.roles().join(",");
        let untold = (untold > 0).then_some(untold);
        tracing::info!(
            user,
            roles,
            scope,
            untold,
            "A user of Keystone's shows a token"
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the pause after an error: only if clients cannot cause it.
fn pause_after(error: &Error) -> Option<Duration> {
    match error {
        // Repeated attempts with a wrong password would lock the agent's user out.
        Error::Credentials { code: 401, .. } => Some(PAUSE_OF_CREDENTIALS),
        // A 401 rejects the agent's own token. The others come from an overloaded or broken
        // service, or a gateway before it. Keystone sends 409 or 500 where it fails on one token: a
        // client with such a token would lock all others out.
        Error::Answer {
            code: 401 | 429 | 501..=599,
            ..
        } => Some(PAUSE),
        Error::Connect { .. } | Error::Credentials { .. } | Error::Silent { .. } => Some(PAUSE),
        _ => None,
    }
}

fn is_recent(told: Option<Instant>) -> bool {
    told.is_some_and(|told| told.elapsed() < BETWEEN_TWO)
}

const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_OF_CREDENTIALS: Duration = Duration::from_secs(60);
const BETWEEN_TWO: Duration = Duration::from_secs(60);
const MAX_SEEN: usize = 64;
const LINES_A_MINUTE: u32 = 20;
