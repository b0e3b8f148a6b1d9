//! Whether Keystone answers, and what the log is told of it and of its users.

use super::error::Error;
use super::identity::Identity;
use crate::error::chain;
use crate::logging::LogBudget;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is known of Keystone.
pub(super) struct CircuitBreaker {
    state: Mutex<State>,
    /// Lines that tell how questions end: whoever invents tokens makes them.
    endings: LogBudget,
    /// Lines that tell who shows a token.
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
    /// The log knows that it does not answer.
    is_told: bool,
    /// When the log was told so.
    logged: Option<Instant>,
    /// When it may be asked again.
    left_alone: Option<Instant>,
    /// When the log was told of a wrong clock.
    clock_logged: Option<Instant>,
    /// Who was seen, the latest at the end.
    seen: VecDeque<String>,
}

impl CircuitBreaker {
    /// Whether it failed a moment ago and is not to be asked yet.
    pub(super) fn is_open(&self) -> bool {
        self.state()
            .left_alone
            .is_some_and(|until| until > Instant::now())
    }

    /// It has answered.
    pub(super) fn record_success(&self) {
        let mut state = self.state();
        state.left_alone = None;
        if std::mem::take(&mut state.is_told) {
            tracing::info!("Keystone answers again");
        }
    }

    /// It has not. Told once for as long as that lasts, and not more often than once a minute: a caller's odd token that
    /// Keystone stumbles over must not fill the log.
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

    /// It knows nobody by a token, for this reason.
    pub(super) fn refuses(&self, reason: &str) {
        if let Some(untold) = self.endings.take() {
            tracing::debug!(reason, untold, "Keystone knows nobody by a caller's token");
        }
    }

    /// It does not know the agent's own token.
    pub(super) fn forgets(&self) {
        if let Some(untold) = self.endings.take() {
            tracing::debug!(
                untold,
                "Keystone does not know the agent's own token any more"
            );
        }
    }

    /// A token that Keystone takes has ended by this machine's clock.
    pub(super) fn warn_of_clock(&self) {
        let mut state = self.state();
        if !is_recent(state.clock_logged) {
            state.clock_logged = Some(Instant::now());
            tracing::warn!(
                "A token that counts for Keystone has expired by this machine's clock: is the clock right?"
            );
        }
    }

    /// Somebody shows a token; the log is told when he was not seen before.
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

/// For how long it is not asked again: only where that is no caller's doing.
fn pause_after(error: &Error) -> Option<Duration> {
    match error {
        // A wrong password, tried again and again, would lock the agent's user out.
        Error::Credentials { code: 401, .. } => Some(PAUSE_OF_CREDENTIALS),
        // Said to the agent's own token, by a service that has no time, and by one that does not work or a gateway before it. A
        // 409 or 500 is what Keystone says where it stumbles over one token: whoever finds such a one would keep all others out.
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
