//! Why a conversation with Ironic failed.

use crate::config::ApiVersion;
use crate::{http, tls};
use std::time::Duration;

/// Why a conversation with Ironic failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ironic answered, but not with what was asked for.
    #[error("error {code}: {text}")]
    Answer {
        /// The HTTP status.
        code: u16,
        /// The server's message.
        text: String,
    },
    /// The agent is to end.
    #[error("the agent is ending")]
    Cancelled,
    /// The HTTP client cannot be made.
    #[error("making the client of Ironic's API")]
    Client(#[source] http::BuildError),
    /// No API of the list gave an answer.
    #[error("asking {url}")]
    Connect {
        /// The last one that was tried.
        url: String,
        /// What the HTTP client says.
        #[source]
        source: tls::client::RequestError,
    },
    /// The network cannot be asked for Ironic.
    #[error("asking the network for Ironic")]
    Discovery(#[source] std::io::Error),
    /// The time for lookups is over.
    #[error("no lookup succeeded in {} seconds", after.as_secs())]
    LookupTimeout {
        /// How long it was tried.
        after: Duration,
        /// What the last one failed with.
        #[source]
        last: Box<Self>,
    },
    /// The answer is not the JSON it should be. Its text is not repeated: it may hold the token.
    #[error("understanding the answer: line {line}, column {column}: {what}")]
    Malformed {
        /// Line of the answer.
        line: usize,
        /// Column of that line.
        column: usize,
        /// What kind of fault it is.
        what: &'static str,
    },
    /// No address of this machine leads to Ironic.
    #[error("no address of this machine leads to Ironic, after {0} attempts")]
    NoAddress(u32),
    /// Nobody on the network knows Ironic.
    #[error("nobody on the network tells where the service {service} is (multicast DNS)")]
    NotDiscovered {
        /// What was asked for.
        service: &'static str,
    },
    /// The lookup's answer gave no token, and the agent has none.
    #[error("Ironic gave no agent token")]
    NoToken,
    /// There is no API to ask.
    #[error("no API URL is configured")]
    NoUrl,
    /// The address of the interface the operator named cannot be found.
    #[error("finding the address of the network interface {name}")]
    Interface {
        /// The interface.
        name: String,
        /// What the kernel says.
        #[source]
        source: std::io::Error,
    },
    /// A key is pinned, and this API shows none.
    #[error("api_pin is set, and {0} has no key to show: it must be https://")]
    PinRequiresTls(String),
    /// What the network tells of Ironic cannot be used.
    #[error("what the network tells of the service {service} cannot be used: {reason}")]
    InvalidService {
        /// What was asked for.
        service: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The answer is longer than any honest one.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// Ironic's API is older than the agent token.
    #[error(
        "Ironic's API speaks version {found} at most, and agents need {needed} for their token: upgrade Ironic"
    )]
    UnsupportedVersion {
        /// The newest version it speaks.
        found: ApiVersion,
        /// The first version with agent tokens.
        needed: ApiVersion,
    },
}
