//! Client of Ironic's API: several URLs, headers, version negotiation.

use super::error::Error;
use super::wire;
use crate::config::{ApiVersion, Config};
use crate::http::{self, JSON};
use crate::root::Root;
use crate::secret::AgentToken;
use crate::tls::client::ClientOptions;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;
use zeroize::Zeroizing;

/// First API version with agent tokens.
pub(super) const VERSION_AGENT_TOKEN: ApiVersion = ApiVersion {
    major: 1,
    minor: 62,
};
/// First API version with the agent's certificate in heartbeats.
pub(super) const VERSION_VERIFY_CA: ApiVersion = ApiVersion {
    major: 1,
    minor: 68,
};

/// Client of one Ironic, which may have several URLs, and some of them may not be Ironic's. A
/// request that fails is sent to the next URL. The URL that succeeded is tried first from then on.
#[derive(Debug)]
pub struct Client {
    http: http::Client,
    /// URLs in the order in which they are tried.
    urls: Mutex<Vec<Known>>,
    request_id: Option<HeaderValue>,
    configured: Option<ApiVersion>,
    detected: Mutex<Option<ApiVersion>>,
}

impl Client {
    /// Creates a client for the API at these URLs.
    ///
    /// # Errors
    /// [`Error::NoUrl`] without any URL; [`Error::PinRequiresTls`] if a key is pinned and a URL
    /// does not use TLS; [`Error::Client`] if the settings are invalid.
    pub fn new(
        urls: &[Url],
        config: &Config,
        tls: &ClientOptions,
        root: &Root,
    ) -> Result<Self, Error> {
        if urls.is_empty() {
            return Err(Error::NoUrl);
        }
        if let Some(url) = urls.iter().find(|url| url.scheme() == "http") {
            if config.api_pin.is_some() {
                return Err(Error::PinRequiresTls(origin(url)));
            }
            tracing::warn!(
                url = origin(url),
                "NO TLS TO IRONIC (http:// in api_url): THE AGENT TOKEN TRAVELS IN CLEAR, and whoever sees it can command this machine"
            );
        }
        let tls = &ClientOptions {
            pins: config.api_pin.clone(),
            ..tls.clone()
        };
        let limits = http::Limits {
            max_body: MAX_BODY_LEN,
            max_idle: 2,
            timeout: Some(config.http_request_timeout),
        };
        let http = http::Client::new(tls, root, limits).map_err(Error::Client)?;
        Ok(Self {
            http,
            urls: Mutex::new(urls.iter().cloned().map(Known::nothing_of).collect()),
            request_id: config
                .global_request_id
                .as_deref()
                .and_then(|id| HeaderValue::from_str(id).ok()),
            configured: config.ironic_api_version.as_deref().and_then(fixed_version),
            detected: Mutex::new(None),
        })
    }

