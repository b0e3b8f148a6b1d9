//! Who may do what: the policies of OpenStack, as oslo.policy 6.0.1 understands them.
//!
//! A rule is a small sentence about the credentials of whoever asks and the target of what is asked: `role:admin and
//! project_id:%(node.owner)s`. The program registers its rules with what they are by default ([`RuleDefault`]), files say
//! otherwise, and an [`Enforcer`] answers. [`Rules`] is the language alone.
//!
//! Of the literals and formats of Python that oslo.policy takes, the simple ones are accepted (`language/selector.rs`,
//! `language/template.rs`), and a file with another one is refused when it is loaded.
//!
//! `language/` makes trees of rules and answers questions; `file/` reads policy files and lays them over the program's rules; `tools/`
//! is for whoever writes such files. Each uses those before it.
//!
//! The room knows no requests, tokens or options. What the real library does when it raises an exception is "no" here; what it
//! would ask of a server over HTTP is refused when a file is loaded. `tests/oslo_policy` compares both on millions of cases.
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
