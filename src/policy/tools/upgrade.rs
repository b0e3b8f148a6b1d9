//! Renames deprecated rules in a policy file, as oslopolicy-policy-upgrade does
//! (`_upgrade_policies` in oslo.policy's `generator.py`).
//!
//! Unlike there, the text stays the same except for the names, comments included. References to a
//! renamed rule within the file are renamed, too. A value that the engine does not take for the new
//! rule's value is not made its value: see [`Hint`].

use crate::policy::file::{Content, Error, Scalar, parse, read_text, scalars};
use crate::policy::language::{Check, built_in, parse_rule};
use crate::policy::rule::RuleDefault;
use serde_json::Value;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// A policy file with new names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// Text of the file.
    pub text: String,
    /// One hint for each old name.
    pub hints: Vec<Hint>,
}

/// Report about an old name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Line of the old name, counted from 1.
    pub line: usize,
    /// The old name.
    pub old: &'static str,
    /// The new name.
    pub new: &'static str,
    /// Outcome for the name.
    pub outcome: Outcome,
}

/// Outcome for an old name, and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not renamed: the rule is only a reference to the new one.
    Alias,
    /// Not renamed: the file has the new name, too.
    Both,
    /// Not renamed: the rule equals its old default, which the engine never takes for the new
    /// rule's value.
    Default,
    /// The rule was renamed.
    Renamed,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { old, new, .. } = self;
        match self.outcome {
            Outcome::Alias => write!(
                f,
                "the rule {old:?} stays: it refers to {new:?}; write that name where rules refer to {old:?}, and the line can go"
            ),
            Outcome::Both => write!(
                f,
                "the rule {old:?} stays: the file has {new:?}, too, which alone is asked; where no rule refers to {old:?}, the line can go"
            ),
            Outcome::Default => write!(
                f,
                "the rule {old:?} stays: it says what is built in, which is not what {new:?} is; the line can go"
            ),
            Outcome::Renamed => write!(f, "the rule {old:?} is {new:?} now"),
        }
    }
}

/// Returns a file's text with deprecated names replaced by the new ones. Writes no file.
///
/// # Errors
///
/// [`Error`] if the file cannot be read or parsed. Also if a name is written so (with escapes, or
/// over several lines) that its text cannot be preserved.
pub fn upgrade(defaults: &'static [RuleDefault], path: &Path) -> Result<Upgraded, Error> {
    let wrong = |(line, reason)| Error::Syntax {
        path: path.to_owned(),
        line,
        reason,
    };
    let text = read_text(path, |_| Ok(()))?;
    let content = parse(&text, path).map_err(wrong)?;
    for entry in &content.rules {
        entry.parsed(path)?;
    }
    let hints = hints(defaults, &content);
    let renamed: Vec<&Hint> = hints
        .iter()
        .filter(|hint| hint.outcome == Outcome::Renamed)
        .collect();
    let mut upgraded = text.clone();
    for (place, name) in edits(&scalars(&text), &text, &renamed).into_iter().rev() {
        upgraded.replace_range(place, name);
    }
    // Verification: the text parses to the same rules with other names.
    let is_same = parse(&upgraded, path).is_ok_and(|after| {
        after.options == content.options && rules(&after, &[]) == rules(&content, &renamed)
    });
    if let Some(hint) = renamed.first().filter(|_| !is_same) {
        return Err(wrong((
            hint.line,
            format!(
                "{:?} is {:?} now, and the file is written so that the name cannot be replaced in it: replace it by hand",
                hint.old, hint.new
            ),
        )));
    }
    Ok(Upgraded {
        text: upgraded,
        hints,
    })
}

/// Returns the hint for each old name in the file, as the engine takes it (`registered` in
/// `file/loading.rs`).
fn hints(defaults: &'static [RuleDefault], content: &Content) -> Vec<Hint> {
    let find = |name: &str| content.rules.iter().find(|entry| entry.name == name);
    let found = defaults.iter().filter_map(|default| {
        let old = default.deprecated_rule?;
        let entry = find(old.name).filter(|_| old.name != default.name)?;
        let check = parse_rule(&entry.rule).ok()?.check;
        let outcome = if find(default.name).is_some() {
            Outcome::Both
        } else if check == Check::Rule(default.name.to_owned()) {
            Outcome::Alias
        } else if check == built_in(old.check) {
            Outcome::Default
        } else {
            Outcome::Renamed
        };
        Some(Hint {
            line: entry.line,
            old: old.name,
            new: default.name,
            outcome,
        })
    });
    let mut found: Vec<Hint> = found.collect();
    found.sort_by_key(|hint| hint.line);
    found
}

/// Returns the replacements, in the order of the text.
fn edits<'a>(scalars: &[Scalar], text: &str, renamed: &[&'a Hint]) -> Vec<(Range<usize>, &'a str)> {
    let mut edits = Vec::new();
    for scalar in scalars {
        let written = text.get(scalar.place.clone()).unwrap_or_default();
        for hint in renamed {
            for (at, old) in written.match_indices(hint.old) {
                let end = at + old.len();
                let is_meant = if scalar.is_name {
                    scalar.value == hint.old
                } else {
                    is_reference(written, at, end)
                };
                if is_meant {
                    let start = scalar.place.start;
                    edits.push((start + at..start + end, hint.new));
                }
            }
        }
    }
    edits.sort_by_key(|(place, _)| place.start);
    edits
}

