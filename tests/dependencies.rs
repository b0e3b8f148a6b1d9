//! `deny.toml` holds for what the program and its tests are built of, and every dependency of `Cargo.toml` is used.
//!
//! cargo-deny and cargo-machete (`make audit`) judge the same and more; building them takes too long for each run of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and asks cargo"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Dependencies that no file names.
const UNNAMED: &[(&str, &str)] = &[(
    "idna_adapter",
    "`url` uses it; this row chooses the version without tables",
)];

/// The package that test programs share.
const SUPPORT: &str = "tests/support";

/// What is said of `deny.toml`'s keys here; one that is not is for cargo-deny alone, and would look as if it held.
const UNDERSTOOD: &[&str] = &[
    "bans.deny",
    "bans.multiple-versions",
    "bans.wildcards",
    "graph.targets",
    "licenses.allow",
    "sources.unknown-git",
    "sources.unknown-registry",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

static DENY: LazyLock<toml::Table> =
    LazyLock::new(|| toml::from_str(&fs::read_to_string(here("deny.toml")).unwrap()).unwrap());

/// What cargo says of the packages that are built for the targets of `deny.toml`.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let targets = texts(&DENY["graph"]["targets"]);
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(here("Cargo.toml"))
        .args(targets.iter().flat_map(|t| ["--filter-platform", t]))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
});

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn texts(list: &toml::Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// The packages that are built for the targets, tests included.
static BUILT: LazyLock<Vec<&'static Value>> = LazyLock::new(|| {
    let by_id = |list: &'static Value| {
        let list = list.as_array().unwrap().iter();
        list.map(|item| (text(item, "id"), item))
            .collect::<BTreeMap<_, _>>()
    };
    let (packages, nodes) = (
        by_id(&METADATA["packages"]),
        by_id(&METADATA["resolve"]["nodes"]),
    );
    let mut reached = BTreeSet::new();
    let mut next = vec![text(&METADATA["resolve"], "root")];
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            let deps = nodes[id]["deps"].as_array().unwrap().iter();
            let ids = deps.map(|dep| text(dep, "pkg"));
            next.extend(ids.filter(|dep| is_on(packages[id], nodes[id], packages[dep])));
        }
    }
    assert!(reached.len() > 100, "cargo tells of few packages");
    reached.into_iter().map(|id| packages[id]).collect()
});

fn packages() -> impl Iterator<Item = &'static Value> {
    BUILT.iter().copied()
}

/// Whether a package's features turn a dependency on: cargo also tells of those that only might be (`dependency?/feature`).
fn is_on(package: &Value, node: &Value, dependency: &Value) -> bool {
    let rows = package["dependencies"].as_array().unwrap().iter();
    let mut rows = rows.filter(|row| row["name"] == dependency["name"]);
    let features = node["features"].as_array().unwrap();
    let is_named = |name: &str| {
        features.iter().any(|feature| {
            let turns_on = package["features"][feature.as_str().unwrap()].as_array();
            turns_on.into_iter().flatten().any(|what| {
                let what = what.as_str().unwrap();
                what == format!("dep:{name}") || what.starts_with(&format!("{name}/"))
            })
        })
    };
    rows.any(|row| {
        let name = row["rename"].as_str().unwrap_or_else(|| text(row, "name"));
        row["optional"] == false || features.iter().any(|on| on == name) || is_named(name)
    })
}

/// The packages of this checkout.
const OWN: &[&str] = &["ferrite", "support"];

fn own(name: &str) -> &'static Value {
    packages().find(|package| package["name"] == name).unwrap()
}

/// Its rows of dependencies.
fn rows(package: &Value) -> &[Value] {
    package["dependencies"].as_array().unwrap()
}

#[test]
fn every_rule_of_deny_toml_is_understood_here() {
    let tables = DENY
        .iter()
        .map(|(name, table)| (name, table.as_table().unwrap()));
    let keys =
        tables.flat_map(|(name, table)| table.keys().map(move |key| format!("{name}.{key}")));
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    assert_eq!(keys, UNDERSTOOD);
    for (table, key) in [
        ("bans", "wildcards"),
        ("sources", "unknown-git"),
        ("sources", "unknown-registry"),
    ] {
        assert_eq!(DENY[table][key].as_str(), Some("deny"), "{table}.{key}");
    }
}