    /// Returns the API version: the configured one, else the one that Ironic reported once. Returns
    /// `None` if Ironic does not report it; the next call queries it again.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`] if this API has no agent tokens: no request can succeed then.
    /// [`Error::Connect`] if no URL accepts connections: the request that needs the version would
    /// fail the same way.
    pub async fn version(&self) -> Result<Option<ApiVersion>, Error> {
        let known = self.configured.or_else(|| *self.detected());
        let version = match known {
            Some(version) => version,
            None => match self.ask_version().await {
                Ok(version) => {
                    tracing::info!(%version, "Ironic's API version");
                    *self.detected() = Some(version);
                    version
                }
                Err(Error::Connect { source, url }) if source.is_connect() => {
                    return Err(Error::Connect { source, url });
                }
                Err(error @ Error::UnsupportedVersion { .. }) => return Err(error),
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "Ironic's API did not tell its version");
                    return Ok(None);
                }
            },
        };
        with_tokens(version).map(Some)
    }

    /// Returns whether a heartbeat may contain the agent's certificate. An Ironic that does not
    /// report its version, or is unreachable now, is assumed to be new enough.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`].
    pub async fn supports_verify_ca(&self) -> Result<bool, Error> {
        let version = match self.version().await {
            Err(Error::Connect { .. }) => None,
            known => known?,
        };
        let takes = version.is_none_or(|known| known >= VERSION_VERIFY_CA);
        if !takes {
            tracing::warn!("Ironic is too old to be told the agent's certificate: none is made");
        }
        Ok(takes)
    }

    /// Clears the detected version, to query it again: Ironic was rolled back, or other servers
    /// respond at its address.
    fn forget_version(&self) {
        let detected = self.detected().take();
        if let Some(version) = self.configured {
            tracing::error!(ironic_api_version = %version, "Ironic refuses the configured API version: do not set it");
        } else if let Some(version) = detected {
            tracing::warn!(%version, "Ironic does not speak the API version it told any more: asking it again");
        }
    }

    fn detected(&self) -> MutexGuard<'_, Option<ApiVersion>> {
        self.detected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_version(&self) -> Result<ApiVersion, Error> {
        self.send(&Request::get("/"), Standing::Unknown, |answer| {
            if answer.status() != StatusCode::OK {
                return Err(answer.into_error(None));
            }
            with_tokens(wire::version(answer.document()?)?)
        })
        .await
    }

    /// Sends a request to one URL after the other, until `wanted` accepts a response. That raises
    /// the URL to `standing`.
    ///
    /// Any other response may come from a server, or from a path, that is not Ironic's. It decides
    /// nothing while there is another URL (IPA would stay with it). A URL known as Ironic's is
    /// final if the status is one of Ironic's own refusals. Other URLs must not receive a token
    /// because a node is locked.
    ///
    /// # Errors
    /// The most specific error, the first of equal ones. If no URL responds at all, the last error.
    pub(super) async fn send<T>(
        &self,
        request: &Request,
        standing: Standing,
        wanted: impl Fn(Response) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let known = self.order().clone();
        let several = known.len() > 1;
        let mut failure = Error::NoUrl;
        for Known { url, standing: had } in known {
            let answer = self.send_to(&url, request).await;
            let error = match answer.and_then(&wanted) {
                Ok(found) => {
                    self.promote(&url, standing);
                    return Ok(found);
                }
                Err(error) => error,
            };
            let is_final = had > Standing::Unknown && is_of_ironic(&error);
            if several && !is_final {
                tracing::warn!(
                    url = origin(&url),
                    error = crate::error::chain(&error),
                    "this API does not give what it is asked for"
                );
            }
            let (new, old) = (weight(&error), weight(&failure));
            if is_final || new > old || new == 0 && old == 0 {
                failure = error;
            }
            if is_final {
                break;
            }
        }
        if matches!(failure, Error::Answer { code: 406, .. }) {
            self.forget_version();
        }
        Err(failure)
    }

    /// Sends a request to one URL and reads the whole response, up to the size limit.
    pub(super) async fn send_to(&self, url: &Url, request: &Request) -> Result<Response, Error> {
        let sent = self.http.send(self.build_request(url, request)).await;
        sent.map(Response).map_err(|source| Error::Connect {
            url: origin(url),
            source,
        })
    }

    fn build_request(&self, url: &Url, request: &Request) -> http::Request {
        let mut url = url.clone();
        let path = format!("{}{}", url.path().trim_end_matches('/'), request.path);
        url.set_path(&path);
        url.set_query(None);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let version = request.version.map(|version| version.to_string());
        let version = version.and_then(|version| HeaderValue::from_str(&version).ok());
        let headers = [
            (CONTENT_TYPE, Some(HeaderValue::from_static(JSON))),
            (REQUEST_ID, self.request_id.clone()),
            (API_VERSION, version),
        ];
        http::Request {
            method: request.method.clone(),
            url,
            headers: headers
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            body: request.body.clone(),
            is_secret: request.answer == Sensitivity::Secret,
        }
    }

    /// Returns the API's URLs in the order in which they are tried.
    pub(super) fn urls(&self) -> Vec<Url> {
        let order = self.order();
        order.iter().map(|known| known.url.clone()).collect()
    }

    /// Moves this URL behind all others of its standing.
    pub(super) fn demote(&self, url: &Url) {
        let mut order = self.order();
        order.sort_by_key(|known| (Reverse(known.standing), known.url == *url));
    }

    /// Raises this URL to `standing`, and moves it before all others of no higher standing.
    fn promote(&self, url: &Url, standing: Standing) {
        if standing == Standing::Unknown {
            return;
        }
        let mut order = self.order();
        for known in order.iter_mut().filter(|known| known.url == *url) {
            known.standing = known.standing.max(standing);
        }
        order.sort_by_key(|known| (Reverse(known.standing), known.url != *url));
    }

    fn order(&self) -> MutexGuard<'_, Vec<Known>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URL and its standing.
