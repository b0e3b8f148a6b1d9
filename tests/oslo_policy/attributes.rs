//! Credentials and targets, often ones that rules are about.

use super::dice::Dice;
use serde_json::{Map, Value, json};

fn value(dice: &mut Dice) -> Value {
    match dice.below(20) {
        0..5 => json!("u1"),
        5..9 => json!("p1"),
        9 => json!("d1"),
        10 => json!(7),
        11 => json!(1.5),
        12 => json!(true),
        13 => json!(false),
        14 => json!(null),
        15 => json!(""),
        16 => json!(["p1", "u1"]),
        17 => json!([]),
        18 => json!({"id": "p1"}),
        _ => json!([["p1"], {"x": "u1"}, 7, null, 1e16, "it's"]),
    }
}

/// Who asks.
pub(crate) fn credentials(dice: &mut Dice) -> Value {
    let mut made = Map::new();
    let mut set = |name: &str, value: Value| drop(made.insert(name.to_owned(), value));
    match dice.below(20) {
        0 => {}
        1 => set("roles", value(dice)),
        2 => set("roles", json!([])),
        3 => set("roles", json!("admin")),
        4 => set("roles", json!({"admin": 1, "Member": 2})),
        5 => set("roles", json!(["admin", 7])),
        _ => {
            let mut roles = Vec::new();
            for _ in 0..1 + dice.below(3) {
                roles.push(dice.pick(&[
                    "admin", "Admin", "member", "reader", "STRASSE", "straße", "i\u{307}", "ας",
                    "u1", "p1", "7", "a%",
                ]));
            }
            set("roles", json!(roles));
        }
    }
    for name in [
        "user_id",
        "project_id",
        "domain_id",
        "system_scope",
        "system",
        "is_admin",
        "level",
        "ratio",
        "none",
        "empty",
    ] {
        if dice.percent(60) {
            let value = match (name, dice.below(10)) {
                ("user_id", 0..7) => json!("u1"),
                ("project_id", 0..7) => json!("p1"),
                ("system_scope" | "system", 0..4) => json!("all"),
                ("is_admin", 0..7) => json!(true),
                ("level", 0..7) => json!(7),
                ("ratio", 0..7) => json!(1.5),
                ("none", 0..7) => json!(null),
                _ => value(dice),
            };
            set(name, value);
        }
    }
    if dice.percent(70) {
        let inner = |dice: &mut Dice| {
            json!({
                "project": {"id": value(dice), "domain": {"name": value(dice)}},
                "list": [{"id": value(dice)}, {"id": value(dice), "deep": [{"id": value(dice)}]}],
            })
        };
        let token = if dice.percent(80) {
            inner(dice)
        } else {
            value(dice)
        };
        set("token", token);
    }
    if dice.percent(50) {
        set(
            "groups",
            json!([{"name": value(dice), "tags": [value(dice), value(dice)]}, {"name": "u1", "tags": []}]),
        );
        set("matrix", json!([["p1"], ["u1", value(dice)]]));
    }
    Value::Object(made)
}

/// What is asked for.
pub(crate) fn target(dice: &mut Dice) -> Value {
    let mut made = Map::new();
    for name in [
        "user_id",
        "project_id",
        "target.role",
        "role",
        "level",
        "ratio",
        "flag",
        "none",
        "list",
        "nested",
        "empty",
    ] {
        if dice.percent(80) {
            let value = match (name, dice.below(10)) {
                ("user_id", 0..7) => json!("u1"),
                ("project_id", 0..7) => json!("p1"),
                ("role" | "target.role", 0..8) => json!(dice.pick(&["admin", "MEMBER", "ΑΣ"])),
                ("level", 0..7) => json!(7),
                ("ratio", 0..7) => json!(1.5),
                ("flag", 0..7) => json!(dice.percent(50)),
                ("none", 0..7) => json!(null),
                ("nested", _) => json!({"k": [value(dice)]}),
                _ => value(dice),
            };
            made.insert(name.to_owned(), value);
        }
    }
    Value::Object(made)
}
