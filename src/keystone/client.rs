//! Requests to Keystone, and answers of a bounded size.

use super::error::Error;
use super::wire;
use super::wire::token::{Verdict, verdict};
use crate::root::Root;
use crate::tls::client::{ClientOptions, body, login};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, redirect};
use tokio::time::{Instant, timeout_at};
use url::Url;
use zeroize::Zeroizing;

/// The HTTP client.
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(tls: &ClientOptions, root: &Root) -> Result<Self, Error> {
        let client = tls
            .builder(root)
            .map_err(Error::Tls)?
            // A redirect would take tokens to whoever it names.
            .redirect(redirect::Policy::none())
            // Each brings or fetches a token, and a connection that is kept would keep it in its buffers.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(Error::Client)?;
        Ok(Self(client))
    }

    /// Asks about a token, as the owner of another or of the same.
    pub(super) async fn look(
        &self,
        keystone: &Url,
        own: &HeaderValue,
        subject: &HeaderValue,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut url = tokens(keystone);
        url.set_query(Some("nocatalog"));
        let request = self.0.get(url.clone()).header(AUTH_TOKEN, own.clone());
        let request = request.header(SUBJECT_TOKEN, subject.clone());
        let mut answer = send(request, &url, deadline).await?;
        answer.hide(subject.as_bytes());
        answer.hide(own.as_bytes());
        Ok(answer)
    }

    /// Asks for a token of the agent's own, with a catalogue.
    pub(super) async fn authenticate(
        &self,
        keystone: &Url,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let url = tokens(keystone);
        let request = self.0.post(url.clone()).body(body);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static(JSON));
        send(request, &url, deadline).await
    }
}

/// Where tokens are made and looked at.
fn tokens(keystone: &Url) -> Url {
    let mut url = keystone.clone();
    let path = format!("{}/auth/tokens", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

async fn send(request: RequestBuilder, url: &Url, deadline: Instant) -> Result<Answer, Error> {
    let hidden = login::secrets_of(url);
    let url = shown(url);
    let request = request
        .header(ACCEPT, HeaderValue::from_static(JSON))
        .header(CONNECTION, HeaderValue::from_static("close"));
    let exchange = async {
        let mut response = request.send().await?;
        let status = response.status();
        let token = response.headers_mut().remove(SUBJECT_TOKEN);
        let limit = if status.is_success() {
            BODY_MAX
        } else {
            REFUSAL_MAX
        };
        let (body, whole) = body::read(response, limit).await?;
        Ok((status, token, body, whole))
    };
    match timeout_at(deadline, exchange).await {
        Ok(Ok((status, token, body, whole))) => Ok(Answer {
            url,
            status,
            token,
            is_keystones: wire::is_keystones(&body),
            body,
            whole,
            hidden,
        }),
        Ok(Err(source)) => {
            let source: reqwest::Error = source;
            let source = source.into();
            Err(Error::Connect { url, source })
        }
        Err(_) => Err(Error::Silent { url }),
    }
}

/// What Keystone answered.
pub(super) struct Answer {
    /// Who.
    url: String,
    pub(super) status: StatusCode,
    /// The token that was asked about or made.
    pub(super) token: Option<HeaderValue>,
    /// Whether a refusal is worded as Keystone does.
    is_keystones: bool,
    body: Zeroizing<Vec<u8>>,
    whole: bool,
    /// What it was shown.
    hidden: Vec<Zeroizing<String>>,
}

impl Answer {
    /// Whose the token is that was asked about.
    pub(super) fn verdict(&self) -> Result<Verdict, Error> {
        match self.status {
            StatusCode::OK => verdict(self.document()?).map_err(|what| self.malformed(what)),
            StatusCode::NOT_FOUND => self.refused(UNKNOWN),
            // A token that no server takes as a header.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                Ok(Verdict::Nobody("it does not take the token as a header"))
            }
            StatusCode::FORBIDDEN => Err(self.no_credentials()),
            _ => Err(self.failure()),
        }
    }

    /// Nobody's, where it is Keystone that says so: anything else at a wrong URL has its own 401 and 404.
    pub(super) fn refused(&self, reason: &'static str) -> Result<Verdict, Error> {
        if !self.is_keystones {
            return Err(self.failure());
        }
        Ok(Verdict::Nobody(reason))
    }

    /// The body, where it is what was asked for.
    pub(super) fn document(&self) -> Result<&[u8], Error> {
        if self.whole {
            return Ok(&self.body);
        }
        Err(Error::TooLarge {
            url: self.url.clone(),
            most: BODY_MAX,
        })
    }

    pub(super) fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed {
            url: self.url.clone(),
            what,
        }
    }

    /// Masks a secret that was sent in what a refusal says: "Could not find token: …".
    pub(super) fn hide(&mut self, secret: &[u8]) {
        let secret = String::from_utf8_lossy(secret).into_owned();
        self.hidden.push(Zeroizing::new(secret));
    }

    /// That the agent is not let in itself.
    pub(super) fn no_credentials(&self) -> Error {
        Error::Credentials {
            url: self.url.clone(),
            code: self.status.as_u16(),
            text: wire::server_message(&self.body, &self.hidden),
        }
    }

    fn failure(&self) -> Error {
        Error::Answer {
            url: self.url.clone(),
            code: self.status.as_u16(),
            text: wire::server_message(&self.body, &self.hidden),
        }
    }
}

/// Scheme, host, port and path: there is no user and no secret in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

const JSON: &str = "application/json";
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// A token has some kilobytes, a large cloud's catalogue some dozens.
const BODY_MAX: usize = 256 * 1024;
/// Enough for a message.
const REFUSAL_MAX: usize = 16 * 1024;
pub(super) const UNKNOWN: &str = "the token is unknown, expired or revoked";
