//! Who asks, as the rest of the API and its rules see it.

use crate::keystone::Identity;
use crate::policy::Attributes;
use crate::policy::credentials::{AGENT, ANONYMOUS, OBSERVER};
use std::fmt;
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// The agent token was shown.
    Agent,
    /// Nothing was shown.
    Anonymous,
    /// The observer's secret was shown.
    Observer,
    /// A token was shown that Keystone knows.
    User(Arc<Identity>),
}

impl Caller {
    /// What rules see of it.
    pub(super) fn attributes(&self) -> &Attributes {
        match self {
            Self::Agent => &AGENT,
            Self::Anonymous => &ANONYMOUS,
            Self::Observer => &OBSERVER,
            Self::User(identity) => &identity.attributes,
        }
    }
}

/// For the log.
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
