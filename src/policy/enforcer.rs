//! Enforcement of the policy in force: the program's rules, overridden by policy files.
//!
//! Ported from `policy.py` of oslo.policy 6.0.1: `Enforcer.load_rules`, `_handle_deprecated_rule`,
//! `_enforce_scope` and `enforce`. This is stricter than oslo.policy. An unreadable or malformed
//! file, an unsupported construct, a cycle of rules and a rule that queries a server are errors.
//! The policy in force then stays.

use super::attributes::Attributes;
use super::file::{ActivePolicy, Error, FileStamp, PolicyFile, traces};
use super::language::{always_denies, is_true};
use super::rule::{RuleDefault, Scope};
use super::settings::Settings;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Denial of a request by the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Rule that was evaluated.
    pub rule: String,
    /// Reason for the denial.
    pub why: Refusal,
}

/// Reason for a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rule evaluates to false.
    NotAllowed,
    /// Neither the rule nor a default rule exists.
    UnknownRule,
    /// The token's scope is not among the rule's scope types.
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

/// Result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files changed, and their rules are in force.
    Replaced,
    /// The files did not change.
    Unchanged,
}

/// Policy of the program, which evaluates rules for requests. Evaluation never waits for files: the
/// policy is replaced as a whole.
#[derive(Debug)]
pub struct Enforcer {
    defaults: &'static [RuleDefault],
    by_name: HashMap<&'static str, &'static RuleDefault>,
    settings: Settings,
    in_force: RwLock<Arc<ActivePolicy>>,
    /// Locked while files are read.
    seen: Mutex<Seen>,
}

/// State of the files at the last read.
#[derive(Debug, Default)]
struct Seen {
    accepted: Vec<FileStamp>,
    /// Refused files and their error: they are read again only after a change.
    refused: Option<(Vec<FileStamp>, Error)>,
}

impl Enforcer {
    /// Registers the program's rules and reads the files.
    ///
    /// # Errors
    ///
    /// [`Error`] if a file cannot be used.
    pub fn load(defaults: &'static [RuleDefault], settings: Settings) -> Result<Self, Error> {
        // Stamps are taken before the files are read, so the next reload sees a change made
        // meanwhile.
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

    /// Evaluates a rule for these credentials and this target.
    ///
    /// # Errors
    ///
    /// [`Denied`] if the rule does not allow the request.
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

    /// Returns whether a rule provably denies every request: it is `!` or reduces to it.
    #[must_use]
    pub fn always_denies(&self, rule: &str) -> bool {
        let in_force = self.in_force();
        let rules = &in_force.rules;
        rules
            .find(rule)
            .is_none_or(|check| always_denies(rules, check))
    }

    /// Reloads the files if they changed and puts their rules in force. Cheap without a change.
    ///
    /// # Errors
    ///
    /// [`Error`] if the files cannot be used; the policy in force stays. The error is returned
    /// again until the files change.
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
                // I/O errors are not cached: the file may become readable without a change of its
                // stamp.
                if !matches!(error, Error::Read { .. }) {
                    seen.refused = Some((traces, error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Returns warnings for the operator about the files in force.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.in_force().warnings.clone()
    }

    /// Returns the files in force, in the order they were read.
    #[must_use]
    pub fn files(&self) -> Vec<PolicyFile> {
        self.in_force().files.clone()
    }

    /// Returns the names of all rules in force, sorted.
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

/// Returns the scope of a token by its credentials (`_enforce_scope`).
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