#[test]
fn licences_are_those_that_deny_toml_allows_and_each_of_them_is_needed() {
    let allowed = texts(&DENY["licenses"]["allow"]);
    let mut met = BTreeSet::new();
    let mut wrong = Vec::new();
    for package in packages() {
        let licence = text(package, "license");
        match accepted(licence, &allowed) {
            Some(licences) => met.extend(licences),
            None => wrong.push(format!("{}: {licence:?}", text(package, "name"))),
        }
    }
    assert!(wrong.is_empty(), "licences that are not allowed: {wrong:?}");
    let unmet: Vec<_> = allowed
        .iter()
        .filter(|licence| !met.contains(**licence))
        .collect();
    assert!(unmet.is_empty(), "no package has these: {unmet:?}");
}

#[test]
fn nothing_is_built_of_what_deny_toml_bans() {
    let banned = DENY["bans"]["deny"].as_array().unwrap();
    for ban in banned {
        let field = |name: &str| ban[name].as_str().unwrap();
        let (name, reason) = (field("name"), field("reason"));
        let found = packages().any(|package| package["name"] == name);
        assert!(!found, "{name}: {reason}");
    }
}

#[test]
fn everything_comes_from_the_one_registry_in_a_version_that_is_named() {
    for package in packages() {
        let name = text(package, "name");
        let source = package["source"].as_str();
        assert!(
            source == Some(CRATES_IO) || (source.is_none() && OWN.contains(&name)),
            "{name}: {source:?}"
        );
    }
    for dependency in OWN.iter().flat_map(|name| rows(own(name))) {
        assert_ne!(dependency["req"], "*", "{}", dependency["name"]);
    }
}

#[test]
fn every_dependency_is_named_where_it_is_for() {
    let words = |folders: &[&str], without: &str| {
        let files = folders.iter().flat_map(|folder| sources(&here(folder)));
        let files =
            files.filter(|(path, _)| without.is_empty() || !path.starts_with(here(without)));
        let texts = files.map(|(_, text)| text);
        let words = texts.flat_map(|text| {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let words =
                code.flat_map(|line| line.split(|c: char| c != '_' && !c.is_alphanumeric()));
            words.map(str::to_owned).collect::<Vec<_>>()
        });
        words.collect::<BTreeSet<_>>()
    };
    let (production, support) = (words(&["src"], ""), words(&[SUPPORT], ""));
    let tests = words(&["src", "tests"], SUPPORT);
    let rows = OWN.iter().flat_map(|name| {
        let rows = rows(own(name)).iter();
        rows.map(move |row| (*name, row))
    });
    let unused: Vec<_> = rows
        .filter(|(package, dependency)| {
            let name = dependency["rename"].as_str();
            let name = name
                .unwrap_or_else(|| text(dependency, "name"))
                .replace('-', "_");
            let words = match (*package, dependency["kind"].as_str()) {
                ("support", _) => &support,
                (_, None) => &production,
                (_, Some(_)) => &tests,
            };
            // `md-5` calls itself `md5`.
            !words.contains(&library(dependency).unwrap_or(name))
        })
        .map(|(_, dependency)| text(dependency, "name"))
        .collect();
    let unnamed: Vec<_> = UNNAMED.iter().map(|(name, _)| *name).collect();
    assert_eq!(unused, unnamed, "dependencies that no file names");
}

/// What ships is built of nothing that tests share, and that knows nothing of what ships: neither waits for the other.
#[test]
fn the_program_and_what_tests_share_do_not_need_each_other() {
    let needs = |package: &str, other: &str| {
        let mut rows = rows(own(package)).iter();
        let row = rows.find(|row| row["name"] == other);
        row.map(|row| row["kind"].as_str())
    };
    assert_eq!(needs("ferrite", "support"), Some(Some("dev")));
    assert_eq!(needs("support", "ferrite"), None);
    let members = METADATA["workspace_default_members"].as_array().unwrap();
    assert_eq!(members, &[METADATA["resolve"]["root"].clone()]);
}

