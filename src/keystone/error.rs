//! Errors of requests to Keystone.

use crate::{http, tls};

/// Reason why a request to Keystone gave no usable response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The response has an unexpected status.
    #[error("{url} answers {code}: {text}")]
    Answer {
        /// URL of the request.
        url: String,
        /// The HTTP status.
        code: u16,
        /// The server's message.
        text: String,
    },
    /// The HTTP client cannot be created.
    #[error("making the client of Keystone")]
    Client(#[source] http::BuildError),
    /// The connection failed or broke.
    #[error("asking {url}")]
    Connect {
        /// URL of the request.
        url: String,
        /// The HTTP client's error.
        #[source]
        source: tls::client::RequestError,
    },
    /// Keystone rejects the agent's own credentials, or does not permit it to validate tokens.
    #[error(
        "Keystone does not take the agent's own credentials ([keystone_authtoken]): {url} answers {code}: {text}"
    )]
    Credentials {
        /// URL of the request.
        url: String,
        /// The HTTP status.
        code: u16,
        /// The server's message.
        text: String,
    },
    /// The response is not the expected JSON. Its text is not repeated.
    #[error("understanding the answer of {url}: {what}")]
    Malformed {
        /// URL of the request.
        url: String,
        /// Kind of error in the response.
        what: &'static str,
    },
    /// No Keystone is configured.
    #[error("[keystone_authtoken] auth_url is not set")]
    NoUrl,
    /// No complete response in time.
    #[error("{url} gives no answer in time")]
    Silent {
        /// URL of the request.
        url: String,
    },
    /// TLS settings cannot be used.
    #[error("setting up TLS for Keystone")]
    Tls(#[source] tls::Error),
    /// The response exceeds the maximum length.
    #[error("the answer of {url} has more than {most} bytes")]
    TooLarge {
        /// URL of the request.
        url: String,
        /// Maximum length in bytes.
        most: usize,
    },
}
