//! Tests of the policy language: which requests a rule allows.

use super::{RuleError, Rules, parse_rule};
use crate::policy::DEFAULTS;
use serde_json::{Map, Value, json};

fn answer(rules: &Value, rule: &str) -> bool {
    asked(rules, None, rule)
}

fn asked(rules: &Value, default_rule: Option<&str>, rule: &str) -> bool {
    let credentials = json!({
        "roles": ["Admin", "Straße"], "user_id": "u", "project_id": "p", "is_admin": true, "level": 7, "nothing": null, "system_scope": "all",
        "token": {"project": {"id": "p"}, "groups": [{"name": "g"}, {"name": "h", "tags": ["t"]}]}, "matrix": [["m"]],
    });
    let target =
        json!({"user_id": "u", "project_id": "q", "role": "ADMIN", "flag": true, "level": 7});
    Rules::from_json(rules.as_object().unwrap(), default_rule)
        .unwrap()
        .allows(
            rule,
            credentials.as_object().unwrap(),
            target.as_object().unwrap(),
        )
}

/// Returns whether a single text as a rule allows the request.
fn allows(text: &str) -> bool {
    answer(&json!({"r": text}), "r")
}

/// Returns whether neither a rule nor its negation allows the request.
fn fails(check: &str) -> bool {
    let rules = json!({"r": [[check]], "not": "not rule:r", "or": "rule:r or @"});
    !["r", "not", "or"].iter().any(|name| answer(&rules, name))
}

#[test]
fn an_empty_rule_allows_and_a_blank_one_does_not() {
    assert!(allows(""));
    assert!(!allows(" "));
    assert!(allows("@"));
    assert!(!allows("!"));
}

#[test]
fn and_binds_closer_than_or_and_not_closer_than_both() {
    for (text, allowed) in [
        ("@ or @ and !", true),
        ("! and @ or @", true),
        ("@ or ! and !", true),
        ("! or @ and ! or !", false),
        ("not ! and !", false),
        ("not ! or !", true),
        ("not (! or @)", false),
        ("not not @", true),
        ("(@ or @) and !", false),
        ("! or (@ and @) and !", false),
        ("((@))", true),
        ("( ( @ ) )", true),
        ("@ AND not ! Or !", true),
        ("@\u{a0}and\u{1c}@", true),
    ] {
        assert_eq!(allows(text), allowed, "{text}");
    }
}

#[test]
fn what_is_no_rule_allows_nothing() {
    for text in [
        "and",
        "@ and",
        "@ @",
        "(@",
        "@)",
        "()",
        "not",
        "\"@\"",
        "'role:admin'",
        "admin",
        "@ or or @",
        "or @",
        "role:admin and 'x'",
    ] {
        assert!(!allows(text), "{text}");
    }
}

#[test]
fn roles_are_compared_in_small_letters() {
    for (text, allowed) in [
        ("role:admin", true),
        ("role:ADMIN", true),
        ("role:%(role)s", true),
        ("role:STRAßE", true),
        ("role:member", false),
        ("role:%(missing)s", false),
        ("not role:%(missing)s", true),
        ("Role:admin", false),
    ] {
        assert_eq!(allows(text), allowed, "{text}");
    }
}

#[test]
fn attributes_are_found_by_paths_and_in_lists() {
    for (text, allowed) in [
        ("user_id:%(user_id)s", true),
        ("project_id:%(project_id)s", false),
        ("is_admin:True", true),
        ("level:7", true),
        ("nothing:None", true),
        ("system:all", true),
        ("token.project.id:p", true),
        ("token.groups.name:h", true),
        ("token.groups.name:x", false),
        ("token.missing:x", false),
        ("matrix:['m']", true),
        ("True:%(flag)s", true),
        ("'7':%(level)s", true),
        ("7:%(level)s", true),
        ("7.0:%(level)s", false),
        ("'True':%(flag)s", true),
        ("true:%(flag)s", false),
        ("None:%(missing)s", false),
    ] {
        assert_eq!(allows(text), allowed, "{text}");
    }
}

#[test]
fn where_python_raises_neither_a_rule_nor_its_opposite_allows() {
    for check in [
        "user_id.x:u",
        "matrix.x:m",
        "token.groups.tags.x:t",
        "https://judge/",
    ] {
        assert!(fails(check), "{check}");
    }
}

