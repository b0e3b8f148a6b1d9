//! Errors of requests without a response; separates resolution errors from the HTTP library's.

use crate::dns;
use std::error::Error;

/// Reason why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Error of the HTTP library, without the URL.
    #[error(transparent)]
    Http(reqwest::Error),
    /// The name of the host or of the proxy cannot be resolved.
    #[error(transparent)]
    Resolve(Box<dns::Error>),
}

impl RequestError {
    /// Returns whether no connection to a server was established.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        match self {
            Self::Http(error) => error.is_connect(),
            Self::Resolve(_) => true,
        }
    }
}

impl From<reqwest::Error> for RequestError {
    /// Unwraps the resolver's error: the library wraps it four times, and only the innermost is
    /// informative.
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            if let Some(error) = found.downcast_ref::<dns::Error>() {
                return Self::Resolve(Box::new(error.clone()));
            }
            cause = found.source();
        }
        Self::Http(error.without_url())
    }
}
