//! The sample of all rules: written to the letter as the real generator would, and read as it is meant.

use super::judges;
use ferrite::policy::{DEFAULTS, Operation, RuleDefault, Scope, sample};
use serde_json::{Value, json};

/// What the generator writes of the same table, and what the real library makes of ours.
pub(crate) fn judged() -> Value {
    let rules: Vec<Value> = DEFAULTS.iter().map(rule).collect();
    let lines = sample();
    let written: String = lines
        .lines()
        .filter_map(|line| line.strip_prefix("#\""))
        .map(|rule| format!("\"{rule}\n"))
        .collect();
    judges::sampled(judges::file_of([
        json!({"rules": rules, "written": written}),
    ]))
}

fn rule(rule: &RuleDefault) -> Value {
    let operations: Vec<[&str; 2]> = rule
        .operations
        .iter()
        .map(|operation| match *operation {
            Operation::Command(name) => ["command", name],
            Operation::Request { method, path } => [method, path],
            Operation::Step(name) => ["step", name],
        })
        .collect();
    let scopes: Vec<&str> = rule
        .scope_types
        .iter()
        .map(|scope: &Scope| scope.name())
        .collect();
    json!({
        "name": rule.name,
        "check": rule.check,
        "description": rule.description,
        "operations": operations,
        "scopes": scopes,
        "old": rule.deprecated_rule.map(|old| [old.name, old.check, old.reason, old.since]),
        "removal": rule.deprecated_for_removal.map(|said| [said.reason, said.since]),
    })
}