#[derive(Clone, Debug)]
struct Known {
    url: Url,
    standing: Standing,
}

impl Known {
    const fn nothing_of(url: Url) -> Self {
        let standing = Standing::Unknown;
        Self { url, standing }
    }
}

/// Successes of a URL, which a URL that is not Ironic's, or that leads elsewhere, does not have. It
/// never decreases: after one failed request, URLs that never succeeded must not be tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// No success that counts.
    Unknown,
    /// It responded to a lookup.
    KnowsNode,
    /// It accepted a heartbeat.
    TakesHeartbeats,
}

/// Checks that the version has agent tokens.
fn with_tokens(found: ApiVersion) -> Result<ApiVersion, Error> {
    if found < VERSION_AGENT_TOKEN {
        let needed = VERSION_AGENT_TOKEN;
        return Err(Error::UnsupportedVersion { found, needed });
    }
    Ok(found)
}

/// Returns whether Ironic itself gives this refusal: for the request, the token, the version, or a
/// locked node.
const fn is_of_ironic(error: &Error) -> bool {
    matches!(
        error,
        Error::Answer {
            code: 400 | 401 | 403 | 406 | 409,
            ..
        }
    )
}

/// Returns how specific an error is. Only Ironic reports a locked node, and lookups wait for that.
/// A gateway without a backend is more specific than no response.
const fn weight(error: &Error) -> u8 {
    match error {
        Error::Answer { code: 409, .. } | Error::UnsupportedVersion { .. } => 3,
        Error::Answer {
            code: 502..=504, ..
        } => 1,
        Error::Connect { .. } | Error::NoUrl => 0,
        _ => 2,
    }
}

/// Returns scheme, host and port: the parts of a URL that may be logged.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Parses the configured version. An invalid one is logged, and the version is negotiated instead.
fn fixed_version(text: &str) -> Option<ApiVersion> {
    text.parse()
        .inspect_err(|reason| {
            tracing::warn!(
                ironic_api_version = text,
                reason,
                "the configured API version is not understood: asking Ironic"
            );
        })
        .ok()
}

/// A request, relative to an API's URL.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path, which starts with `/`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) version: Option<ApiVersion>,
    /// Body, shared by all attempts.
    pub(super) body: Option<Bytes>,
    pub(super) answer: Sensitivity,
}

/// Sensitivity of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    /// It contains no secret.
    Plain,
    /// It may contain the token.
    Secret,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: Vec::new(),
            version: None,
            body: None,
            answer: Sensitivity::Plain,
        }
    }
}

/// Response of an API.
#[derive(Debug)]
pub(super) struct Response(http::Response);

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the peer's address: the API, or the proxy before it.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Returns the body of a successful response.
    pub(super) fn document(&self) -> Result<&[u8], Error> {
        let document = self.0.document();
        document.map_err(|http::TooLarge(most)| Error::TooLarge(most))
    }

    /// Converts a response with an unexpected status to an error. Its text contains neither the
    /// agent token nor the URL's password, even where Ironic repeats them without a name: "'…' is
    /// too long".
    pub(super) fn into_error(mut self, token: Option<&AgentToken>) -> Error {
        if let Some(token) = token {
            let token = token.expose_with(|token| Zeroizing::new(token.to_owned()));
            self.0.hide(token);
        }
        Error::Answer {
            code: self.0.status.as_u16(),
            text: self.0.message(wire::message_in),
        }
    }
}

const API_VERSION: HeaderName = HeaderName::from_static("x-openstack-ironic-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
/// Ironic's responses to a lookup have a few kilobytes.
const MAX_BODY_LEN: usize = 1024 * 1024;
