//! What a policy can be about: the table's rows that a program registers.

use std::fmt;

/// A rule as the program has it when no file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleDefault {
    /// As files call it.
    pub name: &'static str,
    /// In the policy language.
    pub check: &'static str,
    /// For whoever writes a policy.
    pub description: &'static str,
    /// What is allowed by it.
    pub operations: &'static [Operation],
    /// The scopes of a token it is for; none means every one.
    pub scope_types: &'static [Scope],
    /// What this rule was before.
    pub deprecated_rule: Option<DeprecatedRule>,
    /// Why it will be gone.
    pub deprecated_for_removal: Option<Deprecation>,
}

/// As a policy file has it.
impl fmt::Display for RuleDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": \"{}\"", self.name, self.check)
    }
}

/// Something that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A command of Ironic's, `standby.sync`.
    Command(&'static str),
    /// A request to the agent's API.
    Request {
        /// `GET`, `POST`.
        method: &'static str,
        /// With names for what varies: `/v1/commands/{id}`.
        path: &'static str,
    },
    /// A step of cleaning, deployment or service.
    Step(&'static str),
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A domain.
    Domain,
    /// A project, or nothing that is told.
    Project,
    /// The whole installation.
    System,
}

impl Scope {
    /// Its name in Keystone's terms.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Project => "project",
            Self::System => "system",
        }
    }
}

/// The rule that another one takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeprecatedRule {
    /// Its name, which may be the same.
    pub name: &'static str,
    /// What it was by default.
    pub check: &'static str,
    /// Why it was given up.
    pub reason: &'static str,
    /// In which version.
    pub since: &'static str,
}

/// That a rule will be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Why.
    pub reason: &'static str,
    /// In which version it was said.
    pub since: &'static str,
}
