//! Sends JSON over HTTP, for Ironic's API and for Keystone, and reads bounded responses.
//!
//! No redirect is followed: it would take a token to whoever it names. A secret that was sent is masked in what the server says.

use crate::redact::{mask_each_known, redact, visible};
use crate::root::Root;
use crate::tls::client::{ClientOptions, RequestError, login};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONNECTION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// An HTTP client.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    max_body: usize,
}

/// What differs between the services.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body that is what was asked for; of a refusal, 16 KiB are read.
    pub max_body: usize,
    /// Connections that may stay open for the next request; each keeps what was sent in its buffers.
    pub max_idle: usize,
    /// Limit of connecting and of each read; a request as a whole may take twice as long. `None`: the caller has a limit.
    pub timeout: Option<Duration>,
}

impl Client {
    /// Builds a client with these TLS settings.
    ///
    /// # Errors
    /// TLS settings that cannot be used, or a client that cannot be made.
    pub fn new(tls: &ClientOptions, root: &Root, limits: Limits) -> Result<Self, BuildError> {
        let mut builder = tls
            .builder(root)?
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(limits.max_idle);
        if let Some(timeout) = limits.timeout {
            builder = builder
                .connect_timeout(timeout)
                .read_timeout(timeout)
                // A server that sends a byte now and then must not hold a request for ever.
                .timeout(timeout.saturating_mul(2));
        }
        Ok(Self {
            http: builder.build()?,
            max_body: limits.max_body,
        })
    }

    /// Sends a request, and reads the whole response as far as it is not too long.
    ///
    /// # Errors
    /// There was no connection, or it broke.
    pub async fn send(&self, request: Request) -> Result<Response, RequestError> {
        let hidden = login::secrets_of(&request.url);
        let mut builder = self.http.request(request.method, request.url);
        builder = builder
            .headers(request.headers)
            .header(ACCEPT, HeaderValue::from_static(JSON));
        if request.is_secret {
            // A connection that is kept would keep the secret in its buffers.
            builder = builder.header(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await?;
        let status = response.status();
        let max_len = match status.is_success() {
            true => self.max_body,
            false => MAX_REFUSAL_LEN,
        };
        Ok(Response {
            status,
            peer: response.remote_addr(),
            headers: std::mem::take(response.headers_mut()),
            body: read_body(response, max_len).await?,
            max_len,
            hidden,
        })
    }
}

/// Reads up to `max_len` bytes of a body, of which `None` has more. The buffer never grows, so that no pieces are left behind.
async fn read_body(
    mut response: reqwest::Response,
    max_len: usize,
) -> Result<Body, reqwest::Error> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    let capacity = announced.unwrap_or(max_len).min(max_len);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    while let Some(chunk) = response.chunk().await? {
        match chunk.get(..capacity - bytes.len()) {
            Some(fits) if fits.len() < chunk.len() => {
                bytes.extend_from_slice(fits);
                return Ok(Body {
                    bytes,
                    is_whole: false,
                });
            }
            _ => bytes.extend_from_slice(&chunk),
        }
    }
    Ok(Body {
        bytes,
        is_whole: true,
    })
}

/// A request. Headers whose values are secret are marked as such by the caller.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes. A user and a password in it become `Authorization: Basic`.
    pub url: Url,
    /// Headers beside `Accept`.
    pub headers: HeaderMap,
    /// The body, shared by all attempts.
    pub body: Option<Bytes>,
    /// Whether it, or its response, holds a secret: then the connection is closed behind it.
    pub is_secret: bool,
}

/// A response. Wiped when dropped, for it may hold a token.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The far end of the connection: the server, or the proxy before it.
    pub peer: Option<SocketAddr>,
    headers: HeaderMap,
    body: Body,
    max_len: usize,
    hidden: Vec<Zeroizing<String>>,
}

#[derive(Debug)]
struct Body {
    bytes: Zeroizing<Vec<u8>>,
    is_whole: bool,
}

impl Response {
    /// Takes a header out of it.
    pub fn take_header(&mut self, name: &HeaderName) -> Option<HeaderValue> {
        self.headers.remove(name)
    }

