//! The policy language: parsing and evaluation of rules. It knows no files and no registered rules.

mod answer;
mod check;
mod evaluation;
mod lint;
mod outcomes;
mod parse;
mod python;
mod reduction;
mod rules;
mod selector;
mod template;

pub(super) use answer::Outcomes;
pub(super) use check::Check;
pub(super) use lint::{always_denies, circle, references, remote};
pub(super) use outcomes::outcomes;
pub use parse::RuleError;
pub(super) use parse::{built_in, parse_rule};
pub(super) use python::is_true;
pub use rules::Rules;

#[cfg(test)]
mod tests;
