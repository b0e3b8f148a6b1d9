//! As whom the agent asks Keystone, where the operator gave it credentials: its own token, and the endpoint that knows others'.

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

/// The agent's own credentials, and the token that they gave.
pub(super) struct ServiceAccount {
    login: Login,
    scope: Option<Scope>,
    /// Where the token is made.
    url: Url,
    interface: Interface,
    region: Option<String>,
    own: Mutex<Option<Arc<ServiceToken>>>,
}

/// What the agent shows to get a token.
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
    /// Where others' tokens are looked at.
    pub(super) url: Url,
    made: Instant,
    renewed: Instant,
}

impl ServiceAccount {
    /// The operator's credentials; `None` where there are none.
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

    /// The agent's token: the one there is while it counts long enough, else a new one.
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

    /// Forgets a token that Keystone does not know any more; `false` where it was made this moment, and a new one would help no
    /// more.
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
            // keystoneauth1 leaves two minutes, too (`identity/base.py`, `MIN_TOKEN_LIFE_SECONDS`).
            renewed: now + made.life.saturating_sub(MARGIN).max(made.life / 2),
        })
    }

    /// The endpoint, unless tokens would travel there in clear, and do not to where the operator said.
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
    /// The token as a header that no log shows.
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

/// Options are not there for ever, and belong to nobody else.
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

/// An identifier says more than a name, which has a default.
fn domain(id: Option<&String>, name: &str) -> Domain {
    match id {
        Some(id) => Domain::Id(id.clone()),
        None => Domain::Name(name.to_owned()),
    }
}

/// How much of its life a token has left when it is made anew.
const MARGIN: Duration = Duration::from_secs(120);
/// So old is a token when Keystone may have forgotten it.
const TOO_NEW: Duration = Duration::from_secs(1);