    /// The whole body.
    ///
    /// # Errors
    /// It is longer than any honest one.
    pub fn document(&self) -> Result<&[u8], TooLarge> {
        match self.body.is_whole {
            true => Ok(&self.body.bytes),
            false => Err(TooLarge(self.max_len)),
        }
    }

    /// The body as far as it was read.
    #[must_use]
    pub fn beginning(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Masks a secret that was sent in what [`Response::message`] repeats.
    pub fn hide(&mut self, secret: Zeroizing<String>) {
        self.hidden.push(secret);
    }

    /// The server's message, which `find` takes out of its JSON; see [`server_message`].
    #[must_use]
    pub fn message(&self, find: impl FnOnce(&Value) -> Option<String>) -> String {
        server_message(&self.body.bytes, &self.hidden, find)
    }
}

/// The message of an error response, which `find` takes out of its JSON; without one, the body as text. One bounded line, in which no
/// secret of a known form is repeated, and none of these: they are masked when it is unwrapped, for JSON has many ways to write them.
#[must_use]
pub fn server_message(
    body: &[u8],
    secrets: &[Zeroizing<String>],
    find: impl FnOnce(&Value) -> Option<String>,
) -> String {
    let text = String::from_utf8_lossy(body);
    let message = serde_json::from_str(&text)
        .ok()
        .and_then(|document| find(&document));
    let message = mask_each_known(message.as_deref().unwrap_or(&text), secrets);
    let line: String = redact(&message)
        .chars()
        .map(visible)
        .take(MAX_MESSAGE_LEN)
        .collect();
    line.trim().to_owned()
}

/// Parses a document.
///
/// # Errors
/// Where and why it is not what was asked for. serde's own messages may quote the value they stumbled on, and that may be a token: only
/// the kind of fault is named.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed {
        line: error.line(),
        column: error.column(),
        what: match error.classify() {
            Category::Data => "a field is missing or of the wrong type",
            Category::Eof => "it ends too early",
            Category::Io | Category::Syntax => "it is not JSON",
        },
    })
}

/// Why a document is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1; 0 where the fault has no place.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What kind of fault it is.
    pub what: &'static str,
}

/// How many bytes a response may have, and this one has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(pub usize);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The HTTP client cannot be made.
    #[error("making the HTTP client")]
    Http(#[from] reqwest::Error),
    /// TLS settings cannot be used.
    #[error("setting up TLS")]
    Tls(#[from] crate::tls::Error),
}

/// The media type of what is sent and asked for.
pub const JSON: &str = "application/json";
/// Bytes that are read of a refusal: enough for a message.
const MAX_REFUSAL_LEN: usize = 16 * 1024;
/// Characters of a server's message.
pub const MAX_MESSAGE_LEN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line_without_secrets() {
        let find = |document: &Value| Some(document.get("error")?.as_str()?.to_owned());
        let body = r#"{"error": "Of\n k\u00e4nguru: no token: gAAAAcanary."}"#;
        let shown = [Zeroizing::new("k\u{e4}nguru".to_owned())];
        let message = server_message(body.as_bytes(), &shown, find);
        assert!(message.starts_with("Of "), "{message}");
        assert!(
            !message.contains("canary") && !message.contains("nguru"),
            "{message}"
        );
        assert_eq!(server_message(b" <html>\r\n", &[], find), "<html>");
        assert_eq!(
            server_message(&[b'x'; 10_000], &[], find).len(),
            MAX_MESSAGE_LEN
        );
    }

    #[test]
    fn a_document_that_does_not_fit_is_told_without_its_values() {
        let wrong = parse::<Vec<u8>>(b"[1,\n \"canary\"]");
        assert_eq!(
            wrong,
            Err(Malformed {
                line: 2,
                column: 9,
                what: "a field is missing or of the wrong type"
            })
        );
        assert_eq!(
            parse::<u8>(b"[").map_err(|error| error.what),
            Err("a field is missing or of the wrong type")
        );
        assert_eq!(
            parse::<Vec<u8>>(b"[").map_err(|error| error.what),
            Err("it ends too early")
        );
        assert_eq!(
            parse::<Vec<u8>>(b"<").map_err(|error| error.what),
            Err("it is not JSON")
        );
    }
}
