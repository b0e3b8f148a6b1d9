//! Rules by name.
//!
//! Ported from the rule lookup in oslo.policy's `policy.py`.

use super::check::Check;
use std::collections::HashMap;

/// Rules by name, with the default for missing ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    checks: HashMap<String, Check>,
    default_rule: Option<String>,
}

impl Rules {
    /// Returns an empty set of rules.
    pub(in crate::policy) fn new(default_rule: Option<&str>) -> Self {
        Self {
            default_rule: default_rule
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            ..Self::default()
        }
    }

    /// Returns the name of the rule that is evaluated for a name.
    pub(in crate::policy) fn name_of(&self, name: &str) -> Option<&str> {
        let found = self.checks.get_key_value(name);
        let found = found.or_else(|| self.checks.get_key_value(self.default_rule.as_deref()?));
        found.map(|(name, _)| name.as_str())
    }

    pub(in crate::policy) fn insert(&mut self, name: String, check: Check) {
        self.checks.insert(name, check);
    }

    /// Returns all rules with their names.
    pub(in crate::policy) fn iter(&self) -> impl Iterator<Item = (&str, &Check)> {
        self.checks
            .iter()
            .map(|(name, check)| (name.as_str(), check))
    }

    /// Returns whether a rule of this name exists, regardless of the default rule.
    pub(in crate::policy) fn has(&self, name: &str) -> bool {
        self.checks.contains_key(name)
    }

    /// Returns the rule of a name, or the default rule.
    pub(in crate::policy) fn find(&self, name: &str) -> Option<&Check> {
        self.checks
            .get(name)
            .or_else(|| self.checks.get(self.default_rule.as_deref()?))
    }
}
