//! Invariants of every policy: it must not lock out Ironic's conductor or allow commands to
//! unauthenticated clients.

use super::language::Outcomes;
use super::names::{COMMAND, COMMAND_RUN};
use super::rule::RuleDefault;

/// Violation of an invariant, for which a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Ironic could no longer command the machine.
    #[error(
        "it keeps Ironic's conductor, who shows the agent token, from {}: the machine would be lost to Ironic. Write `or rule:agent_token` \
         into the rule, or, if this is meant, the line `# ferrite: {LOCKOUT}` at the head of the file", .0.join(", ")
    )]
    Lockout(Vec<String>),
    /// Unauthenticated clients could run commands. No setting allows that.
    #[error(
        "it lets whoever reaches the agent run commands ({COMMAND_RUN}): a command needs a credential, always"
    )]
    Open,
}

/// Checks a policy against the invariants.
///
/// `is_open` is true if a client without a credential passes [`COMMAND_RUN`]. `outcomes` computes
/// the possible results of a rule for the conductor and every node: the policy is loaded before the
/// node is known, and the node may get another owner. `place` returns the file and line in which a
/// rule was changed. Rules for steps are not checked: a policy may forbid erasing the machine
/// altogether.
///
/// # Errors
/// [`Violation`].
pub(super) fn check(
    defaults: &'static [RuleDefault],
    is_lockout_confirmed: bool,
    is_open: bool,
    place: impl Fn(&str) -> Option<String>,
    outcomes: impl Fn(&str) -> Outcomes,
) -> Result<(), Violation> {
    if is_open {
        return Err(Violation::Open);
    }
    let needed = defaults
        .iter()
        .filter(|rule| rule.name.starts_with(COMMAND));
    let all_lost = needed.filter_map(|rule| {
        let outcomes = outcomes(rule.name);
        match outcomes.holds {
            true if outcomes.always_holds() => None,
            holds => Some(lost(rule.name, place(rule.name), holds)),
        }
    });
    match all_lost.collect::<Vec<_>>() {
        lost if lost.is_empty() || is_lockout_confirmed => Ok(()),
        lost => Err(Violation::Lockout(lost)),
    }
}

/// Describes a rule that is denied to the conductor, with the place of the change. `for_some`: it
/// is denied for some nodes only.
fn lost(rule: &str, place: Option<String>, for_some: bool) -> String {
    let some = for_some.then(|| "for some nodes".to_owned());
    match place.into_iter().chain(some).collect::<Vec<_>>() {
        notes if notes.is_empty() => rule.to_owned(),
        notes => format!("{rule} ({})", notes.join(", ")),
    }
}

/// Option after `# ferrite:` in a file's head comment that confirms locking out the conductor.
pub(super) const LOCKOUT: &str = "allow-conductor-lockout";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULTS;
    use crate::policy::names::{COMMAND_LIST, LOG_GET, SECRETS_SHOW};

    fn judged(refused: &'static str, is_confirmed: bool) -> Result<(), Violation> {
        check(
            DEFAULTS,
            is_confirmed,
            false,
            |_| Some("policy.yaml:3".to_owned()),
            |rule| Ok(rule != refused).into(),
        )
    }

    #[test]
    fn the_conductor_must_pass_every_rule_of_its_work_unless_that_is_confirmed() {
        assert_eq!(judged("", false), Ok(()));
        for rule in [COMMAND_LIST, "baremetal:agent:command:standby.sync"] {
            assert_eq!(
                judged(rule, false),
                Err(Violation::Lockout(vec![format!("{rule} (policy.yaml:3)")]))
            );
            assert_eq!(judged(rule, true), Ok(()));
        }
        for rule in ["baremetal:agent:step:write_image", SECRETS_SHOW, LOG_GET] {
            assert_eq!(judged(rule, false), Ok(()));
        }
    }

    #[test]
    fn nobody_may_ever_be_let_run_commands() {
        for is_confirmed in [false, true] {
            let judged = check(DEFAULTS, is_confirmed, true, |_| None, |_| Ok(true).into());
            assert_eq!(judged, Err(Violation::Open));
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert_eq!(
            Violation::Lockout(vec!["a".into(), "b (for some nodes)".into()]).to_string(),
            "it keeps Ironic's conductor, who shows the agent token, from a, b (for some nodes): the machine would be lost to Ironic. Write `or \
             rule:agent_token` into the rule, or, if this is meant, the line `# ferrite: allow-conductor-lockout` at the head of the file"
        );
    }
}
