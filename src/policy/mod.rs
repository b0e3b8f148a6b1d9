//! Who may do what: the policies of OpenStack, as oslo.policy 6.0.1 understands them.
//!
//! A rule is a small sentence about the credentials of whoever asks and the target of what is asked: `role:admin and
//! project_id:%(node.owner)s`. The program registers its rules with what they are by default ([`RuleDefault`]), files say
//! otherwise, and an [`Enforcer`] answers. [`Rules`] is the language alone.
//!
//! Of the literals and formats of Python that oslo.policy takes, the simple ones are accepted (`selector.rs`, `template.rs`), and a
//! file with another one is refused when it is loaded.
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

mod answer;
mod attributes;
mod check;
pub mod credentials;
mod defaults;
mod enforcer;
mod file;
mod guard;
mod inspect;
mod loading;
mod outcomes;
mod parse;
mod plain;
mod python;
mod redundant;
mod rule;
mod sample;
mod scalars;
mod selector;
mod settings;
mod template;
mod upgrade;

pub use attributes::Attributes;
pub use check::Rules;
pub use defaults::{DEFAULTS, names};
pub use enforcer::{Denied, Enforcer, Refusal, Reload};
pub use file::{Error, PolicyFile};
pub use guard::Unfit;
pub use parse::RuleError;
pub use redundant::redundant;
pub use rule::{DeprecatedRule, Deprecation, Operation, RuleDefault, Scope};
pub use sample::sample;
pub use settings::Settings;
pub use upgrade::{Hint, Outcome, Upgraded, upgrade};

#[cfg(test)]
mod tests;
