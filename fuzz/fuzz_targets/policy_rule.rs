//! Any text as a rule, and as a check of the old lists: it is refused, or answered, and never with yes together with its opposite.

#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../src/nearest.rs"]
mod nearest;
#[path = "../../src/policy/mod.rs"]
mod policy;

use libfuzzer_sys::fuzz_target;
use policy::Rules;
use serde_json::{Value, json};
use std::sync::LazyLock;

static WHO: LazyLock<[Value; 2]> = LazyLock::new(|| {
    let credentials = json!({
        "roles": ["admin", "é"], "user_id": "u", "a": {"b": [{"c": 1}, 2.5, null]}, "x": "x", "system_scope": "all",
    });
    let target = json!({"x": "x", "i": 7, "f": 1.5, "z": null, "l": [1, "a"], "t": true, "": ""});
    [credentials, target]
});

fuzz_target!(|text: &str| {
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
});
