//! What no policy may do: keep Ironic's conductor from its work, or let strangers command.

use super::Attributes;
use super::credentials::{AGENT, NOBODY};
use super::names::{COMMAND, COMMAND_RUN};
use super::rule::RuleDefault;

/// Why a policy is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Ironic could not command the machine any more.
    #[error(
        "it keeps Ironic's conductor, who shows the agent token, from {}: the machine would be lost to Ironic. Write `or rule:agent_token` \
         into the rule, or, if this is meant, the line `# ferrite: {LOCKOUT}` at the head of the file", .0.join(", ")
    )]
    Lockout(Vec<&'static str>),
    /// No setting makes the agent take a command without a credential.
    #[error(
        "it lets whoever reaches the agent run commands ({COMMAND_RUN}): a command needs a credential, always"
    )]
    Open,
}

/// Decides whether a policy may be lived by. `passes` says whether somebody passes a rule of it. Steps are not looked at: that a machine is
/// never to be erased is a policy.
///
/// # Errors
/// [`Unfit`].
pub(super) fn judge(
    defaults: &'static [RuleDefault],
    is_lockout_confirmed: bool,
    passes: impl Fn(&str, &Attributes) -> bool,
) -> Result<(), Unfit> {
    if passes(COMMAND_RUN, &NOBODY) {
        return Err(Unfit::Open);
    }
    let needed = defaults
        .iter()
        .filter(|rule| rule.name.starts_with(COMMAND));
    let lost = needed
        .map(|rule| rule.name)
        .filter(|rule| !passes(rule, &AGENT));
    match lost.collect::<Vec<_>>() {
        lost if lost.is_empty() || is_lockout_confirmed => Ok(()),
        lost => Err(Unfit::Lockout(lost)),
    }
}

/// What a file's head says, after `# ferrite:`, when the conductor is to be kept out.
pub(super) const LOCKOUT: &str = "allow-conductor-lockout";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULTS;
    use crate::policy::names::{COMMAND_LIST, LOG_GET, SECRETS_SHOW};

    fn judged(refused: &'static str, is_confirmed: bool) -> Result<(), Unfit> {
        judge(DEFAULTS, is_confirmed, |rule, credentials| {
            credentials == &*AGENT && rule != refused
        })
    }

    #[test]
    fn the_conductor_must_pass_every_rule_of_its_work_unless_that_is_confirmed() {
        assert_eq!(judged("", false), Ok(()));
        for rule in [COMMAND_LIST, "baremetal:agent:command:standby.sync"] {
            assert_eq!(judged(rule, false), Err(Unfit::Lockout(vec![rule])));
            assert_eq!(judged(rule, true), Ok(()));
        }
        for rule in ["baremetal:agent:step:write_image", SECRETS_SHOW, LOG_GET] {
            assert_eq!(judged(rule, false), Ok(()));
        }
    }

    #[test]
    fn nobody_may_ever_be_let_run_commands() {
        for is_confirmed in [false, true] {
            let judged = judge(DEFAULTS, is_confirmed, |_, _| true);
            assert_eq!(judged, Err(Unfit::Open));
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert_eq!(
            Unfit::Lockout(vec!["a", "b"]).to_string(),
            "it keeps Ironic's conductor, who shows the agent token, from a, b: the machine would be lost to Ironic. Write `or \
             rule:agent_token` into the rule, or, if this is meant, the line `# ferrite: allow-conductor-lockout` at the head of the file"
        );
    }
}
