//! Merging of policy files and the program's rules into the policy in force.

use super::content::{Content, PolicyFile};
use super::error::Error;
use super::read::{check_folders, read};
use super::trace::FileStamp;
use crate::policy::attributes::Attributes;
use crate::policy::credentials::{AGENT, ANONYMOUS};
use crate::policy::invariants::{LOCKOUT, check};
use crate::policy::language::{Check, Rules, built_in, circle, outcomes, references, remote};
use crate::policy::names::{COMMAND, COMMAND_RUN};
use crate::policy::rule::RuleDefault;
use crate::policy::settings::Settings;
use crate::suggest::nearest;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The policy in force, which is replaced as a whole.
#[derive(Debug)]
pub(in crate::policy) struct ActivePolicy {
    pub(in crate::policy) rules: Rules,
    pub(in crate::policy) warnings: Vec<String>,
    pub(in crate::policy) files: Vec<PolicyFile>,
}

/// A rule of a file.
pub(in crate::policy) struct FileRule {
    check: Check,
    /// `file:line: `.
    place: String,
}

impl ActivePolicy {
    /// Reads the files and merges them with the program's rules.
    pub(in crate::policy) fn load(
        defaults: &'static [RuleDefault],
        settings: &Settings,
        traces: &[FileStamp],
    ) -> Result<Self, Error> {
        let mut files = Vec::new();
        let mut warnings = Vec::new();
        let mut written: BTreeMap<String, FileRule> = BTreeMap::new();
        for FileStamp { path, .. } in traces {
            let content = read(path, settings.is_trusted)?;
            check_folders(path, settings.is_trusted)?;
            files.push(PolicyFile {
                path: path.clone(),
                options: content.options.clone(),
                rules: content.rules.len(),
            });
            take(content, path, &mut written, &mut warnings)?;
        }
        let mut rules = Rules::new(Some(&settings.default_rule));
        for (name, rule) in &written {
            rules.insert(name.clone(), rule.check.clone());
        }
        for (name, rule) in &settings.option_rules {
            if !written.contains_key(*name) {
                rules.insert((*name).to_owned(), built_in(rule));
            }
        }
        for default in defaults {
            if let Some(deprecation) = default.deprecated_for_removal
                && let Some(FileRule { place, .. }) = written.get(default.name)
            {
                warnings.push(format!(
                    "{place}the rule {:?} will be gone, and what is said of it with it (since {}): {}",
                    default.name, deprecation.since, deprecation.reason
                ));
            }
            if !rules.has(default.name) {
                let check = registered(default, &written, settings, &mut warnings);
                rules.insert(default.name.to_owned(), check);
            }
        }
        let place = |name: &str| written.get(name).map_or("", |rule| rule.place.as_str());
        for (name, check) in rules.iter() {
            if let Some(check) = remote(check) {
                return Err(Error::Remote {
                    place: place(name).to_owned(),
                    name: name.to_owned(),
                    check: check.to_owned(),
                });
            }
        }
        if let Some(circle) = circle(&rules) {
            let place = circle.iter().map(|name| place(name));
            return Err(Error::Circle {
                place: place
                    .max_by_key(|place| !place.is_empty())
                    .unwrap_or_default()
                    .to_owned(),
                circle,
            });
        }
        let confirmed = |file: &PolicyFile| file.options.iter().any(|said| said == LOCKOUT);
        let is_open = rules.allows(COMMAND_RUN, &ANONYMOUS, &Attributes::new());
        let is_confirmed = files.iter().any(confirmed);
        let cause = |rule: &str| cause(&rules, &written, rule);
        check(defaults, is_confirmed, is_open, cause, |rule| {
            // As the API evaluates a command's rule: the rule may refer to the command's name.
            let command = rule.strip_prefix(COMMAND).filter(|name| name.contains('.'));
            let known = command.map(|name| ("command".to_owned(), name.into()));
            outcomes(&rules, rule, &AGENT, &known.into_iter().collect())
        })?;
        if outcomes(&rules, COMMAND_RUN, &ANONYMOUS, &Attributes::new()).holds {
            warnings.push(format!(
                "{}the rule {COMMAND_RUN:?} is passed without a credential for some nodes: who shows none is refused all the same",
                place(COMMAND_RUN)
            ));
        }
        warnings.extend(unknown_names(&rules, defaults, &written, settings));
        Ok(Self {
            rules,
            warnings,
            files,
        })
    }
}

