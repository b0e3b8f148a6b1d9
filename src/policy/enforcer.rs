//! What is in force: the program's rules, what files say instead, and the answer to a question.
//!
//! Kept from `policy.py` of oslo.policy 6.0.1: `Enforcer.load_rules`, `_handle_deprecated_rule`, `_enforce_scope` and `enforce`.
//! Stricter than there: a file that cannot be read or understood, a construction that is not accepted, a circle of rules, and a rule
//! that asks a server are errors, and what was in force stays.

use super::attributes::Attributes;
use super::file::{ActivePolicy, Error, FileStamp, PolicyFile, traces};
use super::language::{always_denies, is_true};
use super::rule::{RuleDefault, Scope};
use super::settings::Settings;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// That something is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The rule that was asked.
    pub rule: String,
    /// What it says.
    pub why: Refusal,
}

/// Why something is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rule does not hold.
    NotAllowed,
    /// There is no such rule, and no default one.
    UnknownRule,
    /// The token is of a scope that the rule is not for.
    WrongScope,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        match self.why {
            Refusal::NotAllowed => write!(f, "{rule} is disallowed by policy"),
            Refusal::UnknownRule => {
                write!(f, "{rule} is disallowed, for no policy has such a rule")
            }
            Refusal::WrongScope => write!(f, "{rule} is for tokens of another scope"),
        }
    }
}

impl std::error::Error for Denied {}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They were changed, and what they say is in force.
    Replaced,
    /// They are as they were.
    Unchanged,
}

/// Answers what is allowed. Questions never wait for files: rules are replaced as a whole.
#[derive(Debug)]
pub struct Enforcer {
    defaults: &'static [RuleDefault],
    by_name: HashMap<&'static str, &'static RuleDefault>,
    settings: Settings,
    in_force: RwLock<Arc<ActivePolicy>>,
    /// Held by whoever reads files.
    seen: Mutex<Seen>,
}

/// How the files were when they were last read.
#[derive(Debug, Default)]
struct Seen {
    accepted: Vec<FileStamp>,
    /// What was refused is not read again before it was changed.
    refused: Option<(Vec<FileStamp>, Error)>,
}

impl Enforcer {
    /// Registers the program's rules and reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be used, as [`Error`] says.
    pub fn load(defaults: &'static [RuleDefault], settings: Settings) -> Result<Self, Error> {
        // Looked at before they are read: what changes meanwhile is seen the next time.
        let traces = traces(&settings)?;
        let in_force = ActivePolicy::load(defaults, &settings, &traces)?;
        Ok(Self {
            defaults,
            by_name: defaults.iter().map(|rule| (rule.name, rule)).collect(),
            settings,
            in_force: RwLock::new(Arc::new(in_force)),
            seen: Mutex::new(Seen {
                accepted: traces,
                refused: None,
            }),
        })
    }

    /// Whether a rule allows these credentials to do something with this target.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn enforce(
        &self,
        rule: &str,
        credentials: &Attributes,
        target: &Attributes,
    ) -> Result<(), Denied> {
        let denied = |why| Denied {
            rule: rule.to_owned(),
            why,
        };
        let in_force = self.in_force();
        if in_force.rules.find(rule).is_none() {
            return Err(denied(Refusal::UnknownRule));
        }
        if let Some(registered) = self.by_name.get(rule)
            && self.settings.enforce_scope
            && !registered.scope_types.is_empty()
            && !registered.scope_types.contains(&scope_of(credentials))
        {
            return Err(denied(Refusal::WrongScope));
        }
        if in_force.rules.allows(rule, credentials, target) {
            Ok(())
        } else {
            Err(denied(Refusal::NotAllowed))
        }
    }

    /// Whether nobody can ever pass a rule, because it is `!` or comes to it.
    #[must_use]
    pub fn always_denies(&self, rule: &str) -> bool {
        let in_force = self.in_force();
        let rules = &in_force.rules;
        rules
            .find(rule)
            .is_none_or(|check| always_denies(rules, check))
    }

    /// Looks whether files were changed, and puts in force what they say. Cheap when they were not.
    ///
    /// # Errors
    ///
    /// What they say cannot be used, and what was in force stays. It is said again until they are changed.
    pub fn reload_if_changed(&self) -> Result<Reload, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let traces = traces(&self.settings)?;
        if traces == seen.accepted {
            seen.refused = None;
            return Ok(Reload::Unchanged);
        }
        if let Some((refused, error)) = &seen.refused
            && *refused == traces
        {
            return Err(error.clone());
        }
        match ActivePolicy::load(self.defaults, &self.settings, &traces) {
            Ok(in_force) => {
                *self
                    .in_force
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
                *seen = Seen {
                    accepted: traces,
                    refused: None,
                };
                Ok(Reload::Replaced)
            }
            Err(error) => {
                // What the file system refuses may come back without a trace.
                if !matches!(error, Error::Read { .. }) {
                    seen.refused = Some((traces, error.clone()));
                }
                Err(error)
            }
        }
    }

    /// What an operator should know of the files in force.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.in_force().warnings.clone()
    }

    /// The files in force, in the order they were read.
    #[must_use]
    pub fn files(&self) -> Vec<PolicyFile> {
        self.in_force().files.clone()
    }

    /// The names of all rules in force, in the order of the alphabet.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        let in_force = self.in_force();
        let names = in_force.rules.iter().map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    pub(super) fn in_force(&self) -> Arc<ActivePolicy> {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&in_force)
    }
}

/// How credentials tell what a token is for (`_enforce_scope`).
fn scope_of(credentials: &Attributes) -> Scope {
    let says = |name| credentials.get(name).is_some_and(is_true);
    if says("system_scope") || says("system") {
        Scope::System
    } else if says("domain_id") {
        Scope::Domain
    } else {
        Scope::Project
    }
}

#[cfg(test)]
mod tests;
