//! Validates Keystone tokens of the agent API's clients, and caches the results.
//!
//! ```text
//! token ─► cached? ─► already in flight? ─► 4 at a time ─► GET /v3/auth/tokens ─► Identity
//!          (cache)    (single_flight)       (concurrency_  (client, wire;
//!                                            limit)         credentials: service_account)
//! ```
//!
//! The behaviour is keystonemiddleware's (`auth_token`), with tighter bounds. Clients are
//! unauthenticated until Keystone has responded, so the work they can cause is bounded, in time
//! too. Without a response access is denied. A token is never stored.

mod cache;
mod circuit_breaker;
mod client;
mod concurrency_limit;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
mod service_account;
mod single_flight;
mod wire;

pub use error::Error;
pub use identity::{Identity, Refusal};

use crate::clock;
use crate::config::KeystoneAuth;
use crate::root::Root;
use crate::tls::client::ClientOptions;
use cache::{TokenCache, key};
use circuit_breaker::CircuitBreaker;
use client::{Client, UNKNOWN};
use concurrency_limit::ConcurrencyLimit;
use identity::Outcome;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use service_account::ServiceAccount;
use single_flight::SingleFlight;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;
use wire::token::Verdict;

/// Validator of tokens, backed by the operator's Keystone.
pub struct Keystone {
    client: Client,
    /// Base URL, including the API version.
    url: Url,
    /// Service account of the agent. Without it, each token authorizes its own validation.
    account: Option<ServiceAccount>,
    /// Timeout of one validation.
    timeout: Duration,
    answers: TokenCache,
    single_flight: SingleFlight,
    door: ConcurrencyLimit,
    health: CircuitBreaker,
}

impl Keystone {
    /// Creates a validator for the configured Keystone. It sends no request before a client
    /// presents a token.
    ///
    /// # Errors
    /// [`Error::NoUrl`] where none is configured; [`Error::Tls`] and [`Error::Client`] when
    /// settings cannot be used.
    pub fn new(config: &KeystoneAuth, tls: &ClientOptions, root: &Root) -> Result<Self, Error> {
        let url = wire::versioned(config.auth_url.as_ref().ok_or(Error::NoUrl)?);
        let tls = config.tls_client(tls, root).map_err(Error::Tls)?;
        Ok(Self {
            client: Client::new(&tls, root)?,
            account: ServiceAccount::of(config, &url),
            url,
            timeout: config.http_connect_timeout,
            answers: TokenCache::with_ttl(config.token_cache_time),
            single_flight: SingleFlight::default(),
            door: ConcurrencyLimit::default(),
            health: CircuitBreaker::default(),
        })
    }

    /// Validates a token, given as the bytes of an `X-Auth-Token` header.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if the token is not valid now, [`Refusal::Unavailable`] if that cannot
    /// be determined.
    pub async fn validate(&self, token: &[u8]) -> Result<Arc<Identity>, Refusal> {
        let deadline = Instant::now() + self.timeout;
        let token = header(token).ok_or(Refusal::Invalid)?;
        let key = key(token.as_bytes());
        if let Some(known) = self.answers.find(&key, clock::since_epoch()) {
            return known;
        }
        let flight = self.single_flight.join(key);
        // Later callers wait here and get the first one's outcome. If the first was cancelled, the
        // next one performs the request.
        let mut outcome = timeout_at(deadline, flight.outcome())
            .await
            .map_err(|_| Refusal::Unavailable)?;
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        // Since the first lookup another request may have completed.
        if let Some(known) = self.answers.find(&key, clock::since_epoch()) {
            return known;
        }
        let asked = timeout_at(deadline, self.ask(&token, deadline))
            .await
            .unwrap_or(Err(Refusal::Unavailable));
        self.answers.store(key, &asked);
        *outcome = Some(asked.clone());
        asked
    }

    async fn ask(&self, token: &HeaderValue, deadline: Instant) -> Outcome {
        if self.health.is_open() {
            return Err(Refusal::Unavailable);
        }
        let _permit = self
            .door
            .acquire(deadline)
            .await
            .ok_or(Refusal::Unavailable)?;
        // The requests before this one may have opened the circuit breaker.
        if self.health.is_open() {
            return Err(Refusal::Unavailable);
        }
        match self.exchange(token, deadline).await {
            Ok(verdict) => {
                self.health.record_success();
                self.judge(verdict)
            }
            Err(error) => {
                self.health.record_failure(&error);
                Err(Refusal::Unavailable)
            }
        }
    }

    async fn exchange(&self, token: &HeaderValue, deadline: Instant) -> Result<Verdict, Error> {
        let Some(account) = &self.account else {
            let answer = self
                .client
                .validate_token(&self.url, token, token, deadline)
                .await?;
            return match answer.status {
                StatusCode::UNAUTHORIZED => answer.refused(UNKNOWN),
                // Happens for impersonating trusts, seen with Keystone 30: its rule compares the
                // trustor with the trustee.
                StatusCode::FORBIDDEN => answer.refused("the token may not be asked about itself"),
                _ => answer.verdict(),
            };
        };
        let own = account.token(&self.client, deadline).await?;
        let answer = self
            .client
            .validate_token(&own.url, &own.header()?, token, deadline)
            .await?;
        if answer.status != StatusCode::UNAUTHORIZED || !account.invalidate(&own).await {
            return answer.verdict();
        }
        self.health.forgets();
        let own = account.token(&self.client, deadline).await?;
        let answer = self
            .client
            .validate_token(&own.url, &own.header()?, token, deadline)
            .await?;
        answer.verdict()
    }

    fn judge(&self, verdict: Verdict) -> Outcome {
        let identity = match verdict {
            Verdict::Known(identity) => identity,
            Verdict::Invalid(reason) => {
                self.health.refuses(reason);
                return Err(Refusal::Invalid);
            }
        };
        if identity.has_expired(clock::since_epoch()) {
            self.health.warn_of_clock();
            return Err(Refusal::Invalid);
        }
        self.health.sees(&identity);
        Ok(Arc::new(identity))
    }
}

impl fmt::Debug for Keystone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystone")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// Converts a token to a header that is excluded from logs; `None` if it cannot be one. Surrounding
/// blanks are ignored (keystonemiddleware: `_do_fetch_token`).
fn header(token: &[u8]) -> Option<HeaderValue> {
    let token = token.trim_ascii();
    let may_be =
        !token.is_empty() && token.len() <= MAX_TOKEN_LEN && token.iter().all(u8::is_ascii_graphic);
    let mut header = HeaderValue::from_bytes(token).ok().filter(|_| may_be)?;
    header.set_sensitive(true);
    Some(header)
}

/// Maximum length of a token in bytes. Keystone's have some hundred bytes; servers accept headers
/// of 8 KiB.
const MAX_TOKEN_LEN: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_token_is_never_shown_to_keystone() {
        assert_eq!(header(b" gAAAA\t").unwrap(), "gAAAA");
        assert!(header(&vec![b'a'; MAX_TOKEN_LEN]).unwrap().is_sensitive());
        for wrong in [
            &b""[..],
            b"  ",
            b"a b",
            b"a\r\nX-Auth-Token: b",
            "ä".as_bytes(),
            b"\xff",
            &vec![b'a'; MAX_TOKEN_LEN + 1],
        ] {
            assert_eq!(header(wrong), None, "{wrong:?}");
        }
    }
}
