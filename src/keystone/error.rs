//! Why Keystone gave no answer that can be used.

use crate::{http, tls};

/// Why Keystone gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It answered, but not with what was asked for.
    #[error("{url} answers {code}: {text}")]
    Answer {
        /// Who.
        url: String,
        /// The HTTP status.
        code: u16,
        /// The server's message.
        text: String,
    },
    /// The HTTP client cannot be made.
    #[error("making the client of Keystone")]
    Client(#[source] http::BuildError),
    /// No connection, or one that broke.
    #[error("asking {url}")]
    Connect {
        /// Who was asked.
        url: String,
        /// What the HTTP client says.
        #[source]
        source: tls::client::RequestError,
    },
    /// Keystone does not know the agent by its own credentials, or does not let it ask.
    #[error(
        "Keystone does not take the agent's own credentials ([keystone_authtoken]): {url} answers {code}: {text}"
    )]
    Credentials {
        /// Who.
        url: String,
        /// The HTTP status.
        code: u16,
        /// The server's message.
        text: String,
    },
    /// The answer is not the JSON it should be. Its text is not repeated.
    #[error("understanding the answer of {url}: {what}")]
    Malformed {
        /// Who answered.
        url: String,
        /// What kind of fault it is.
        what: &'static str,
    },
    /// There is no Keystone to ask.
    #[error("[keystone_authtoken] auth_url is not set")]
    NoUrl,
    /// No whole answer in time.
    #[error("{url} gives no answer in time")]
    Silent {
        /// Who was asked.
        url: String,
    },
    /// TLS settings cannot be used.
    #[error("setting up TLS for Keystone")]
    Tls(#[source] tls::Error),
    /// The answer is longer than any honest one.
    #[error("the answer of {url} has more than {most} bytes")]
    TooLarge {
        /// Who answered.
        url: String,
        /// How many it may have.
        most: usize,
    },
}
