//! Why a request got no answer: a name that has no address is told apart from what the HTTP library says of everything else.

use crate::dns;
use std::error::Error;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// What the HTTP library says, without the URL.
    #[error(transparent)]
    Http(reqwest::Error),
    /// The host's name, or the proxy's, cannot be resolved.
    #[error(transparent)]
    Resolve(Box<dns::Error>),
}

impl RequestError {
    /// Whether there was no connection to a server at all.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        match self {
            Self::Http(error) => error.is_connect(),
            Self::Resolve(_) => true,
        }
    }
}

impl From<reqwest::Error> for RequestError {
    /// The library wraps the resolver's error four times; only the innermost says anything.
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
