//! Errors of loading policies.

use crate::policy::invariants::Violation;
use crate::policy::language::RuleError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Error of loading policies.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Rules refer to one another in a cycle.
    #[error(
        "{place}the rules refer to one another in a circle, {}: break it, for no question could ever be answered",
        circle.join(" → ")
    )]
    Circle {
        /// File and line of the first of them, with a colon and a space; empty if no file has it.
        place: String,
        /// Names of the cycle, from the first one back to it.
        circle: Vec<String>,
    },
    /// The file or directory is not trusted.
    #[error("{} is not taken: {reason}", path.display())]
    Untrusted {
        /// Path of the file or directory.
        path: PathBuf,
        /// Reason, with the remedy.
        reason: &'static str,
    },
    /// The path is a directory, a pipe or a device.
    #[error("{} is no regular file: name a file with rules", path.display())]
    NotAFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// A part of a rule is no check. oslo.policy takes it for false, which under `not` allows every
    /// request.
    #[error("{}:{line}: the rule {name:?} cannot be understood: {doubt}", path.display())]
    NotUnderstood {
        /// Path of the file.
        path: PathBuf,
        /// Line of the rule, counted from 1.
        line: usize,
        /// Name of the rule.
        name: String,
        /// First part that cannot be parsed.
        doubt: String,
    },
    /// The file or directory cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Path of the file or directory.
        path: PathBuf,
        /// Error of the file system.
        #[source]
        source: Arc<io::Error>,
    },
    /// A rule would query a server.
    #[error(
        "{place}the rule {name:?} asks a server ({check}): an agent asks nobody on the network whether it may obey; write the rule \
         with roles and attributes"
    )]
    Remote {
        /// File and line of the rule, with a colon and a space; empty if no file has it.
        place: String,
        /// Name of the rule.
        name: String,
        /// Check as written.
        check: String,
    },
    /// A rule uses a construct that oslo.policy supports and the agent does not, or is no rule at
    /// all.
    #[error("{}:{line}: the rule {name:?} is refused", path.display())]
    Rule {
        /// Path of the file.
        path: PathBuf,
        /// Line of the rule, counted from 1.
        line: usize,
        /// Name of the rule.
        name: String,
        /// Error, with the remedy.
        #[source]
        source: RuleError,
    },
    /// The text is not a policy file.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line of the error, counted from 1.
        line: usize,
        /// Error, with the remedy.
        reason: String,
    },
    /// The policy violates an invariant.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The file is longer than `MAX_LEN`.
    #[error("{} is larger than {MAX_LEN} bytes: no policy needs that many", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
    },
}

impl Error {
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source: Arc::new(error),
        }
    }
}

/// Maximum length of a file, in bytes.
pub(super) const MAX_LEN: u64 = 256 << 10;