#[test]
fn fuzzing_is_built_of_the_same_versions() {
    const ITS_OWN: &[&str] = &["arbitrary", "ferrite-fuzz", "libfuzzer-sys"];
    let locked = |path: &str| {
        let lock: toml::Table = toml::from_str(&fs::read_to_string(here(path)).unwrap()).unwrap();
        let packages = lock["package"].as_array().unwrap().clone();
        packages
            .into_iter()
            .map(|package| {
                let field = |name: &str| package[name].as_str().unwrap().to_owned();
                (field("name"), field("version"))
            })
            .collect::<BTreeSet<_>>()
    };
    let program = locked("Cargo.lock");
    let others: Vec<_> = locked("fuzz/Cargo.lock")
        .into_iter()
        .filter(|package| !program.contains(package) && !ITS_OWN.contains(&&*package.0))
        .collect();
    assert!(
        others.is_empty(),
        "copy Cargo.lock to fuzz/, and build there: {others:?}"
    );
}

/// The name of the library that a dependency is.
fn library(dependency: &Value) -> Option<String> {
    let package = packages().find(|package| package["name"] == dependency["name"])?;
    let targets = package["targets"].as_array()?;
    let is_library = |target: &&Value| {
        let kinds = target["kind"].as_array().unwrap();
        kinds
            .iter()
            .any(|kind| kind == "lib" || kind == "proc-macro")
    };
    let target = targets.iter().find(is_library)?;
    Some(text(target, "name").replace('-', "_"))
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The licences of an expression (SPDX, or cargo's old `A/B`) that are relied on, if it can be met with those that are allowed.
fn accepted<'a>(expression: &str, allowed: &[&'a str]) -> Option<BTreeSet<&'a str>> {
    let expression = expression.replace('/', " OR ");
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let found = either(&mut words, allowed);
    assert_eq!(words.next(), None, "not understood: {expression}");
    found
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `OR`: all that can be met, because cargo-deny counts each as met.
fn either<'a>(words: &mut Words<'_>, allowed: &[&'a str]) -> Option<BTreeSet<&'a str>> {
    let mut found = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        found = match (found, both(words, allowed)) {
            (Some(one), Some(other)) => Some(&one | &other),
            (one, other) => one.or(other),
        };
    }
    found
}

fn both<'a>(words: &mut Words<'_>, allowed: &[&'a str]) -> Option<BTreeSet<&'a str>> {
    let mut found = single(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        let other = single(words, allowed);
        found = found.and_then(|one| Some(&one | &other?));
    }
    found
}

fn single<'a>(words: &mut Words<'_>, allowed: &[&'a str]) -> Option<BTreeSet<&'a str>> {
    let first = words.next()?;
    if first == "(" {
        let found = either(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return found;
    }
    let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
    let name = exception.map_or_else(
        || first.to_owned(),
        |exception| format!("{first} WITH {exception}"),
    );
    let known = allowed.iter().find(|licence| **licence == name)?;
    Some(BTreeSet::from([*known]))
}

#[test]
fn an_expression_of_licences_is_met_as_spdx_has_it() {
    let allowed = ["MIT", "ISC", "A WITH e"];
    let met: BTreeMap<_, Option<&[&str]>> = BTreeMap::from([
        ("MIT", Some(&["MIT"][..])),
        ("GPL-3.0", None),
        ("MIT OR GPL-3.0", Some(&["MIT"])),
        ("GPL-3.0 OR ISC OR MIT", Some(&["ISC", "MIT"])),
        ("MIT/GPL-3.0", Some(&["MIT"])),
        ("MIT AND GPL-3.0", None),
        ("MIT AND ISC", Some(&["ISC", "MIT"])),
        ("(GPL-3.0 OR MIT) AND ISC", Some(&["ISC", "MIT"])),
        ("MIT AND (GPL-3.0 OR LGPL-2.0)", None),
        ("GPL-3.0 OR ISC AND MIT", Some(&["ISC", "MIT"])),
        ("A WITH e OR A", Some(&["A WITH e"])),
        ("A", None),
        ("", None),
    ]);
    for (expression, met) in met {
        let expected = met.map(|met| met.iter().copied().collect());
        assert_eq!(accepted(expression, &allowed), expected, "{expression}");
    }
}
