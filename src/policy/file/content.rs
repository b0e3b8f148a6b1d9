//! Content of a policy file.

use super::error::Error;
use crate::policy::language::{Check, parse_rule};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A policy file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Options for this program from the comments above the first rule, for example
    /// `allow-conductor-lockout` of `# ferrite: allow-conductor-lockout`.
    pub options: Vec<String>,
    /// Number of rules in the file.
    pub rules: usize,
}

/// Rules of a file in its order, where later ones win, and warnings about them.
#[derive(Debug)]
pub(in crate::policy) struct Content {
    pub(in crate::policy) rules: Vec<Entry>,
    pub(in crate::policy) options: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// A rule of a file.
#[derive(Debug)]
pub(in crate::policy) struct Entry {
    pub(in crate::policy) name: String,
    pub(in crate::policy) rule: Value,
    pub(in crate::policy) line: usize,
}

impl Entry {
    /// Parses the rule. A rule with a part that cannot be parsed is refused.
    pub(in crate::policy) fn parsed(&self, path: &Path) -> Result<Check, Error> {
        let parsed = parse_rule(&self.rule).map_err(|source| Error::Rule {
            path: path.to_owned(),
            line: self.line,
            name: self.name.clone(),
            source,
        })?;
        match parsed.doubts.into_iter().next() {
            None => Ok(parsed.check),
            Some(doubt) => Err(Error::NotUnderstood {
                path: path.to_owned(),
                line: self.line,
                name: self.name.clone(),
                doubt,
            }),
        }
    }
}