/// Returns where a rule was changed. That is its own place in a file, or else that of the first
/// rule of a file that it refers to, directly or not.
fn cause(rules: &Rules, written: &BTreeMap<String, FileRule>, name: &str) -> Option<String> {
    let mut waiting = vec![name];
    let mut seen = HashSet::new();
    while let Some(name) = waiting.pop() {
        let Some(name) = rules.name_of(name) else {
            continue;
        };
        if let Some(rule) = written.get(name) {
            return Some(rule.place.trim_end_matches(": ").to_owned());
        }
        if seen.insert(name)
            && let Some(check) = rules.find(name)
        {
            waiting.extend(references(check));
        }
    }
    None
}

/// Merges the rules of a file over those of earlier files.
pub(in crate::policy) fn take(
    content: Content,
    path: &Path,
    written: &mut BTreeMap<String, FileRule>,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    warnings.extend(content.warnings);
    for entry in content.rules {
        let check = entry.parsed(path)?;
        let place = format!("{}:{}: ", path.display(), entry.line);
        written.insert(entry.name, FileRule { check, place });
    }
    Ok(())
}

/// Returns the check of a rule that no file has, merged with its deprecated form
/// (`_handle_deprecated_rule`).
pub(in crate::policy) fn registered(
    default: &RuleDefault,
    written: &BTreeMap<String, FileRule>,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Check {
    let check = built_in(default.check);
    let Some(old) = default.deprecated_rule else {
        return check;
    };
    let old_check = built_in(old.check);
    let advice = format!(
        "{:?} (\"{}\") was given up in {} in favour of {:?} (\"{}\"): {}",
        old.name, old.check, old.since, default.name, default.check, old.reason
    );
    if old.name != default.name
        && let Some(rule) = written.get(old.name)
    {
        warnings.push(format!("{}the rule {advice}", rule.place));
        // A sample file has the old name as a reference to the new one, which is no override.
        if rule.check != old_check && rule.check != Check::Rule(default.name.to_owned()) {
            return rule.check.clone();
        }
    }
    if !settings.enforce_new_defaults && old.check != default.check {
        warnings.push(format!(
            "what {advice}; both are allowed, for new defaults are not enforced"
        ));
        return Check::Or(vec![check, old_check]);
    }
    check
}

/// Returns warnings about unknown names in files: unused rules, and references to missing rules.
fn unknown_names(
    rules: &Rules,
    defaults: &[RuleDefault],
    written: &BTreeMap<String, FileRule>,
    settings: &Settings,
) -> Vec<String> {
    let referred: HashSet<&str> = rules
        .iter()
        .flat_map(|(_, check)| references(check))
        .collect();
    let known: HashSet<&str> = defaults
        .iter()
        .flat_map(|rule| [Some(rule.name), rule.deprecated_rule.map(|old| old.name)])
        .flatten()
        .chain([settings.default_rule.as_str()])
        .collect();
    let mut guesses = 0;
    let mut meant = |wrong: &str, known: &mut dyn Iterator<Item = &str>| {
        guesses += 1;
        if guesses > MAX_GUESSES {
            return String::new();
        }
        let known = known.take(MAX_KNOWN);
        let others = known.filter(|name| *name != wrong).map(str::to_owned);
        nearest(wrong, others).map_or_else(String::new, |name| format!("; is {name:?} meant?"))
    };
    let mut found = Vec::new();
    for (name, rule) in written {
        if !known.contains(name.as_str()) && !referred.contains(name.as_str()) {
            let meant = meant(name, &mut defaults.iter().map(|rule| rule.name));
            found.push(format!(
                "{}nothing asks the rule {name:?}, and no rule refers to it{meant}",
                rule.place
            ));
        }
        for reference in references(&rule.check) {
            if !rules.has(reference) {
                let instead = match rules.find(reference) {
                    Some(_) => format!("{:?} is asked instead", settings.default_rule),
                    None => "that part is false".to_owned(),
                };
                let meant = meant(reference, &mut rules.iter().map(|(name, _)| name));
                found.push(format!(
                    "{}the rule {name:?} refers to {reference:?}, which does not exist: {instead}{meant}",
                    rule.place
                ));
            }
        }
    }
    found
}

/// Limit of suggestions. A file may have tens of thousands of names, and a suggestion compares one
/// with all others.
const MAX_GUESSES: usize = 100;
const MAX_KNOWN: usize = 1000;
