//! Files over registered rules, old names, scopes: the whole enforcer, in this process, against the real one.

use super::dice::Dice;
use super::judges;
use ferrite::policy::{Attributes, DeprecatedRule, Enforcer, RuleDefault, Scope, Settings};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// How many of the cases both judged, and how many were allowed.
pub(crate) fn compare(seed: u64, count: usize) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<Value> = (0..count)
        .map(|number| case(&mut dice, &folder.path().join(number.to_string())))
        .collect();
    let oslo = judges::answers_of_files(judges::file_of(cases.clone()));
    let (mut judged, mut allowed) = (0, 0);
    for (case, oslo) in cases.iter().zip(oslo) {
        // Circles, and rules that cannot be understood, are refused here when they are loaded.
        let Some(ours) = ours(case) else { continue };
        assert_eq!(ours, oslo, "oslo.policy says {oslo}: {case:#}");
        judged += 1;
        allowed += usize::from(ours);
    }
    (judged, allowed)
}

fn case(dice: &mut Dice, folder: &Path) -> Value {
    let defaults: Vec<Value> = (0..4).map(|number| registered(dice, number)).collect();
    fs::create_dir_all(folder.join("policy.d")).unwrap();
    let file = folder.join("policy.yaml");
    fs::write(&file, rules(dice).to_string()).unwrap();
    let mut more = json!({});
    if dice.percent(30) {
        more = rules(dice);
        fs::write(folder.join("policy.d/more.json"), more.to_string()).unwrap();
    }
    json!({
        "defaults": defaults,
        "file": file,
        "shown": [fs::read_to_string(&file).unwrap(), more],
        "directory": folder.join("policy.d"),
        "enforce_new_defaults": dice.percent(50),
        "default_rule": dice.pick(&["default", "x", "gone"]),
        "rule": dice.pick(&["d0", "d1", "d2", "d3", "d0", "d1", "o0", "x", "gone"]),
        "credentials": {
            "roles": dice.pick(&[&["a"][..], &["b"], &["a", "b"], &[]]),
            "user": "u",
            "system_scope": dice.pick(&[None, None, Some("all")]),
            "domain_id": dice.pick(&[None, None, Some("d")]),
        },
        "target": {"user": dice.pick(&["u", "v"])},
    })
}

fn registered(dice: &mut Dice, number: usize) -> Value {
    let name = format!("d{number}");
    let old = match dice.below(6) {
        0 | 1 => Some(format!("o{number}")),
        2 => Some("o0".to_owned()),
        3 => Some(name.clone()),
        _ => None,
    };
    let old = old.map(|name| json!({"name": name, "check": check(dice)}));
    let scopes = dice.pick(&[
        &[][..],
        &[],
        &["system"],
        &["project"],
        &["system", "domain"],
    ]);
    json!({"name": name, "check": check(dice), "old": old, "scopes": scopes})
}

fn rules(dice: &mut Dice) -> Value {
    let mut rules = Map::new();
    for name in [
        "d0", "d1", "d2", "d3", "o0", "o1", "o2", "o3", "x", "y", "default",
    ] {
        if dice.percent(25) {
            let rule = match dice.below(20) {
                0 => Value::Null,
                1 => json!([["role:a", "role:b"], "role:c"]),
                2 => json!("a b"),
                _ => json!(check(dice)),
            };
            rules.insert(name.to_owned(), rule);
        }
    }
    Value::Object(rules)
}

fn check(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "role:a",
        "role:b",
        "role:a or role:b",
        "role:a and role:b",
        "not role:a",
        "user:%(user)s",
        "",
        "@",
        "!",
        "rule:d0",
        "rule:d1",
        "rule:d2",
        "rule:d3",
        "rule:o0",
        "rule:x",
        "rule:y",
        "rule:gone",
        "role:a or rule:d1",
    ])
}

fn ours(case: &Value) -> Option<bool> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lasting = |value: &Value| -> &'static str { text(value).leak() };
    let defaults: Vec<RuleDefault> = case["defaults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|default| RuleDefault {
            name: lasting(&default["name"]),
            check: lasting(&default["check"]),
            description: "",
            operations: &[],
            scope_types: scopes(&default["scopes"]).leak(),
            deprecated_rule: default["old"].as_object().map(|old| DeprecatedRule {
                name: lasting(&old["name"]),
                check: lasting(&old["check"]),
                reason: "",
                since: "",
            }),
            deprecated_for_removal: None,
        })
        .collect();
    let settings = Settings {
        enforce_new_defaults: case["enforce_new_defaults"] == true,
        enforce_scope: true,
        default_rule: text(&case["default_rule"]),
        files: vec![text(&case["file"]).into()],
        directories: vec![text(&case["directory"]).into()],
        ..Settings::default()
    };
    let enforcer = Enforcer::load(defaults.leak(), settings).ok()?;
    let map = |value: &Value| -> Attributes { value.as_object().unwrap().clone() };
    let (credentials, target) = (map(&case["credentials"]), map(&case["target"]));
    let rule = text(&case["rule"]);
    let allowed = enforcer.enforce(&rule, &credentials, &target).is_ok();
    assert!(!(allowed && enforcer.always_denies(&rule)), "{case:#}");
    Some(allowed)
}

fn scopes(names: &Value) -> Vec<Scope> {
    let every = [Scope::Domain, Scope::Project, Scope::System];
    let names = names.as_array().unwrap().iter();
    names
        .map(|name| *every.iter().find(|scope| name == scope.name()).unwrap())
        .collect()
}