#[test]
fn roles_that_are_no_list_of_texts_fail_or_are_gone_through() {
    for (roles, allowed) in [
        (json!("xa"), true),
        (json!({"A": 1}), true),
        (json!(["a", 7]), false),
        (json!(7), false),
        (json!(null), false),
        (json!([]), false),
    ] {
        let rules = Rules::from_json(json!({"r": "role:a"}).as_object().unwrap(), None).unwrap();
        let mut credentials = Map::new();
        credentials.insert("roles".to_owned(), roles.clone());
        assert_eq!(
            rules.allows("r", &credentials, &Map::new()),
            allowed,
            "{roles}"
        );
    }
}

#[test]
fn lists_of_lists_are_alternatives_of_what_holds_together() {
    for (rule, allowed) in [
        (json!([]), true),
        (json!(null), true),
        (json!([[]]), false),
        (json!([["!"], ["@"]]), true),
        (json!([["!", "@"]]), false),
        (json!(["role:admin"]), true),
        (json!([["user_id:u", "role:admin"], "!"]), true),
        (json!([[7]]), false),
        (json!({"@": 1}), true),
    ] {
        assert_eq!(answer(&json!({"r": rule}), "r"), allowed, "{rule}");
    }
    // oslo.policy loads none of the rules then.
    let rules = json!({"r": "@", "other": 7});
    let refused = Rules::from_json(rules.as_object().unwrap(), None);
    assert_eq!(refused, Err(RuleError::NotARule));
}

#[test]
fn the_programs_own_rules_are_accepted() {
    for default in DEFAULTS {
        let old = default.deprecated_rule.map(|old| old.check);
        for text in [default.check].into_iter().chain(old) {
            let parsed = parse_rule(&json!(text)).unwrap();
            assert_eq!(parsed.doubts, [""; 0], "{}", default.name);
        }
    }
}

#[test]
fn a_missing_rule_is_the_default_one_or_no() {
    let rules = json!({"default": "@", "r": "rule:gone", "not": "not rule:gone"});
    assert!(!answer(&rules, "r"));
    assert!(answer(&rules, "not"));
    assert!(asked(&rules, Some("default"), "r"));
    assert!(asked(&rules, Some("default"), "gone"));
    assert!(!asked(&rules, Some("other"), "gone"));
    assert!(!asked(&rules, Some(""), "gone"));
}

#[test]
fn a_circle_is_no_but_what_is_decided_before_it_counts() {
    let rules = json!({"a": "rule:b or @", "b": "rule:a", "c": "@ or rule:c", "d": "not rule:d"});
    assert!(!answer(&rules, "a"));
    assert!(!answer(&rules, "d"));
    assert!(answer(&rules, "c"));
}

#[test]
fn depth_and_work_are_bounded() {
    assert!(!allows(&format!("{}@", "not ".repeat(10_000))));
    assert!(!allows(&format!("{}@", "not ".repeat(100_000))));
    assert!(allows(&format!(
        "{}@{}",
        "(".repeat(30_000),
        ")".repeat(30_000)
    )));
    assert!(!allows(&format!(
        "{}@{}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    )));
    assert!(!allows(&format!("{}@", "(not ".repeat(10_000))));
    assert!(!allows(&format!(
        "{}@{}",
        "(not ".repeat(8_000),
        ")".repeat(8_000)
    )));
    assert!(!allows(&format!("{}a:b", "(".repeat(60_000))));
    assert!(allows(&format!("@{}", " and @".repeat(10_000))));
    assert!(allows(
        &format!("!{}", " or ! and @".repeat(4_000)).replace("! and", "@ and")
    ));
    assert!(!allows(&format!("{}x:y", "a.".repeat(30_000))));
    // Each rule refers to the next one twice.
    let mut rules = Map::new();
    for number in 0..100 {
        let next = number + 1;
        rules.insert(
            format!("r{number}"),
            json!(format!("rule:r{next} and rule:r{next}")),
        );
    }
    rules.insert("r100".to_owned(), json!("@"));
    assert!(!answer(&Value::Object(rules), "r0"));
}
