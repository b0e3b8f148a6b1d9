//! Why policies cannot be used.

use crate::policy::invariants::Violation;
use crate::policy::language::RuleError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why policies cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Rules refer to one another in a circle.
    #[error(
        "{place}the rules refer to one another in a circle, {}: break it, for no question could ever be answered",
        circle.join(" → ")
    )]
    Circle {
        /// Where the first of them is from, with a colon and a space; empty if no file has it.
        place: String,
        /// From its first name back to it.
        circle: Vec<String>,
    },
    /// It is nothing to be believed.
    #[error("{} is not taken: {reason}", path.display())]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// It is a directory, a pipe, a device.
    #[error("{} is no regular file: name a file with rules", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// A part of a rule is no check. The real library takes it for false, which under `not` lets everybody in.
    #[error("{}:{line}: the rule {name:?} cannot be understood: {doubt}", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The rule's name.
        name: String,
        /// The first part of that kind.
        doubt: String,
    },
    /// The file system says no.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What it says.
        #[source]
        source: Arc<io::Error>,
    },
    /// A rule would ask a server.
    #[error(
        "{place}the rule {name:?} asks a server ({check}): an agent asks nobody on the network whether it may obey; write the rule \
         with roles and attributes"
    )]
    Remote {
        /// Where it is from, with a colon and a space; empty if no file has it.
        place: String,
        /// The rule's name.
        name: String,
        /// The check, as it is written.
        check: String,
    },
    /// A rule is one that oslo.policy takes and an agent does not, or none at all.
    #[error("{}:{line}: the rule {name:?} is refused", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The rule's name.
        name: String,
        /// What is wrong, and what to write.
        #[source]
        source: RuleError,
    },
    /// It is not what a policy file is.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Nobody can live by it.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// More than anybody would write.
    #[error("{} is larger than {MAX_LEN} bytes: no policy needs that many", path.display())]
    TooLarge {
        /// The file.
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

/// Bytes of a file.
pub(super) const MAX_LEN: u64 = 256 << 10;
