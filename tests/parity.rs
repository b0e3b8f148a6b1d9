//! What Ferrite does of each feature of ironic-python-agent, told honestly: `docs/parity.md` is made of `docs/parity.toml`, and
//! a feature counts as working only with a test that exists.
//!
//! `make docs` writes the page; the tests here fail when the page, its data and the named tests are not of one mind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use ferrite::policy::{DEFAULTS, Operation};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How many features the table of IPA 13.0.0 has.
const FEATURES: usize = 222;
/// Pages with promises: the letter of their rows, and how many there are.
const PROMISES: [(&str, char, usize); 2] = [("SECURITY.md", 'T', 17), ("docs/policy.md", 'P', 16)];
/// Set by `make docs`: write the page instead of comparing it.
const WRITE: &str = "FERRITE_WRITE_DOCS";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    feature: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    number: usize,
    group: String,
    name: String,
    /// How often it matters: core, common, rare, legacy, removed; with a remark in brackets.
    r#use: String,
    state: State,
    /// The steps by which it works.
    #[serde(default)]
    steps: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
enum State {
    Works,
    Later,
    Not,
}

impl State {
    fn shown(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Later => "later",
            Self::Not => "deliberately not",
        }
    }
}

#[test]
fn every_feature_is_there_once_and_in_order() {
    let numbers: Vec<_> = features().iter().map(|feature| feature.number).collect();
    assert_eq!(numbers, (1..=FEATURES).collect::<Vec<_>>());
}

#[test]
fn what_works_names_a_test_and_what_does_not_a_reason() {
    let unproved: Vec<_> = features()
        .into_iter()
        .filter(|feature| match feature.state {
            State::Works => feature.tests.is_empty(),
            State::Later | State::Not => feature
                .reason
                .as_deref()
                .is_none_or(|reason| reason.len() < 10),
        })
        .map(|feature| format!("{} {}", feature.number, feature.name))
        .collect();
    assert!(unproved.is_empty(), "{}", unproved.join("\n"));
}

/// That every step has a rule, and every rule its step, is tested in `src/steps/managers.rs`.
#[test]
fn every_step_has_one_row_that_works() {
    let operations = DEFAULTS.iter().flat_map(|rule| rule.operations);
    let mut steps: Vec<_> = operations
        .filter_map(|operation| match operation {
            Operation::Step(name) => Some((*name).to_owned()),
            Operation::Request { .. } | Operation::Command(_) => None,
        })
        .collect();
    steps.sort_unstable();
    let working = features()
        .into_iter()
        .filter(|feature| feature.state == State::Works);
    let mut named: Vec<_> = working.flat_map(|feature| feature.steps).collect();
    named.sort_unstable();
    assert_eq!(named, steps);
}

#[test]
fn every_named_test_exists() {
    let mut known = BTreeMap::new();
    let missing: Vec<_> = features()
        .into_iter()
        .flat_map(|feature| {
            let number = feature.number;
            feature.tests.into_iter().map(move |test| (number, test))
        })
        .filter(|(_, test)| !exists(test, &mut known))
        .map(|(number, test)| format!("{number}: {test}"))
        .collect();
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

#[test]
fn every_promise_about_token_and_policy_names_tests_that_exist() {
    let mut known = BTreeMap::new();
    for (page, letter, rows) in PROMISES {
        let text = fs::read_to_string(in_project(page)).unwrap();
        for number in 1..=rows {
            let begin = format!("| {letter}{number} |");
            let row = text.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("{page} has no row {letter}{number}"));
            let tests: Vec<_> = row.split('`').filter(|word| word.contains("::")).collect();
            assert!(!tests.is_empty(), "{letter}{number} names no test");
            for test in tests {
                assert!(
                    exists(test, &mut known),
                    "{letter}{number}: no such test: {test}"
                );
            }
        }
    }
}

#[test]
fn the_page_is_made_of_its_data() {
    let made = page(&features());
    let path = in_project("docs/parity.md");
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, made).unwrap();
    } else {
        let found = fs::read_to_string(path).unwrap_or_default();
        assert!(found == made, "docs/parity.md is stale: `make docs`");
    }
}

/// The table, as it stands in its file.
fn features() -> Vec<Feature> {
    let text = fs::read_to_string(in_project("docs/parity.toml")).unwrap();
    let table: Table =
        toml::from_str(&text).unwrap_or_else(|error| panic!("docs/parity.toml: {error}"));
    table.feature
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether a test of this name (`PATH::FUNCTION`) is in the file; files are read once.
fn exists(test: &str, known: &mut BTreeMap<String, BTreeSet<String>>) -> bool {
    let Some((path, function)) = test.rsplit_once("::") else {
        return false;
    };
    known
        .entry(path.to_owned())
        .or_insert_with(|| {
            fs::read_to_string(in_project(path))
                .map_or_else(|_| BTreeSet::new(), |text| tests_of(&text))
        })
        .contains(function)
}

/// The functions under a `#[test]` of any kind.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut marked = false;
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, declared)) = line.split_once("fn ").filter(|_| marked) {
            let name = declared
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
            found.insert(name.collect());
            marked = false;
        }
    }
    found
}

fn page(features: &[Feature]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&summary(features));
    let mut group = "";
    for feature in features {
        if feature.group != group {
            group = &feature.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| # | feature | use | state | proof or reason |\n|---|---|---|---|---|\n"
            );
        }
        let tests = feature.tests.iter().map(|test| format!("`{test}`"));
        let proof: Vec<_> = feature.reason.iter().cloned().chain(tests).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            feature.number,
            feature.name,
            feature.r#use,
            feature.state.shown(),
            proof.join("<br>")
        );
    }
    page
}

/// How many features of each use are in which state.
fn summary(features: &[Feature]) -> String {
    let mut text =
        String::from("| use | works | later | deliberately not | all |\n|---|---|---|---|---|\n");
    for word in USES {
        let of_use = |state: Option<State>| {
            features
                .iter()
                .filter(|feature| feature.r#use.starts_with(word))
                .filter(|feature| state.is_none_or(|state| feature.state == state))
                .count()
        };
        let _ = writeln!(
            text,
            "| {word} | {} | {} | {} | {} |",
            of_use(Some(State::Works)),
            of_use(Some(State::Later)),
            of_use(Some(State::Not)),
            of_use(None)
        );
    }
    text
}

const USES: [&str; 5] = ["core", "common", "rare", "legacy", "removed"];

const HEAD: &str = "\
<!-- Made of parity.toml by `make docs`. -->
# Parity with ironic-python-agent 13.0.0

Every feature of IPA 13.0.0, what Ferrite does of it, and how that is known. *works* counts only with a test, which
`make test` runs; *later* says what it waits for; *deliberately not* says why. Use: **core** is part of every normal deployment,
cleaning or inspection; **common** is of many sites; **rare** needs special hardware or an option; **legacy** is kept for old
set-ups.

";
