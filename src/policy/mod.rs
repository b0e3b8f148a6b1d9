//! OpenStack policies: a reimplementation of oslo.policy 6.0.1.
//!
//! A rule is an expression over the caller's credentials and the request's target:
//! `role:admin and project_id:%(node.owner)s`. The program registers its rules with defaults
//! ([`RuleDefault`]), and policy files override them. An [`Enforcer`] evaluates them. [`Rules`] is
//! the policy language alone.
//!
//! oslo.policy accepts any literal and format of Python. Only the simple ones are accepted here
//! (`language/selector.rs`, `language/template.rs`); a file with another one is refused when it is
//! loaded.
//!
//! `language/` parses and evaluates rules; `file/` reads policy files and merges them with the
//! program's rules; `tools/` holds the command line tools for policy files. Each depends only on
//! those before it.
//!
//! This module knows no requests, tokens or options. Where oslo.policy raises an exception, the
//! result here is a denial. A check that would query a server over HTTP is refused when a file is
//! loaded. `tests/oslo_policy` compares both implementations on millions of cases.
//!
//! ```
//! use ferrite::policy::Rules;
//! use serde_json::json;
//!
//! let rules = json!({"admin": "role:admin", "wipe": "rule:admin and not project_id:%(protected)s"});
//! let rules = Rules::from_json(rules.as_object().unwrap(), None).unwrap();
//! let (credentials, target) = (json!({"roles": ["Admin"], "project_id": "p"}), json!({"protected": "q"}));
//! assert!(rules.allows("wipe", credentials.as_object().unwrap(), target.as_object().unwrap()));
//! ```

mod attributes;
pub mod credentials;
mod defaults;
mod enforcer;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod invariants;
mod language;
mod rule;
mod settings;
mod tools;

pub use attributes::Attributes;
pub use defaults::{DEFAULTS, names};
pub use enforcer::{Denied, Enforcer, Refusal, Reload};
pub use file::{Error, PolicyFile};
pub use invariants::Violation;
pub use language::{RuleError, Rules};
pub use rule::{DeprecatedRule, Deprecation, Operation, RuleDefault, Scope};
pub use settings::{Found, Settings};
pub use tools::{Hint, Outcome, Upgraded, redundant, sample, upgrade};
