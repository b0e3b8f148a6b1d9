//! The documents in the repository are those that the program's tables make.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and asks bash"
)]

mod documents;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn documents_are_what_the_tables_make() {
    let old: Vec<_> = documents::documents()
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(here().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert!(old.is_empty(), "run `make docs`: {old:?}");
}

#[test]
fn no_document_is_left_over() {
    let made: BTreeSet<String> = documents::documents()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    for folder in ["docs/completions", "docs/man"] {
        for entry in fs::read_dir(here().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                made.contains(&format!("{folder}/{name}")),
                "{folder}/{name}"
            );
        }
    }
}

#[test]
fn bash_completes_subcommands_and_options() {
    let completed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let last = words.len() - 1;
        let script = format!(
            "source docs/completions/ferrite.bash; COMP_WORDS=({line}); [ {last} -lt ${{#COMP_WORDS[@]}} ] || COMP_WORDS+=(''); \
             COMP_CWORD={last}; _ferrite ferrite \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let Output { stdout, stderr, .. } = Command::new("bash")
            .args(["-c", &script])
            .current_dir(here())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&stderr), "");
        String::from_utf8(stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("ferrite a"), "agent");
    assert_eq!(completed("ferrite config s"), "show sample");
    assert_eq!(completed("ferrite agent --listen_p"), "--listen_port");
}

/// A file that was moved is moved in what is said of it, too.
#[test]
fn documents_name_only_files_of_the_checkout() {
    let written = [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
        "clippy.toml",
        "docs/development.md",
        "docs/parity.toml",
        "docs/policy.md",
        "image/README.md",
        "tests/support/mutants.txt",
    ];
    let of_a_path = |c: char| c.is_ascii_alphanumeric() || "_./*-".contains(c);
    let mut named = BTreeSet::new();
    let mut missing = Vec::new();
    for document in written {
        let text = fs::read_to_string(here().join(document)).unwrap();
        for word in text.split(|c| !of_a_path(c)) {
            let path = word.trim_end_matches(['.', '-']).trim_end_matches("/**");
            let ours = ["src/", "tests/", "image/", "docs/"]
                .iter()
                .any(|folder| path.starts_with(folder) && path.len() > folder.len());
            if !ours || path.contains('*') {
                continue;
            }
            named.insert(path.to_owned());
            if !here().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(named.contains("src/secret/"), "{named:?}");
    assert_eq!(missing, Vec::<String>::new());
}
