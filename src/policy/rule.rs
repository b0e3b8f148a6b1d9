//! Rules that a program registers.

use std::fmt;

/// A registered rule with its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleDefault {
    /// Name of the rule in policy files.
    pub name: &'static str,
    /// Default check, in the policy language.
    pub check: &'static str,
    /// Description for authors of policy files.
    pub description: &'static str,
    /// Operations that the rule allows.
    pub operations: &'static [Operation],
    /// Token scopes that the rule accepts; empty for all.
    pub scope_types: &'static [Scope],
    /// Former form of this rule.
    pub deprecated_rule: Option<DeprecatedRule>,
    /// Reason and version of the deprecation, if the rule will be removed.
    pub deprecated_for_removal: Option<Deprecation>,
}

/// Formats the rule as a policy file has it.
impl fmt::Display for RuleDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": \"{}\"", self.name, self.check)
    }
}

/// An operation that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Command of Ironic's, for example `standby.sync`.
    Command(&'static str),
    /// A request to the agent's API.
    Request {
        /// HTTP method: `GET`, `POST`.
        method: &'static str,
        /// Path with names for the variable parts: `/v1/commands/{id}`.
        path: &'static str,
    },
    /// Step of cleaning, deployment or service.
    Step(&'static str),
}

/// Scope of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A domain.
    Domain,
    /// A project; also the scope of credentials without any.
    Project,
    /// The whole system.
    System,
}

impl Scope {
    /// Returns the scope's name in Keystone's terms.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Project => "project",
            Self::System => "system",
        }
    }
}

/// A rule that was replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeprecatedRule {
    /// Name of the old rule, which may equal the new one's.
    pub name: &'static str,
    /// Default check of the old rule.
    pub check: &'static str,
    /// Reason for the deprecation.
    pub reason: &'static str,
    /// Version of the deprecation.
    pub since: &'static str,
}

/// Deprecation of a rule that will be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Reason for the removal.
    pub reason: &'static str,
    /// Version that announced the removal.
    pub since: &'static str,
}
