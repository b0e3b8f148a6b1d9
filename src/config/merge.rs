//! Raw texts from every source, the one that wins for each option, and what is wrong with it.

use super::spec::{DEFAULT, Spec};
use super::values::{Reason, boolean};
use crate::redact::MASK;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line's `--option`.
    CommandLine(&'static str),
    /// An environment variable.
    Environment(String),
    /// A line of a file, or with 0 the file as a whole.
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

/// A text for an option, with its origin. The text may be a secret: it is wiped when dropped, and there is no `Debug`.
pub(super) struct Raw {
    pub(super) option: &'static Spec,
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

/// Something that stands somewhere and is worth saying: a value that cannot be used, a name that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The option, and what its value should have been.
    pub reason: String,
}

impl Problem {
    /// A file or a folder that cannot be read.
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

/// What to say of a text that is no value of its option: never the text of a secret, or of a medium.
pub(super) fn error_message(raw: &Raw, reason: &str) -> String {
    let name = raw.option.full_name();
    // Whoever left a medium is not to write into the log.
    let is_of_media = matches!(raw.origin, Origin::MediaParameter(_));
    match raw.option.shown(&raw.text).filter(|_| !is_of_media) {
        Some(text) => format!("{name} {reason}, not {:?}", shortened(&text)),
        None => format!("{name} {reason}"),
    }
}

/// Enough of a stranger's text to be found again.
pub(super) fn shortened(text: &str) -> &str {
    match text.char_indices().nth(MAX_SHOWN_LEN) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

const MAX_SHOWN_LEN: usize = 120;

/// The winning text of each option, and the problems met while they are parsed.
#[derive(Default)]
pub(super) struct Merged {
    winners: Vec<Raw>,
    pub(super) problems: Vec<Problem>,
}

impl Merged {
    /// Takes texts in rising precedence; references in them are resolved later.
    pub(super) fn of(raws: Vec<Raw>) -> Self {
        let mut winners: Vec<Raw> = Vec::new();
        for mut raw in raws {
            if is_final(&raw) && boolean(&raw.text).is_err() {
                // oslo.utils' `bool_from_string`: whatever is not yes is no.
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

    /// A mask says that the secret is elsewhere: among the boot's arguments process 1 has put it there, and anywhere else somebody
    /// has copied what was shown to him.
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

    /// Replaces the text of each winner, in their order; one without a text is a problem, and as if it were not set.
    pub(super) fn replace_texts(&mut self, texts: Vec<Result<Zeroizing<String>, Reason>>) {
        for (raw, text) in self.winners.iter_mut().zip(texts) {
            match text {
                Ok(text) => raw.text = text,
                Err(reason) => {
                    self.problems.push(Problem {
                        origin: raw.origin.clone(),
                        reason: format!("{} {reason}", raw.option.full_name()),
                    });
                    // Told once is enough.
                    raw.text = Zeroizing::default();
                }
            }
        }
    }

    /// Takes the texts at these places away, as if they had not been set there.
    pub(super) fn forget(&mut self, places: &[Problem]) {
        let is_meant = |raw: &Raw| places.iter().any(|place| place.origin == raw.origin);
        self.winners.retain(|raw| !is_meant(raw));
    }

    /// The text of each option that was set anywhere.
    pub(super) fn winners(&self) -> &[Raw] {
        &self.winners
    }

    /// The text that counts for an option. An empty one, as templates write it for what they do not know, is the same as none,
    /// but for lists that have something in them by default: there it takes that away.
    pub(super) fn get(&self, group: &str, name: &str) -> Option<&Raw> {
        let is_value = |raw: &Raw| !raw.text.is_empty() || raw.option.may_be_emptied();
        self.winners
            .iter()
            .find(|raw| raw.option.is_named(group, name) && is_value(raw))
    }

    /// The value of an option; `None`, and a problem noted, where its text is none.
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

/// `ipa-debug` beats every other source (IPA: `config.py`, at its end).
fn is_final(raw: &Raw) -> bool {
    raw.option.is_named(DEFAULT, "debug") && of_the_boot(&raw.origin)
}

fn of_the_boot(origin: &Origin) -> bool {
    matches!(
        origin,
        Origin::KernelArgument(_) | Origin::MediaParameter(_)
    )
}
