//! The agent's service account at Keystone, if the operator configured one: its token, and the
//! endpoint that validates other tokens.

use super::client::{Answer, Client};
use super::error::Error;
use super::wire::auth::{self, Credentials, Domain, Scope};
use crate::config::{Interface, KeystoneAuth};
use crate::secret::Secret;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// The agent's own credentials, and the token obtained with them.
pub(super) struct ServiceAccount {
    login: Login,
    scope: Option<Scope>,
    /// URL that issues the token.
    url: Url,
    interface: Interface,
    region: Option<String>,
    own: Mutex<Option<Arc<ServiceToken>>>,
}

/// Credentials that the agent sends to get a token.
enum Login {
    ApplicationCredential {
        id: String,
        secret: Secret<String>,
    },
    Password {
        user: String,
        domain: Domain,
        password: Secret<String>,
    },
}

/// The agent's own token.
pub(super) struct ServiceToken {
    token: Secret<Vec<u8>>,
    /// URL for validating other tokens.
    pub(super) url: Url,
    made: Instant,
    renewed: Instant,
}

impl ServiceAccount {
    /// Returns the account with the operator's credentials; `None` if there are none.
    pub(super) fn of(config: &KeystoneAuth, url: &Url) -> Option<Self> {
        let credential = (
            &config.application_credential_id,
            &config.application_credential_secret,
        );
        let (login, scope) = match (credential, &config.username, &config.password) {
            ((Some(id), Some(secret)), ..) => {
                let id = id.clone();
                let secret = copy(secret);
                (Login::ApplicationCredential { id, secret }, None)
            }
            (_, Some(user), Some(password)) => {
                let login = Login::Password {
                    user: user.clone(),
                    domain: domain(config.user_domain_id.as_ref(), &config.user_domain_name),
                    password: copy(password),
                };
                (login, scope(config))
            }
            _ => return None,
        };
        Some(Self {
            login,
            scope,
            url: url.clone(),
            interface: config.interface,
            region: config.region_name.clone(),
            own: Mutex::new(None),
        })
    }

    /// Returns the agent's token: the cached one if it is valid for long enough, else a new one.
    pub(super) async fn token(
        &self,
        client: &Client,
        deadline: Instant,
    ) -> Result<Arc<ServiceToken>, Error> {
        let silent = |_| Error::Silent {
            url: self.url.to_string(),
        };
        let mut kept = timeout_at(deadline, self.own.lock())
            .await
            .map_err(silent)?;
        if let Some(own) = &*kept
            && own.renewed > Instant::now()
        {
            return Ok(Arc::clone(own));
        }
        let body = self.credentials().request(self.scope.as_ref());
        let mut answer = client.authenticate(&self.url, body, deadline).await?;
        answer.hide(self.secret().expose().as_bytes());
        let own = Arc::new(self.own(answer)?);
        *kept = Some(Arc::clone(&own));
        Ok(own)
    }

    /// Invalidates a token that Keystone rejects. Returns `false` if it was issued just now, so
    /// that a new one would not help.
    pub(super) async fn invalidate(&self, own: &Arc<ServiceToken>) -> bool {
        let mut kept = self.own.lock().await;
        let is_the_one = kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, own));
        if is_the_one && own.made.elapsed() < TOO_NEW {
            return false;
        }
        if is_the_one {
            *kept = None;
        }
        true
    }

    fn credentials(&self) -> Credentials<'_> {
        match &self.login {
            Login::ApplicationCredential { id, secret } => Credentials::ApplicationCredential {
                id,
                secret: secret.expose(),
            },
            Login::Password {
                user,
                domain,
                password,
            } => Credentials::Password {
                user,
                domain,
                password: password.expose(),
            },
        }
    }

    fn secret(&self) -> &Secret<String> {
        match &self.login {
            Login::ApplicationCredential { secret, .. } => secret,
            Login::Password { password, .. } => password,
        }
    }

    fn own(&self, mut answer: Answer) -> Result<ServiceToken, Error> {
        let token = answer.token.take();
        let token = token
            .filter(|_| matches!(answer.status, StatusCode::OK | StatusCode::CREATED))
            .ok_or_else(|| answer.no_credentials())?;
        let made = auth::own(answer.document()?).map_err(|what| answer.malformed(what))?;
        let endpoint = made.endpoint(self.interface, self.region.as_deref());
        let now = Instant::now();
        tracing::debug!(
            seconds = made.life.as_secs(),
            "Keystone gave the agent a token"
        );
        Ok(ServiceToken {
            token: Secret::new(token.as_bytes().to_vec()),
            url: self.safe(endpoint),
            made: now,
            // keystoneauth1 leaves a margin of two minutes, too (`identity/base.py`,
            // `MIN_TOKEN_LIFE_SECONDS`).
            renewed: now + made.life.saturating_sub(MARGIN).max(made.life / 2),
        })
    }

    /// Returns the catalogue's endpoint, unless that would downgrade the configured HTTPS to plain
    /// HTTP.
    fn safe(&self, endpoint: Option<Url>) -> Url {
        let Some(endpoint) = endpoint else {
            return self.url.clone();
        };
        if self.url.scheme() == "https" && endpoint.scheme() != "https" {
            tracing::warn!(
                endpoint = endpoint.as_str(),
                "Keystone's own endpoint is without TLS and auth_url is not: tokens are looked at by auth_url"
            );
            return self.url.clone();
        }
        endpoint
    }
}

impl ServiceToken {
    /// Returns the token as a header that is excluded from logs.
    pub(super) fn header(&self) -> Result<HeaderValue, Error> {
        let mut header =
            HeaderValue::from_bytes(self.token.expose()).map_err(|_| Error::Malformed {
                url: self.url.to_string(),
                what: "its token cannot be a header",
            })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Copies a secret: the options are borrowed, while the account owns its credentials.
fn copy(secret: &Secret<String>) -> Secret<String> {
    Secret::new(secret.expose().to_owned())
}

fn scope(config: &KeystoneAuth) -> Option<Scope> {
    if config.system_scope.is_some() {
        return Some(Scope::System);
    }
    let name = config.project_name.clone()?;
    let id = config.project_domain_id.as_ref();
    let domain = domain(id, &config.project_domain_name);
    Some(Scope::Project { name, domain })
}

/// Returns the domain: an identifier takes precedence over a name, which has a default.
fn domain(id: Option<&String>, name: &str) -> Domain {
    match id {
        Some(id) => Domain::Id(id.clone()),
        None => Domain::Name(name.to_owned()),
    }
}

/// Remaining lifetime at which a token is renewed.
const MARGIN: Duration = Duration::from_secs(120);
/// Minimum age of a rejected token to be renewed: Keystone may have forgotten it since.
const TOO_NEW: Duration = Duration::from_secs(1);
