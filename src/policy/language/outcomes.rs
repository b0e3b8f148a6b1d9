//! Possible results of a rule for one caller, for every target.
//!
//! A policy is loaded before the agent knows its node, and the node may change. So a guarantee
//! about a rule has to hold for every target. The analysis is conservative: a check that reads an
//! unknown value may hold or not, independently of all others. A result that it excludes never
//! occurs.

use super::answer::Outcomes;
use super::check::{Check, MAX_DEPTH};
use super::rules::Rules;
use crate::policy::attributes::Attributes;

/// Computes the possible results of a rule for these credentials. Only `known` is given of the
/// target: every other name may be missing or have any value.
pub(in crate::policy) fn outcomes(
    rules: &Rules,
    rule: &str,
    credentials: &Attributes,
    known: &Attributes,
) -> Outcomes {
    let mut search = Search {
        rules,
        credentials,
        known,
        steps: 0,
    };
    match rules.find(rule) {
        Some(check) => search.of(check, 0),
        None => Outcomes::DENIES,
    }
}

struct Search<'a> {
    rules: &'a Rules,
    credentials: &'a Attributes,
    known: &'a Attributes,
    steps: usize,
}

impl Search<'_> {
    fn of(&mut self, check: &Check, depth: usize) -> Outcomes {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Outcomes::ANY;
        }
        if depth >= MAX_DEPTH {
            return Outcomes::FAILS;
        }
        let depth = depth + 1;
        match check {
            Check::Always => Outcomes::HOLDS,
            Check::Never => Outcomes::DENIES,
            Check::Failing | Check::Remote(_) => Outcomes::FAILS,
            Check::Attribute(attribute) => attribute.outcomes(self.credentials, self.known),
            Check::Role(role) => role.outcomes(self.credentials, self.known),
            Check::Not(check) => self.of(check, depth).negated(),
            Check::And(checks) => self.all(checks, depth, false),
            // De Morgan: no check holds if the negation of each holds.
            Check::Or(checks) => self.all(checks, depth, true).negated(),
            Check::Rule(name) => {
                let rules = self.rules;
                match rules.find(name) {
                    Some(check) => self.of(check, depth),
                    None => Outcomes::DENIES,
                }
            }
        }
    }

    /// Computes the possible results of "all of these hold", or of "the negation of each holds". As
    /// in Python, a check is evaluated only if all before it held.
    fn all(&mut self, checks: &[Check], depth: usize, opposite: bool) -> Outcomes {
        let mut whole = Outcomes::NONE;
        for check in checks {
            let of = self.of(check, depth);
            let of = if opposite { of.negated() } else { of };
            whole.denies |= of.denies;
            whole.fails |= of.fails;
            if !of.holds {
                return whole;
            }
        }
        whole.holds = true;
        whole
    }
}

const MAX_STEPS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn attributes(value: Value) -> Attributes {
        value.as_object().cloned().unwrap_or_default()
    }

    fn caller() -> Attributes {
        attributes(json!({
            "roles": ["admin"], "project_id": "p", "none": null, "list": ["p", {"a": "q"}], "map": {"a": "p"},
        }))
    }

    #[test]
    fn what_reads_no_unknown_value_has_one_outcome() {
        for (text, expected) in [
            ("@", Outcomes::HOLDS),
            ("!", Outcomes::DENIES),
            ("project_id.x:x", Outcomes::FAILS),
            ("role:admin", Outcomes::HOLDS),
            ("role:%(command)s", Outcomes::DENIES),
            ("'sync':%(command)s", Outcomes::HOLDS),
            ("not 'sync':%(command)s", Outcomes::DENIES),
            ("missing:%(node.owner)s", Outcomes::DENIES),
            ("@ or project_id.x:x", Outcomes::HOLDS),
            ("project_id.x:x or @", Outcomes::FAILS),
            ("! and project_id.x:x", Outcomes::DENIES),
            ("@ or 'a':%(node.owner)s", Outcomes::HOLDS),
            ("! and 'a':%(node.owner)s", Outcomes::DENIES),
            ("'a':%(node.owner)s or @", Outcomes::HOLDS),
            ("project_id:%(node.owner)s", Outcomes::UNKNOWN),
            ("map.a.b:%(node.owner)s", Outcomes::ANY),
        ] {
            let rules = Rules::from_json(&attributes(json!({ "r": text })), None).unwrap();
            let known = attributes(json!({"command": "sync"}));
            assert_eq!(outcomes(&rules, "r", &caller(), &known), expected, "{text}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let kind = prop_oneof![
            Just("role"),
            Just("project_id"),
            Just("none"),
            Just("list"),
            Just("list.a"),
            Just("map.a"),
            Just("map.a.b"),
            Just("missing"),
            Just("'p'"),
            Just("project_id.x"),
        ];
        let wanted = prop_oneof![
            Just("p"),
            Just("admin"),
            Just("%(owner)s"),
            Just("%(lessee)s"),
            Just("%(command)s"),
            Just("%(owner)s%(lessee)s"),
        ];
        let leaf = prop_oneof![
            Just("@".to_owned()),
            Just("!".to_owned()),
            (kind, wanted).prop_map(|(kind, wanted)| format!("{kind}:{wanted}")),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|text| format!("not ({text})")),
                prop::collection::vec(inner.clone(), 1..4)
                    .prop_map(|texts| format!("({})", texts.join(") and ("))),
                prop::collection::vec(inner, 1..4)
                    .prop_map(|texts| format!("({})", texts.join(") or ("))),
            ]
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!("p")),
            Just(json!("admin")),
            Just(json!(7)),
            Just(json!(null)),
            Just(json!(["p"])),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_target_has_an_answer_that_was_excluded(
            text in text(),
            owner in prop::option::of(value()),
            lessee in prop::option::of(value()),
        ) {
            let rules = json!({"r": text, "opposite": "not rule:r"});
            let rules = Rules::from_json(&attributes(rules), None).unwrap();
            let known = attributes(json!({"command": "admin"}));
            let mut target = known.clone();
            for (name, value) in [("owner", owner), ("lessee", lessee)] {
                target.extend(value.map(|value| (name.to_owned(), value)));
            }
            let possible = outcomes(&rules, "r", &caller(), &known);
            let answer = (
                rules.allows("r", &caller(), &target),
                rules.allows("opposite", &caller(), &target),
            );
            let is_possible = match answer {
                (true, _) => possible.holds,
                (false, true) => possible.denies,
                (false, false) => possible.fails,
            };
            prop_assert!(is_possible, "{answer:?} of {possible:?}");
        }
    }
}
