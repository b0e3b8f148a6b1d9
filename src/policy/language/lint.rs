//! Static analysis of rules: references, cycles, and rules that always deny.

use super::check::{Check, MAX_DEPTH};
use super::rules::Rules;
use std::collections::{HashMap, HashSet};

/// Returns every rule that a check refers to, in order.
pub(in crate::policy) fn references(check: &Check) -> Vec<&str> {
    let mut found = Vec::new();
    walk(check, &mut |check| {
        if let Check::Rule(name) = check {
            found.push(name.as_str());
        }
    });
    found
}

/// Returns the first check that would query a server.
pub(in crate::policy) fn remote(check: &Check) -> Option<&str> {
    let mut found = None;
    walk(check, &mut |check| {
        if let Check::Remote(text) = check {
            found = found.or(Some(text.as_str()));
        }
    });
    found
}

/// Visits every check of a tree. The parser bounds the depth.
fn walk<'a>(check: &'a Check, visit: &mut impl FnMut(&'a Check)) {
    visit(check);
    match check {
        Check::And(checks) | Check::Or(checks) => {
            for check in checks {
                walk(check, visit);
            }
        }
        Check::Not(check) => walk(check, visit),
        _ => {}
    }
}

/// Returns a cycle of rules, from its first name back to it: the first one found in alphabetical
/// order. References to missing rules lead to the default rule.
pub(in crate::policy) fn circle(rules: &Rules) -> Option<Vec<String>> {
    let mut names: Vec<&str> = rules.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    let targets: HashMap<&str, Vec<&str>> = rules
        .iter()
        .map(|(name, check)| {
            let targets = references(check).into_iter();
            let targets = targets.filter_map(|name| rules.name_of(name));
            (name, targets.collect())
        })
        .collect();
    let mut done: HashSet<&str> = HashSet::new();
    for start in names {
        // The path from the start, each name with the references left to follow.
        let mut path: Vec<(&str, std::slice::Iter<'_, &str>)> = Vec::new();
        let mut on_path: HashSet<&str> = HashSet::new();
        let mut next = Some(start);
        loop {
            if let Some(name) = next.take() {
                if on_path.contains(name) {
                    let circle = path.iter().map(|(name, _)| *name);
                    let circle = circle.skip_while(|at| *at != name);
                    return Some(circle.chain([name]).map(str::to_owned).collect());
                }
                if !done.contains(name) {
                    let targets = targets.get(name).map(Vec::as_slice).unwrap_or_default();
                    path.push((name, targets.iter()));
                    on_path.insert(name);
                }
            }
            let Some((name, targets)) = path.last_mut() else {
                break;
            };
            next = targets.next().copied();
            if next.is_none() {
                on_path.remove(*name);
                done.insert(*name);
                path.pop();
            }
        }
    }
    None
}

/// Returns whether a check provably denies every request.
pub(in crate::policy) fn always_denies(rules: &Rules, check: &Check) -> bool {
    let mut search = Search { rules, steps: 0 };
    search.excludes(check, true, 0)
}

struct Search<'a> {
    rules: &'a Rules,
    steps: usize,
}

impl Search<'_> {
    /// Returns whether a check never evaluates to `answer`. A check that fails has no result.
    fn excludes(&mut self, check: &Check, answer: bool, depth: usize) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return false;
        }
        if depth >= MAX_DEPTH {
            return true;
        }
        let depth = depth + 1;
        match check {
            Check::Always => !answer,
            Check::Never => answer,
            Check::Failing | Check::Remote(_) => true,
            Check::Role(_) => false,
            Check::Attribute(attribute) => match attribute.constant() {
                Some(constant) => constant != answer,
                None => false,
            },
            Check::Not(check) => self.excludes(check, !answer, depth),
            // `and` is true only if all checks are; one false check makes it false.
            Check::And(checks) if answer => {
                checks.iter().any(|check| self.excludes(check, true, depth))
            }
            Check::And(checks) => checks
                .iter()
                .all(|check| self.excludes(check, false, depth)),
            Check::Or(checks) if answer => {
                checks.iter().all(|check| self.excludes(check, true, depth))
            }
            Check::Or(checks) => checks
                .iter()
                .any(|check| self.excludes(check, false, depth)),
            Check::Rule(name) => {
                let rules = self.rules;
                match rules.find(name) {
                    Some(check) => self.excludes(check, answer, depth),
                    None => answer,
                }
            }
        }
    }
}

const MAX_STEPS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(rules: &serde_json::Value) -> Rules {
        Rules::from_json(rules.as_object().unwrap(), Some("default")).unwrap()
    }

    #[test]
    fn nobody_passes_what_is_never_true() {
        let rules = rules(&json!({
            "no": "!", "refers": "rule:no", "both": "role:a and rule:refers", "either": "! or rule:no", "broken": "a b",
            "not": "not @", "literal": "'a':b", "missing": "rule:nothing",
            "some": "role:a", "one": "! or role:a", "yes": "@", "double": "not !", "same": "'a':a", "unknown": "not role:a",
        }));
        let never: Vec<&str> = [
            "no", "refers", "both", "either", "broken", "not", "literal", "missing",
        ]
        .to_vec();
        let possible = ["some", "one", "yes", "double", "same", "unknown"];
        for name in never {
            assert!(always_denies(&rules, rules.find(name).unwrap()), "{name}");
        }
        for name in possible {
            assert!(!always_denies(&rules, rules.find(name).unwrap()), "{name}");
        }
    }

    #[test]
    fn a_circle_is_named_from_where_it_closes() {
        let found = |text| circle(&rules(&text));
        assert_eq!(
            found(json!({"a": "rule:b", "b": "rule:c or rule:c", "c": "@"})),
            None
        );
        assert_eq!(found(json!({"a": "rule:a"})).unwrap(), ["a", "a"]);
        assert_eq!(
            found(json!({"a": "rule:b", "b": "role:x and not rule:c", "c": "(rule:b)"})).unwrap(),
            ["b", "c", "b"]
        );
        assert_eq!(
            found(json!({"default": "rule:gone"})).unwrap(),
            ["default", "default"]
        );
    }

    #[test]
    fn a_chain_of_ten_thousand_rules_is_followed() {
        let mut chain = serde_json::Map::new();
        for number in 0..10_000 {
            chain.insert(format!("r{number}"), json!(format!("rule:r{}", number + 1)));
        }
        assert_eq!(circle(&Rules::from_json(&chain, None).unwrap()), None);
        chain.insert("r10000".to_owned(), json!("rule:r0"));
        let circle = circle(&Rules::from_json(&chain, None).unwrap()).unwrap();
        assert_eq!(circle.len(), 10_002);
    }
}
