//! What a policy file has.

use super::error::Error;
use crate::policy::language::{Check, parse_rule};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Where it is.
    pub path: PathBuf,
    /// What comment lines above the first rule say to this program: of `# ferrite: allow-conductor-lockout` the last word.
    pub options: Vec<String>,
    /// How many rules it has.
    pub rules: usize,
}

/// A file's rules in its order, later ones winning, and what to say of them.
#[derive(Debug)]
pub(in crate::policy) struct Content {
    pub(in crate::policy) rules: Vec<Entry>,
    pub(in crate::policy) options: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// A rule as a file has it.
#[derive(Debug)]
pub(in crate::policy) struct Entry {
    pub(in crate::policy) name: String,
    pub(in crate::policy) rule: Value,
    pub(in crate::policy) line: usize,
}

impl Entry {
    /// Parses the rule of a file. A rule in which anything cannot be understood is refused.
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
