//! Ironic's API over HTTP: several URLs, headers, version negotiation, bounded answers.

use super::{Error, wire};
use crate::config::{ApiVersion, Config};
use crate::root::Root;
use crate::tls::client::ClientOptions;
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, redirect};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;
use zeroize::Zeroizing;

/// The first version with agent tokens.
pub(super) const TOKEN: ApiVersion = ApiVersion {
    major: 1,
    minor: 62,
};
/// The first version whose heartbeats may carry the agent's certificate.
pub(super) const VERIFY_CA: ApiVersion = ApiVersion {
    major: 1,
    minor: 68,
};

/// A client of one Ironic, which may have several URLs. Requests that fail to get any answer go on to the next URL; the one
/// that works is asked first from then on.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    urls: Vec<Url>,
    /// Index of the URL to ask first.
    first: AtomicUsize,
    request_id: Option<HeaderValue>,
    configured: Option<ApiVersion>,
    detected: Mutex<Option<ApiVersion>>,
}

impl Client {
    /// A client for the API that configuration names.
    ///
    /// # Errors
    /// [`Error::NoUrl`] when it names none; [`Error::Tls`] and [`Error::Client`] when settings cannot be used.
    pub fn new(config: &Config, tls: &ClientOptions, root: &Root) -> Result<Self, Error> {
        if config.api_url.urls().is_empty() {
            return Err(Error::NoUrl);
        }
        let patience = config.http_request_timeout;
        let http = tls
            .builder(root)
            .map_err(Error::Tls)?
            .default_headers(HeaderMap::from_iter([
                (ACCEPT, HeaderValue::from_static(JSON)),
                (CONTENT_TYPE, HeaderValue::from_static(JSON)),
            ]))
            // A redirect would take the token to whoever it names.
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(2)
            .connect_timeout(patience)
            .read_timeout(patience)
            // A server that sends a byte now and then must not hold the heartbeat for ever.
            .timeout(patience.saturating_mul(2))
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            http,
            urls: config.api_url.urls().to_vec(),
            first: AtomicUsize::new(0),
            request_id: config
                .global_request_id
                .as_deref()
                .and_then(|id| HeaderValue::from_str(id).ok()),
            configured: config.ironic_api_version,
            detected: Mutex::new(None),
        })
    }

    /// The version of the API: as configured, else asked once. `None` while Ironic does not tell; it is asked again next time.
    ///
    /// # Errors
    /// [`Error::TooOld`] when this API knows no agent tokens: no request can help then.
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
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "Ironic's API did not tell its version");
                    return Ok(None);
                }
            },
        };
        if version < TOKEN {
            return Err(Error::TooOld { found: version });
        }
        Ok(Some(version))
    }

    fn detected(&self) -> MutexGuard<'_, Option<ApiVersion>> {
        self.detected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_version(&self) -> Result<ApiVersion, Error> {
        let answer = self.send(&Request::get("/")).await?;
        if answer.status() != StatusCode::OK {
            return Err(refusal(answer).await);
        }
        wire::version(&body(answer).await?)
    }

    /// Sends a request to the first URL that gives any answer.
    pub(super) async fn send(&self, request: &Request) -> Result<Response, Error> {
        let first = self.first.load(Ordering::Relaxed);
        let mut failure = Error::NoUrl;
        for (index, url) in self
            .urls
            .iter()
            .enumerate()
            .cycle()
            .skip(first)
            .take(self.urls.len())
        {
            match self.send_to(url, request).await {
                Ok(answer) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(source) => {
                    failure = Error::Connect {
                        url: shown(url),
                        source,
                    };
                    if self.urls.len() > 1 {
                        let error = crate::error::chain(&failure);
                        tracing::debug!(error, "this API gives no answer");
                    }
                }
            }
        }
        Err(failure)
    }

    /// Sends a request to one URL.
    pub(super) async fn send_to(
        &self,
        url: &Url,
        request: &Request,
    ) -> Result<Response, reqwest::Error> {
        let mut url = url.clone();
        let path = format!("{}{}", url.path().trim_end_matches('/'), request.path);
        url.set_path(&path);
        url.set_query(None);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self.http.request(request.method.clone(), url);
        if let Some(id) = &self.request_id {
            builder = builder.header(REQUEST_ID, id.clone());
        }
        if let Some(version) = request.version {
            builder = builder.header(API_VERSION, version.to_string());
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(reqwest::Error::without_url)
    }

    /// The API's URLs, the working one first.
    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        let first = self.first.load(Ordering::Relaxed);
        self.urls.iter().cycle().skip(first).take(self.urls.len())
    }
}

/// A request below an API's URL.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Begins with `/`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) version: Option<ApiVersion>,
    /// Shared by all attempts.
    pub(super) body: Option<Bytes>,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: Vec::new(),
            version: None,
            body: None,
        }
    }
}

/// An answer's body, up to a megabyte; wiped when dropped, for it may hold the token.
pub(super) async fn body(answer: Response) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (body, whole) = read(answer, BODY_MAX).await?;
    if whole {
        return Ok(body);
    }
    Err(Error::TooLarge(BODY_MAX))
}

/// The error that an answer with another status than the wanted one is.
pub(super) async fn refusal(answer: Response) -> Error {
    let code = answer.status().as_u16();
    match read(answer, REFUSAL_MAX).await {
        Ok((body, _)) => Error::Answer {
            code,
            text: wire::server_message(&body),
        },
        Err(error) => error,
    }
}

/// Up to `limit` bytes of a body, and whether that is all of it. The buffer never grows, so that no pieces are left behind.
async fn read(mut answer: Response, limit: usize) -> Result<(Zeroizing<Vec<u8>>, bool), Error> {
    let url = shown(answer.url());
    let announced = answer
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    let capacity = announced.unwrap_or(limit).min(limit);
    let mut body = Zeroizing::new(Vec::with_capacity(capacity));
    loop {
        let chunk = answer.chunk().await.map_err(|source| Error::Connect {
            url: url.clone(),
            source: source.without_url(),
        })?;
        let Some(chunk) = chunk else {
            return Ok((body, true));
        };
        match chunk.get(..capacity - body.len()) {
            Some(fits) if fits.len() < chunk.len() => {
                body.extend_from_slice(fits);
                return Ok((body, false));
            }
            _ => body.extend_from_slice(&chunk),
        }
    }
}

/// A URL for people: without user, password, path and query.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

const JSON: &str = "application/json";
const API_VERSION: HeaderName = HeaderName::from_static("x-openstack-ironic-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
/// Ironic's answers to a lookup have a few kilobytes.
const BODY_MAX: usize = 1024 * 1024;
/// Enough for a message.
const REFUSAL_MAX: usize = 16 * 1024;
