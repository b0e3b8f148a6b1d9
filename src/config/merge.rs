//! Merges raw texts from every source: the winning text of each option, and its problems.

use super::spec::{DEFAULT, Spec};
use super::values::{Reason, boolean};
use crate::redact::MASK;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A `--option` of the command line.
    CommandLine(&'static str),
    /// An environment variable.
    Environment(String),
    /// A line of a file; line 0 is the file as a whole.
    File(PathBuf, usize),
    /// An argument of the kernel command line.
    KernelArgument(String),
    /// An argument of virtual media's `parameters.txt`.
    MediaParameter(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(option) => write!(f, "command line, --{option}"),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::KernelArgument(name) => write!(f, "kernel argument {name}"),
            Self::MediaParameter(name) => write!(f, "parameter {name} on virtual media"),
        }
    }
}

/// A text for an option, with its origin. It may be a secret: it is wiped when dropped, and the
/// type has no `Debug`.
pub(super) struct Raw {
    pub(super) option: &'static Spec,
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

/// A problem with its origin, such as an unusable value or an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was found.
    pub origin: Origin,
    /// The option, and what its value should have been.
    pub reason: String,
}

impl Problem {
    /// Describes a file or directory that cannot be read.
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            origin: Origin::File(path.to_owned(), 0),
            reason: format!("cannot be read: {error}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

/// Describes a text that is no value of its option. The text is never repeated if it is a secret or
/// comes from a medium.
pub(super) fn error_message(raw: &Raw, reason: &str) -> String {
    let name = raw.option.full_name();
    // An untrusted medium must not control the log's content.
    let is_of_media = matches!(raw.origin, Origin::MediaParameter(_));
    match raw.option.shown(&raw.text).filter(|_| !is_of_media) {
        Some(text) => format!("{name} {reason}, not {:?}", shortened(&text)),
        None => format!("{name} {reason}"),
    }
}

/// Shortens an untrusted text to a prefix that is long enough to find it.
pub(super) fn shortened(text: &str) -> &str {
    match text.char_indices().nth(MAX_SHOWN_LEN) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

const MAX_SHOWN_LEN: usize = 120;

/// The winning text of each option, and the problems found while parsing them.
#[derive(Default)]
pub(super) struct Merged {
    winners: Vec<Raw>,
    pub(super) problems: Vec<Problem>,
}

impl Merged {
    /// Merges texts in rising precedence. References in them are resolved later.
    pub(super) fn of(raws: Vec<Raw>) -> Self {
        let mut winners: Vec<Raw> = Vec::new();
        for mut raw in raws {
            if is_final(&raw) && boolean(&raw.text).is_err() {
                // oslo.utils' `bool_from_string`: any word that is not true is false.
                raw.text = Zeroizing::new("false".to_owned());
            }
            match winners.iter_mut().find(|won| won.option.is(raw.option)) {
                Some(won) if is_final(won) && !is_final(&raw) => {}
                Some(won) => *won = raw,
                None => winners.push(raw),
            }
        }
        let mut merged = Self {
            winners,
            problems: Vec::new(),
        };
        merged.refuse_masks();
        merged
    }

    /// Rejects masks in place of secrets. Among the boot's arguments PID 1 has put the mask there.
    /// Anywhere else it was copied from redacted output.
    fn refuse_masks(&mut self) {
        for raw in &mut self.winners {
            if raw.option.is_secret() && *raw.text == MASK && !of_the_boot(&raw.origin) {
                self.problems.push(Problem {
                    origin: raw.origin.clone(),
                    reason: format!(
                        "{} cannot be used: it is only a mask",
                        raw.option.full_name()
                    ),
                });
                raw.text = Zeroizing::default();
            }
        }
    }

    /// Replaces the text of each winner, in order. A failed one is recorded as a problem and
    /// treated as unset.
    pub(super) fn replace_texts(&mut self, texts: Vec<Result<Zeroizing<String>, Reason>>) {
        for (raw, text) in self.winners.iter_mut().zip(texts) {
            match text {
                Ok(text) => raw.text = text,
                Err(reason) => {
                    self.problems.push(Problem {
                        origin: raw.origin.clone(),
                        reason: format!("{} {reason}", raw.option.full_name()),
                    });
                    // An empty text is unset, so the problem is recorded only once.
                    raw.text = Zeroizing::default();
                }
            }
        }
    }

    /// Removes the texts with these origins, as if they had not been set there.
    pub(super) fn forget(&mut self, places: &[Problem]) {
        let is_meant = |raw: &Raw| places.iter().any(|place| place.origin == raw.origin);
        self.winners.retain(|raw| !is_meant(raw));
    }

    /// Returns the text of each option that any source set.
    pub(super) fn winners(&self) -> &[Raw] {
        &self.winners
    }

    /// Returns the effective text of an option. An empty text, as templates write for unknown
    /// values, means unset. For lists with a non-empty default it means the empty list.
    pub(super) fn get(&self, group: &str, name: &str) -> Option<&Raw> {
        let is_value = |raw: &Raw| !raw.text.is_empty() || raw.option.may_be_emptied();
        self.winners
            .iter()
            .find(|raw| raw.option.is_named(group, name) && is_value(raw))
    }

    /// Parses the value of an option. An invalid text is recorded as a problem and yields `None`.
    pub(super) fn parse<T>(
        &mut self,
        group: &str,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(raw) = self.get(group, name) else {
            // A test parses every default.
            return parse(default).ok();
        };
        match parse(&raw.text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let problem = Problem {
                    origin: raw.origin.clone(),
                    reason: error_message(raw, &reason),
                };
                self.problems.push(problem);
                None
            }
        }
    }
}

/// `ipa-debug` overrides every other source (IPA: end of `config.py`).
fn is_final(raw: &Raw) -> bool {
    raw.option.is_named(DEFAULT, "debug") && of_the_boot(&raw.origin)
}

fn of_the_boot(origin: &Origin) -> bool {
    matches!(
        origin,
        Origin::KernelArgument(_) | Origin::MediaParameter(_)
    )
}
