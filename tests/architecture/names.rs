//! Names of the library: the field's words, and none of those that a reader has to have translated.

use std::collections::BTreeMap;
use std::path::Path;

/// Words that no public name has, and what is written instead.
const WORDS: &[(&str, &str)] = &[
    ("afresh", "retry, restart, refresh"),
    ("anew", "retry, restart, refresh"),
    ("believe", "trust"),
    ("believed", "trusted"),
    ("bury", "reap"),
    ("chance", "random, jitter"),
    ("complaint", "error"),
    ("deepest", "MAX_*"),
    ("defect", "bug, panic"),
    ("glance", "*_INTERVAL"),
    ("largest", "MAX_*"),
    ("law", "policy: RetryPolicy"),
    ("leaving", "shutdown, exit"),
    ("longest", "MAX_*"),
    ("most", "MAX_*"),
    ("nobody", "anonymous, unauthenticated"),
    ("nobodys", "anonymous, unauthenticated"),
    ("parting", "shutdown, exit"),
    ("patience", "timeout, *_TIMEOUT"),
    ("said", "event, response, sample"),
    ("say", "log, report"),
    ("says", "logs, reports"),
    ("shortest", "MIN_*"),
    ("speechless", "without a token"),
    ("stranger", "unauthenticated client"),
    ("strangers", "unauthenticated clients"),
    ("tell", "log, report, write"),
    ("telling", "revealing"),
    ("tells", "is_enabled, should_log"),
    ("told", "event, response, sample"),
    ("whom", "client, caller"),
    ("widest", "MAX_*"),
    ("wish", "request, wanted"),
    ("wished", "requested, wanted"),
    ("wishes", "settings, selection"),
];

/// The public names of a file, and the lines they stand in.
pub(crate) fn public_names(production: &str) -> Vec<(usize, &str)> {
    const KEYWORDS: &[&str] = &[
        "async", "const", "enum", "extern", "fn", "macro", "mod", "mut", "static", "struct",
        "trait", "type", "union", "unsafe", "use",
    ];
    let mut names = Vec::new();
    for (index, line) in production.lines().enumerate() {
        let Some(rest) = line.trim_start().strip_prefix("pub") else {
            continue;
        };
        let rest = match rest.strip_prefix('(') {
            Some(visibility) => visibility.split_once(')').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let words = rest
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .filter(|word| !word.is_empty());
        // Re-exports have their names where they are defined.
        let is_import = rest.trim_start().starts_with("use ");
        let name = words.into_iter().find(|word| !KEYWORDS.contains(word));
        names.extend(name.filter(|_| !is_import).map(|name| (index + 1, name)));
    }
    names
}

/// The words of a name in any case: `MAX_LEN`, `TokenCache`, `is_wanted`.
pub(crate) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() && was_lower {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What is wrong with the public names of these files.
pub(crate) fn wrong_names<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> Vec<String> {
    let instead: BTreeMap<_, _> = WORDS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, production) in files {
        for (line, name) in public_names(production) {
            for word in words_of(name) {
                if let Some(term) = instead.get(word.as_str()) {
                    let path = path.display();
                    wrong.push(format!("{path}:{line}: {name}: instead of {word}: {term}"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_whatever_stands_before_them() {
        let text = "pub(super) async fn tell_all() {}\n    pub wish: u8,\nfn told() {}\npub use a::Told;\n\
                    pub(in crate::a) const MOST_BYTES: u8 = 1;\npub struct NobodyToAsk;\npub const fn mostly() {}\n";
        let names: Vec<_> = public_names(text);
        assert_eq!(
            names,
            [
                (1, "tell_all"),
                (2, "wish"),
                (5, "MOST_BYTES"),
                (6, "NobodyToAsk"),
                (7, "mostly")
            ]
        );
        let wrong = wrong_names([(Path::new("a.rs"), text)].into_iter());
        assert_eq!(
            wrong,
            [
                "a.rs:1: tell_all: instead of tell: log, report, write",
                "a.rs:2: wish: instead of wish: request, wanted",
                "a.rs:5: MOST_BYTES: instead of most: MAX_*",
                "a.rs:6: NobodyToAsk: instead of nobody: anonymous, unauthenticated",
            ]
        );
    }
}
