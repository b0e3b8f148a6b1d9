//! Fuzzing entry points for policies; `crate::fuzzing` lists them.

#![allow(clippy::expect_used, reason = "what fuzzing finds is a panic")]

use super::{Attributes, DeprecatedRule, Enforcer, Operation, RuleDefault, Rules, Settings};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;

/// Loads any bytes as a policy file: either it is refused with a reason, or it is in force.
pub(crate) fn policy_file(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).expect("a file for the bytes");
    let settings = Settings {
        files: vec![FILE.clone()],
        ..Settings::default()
    };
    let loaded = Enforcer::load(DEFAULTS, settings);
    std::fs::remove_file(&*FILE).expect("the file is there");
    match loaded {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(enforcer) => {
            let nobody = Attributes::new();
            let allowed = enforcer.enforce("wipe", &nobody, &nobody).is_ok();
            assert!(!(allowed && enforcer.always_denies("wipe")));
            assert!(
                enforcer
                    .warnings()
                    .iter()
                    .all(|warning| !warning.is_empty())
            );
        }
    }
}

/// Parses any text as a rule, and as a check of the old list syntax. It is refused or evaluated,
/// and never allows both itself and its negation.
pub(crate) fn policy_rule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let rules = json!({
        "text": text, "not text": "not rule:text", "list": [[text]], "not list": "not rule:list", "default": ["rule:text", text],
    });
    let [Value::Object(credentials), Value::Object(target)] = &*WHO else {
        return;
    };
    let Value::Object(rules) = rules else { return };
    let Ok(rules) = Rules::from_json(&rules, Some("default")) else {
        return;
    };
    let allows = |rule: &str| rules.allows(rule, credentials, target);
    assert!(!(allows("text") && allows("not text")));
    assert!(!(allows("list") && allows("not list")));
    allows("default");
}

static DEFAULTS: &[RuleDefault] = &[RuleDefault {
    name: "wipe",
    check: "role:admin",
    description: "",
    operations: &[Operation::Command("standby.sync")],
    scope_types: &[],
    deprecated_rule: Some(DeprecatedRule {
        name: "wash",
        check: "role:washer",
        reason: "",
        since: "",
    }),
    deprecated_for_removal: None,
}];

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("ferrite-fuzz-{}", std::process::id())));

static WHO: LazyLock<[Value; 2]> = LazyLock::new(|| {
    let credentials = json!({
        "roles": ["admin", "é"], "user_id": "u", "a": {"b": [{"c": 1}, 2.5, null]}, "x": "x", "system_scope": "all",
    });
    let target = json!({"x": "x", "i": 7, "f": 1.5, "z": null, "l": [1, "a"], "t": true, "": ""});
    [credentials, target]
});
