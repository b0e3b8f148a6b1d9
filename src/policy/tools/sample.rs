//! Generates the sample policy file with all defaults, commented out. Its format is
//! oslopolicy-sample-generator's (`_format_rule_default_yaml` in oslo.policy's `generator.py`).
//! Commands and steps take the place of a request's method and path.

use crate::policy::DEFAULTS;
use crate::policy::rule::{DeprecatedRule, Operation, RuleDefault};

/// Returns the sample of this program's rules.
#[must_use]
pub fn sample() -> String {
    DEFAULTS.iter().map(block).collect()
}

/// Formats a rule with its description and an empty line.
fn block(rule: &RuleDefault) -> String {
    let mut text = String::new();
    if let Some(deprecation) = rule.deprecated_for_removal {
        text.push_str("# DEPRECATED\n");
        text.push_str(&format!(
            "# \"{}\" has been deprecated since {}.\n",
            rule.name, deprecation.since
        ));
        text.push_str(&comment(deprecation.reason));
    }
    text.push_str(&comment(rule.description));
    for operation in rule.operations {
        text.push_str(&match operation {
            Operation::Command(name) => format!("# command  {name}\n"),
            Operation::Request { method, path } => format!("# {method}  {path}\n"),
            Operation::Step(name) => format!("# step  {name}\n"),
        });
    }
    if !rule.scope_types.is_empty() {
        let scopes: Vec<_> = rule.scope_types.iter().map(|scope| scope.name()).collect();
        text.push_str(&format!("# Intended scope(s): {}\n", scopes.join(", ")));
    }
    text.push_str(&format!("#{rule}\n\n"));
    if let Some(old) = rule.deprecated_rule
        && rule.deprecated_for_removal.is_none()
    {
        text.push_str(&before(rule, &old));
    }
    text
}

/// Formats the deprecated form of a rule.
fn before(rule: &RuleDefault, old: &DeprecatedRule) -> String {
    let mut text = String::from("# DEPRECATED\n");
    text.push_str(&comment(&format!(
        "\"{}\":\"{}\" has been deprecated since {} in favor of \"{}\":\"{}\".",
        old.name, old.check, old.since, rule.name, rule.check
    )));
    text.push_str(&comment(old.reason));
    if old.name != rule.name {
        text.push_str(RENAMED);
        text.push_str(&format!("# \"{}\": \"rule:{}\"\n", old.name, rule.name));
    }
    text.push('\n');
    text
}

/// Wraps a paragraph into comment lines, as Python's `textwrap.wrap` does. A word longer than a
/// line stays whole.
fn comment(paragraph: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in paragraph.split_whitespace() {
        let mut gap = " ";
        for part in parts(word) {
            let length = line.chars().count() + gap.len() + part.chars().count();
            if length > WIDTH && line != "#" {
                lines.push_str(&line);
                lines.push('\n');
                line.replace_range(.., "#");
                gap = " ";
            }
            line.push_str(gap);
            line.push_str(part);
            gap = "";
        }
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

/// Splits a word where it may be wrapped: after a hyphen between two letters and two letters.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = word;
    for (at, _) in word.match_indices('-') {
        let (before, after) = word.split_at_checked(at + 1).unwrap_or((word, ""));
        let letters = |letters: &mut dyn Iterator<Item = char>| {
            letters
                .take(2)
                .filter(|letter| letter.is_alphabetic())
                .count()
                == 2
        };
        if letters(&mut before.chars().rev().skip(1)) && letters(&mut after.chars()) {
            let begun = word.len() - rest.len();
            parts.extend(word.get(begun..at + 1));
            rest = after;
        }
    }
    parts.push(rest);
    parts
}

/// Width of a line, in characters.
const WIDTH: usize = 70;
/// Warning of the generator for every new name.
const RENAMED: &str = "\
# WARNING: A rule name change has been identified.
#          This may be an artifact of new rules being
#          included which require legacy fallback
#          rules to ensure proper policy behavior.
#          Alternatively, this may just be an alias.
#          Please evaluate on a case by case basis
#          keeping in mind the format for aliased
#          rules is:
#          \"old_rule_name\": \"new_rule_name\".
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Attributes, Enforcer, Settings};

    #[test]
    fn a_request_has_its_method_path_and_scopes() {
        let text = sample();
        let block = "\
# Read one command, how far it is and how it ended. Who shows no
# credential reads no result of it
# GET  /v1/commands/{id}
# Intended scope(s): system, project
#\"baremetal:agent:command:get\": \"rule:agent_reader\"

";
        assert!(text.contains(block), "{text}");
        assert!(text.contains("# command  standby.power_off\n"));
        assert!(text.contains("# step  write_image\n"));
    }

    #[test]
    fn what_a_rule_was_before_follows_it() {
        let text = sample();
        let block = "\
#\"system_admin\": \"role:admin and system_scope:all\"

# DEPRECATED
# \"is_admin\":\"rule:admin_api or role:baremetal_admin\" has been
# deprecated since 0.1.0 in favor of \"system_admin\":\"role:admin and
# system_scope:all\".
";
        assert!(text.contains(block), "{text}");
        assert!(text.contains("# \"is_admin\": \"rule:system_admin\"\n\n"));
    }

    #[test]
    fn every_rule_of_it_written_out_changes_nothing() {
        let written: String = sample()
            .lines()
            .filter_map(|line| line.strip_prefix("#\""))
            .map(|rule| format!("\"{rule}\n"))
            .collect();
        assert_eq!(written.lines().count(), DEFAULTS.len());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, written).unwrap();
        let settings = Settings {
            files: vec![file],
            ..Settings::default()
        };
        let written = Enforcer::load(DEFAULTS, settings.clone()).unwrap();
        let built_in = Enforcer::load(DEFAULTS, Settings::default()).unwrap();
        assert_eq!(written.in_force().rules, built_in.in_force().rules);
        let said = crate::policy::redundant(DEFAULTS, &settings).unwrap();
        assert!(said.into_iter().eq(DEFAULTS));
        assert!(!written.always_denies("agent_token"));
        assert_eq!(
            written.enforce("agent_token", &Attributes::new(), &Attributes::new()),
            built_in.enforce("agent_token", &Attributes::new(), &Attributes::new())
        );
    }

    #[test]
    fn words_are_cut_at_hyphens_between_letters_alone() {
        assert_eq!(parts("read-only"), ["read-", "only"]);
        assert_eq!(parts("agent's-x"), ["agent's-x"]);
        assert_eq!(parts("one-by-one-"), ["one-", "by-", "one-"]);
        assert_eq!(parts("2024-11"), ["2024-11"]);
        let long = "x".repeat(80);
        assert_eq!(
            comment(&format!("a {long} b")),
            format!("# a\n# {long}\n# b\n")
        );
    }
}
