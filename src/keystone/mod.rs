//! Whose a token is that a caller of the agent's API shows: Keystone is asked, and what it says is remembered for a while.
//!
//! ```text
//! token ─► remembered? ─► asked by another caller? ─► four at a time ─► GET /v3/auth/tokens ─► Identity
//!          (answers)       (flights)                   (door)           (client, wire; as whom: account)
//! ```
//!
//! The behaviour is keystonemiddleware's (`auth_token`), in the agent's measure: callers are strangers until Keystone has
//! answered, so whatever they can make the agent do is bounded, in time too, and no answer means no entry. A token is never kept.

mod account;
mod answers;
mod client;
mod door;
mod error;
mod flights;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod health;
mod identity;
mod wire;

pub use error::Error;
pub use identity::{Identity, Refusal};

use crate::clock;
use crate::config::KeystoneAuth;
use crate::root::Root;
use crate::tls::client::ClientOptions;
use account::Account;
use answers::{Answers, key};
use client::{Client, UNKNOWN};
use door::Door;
use flights::Flights;
use health::Health;
use identity::Outcome;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;
use wire::token::Verdict;

/// The Keystone that knows who shows a token.
pub struct Keystone {
    client: Client,
    /// Ends with the API's version.
    url: Url,
    /// Without one, each token is asked about by itself.
    account: Option<Account>,
    /// How long one validation may take.
    patience: Duration,
    answers: Answers,
    flights: Flights,
    door: Door,
    health: Health,
}

impl Keystone {
    /// The Keystone of the operator's choice. It is not asked before somebody shows a token.
    ///
    /// # Errors
    /// [`Error::NoUrl`] where none is configured; [`Error::Tls`] and [`Error::Client`] when settings cannot be used.
    pub fn new(config: &KeystoneAuth, tls: &ClientOptions, root: &Root) -> Result<Self, Error> {
        let url = wire::versioned(config.auth_url.as_ref().ok_or(Error::NoUrl)?);
        let tls = config.tls_client(tls, root).map_err(Error::Tls)?;
        Ok(Self {
            client: Client::new(&tls, root)?,
            account: Account::of(config, &url),
            url,
            patience: config.http_connect_timeout,
            answers: Answers::kept_for(config.token_cache_time),
            flights: Flights::default(),
            door: Door::default(),
            health: Health::default(),
        })
    }

    /// Who shows this token, the bytes of an `X-Auth-Token` header.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where it is no token that counts now, [`Refusal::Unavailable`] where that cannot be known.
    pub async fn validate(&self, token: &[u8]) -> Result<Arc<Identity>, Refusal> {
        let deadline = Instant::now() + self.patience;
        let token = header(token).ok_or(Refusal::Invalid)?;
        let key = key(token.as_bytes());
        if let Some(known) = self.answers.find(&key, clock::since_epoch()) {
            return known;
        }
        let flight = self.flights.join(key);
        // Whoever comes second waits here, and finds the answer of the first; or asks himself, where the first is gone.
        let mut outcome = timeout_at(deadline, flight.outcome())
            .await
            .map_err(|_| Refusal::Unavailable)?;
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        // Between the first look and our turn, a question may have come to its end.
        if let Some(known) = self.answers.find(&key, clock::since_epoch()) {
            return known;
        }
        let asked = timeout_at(deadline, self.ask(&token, deadline))
            .await
            .unwrap_or(Err(Refusal::Unavailable));
        self.answers.keep(key, &asked);
        *outcome = Some(asked.clone());
        asked
    }

    async fn ask(&self, token: &HeaderValue, deadline: Instant) -> Outcome {
        if self.health.is_left_alone() {
            return Err(Refusal::Unavailable);
        }
        let _permit = self
            .door
            .enter(deadline)
            .await
            .ok_or(Refusal::Unavailable)?;
        // It may have failed those who were before us.
        if self.health.is_left_alone() {
            return Err(Refusal::Unavailable);
        }
        match self.exchange(token, deadline).await {
            Ok(verdict) => {
                self.health.answers();
                self.judge(verdict)
            }
            Err(error) => {
                self.health.fails(&error);
                Err(Refusal::Unavailable)
            }
        }
    }

    async fn exchange(&self, token: &HeaderValue, deadline: Instant) -> Result<Verdict, Error> {
        let Some(account) = &self.account else {
            let answer = self.client.look(&self.url, token, token, deadline).await?;
            return match answer.status {
                StatusCode::UNAUTHORIZED => answer.refused(UNKNOWN),
                // Of trusts that impersonate, seen with Keystone 30: its rule compares the trustor with the trustee.
                StatusCode::FORBIDDEN => answer.refused("the token may not be asked about itself"),
                _ => answer.verdict(),
            };
        };
        let own = account.token(&self.client, deadline).await?;
        let answer = self
            .client
            .look(&own.url, &own.header()?, token, deadline)
            .await?;
        if answer.status != StatusCode::UNAUTHORIZED || !account.forget(&own).await {
            return answer.verdict();
        }
        self.health.forgets();
        let own = account.token(&self.client, deadline).await?;
        let answer = self
            .client
            .look(&own.url, &own.header()?, token, deadline)
            .await?;
        answer.verdict()
    }

    fn judge(&self, verdict: Verdict) -> Outcome {
        let identity = match verdict {
            Verdict::Known(identity) => identity,
            Verdict::Nobody(reason) => {
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

/// A token as a header that no log shows; `None` for what cannot be one. Blanks around it do not count (keystonemiddleware:
/// `_do_fetch_token`).
fn header(token: &[u8]) -> Option<HeaderValue> {
    let token = token.trim_ascii();
    let may_be =
        !token.is_empty() && token.len() <= LONGEST_TOKEN && token.iter().all(u8::is_ascii_graphic);
    let mut header = HeaderValue::from_bytes(token).ok().filter(|_| may_be)?;
    header.set_sensitive(true);
    Some(header)
}

/// Those of Keystone have some hundred bytes; servers take headers of 8 KiB.
const LONGEST_TOKEN: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_token_is_never_shown_to_keystone() {
        assert_eq!(header(b" gAAAA\t").unwrap(), "gAAAA");
        assert!(header(&vec![b'a'; LONGEST_TOKEN]).unwrap().is_sensitive());
        for wrong in [
            &b""[..],
            b"  ",
            b"a b",
            b"a\r\nX-Auth-Token: b",
            "ä".as_bytes(),
            b"\xff",
            &vec![b'a'; LONGEST_TOKEN + 1],
        ] {
            assert_eq!(header(wrong), None, "{wrong:?}");
        }
    }
}
