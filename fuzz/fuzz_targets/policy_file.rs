//! Any bytes as a policy file: it is refused with a reason, or in force.

#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../src/nearest.rs"]
mod nearest;
#[path = "../../src/policy/mod.rs"]
mod policy;

use libfuzzer_sys::fuzz_target;
use policy::{Attributes, DeprecatedRule, Enforcer, Operation, RuleDefault, Settings};
use std::path::PathBuf;
use std::sync::LazyLock;

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

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("a file for the bytes");
    let settings = Settings {
        files: vec![FILE.clone()],
        ..Settings::default()
    };
    match Enforcer::load(DEFAULTS, settings) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(enforcer) => {
            let nobody = Attributes::new();
            let allowed = enforcer.enforce("wipe", &nobody, &nobody).is_ok();
            assert!(!(allowed && enforcer.is_never("wipe")));
            assert!(enforcer.warnings().iter().all(|warning| !warning.is_empty()));
        }
    }
});
