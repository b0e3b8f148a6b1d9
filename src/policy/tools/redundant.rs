//! Finds redundant rules in files, as oslopolicy-list-redundant does (`_list_redundant` in
//! oslo.policy's `generator.py`).
//!
//! This is stricter than oslo.policy. A rule that overrides another file's rule, or that of a
//! deprecated name in the same file, is not redundant.

use crate::policy::file::{Error, read, registered, take, traces};
use crate::policy::rule::RuleDefault;
use crate::policy::settings::Settings;
use std::collections::BTreeMap;

/// Returns the rules of files that equal the rules in force without them, in the files' order.
///
/// # Errors
///
/// [`Error`] if a file cannot be read or parsed.
pub fn redundant(
    defaults: &'static [RuleDefault],
    settings: &Settings,
) -> Result<Vec<&'static RuleDefault>, Error> {
    let mut unheard = Vec::new();
    let mut written = BTreeMap::new();
    let mut said = Vec::new();
    for trace in traces(settings)? {
        let content = read(&trace.path, settings.is_trusted)?;
        for entry in &content.rules {
            said.push((entry.name.clone(), entry.parsed(&trace.path)?));
        }
        take(content, &trace.path, &mut written, &mut unheard)?;
    }
    let mut found: Vec<&'static RuleDefault> = Vec::new();
    for (name, _) in &said {
        let Some(default) = defaults.iter().find(|default| default.name == name) else {
            continue;
        };
        let without = registered(default, &written, settings, &mut unheard);
        let mut all = said.iter().filter(|(other, _)| other == name);
        if all.all(|(_, check)| *check == without) && !found.contains(&default) {
            found.push(default);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULTS;
    use std::fs;
    use std::path::PathBuf;

    fn names(files: &[&str]) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (files.iter().enumerate())
            .map(|(number, text)| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let settings = Settings {
            files,
            ..Settings::default()
        };
        let found = redundant(DEFAULTS, &settings).unwrap();
        found.into_iter().map(|rule| rule.name).collect()
    }

    #[test]
    fn what_is_meant_counts_and_not_how_it_is_written() {
        let file = r#"
"baremetal:agent:status:get": ""
"agent_admin": "(rule:agent_token  OR (rule:system_admin))"
"baremetal:agent:log:get": "rule:agent_admin"
"mine": "@"
"#;
        let expected = ["baremetal:agent:status:get", "agent_admin"];
        assert_eq!(names(&[file]), expected);
    }

    #[test]
    fn a_rule_that_takes_the_place_of_another_is_of_use() {
        let default = "\"system_admin\": \"role:admin and system_scope:all\"\n";
        assert_eq!(names(&[default]), ["system_admin"]);
        assert_eq!(names(&["\"system_admin\": \"!\"", default]), [""; 0]);
        let old = format!("{default}\"is_admin\": \"role:admin\"\n");
        assert_eq!(names(&[&old]), [""; 0]);
    }
}
