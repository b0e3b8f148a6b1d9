//! Rules by name.
//!
//! Kept from the parts of oslo.policy's `policy.py` that look rules up.

use super::check::Check;
use std::collections::HashMap;

/// Rules by their names, and the one that stands for those that are missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    checks: HashMap<String, Check>,
    default_rule: Option<String>,
}

impl Rules {
    /// No rules.
    pub(in crate::policy) fn new(default_rule: Option<&str>) -> Self {
        Self {
            default_rule: default_rule
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            ..Self::default()
        }
    }

    /// The name of the rule that is asked where this one is.
    pub(in crate::policy) fn name_of(&self, name: &str) -> Option<&str> {
        let found = self.checks.get_key_value(name);
        let found = found.or_else(|| self.checks.get_key_value(self.default_rule.as_deref()?));
        found.map(|(name, _)| name.as_str())
    }

    pub(in crate::policy) fn insert(&mut self, name: String, check: Check) {
        self.checks.insert(name, check);
    }

    /// Every rule.
    pub(in crate::policy) fn iter(&self) -> impl Iterator<Item = (&str, &Check)> {
        self.checks
            .iter()
            .map(|(name, check)| (name.as_str(), check))
    }

    /// Whether there is a rule of this name, and not the default one in its place.
    pub(in crate::policy) fn has(&self, name: &str) -> bool {
        self.checks.contains_key(name)
    }

    /// The rule of a name, or the default one.
    pub(in crate::policy) fn find(&self, name: &str) -> Option<&Check> {
        self.checks
            .get(name)
            .or_else(|| self.checks.get(self.default_rule.as_deref()?))
    }
}
