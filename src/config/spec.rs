//! What is known of an option, apart from its type.

use super::values::Reason;
use crate::redact::redact;

/// One option.
pub(super) struct Spec {
    /// The group in a file.
    pub(super) group: &'static str,
    /// The name in a file and on the command line.
    pub(super) name: &'static str,
    /// How the command line switches it off, where it is a [`Kind::Flag`].
    pub(super) negation: &'static str,
    pub(super) kind: Kind,
    /// Empty where there is none.
    pub(super) default: &'static str,
    /// Empty where there is none.
    pub(super) kernel_argument: &'static str,
    pub(super) help: &'static str,
    /// Whether a text is a value of it.
    pub(super) check: fn(&str) -> Result<(), Reason>,
    pub(super) reach: Scope,
    pub(super) effect: Effect,
}

/// How an option looks on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x` and `--nox`.
    Flag,
    /// `--x VALUE`, words separated by commas.
    List(&'static str),
    /// `--x VALUE`, a number.
    Number(&'static str),
    /// `--x VALUE` that nobody may see.
    Secret(&'static str),
    /// `--x`, and nowhere but on the command line.
    Switch,
    /// `--x VALUE`.
    Value(&'static str),
}

/// Where an option can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// On the command line too.
    Everywhere,
    /// In files and the environment alone, and by its kernel argument.
    Files,
}

/// Whether an option does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It belongs to a part that is not here: it may be set, and changes nothing.
    None,
    /// It does what its help says.
    Used,
}

impl Spec {
    /// Whether both are the same option: a name alone says nothing, groups may share it.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_named(other.group, other.name)
    }

    pub(super) fn is_named(&self, group: &str, name: &str) -> bool {
        (self.group, self.name) == (group, name)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret(_))
    }

    /// What may be shown of a text that was given for it, right or wrong: no secret, also not one in the place of its hash, and of
    /// no URL who asks, also where its scheme was forgotten.
    pub(super) fn shown(&self, text: &str) -> Option<String> {
        let wrong_hash = self.is_of(&["SHA256", "PINS"]) && (self.check)(text).is_err();
        if self.is_secret() || wrong_hash {
            return None;
        }
        let shown = redact(text);
        let without_scheme = |word: &str| !word.contains("://") && has_user(word);
        if self.is_of(&["URL", "URLS"]) && shown.split(',').any(without_scheme) {
            return None;
        }
        Some(shown)
    }

    /// Whether its value is called so.
    fn is_of(&self, names: &[&str]) -> bool {
        matches!(self.kind, Kind::List(name) | Kind::Value(name) if names.contains(&name))
    }

    /// Whether an empty text is a value and not the default (oslo.config: every list).
    pub(super) fn may_be_emptied(&self) -> bool {
        matches!(self.kind, Kind::List(_)) && !self.default.is_empty()
    }

    /// Whether a medium may add it that nothing vouches for.
    pub(super) fn is_harmless(&self) -> bool {
        self.group == DEFAULT && HARMLESS.contains(&self.name)
    }

    pub(super) fn is_in_files(&self) -> bool {
        self.kind != Kind::Switch
    }

    /// `name`, or `[group] name` outside `[DEFAULT]`.
    pub(super) fn full_name(&self) -> String {
        full_name(self.group, self.name)
    }

    /// The variable of the environment (oslo.config: `sources/_environment.py`).
    pub(super) fn variable(&self) -> String {
        format!("OS_{}__{}", self.group, self.name).to_ascii_uppercase()
    }
}

fn has_user(word: &str) -> bool {
    word.contains('@') || word.contains("%40")
}

pub(super) fn full_name(group: &str, name: &str) -> String {
    if group == DEFAULT {
        name.to_owned()
    } else {
        format!("[{group}] {name}")
    }
}

pub(super) const DEFAULT: &str = "DEFAULT";

/// Options that change neither whom the agent believes or obeys, nor where it sends anything, nor what it does to disks: at
/// worst it waits too long or gives up too early. All others are denied to media, those that come later too.
pub(super) const HARMLESS: &[&str] = &[
    "debug",
    "disk_wait_attempts",
    "disk_wait_delay",
    "global_request_id",
    "hardware_initialization_delay",
    "http_request_timeout",
    "image_download_connection_retries",
    "image_download_connection_retry_interval",
    "image_download_connection_timeout",
    "image_download_max_duration",
    "ip_lookup_attempts",
    "ip_lookup_sleep",
    "lookup_interval",
    "lookup_timeout",
];
