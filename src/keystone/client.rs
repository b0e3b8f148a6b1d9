//! Requests to Keystone, and the interpretation of its responses.

use super::error::Error;
use super::wire;
use super::wire::token::{Verdict, verdict};
use crate::http::{self, JSON, Request, Response};
use crate::root::Root;
use crate::tls::client::ClientOptions;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;
use zeroize::Zeroizing;

/// The HTTP client. Each request sends or fetches a token, so no connection is reused.
pub(super) struct Client(http::Client);

impl Client {
    pub(super) fn new(tls: &ClientOptions, root: &Root) -> Result<Self, Error> {
        let limits = http::Limits {
            max_body: MAX_BODY_LEN,
            max_idle: 0,
            timeout: None,
        };
        let client = http::Client::new(tls, root, limits);
        client.map(Self).map_err(Error::Client)
    }

    /// Requests the validation of a token, authorized by the same or another token.
    pub(super) async fn validate_token(
        &self,
        keystone: &Url,
        own: &HeaderValue,
        subject: &HeaderValue,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut url = tokens(keystone);
        url.set_query(Some("nocatalog"));
        let tokens = [(AUTH_TOKEN, own.clone()), (SUBJECT_TOKEN, subject.clone())];
        let request = request(Method::GET, url, HeaderMap::from_iter(tokens), None);
        let mut answer = self.send(request, deadline).await?;
        answer.hide(subject.as_bytes());
        answer.hide(own.as_bytes());
        Ok(answer)
    }

    /// Requests a token for the agent itself, with a catalogue.
    pub(super) async fn authenticate(
        &self,
        keystone: &Url,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(JSON))];
        let headers = HeaderMap::from_iter(headers);
        let request = request(Method::POST, tokens(keystone), headers, Some(body));
        self.send(request, deadline).await
    }

    async fn send(&self, request: Request, deadline: Instant) -> Result<Answer, Error> {
        let url = shown(&request.url);
        match timeout_at(deadline, self.0.send(request)).await {
            Ok(Ok(mut response)) => Ok(Answer {
                url,
                status: response.status,
                token: response.take_header(&SUBJECT_TOKEN),
                is_keystones: wire::is_keystones(response.beginning()),
                response,
            }),
            Ok(Err(source)) => Err(Error::Connect { url, source }),
            Err(_) => Err(Error::Silent { url }),
        }
    }
}

fn request(method: Method, url: Url, headers: HeaderMap, body: Option<Bytes>) -> Request {
    Request {
        method,
        url,
        headers,
        body,
        is_secret: true,
    }
}

/// Returns the URL for creating and validating tokens.
fn tokens(keystone: &Url) -> Url {
    let mut url = keystone.clone();
    let path = format!("{}/auth/tokens", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// A response of Keystone.
pub(super) struct Answer {
    /// URL of the request.
    url: String,
    pub(super) status: StatusCode,
    /// The token that was validated or created.
    pub(super) token: Option<HeaderValue>,
    /// Whether an error body has Keystone's format.
    is_keystones: bool,
    response: Response,
}

impl Answer {
    /// Returns the result of a validation.
    pub(super) fn verdict(&self) -> Result<Verdict, Error> {
        match self.status {
            StatusCode::OK => verdict(self.document()?).map_err(|what| self.malformed(what)),
            StatusCode::NOT_FOUND => self.refused(UNKNOWN),
            // The server does not accept the token as a header.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                Ok(Verdict::Invalid("it does not take the token as a header"))
            }
            StatusCode::FORBIDDEN => Err(self.no_credentials()),
            _ => Err(self.failure()),
        }
    }

    /// Returns that the token is invalid, if the error is Keystone's own. Other services at a wrong
    /// URL have their own 401 and 404.
    pub(super) fn refused(&self, reason: &'static str) -> Result<Verdict, Error> {
        if !self.is_keystones {
            return Err(self.failure());
        }
        Ok(Verdict::Invalid(reason))
    }

    /// Returns the body of a successful response.
    pub(super) fn document(&self) -> Result<&[u8], Error> {
        self.response.document().map_err(|http::TooLarge(most)| {
            let url = self.url.clone();
            Error::TooLarge { url, most }
        })
    }

    pub(super) fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed {
            url: self.url.clone(),
            what,
        }
    }

    /// Masks a secret of the request in the error message: "Could not find token: …".
    pub(super) fn hide(&mut self, secret: &[u8]) {
        let secret = String::from_utf8_lossy(secret).into_owned();
        self.response.hide(Zeroizing::new(secret));
    }

    /// Returns the error that the agent's own credentials are not accepted.
    pub(super) fn no_credentials(&self) -> Error {
        Error::Credentials {
            url: self.url.clone(),
            code: self.status.as_u16(),
            text: self.response.message(wire::message_in),
        }
    }

    fn failure(&self) -> Error {
        Error::Answer {
            url: self.url.clone(),
            code: self.status.as_u16(),
            text: self.response.message(wire::message_in),
        }
    }
}

/// Formats scheme, host, port and path, without user information or secrets.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// Maximum length of a body in bytes. A token has some kilobytes, the catalogue of a large cloud
/// some dozens.
const MAX_BODY_LEN: usize = 256 * 1024;
pub(super) const UNKNOWN: &str = "the token is unknown, expired or revoked";
