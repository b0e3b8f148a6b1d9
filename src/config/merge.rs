//! Raw texts from every source, the one that wins for each option, and what is wrong with it.

use super::options::{Kind, Spec};
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line's `--option`.
    CommandLine(&'static str),
    /// An environment variable.
    Environment(String),
    /// A line of a file.
    File(PathBuf, usize),
    /// An argument of the kernel command line.
    KernelArgument(&'static str),
    /// An argument of virtual media's `parameters.txt`.
    MediaParameter(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(option) => write!(f, "command line, --{option}"),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::KernelArgument(name) => write!(f, "kernel argument {name}"),
            Self::MediaParameter(name) => write!(f, "parameter {name} on virtual media"),
        }
    }
}

/// A text for an option, with its origin. The text may be a secret: it is wiped when dropped, and there is no `Debug`.
pub(super) struct Raw {
    pub(super) option: &'static Spec,
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The option, and what its value should have been.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

/// The winning text of each option, and the problems met while they are parsed.
#[derive(Default)]
pub(super) struct Merged {
    winners: Vec<Raw>,
    pub(super) problems: Vec<Problem>,
}

impl Merged {
    /// Takes texts in rising precedence.
    pub(super) fn of(raws: Vec<Raw>) -> Self {
        let mut winners: Vec<Raw> = Vec::new();
        for raw in raws {
            match winners.iter_mut().find(|won| won.option.is(raw.option)) {
                Some(won) if is_final(won) => {}
                Some(won) => *won = raw,
                None => winners.push(raw),
            }
        }
        Self {
            winners,
            problems: Vec::new(),
        }
    }

    /// Where each option that was set anywhere has its value from.
    pub(super) fn origins(&self) -> Vec<(&'static str, Origin)> {
        self.winners
            .iter()
            .map(|raw| (raw.option.name, raw.origin.clone()))
            .collect()
    }

    /// The value of an option; `None`, and a problem noted, where its text is none.
    pub(super) fn parse<T>(
        &mut self,
        group: &str,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        // An empty text, as templates write it for what they do not know, is the same as none.
        let found = self.winners.iter().find(|raw| {
            (raw.option.group, raw.option.name) == (group, name) && !raw.text.is_empty()
        });
        let Some(raw) = found else {
            // A test parses every default.
            return parse(default).ok();
        };
        match parse(&raw.text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.problems.push(Problem {
                    origin: raw.origin.clone(),
                    reason: match raw.option.kind {
                        Kind::Secret(_) => format!("{name} {reason}"),
                        _ => format!("{name} {reason}, not {:?}", raw.text.as_str()),
                    },
                });
                None
            }
        }
    }
}

/// `ipa-debug` beats every other source (IPA: `config.py`, at its end).
fn is_final(raw: &Raw) -> bool {
    let of_the_boot = matches!(
        raw.origin,
        Origin::KernelArgument(_) | Origin::MediaParameter(_)
    );
    raw.option.name == "debug" && of_the_boot
}
