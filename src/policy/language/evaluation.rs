//! Evaluation of a rule for one request.
//!
//! Where oslo.policy 6.0.1 raises an exception, the whole evaluation fails and denies, even under
//! `not`.

use super::answer::Failure;
use super::check::{Check, MAX_DEPTH};
use super::rules::Rules;
use crate::policy::attributes::Attributes;

impl Rules {
    /// Returns whether a rule allows these credentials an operation on this target. A missing rule
    /// without a default denies.
    #[must_use]
    pub fn allows(&self, rule: &str, credentials: &Attributes, target: &Attributes) -> bool {
        let mut evaluation = Evaluation {
            rules: self,
            credentials,
            target,
            steps: 0,
        };
        self.find(rule)
            .is_some_and(|check| evaluation.holds(check, 0) == Ok(true))
    }
}

/// Evaluation for one request.
struct Evaluation<'a> {
    rules: &'a Rules,
    credentials: &'a Attributes,
    target: &'a Attributes,
    steps: usize,
}

impl Evaluation<'_> {
    fn holds(&mut self, check: &Check, depth: usize) -> Result<bool, Failure> {
        self.steps += 1;
        if self.steps > MAX_STEPS || depth >= MAX_DEPTH {
            return Err(Failure);
        }
        match check {
            Check::Always => Ok(true),
            Check::Never => Ok(false),
            Check::Failing | Check::Remote(_) => Err(Failure),
            Check::Attribute(attribute) => attribute.holds(self.credentials, self.target),
            Check::Role(role) => role.holds(self.credentials, self.target),
            Check::Not(check) => Ok(!self.holds(check, depth + 1)?),
            Check::And(checks) => {
                for check in checks {
                    if !self.holds(check, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Check::Or(checks) => {
                for check in checks {
                    if self.holds(check, depth + 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Check::Rule(name) => {
                let rules = self.rules;
                match rules.find(name) {
                    Some(check) => self.holds(check, depth + 1),
                    None => Ok(false),
                }
            }
        }
    }
}

/// Maximum number of checks per evaluation. Only rules that refer to others twice on each level
/// reach it.
const MAX_STEPS: usize = 100_000;
