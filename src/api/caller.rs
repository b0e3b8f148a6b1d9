//! Caller of the API, as the handler and the policy rules see it.

use crate::keystone::Identity;
use crate::policy::Attributes;
use crate::policy::credentials::{AGENT, ANONYMOUS, OBSERVER};
use std::fmt;
use std::sync::Arc;

/// Caller of the API, by the credential of its request.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Showed the agent token: the conductor.
    Agent,
    /// Showed no credential.
    Anonymous,
    /// Showed the observer's secret.
    Observer,
    /// Showed a token that Keystone validated.
    User(Arc<Identity>),
}

impl Caller {
    /// Returns the attributes that policy rules see.
    pub(super) fn attributes(&self) -> &Attributes {
        match self {
            Self::Agent => &AGENT,
            Self::Anonymous => &ANONYMOUS,
            Self::Observer => &OBSERVER,
            Self::User(identity) => &identity.attributes,
        }
    }
}

/// Formats the caller for the log.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "conductor",
            Self::Anonymous => "nobody",
            Self::Observer => "observer",
            Self::User(identity) => &identity.user,
        })
    }
}
