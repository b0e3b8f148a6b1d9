//! Errors of requests to Ironic.

use crate::config::ApiVersion;
use crate::{http, tls};
use std::time::Duration;

/// Error of a request to Ironic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ironic responded with an error or an unexpected status.
    #[error("error {code}: {text}")]
    Answer {
        /// HTTP status.
        code: u16,
        /// Message of the server.
        text: String,
    },
    /// The agent is shutting down.
    #[error("the agent is ending")]
    Cancelled,
    /// The HTTP client cannot be created.
    #[error("making the client of Ironic's API")]
    Client(#[source] http::BuildError),
    /// No configured API responded.
    #[error("asking {url}")]
    Connect {
        /// URL of the last attempt.
        url: String,
        /// Error of the HTTP client.
        #[source]
        source: tls::client::RequestError,
    },
    /// Multicast DNS cannot be used.
    #[error("asking the network for Ironic")]
    Discovery(#[source] std::io::Error),
    /// The timeout of lookups has expired.
    #[error("no lookup succeeded in {} seconds", after.as_secs())]
    LookupTimeout {
        /// Duration of all attempts.
        after: Duration,
        /// Error of the last attempt.
        #[source]
        last: Box<Self>,
    },
    /// The response is not the expected JSON. Its text is omitted because it may contain the token.
    #[error("understanding the answer: line {line}, column {column}: {what}")]
    Malformed {
        /// Line in the response.
        line: usize,
        /// Column in that line.
        column: usize,
        /// Kind of the error.
        what: &'static str,
    },
    /// No address of this machine has a route to Ironic.
    #[error("no address of this machine leads to Ironic, after {0} attempts")]
    NoAddress(u32),
    /// No multicast DNS response names Ironic.
    #[error("nobody on the network tells where the service {service} is (multicast DNS)")]
    NotDiscovered {
        /// Service in the query.
        service: &'static str,
    },
    /// The lookup returned no token, and the agent has none.
    #[error("Ironic gave no agent token")]
    NoToken,
    /// No API URL is configured.
    #[error("no API URL is configured")]
    NoUrl,
    /// The address of the configured interface cannot be found.
    #[error("finding the address of the network interface {name}")]
    Interface {
        /// Name of the interface.
        name: String,
        /// Error of the kernel.
        #[source]
        source: std::io::Error,
    },
    /// A key is pinned, but this URL does not use TLS.
    #[error("api_pin is set, and {0} has no key to show: it must be https://")]
    PinRequiresTls(String),
    /// The multicast DNS records of Ironic are invalid.
    #[error("what the network tells of the service {service} cannot be used: {reason}")]
    InvalidService {
        /// Service in the query.
        service: &'static str,
        /// Reason why they are invalid.
        reason: &'static str,
    },
    /// The response exceeds this size, in bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// Ironic's API is older than agent tokens.
    #[error(
        "Ironic's API speaks version {found} at most, and agents need {needed} for their token: upgrade Ironic"
    )]
    UnsupportedVersion {
        /// Newest version of the API.
        found: ApiVersion,
        /// First version with agent tokens.
        needed: ApiVersion,
    },
}
