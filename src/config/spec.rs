//! Properties of an option apart from its type.

use super::values::Reason;
use crate::redact::redact;

/// An option.
pub(super) struct Spec {
    /// The group in a file.
    pub(super) group: &'static str,
    /// The name in a file and on the command line.
    pub(super) name: &'static str,
    /// The command-line argument that disables it, if it is a [`Kind::Flag`].
    pub(super) negation: &'static str,
    pub(super) kind: Kind,
    /// Default value as text; empty if there is none.
    pub(super) default: &'static str,
    /// Kernel argument; empty if there is none.
    pub(super) kernel_argument: &'static str,
    pub(super) help: &'static str,
    /// Checks whether a text is a valid value.
    pub(super) check: fn(&str) -> Result<(), Reason>,
    pub(super) reach: Scope,
    pub(super) effect: Effect,
}

/// Syntax of an option on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x` and `--nox`.
    Flag,
    /// `--x VALUE`, words separated by commas.
    List(&'static str),
    /// `--x VALUE`, a number.
    Number(&'static str),
    /// `--x VALUE` with a secret value.
    Secret(&'static str),
    /// `--x`, on the command line only.
    Switch,
    /// `--x VALUE`.
    Value(&'static str),
}

/// Where an option can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In files, the environment and on the command line, and by its kernel argument.
    Everywhere,
    /// In files and the environment only, and by its kernel argument.
    Files,
}

/// Whether an option has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It belongs to a part that this agent lacks. It may be set, without effect.
    None,
    /// It has the effect that its help describes.
    Used,
}

impl Spec {
    /// Returns whether both are the same option. Names alone are ambiguous: groups may share them.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_named(other.group, other.name)
    }

    pub(super) fn is_named(&self, group: &str, name: &str) -> bool {
        (self.group, self.name) == (group, name)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret(_))
    }

    /// Returns the printable form of a text given for this option, valid or not. It is `None` for a
    /// secret, including one given in place of its hash. User information in a URL is never shown,
    /// even if the URL lacks its scheme.
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

    /// Returns whether its value has one of these names in the help.
    fn is_of(&self, names: &[&str]) -> bool {
        matches!(self.kind, Kind::List(name) | Kind::Value(name) if names.contains(&name))
    }

    /// Returns whether an empty text is a value instead of the default (oslo.config: every list).
    pub(super) fn may_be_emptied(&self) -> bool {
        matches!(self.kind, Kind::List(_)) && !self.default.is_empty()
    }

    /// Returns whether an unverified medium may add it.
    pub(super) fn is_harmless(&self) -> bool {
        self.group == DEFAULT && HARMLESS.contains(&self.name)
    }

    pub(super) fn is_in_files(&self) -> bool {
        self.kind != Kind::Switch
    }

    /// Returns `name`, or `[group] name` outside `[DEFAULT]`.
    pub(super) fn full_name(&self) -> String {
        full_name(self.group, self.name)
    }

    /// Returns the environment variable (oslo.config: `sources/_environment.py`).
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

/// Options that media may set. They change neither which peers the agent trusts or obeys, nor where
/// it sends data, nor what it does to disks. At worst the agent waits too long or gives up too
/// early. All others are denied to media, including options added later.
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