/// Returns whether a name in a rule is the whole name of a `rule:name`.
fn is_reference(rule: &str, at: usize, end: usize) -> bool {
    let is_end = |letter: Option<char>| {
        letter.is_none_or(|letter| letter.is_whitespace() || "()'\"".contains(letter))
    };
    let before = rule
        .get(..at)
        .and_then(|before| before.strip_suffix("rule:"));
    before.is_some_and(|before| is_end(before.chars().next_back()))
        && is_end(rule.get(end..).and_then(|after| after.chars().next()))
}

/// Returns every rule with the names replaced. Entries that are no rules stay unchanged.
fn rules(content: &Content, renamed: &[&Hint]) -> Vec<(String, Result<Check, Value>)> {
    let name = |name: &str| {
        let hint = renamed.iter().find(|hint| hint.old == name);
        hint.map_or(name, |hint| hint.new).to_owned()
    };
    let entries = content.rules.iter().map(|entry| {
        let check = parse_rule(&entry.rule).map(|parsed| with_names(parsed.check, &name));
        (name(&entry.name), check.map_err(|_| entry.rule.clone()))
    });
    entries.collect()
}

/// Returns a check with other names in its references. The parser bounds its depth.
fn with_names(check: Check, name: &impl Fn(&str) -> String) -> Check {
    let all = |checks: Vec<Check>| {
        let checks = checks.into_iter().map(|check| with_names(check, name));
        checks.collect()
    };
    match check {
        Check::And(checks) => Check::And(all(checks)),
        Check::Or(checks) => Check::Or(all(checks)),
        Check::Not(check) => Check::Not(Box::new(with_names(*check, name))),
        Check::Rule(rule) => Check::Rule(name(&rule)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULTS;
    use std::fs;

    fn upgraded(text: &str) -> Result<(String, Vec<(usize, Outcome)>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        fs::write(&path, text).unwrap();
        let shown = format!("{}/", folder.path().display());
        match upgrade(DEFAULTS, &path) {
            Ok(Upgraded { text, hints }) => {
                let hints = hints.iter().map(|hint| (hint.line, hint.outcome));
                Ok((text, hints.collect()))
            }
            Err(error) => Err(error.to_string().replace(&shown, "")),
        }
    }

    #[test]
    fn names_and_references_change_and_all_else_stays() {
        let before = "\
# ferrite: allow-conductor-lockout
# Ünser is_admin.
'is_admin':   'role:boss'  # is_admin
is_observer: >-
  role:eye or
  (rule:is_admin)
\"baremetal:agent:log:get\": [[\"rule:is_observer\", \"rule:is_admins\"], [\"is_admin:True\"]]
";
        let after = "\
# ferrite: allow-conductor-lockout
# Ünser is_admin.
'system_admin':   'role:boss'  # is_admin
system_reader: >-
  role:eye or
  (rule:system_admin)
\"baremetal:agent:log:get\": [[\"rule:system_reader\", \"rule:is_admins\"], [\"is_admin:True\"]]
";
        let hints = vec![(3, Outcome::Renamed), (4, Outcome::Renamed)];
        assert_eq!(upgraded(before), Ok((after.to_owned(), hints)));
    }

    #[test]
    fn a_mark_of_the_byte_order_moves_no_name() {
        let hints = vec![(1, Outcome::Renamed)];
        let after = "\u{feff}system_admin: role:boss\r\nx: rule:system_admin\r\n";
        let before = after.replace("system_admin", "is_admin");
        assert_eq!(upgraded(&before), Ok((after.to_owned(), hints)));
    }

    #[test]
    fn json_stays_json() {
        let before = r#"{"is_admin": "role:boss", "x": "rule:is_admin"}"#;
        let after = r#"{"system_admin": "role:boss", "x": "rule:system_admin"}"#;
        let hints = vec![(1, Outcome::Renamed)];
        assert_eq!(upgraded(before), Ok((after.to_owned(), hints)));
    }

    #[test]
    fn what_the_engine_does_not_take_for_the_new_rule_stays() {
        for (text, outcome) in [
            ("is_admin: rule:system_admin\n", Outcome::Alias),
            ("is_admin: '!'\nsystem_admin: '@'\n", Outcome::Both),
            (
                "is_admin: rule:admin_api or role:baremetal_admin\n",
                Outcome::Default,
            ),
        ] {
            let unchanged = (text.to_owned(), vec![(1, outcome)]);
            assert_eq!(upgraded(text), Ok(unchanged));
        }
        let text = "x: rule:is_admin\n";
        assert_eq!(upgraded(text), Ok((text.to_owned(), vec![])));
    }

    #[test]
    fn a_rule_that_the_agent_refuses_is_named() {
        assert_eq!(
            upgraded("is_admin: role:boss\nx: rule:is_admin or a:%(b)d\n"),
            Err("policy.yaml:2: the rule \"x\" is refused".to_owned())
        );
    }

    #[test]
    fn a_text_that_cannot_be_kept_is_refused() {
        assert_eq!(
            upgraded("\n\"is\\x5fadmin\": 'role:boss'\n"),
            Err(
                "policy.yaml:2: \"is_admin\" is \"system_admin\" now, and the file is written so that the name cannot be replaced \
                 in it: replace it by hand"
                    .to_owned()
            )
        );
    }
}
