//! What a step is: its name, when it is offered, its arguments and its function. One row of the file that does its work.

use super::context::StepContext;
use super::machine::Machine;
use crate::error::AgentError;
use crate::params::ParamReader;
use serde_json::{Map, Value, json};

/// When steps are run: the `T` of the commands `T.get_T_steps` and `T.execute_T_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Cleaning a machine.
    Clean,
    /// Deploying it.
    Deploy,
    /// Changing a deployed machine.
    Service,
}

impl Phase {
    /// The word in commands and results: `clean`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }
}

/// A step.
#[derive(Debug)]
pub(super) struct StepSpec {
    /// Its name, also in the rules of the policy.
    pub(super) name: &'static str,
    /// The driver interface it belongs to.
    pub(super) interface: &'static str,
    /// When it is offered, once a phase.
    pub(super) offers: &'static [Offer],
    /// Whether the machine must be started anew afterwards.
    pub(super) reboot_requested: bool,
    /// All its arguments: others are refused.
    pub(super) args: &'static [ArgSpec],
    /// Whether its offer lists the arguments; Ironic then refuses others itself.
    pub(super) lists_args: bool,
    /// The work: blocking code, which asks `context.cancel`.
    pub(super) run: fn(&Machine, ParamReader<'_>, StepContext<'_>) -> Result<Value, AgentError>,
}

/// A phase in which a step is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) phase: Phase,
    /// Higher ones run first; zero only when asked for. The configuration may say otherwise (`Settings::priorities`).
    pub(super) default_priority: u32,
    /// Whether it may be stopped; deployments have no such thing.
    pub(super) abortable: Option<bool>,
}

/// An argument of a step.
#[derive(Debug)]
pub(super) struct ArgSpec {
    pub(super) name: &'static str,
    /// What it is for, shown to the operator.
    pub(super) description: &'static str,
    /// Whether the step cannot do without.
    pub(super) required: bool,
}

impl StepSpec {
    /// Returns the step as Ironic reads it in the answer to `get_T_steps`.
    pub(super) fn offered(&self, priority: u32, abortable: Option<bool>) -> Value {
        let mut step = Map::from_iter([
            ("step".to_owned(), self.name.into()),
            ("priority".to_owned(), priority.into()),
            ("interface".to_owned(), self.interface.into()),
            ("reboot_requested".to_owned(), self.reboot_requested.into()),
        ]);
        if let Some(abortable) = abortable {
            step.insert("abortable".to_owned(), abortable.into());
        }
        if self.lists_args && !self.args.is_empty() {
            let args = self.args.iter().map(|arg| {
                let about = json!({"description": arg.description, "required": arg.required});
                (arg.name.to_owned(), about)
            });
            step.insert("argsinfo".to_owned(), Value::Object(args.collect()));
        }
        Value::Object(step)
    }
}

impl Offer {
    /// Offers a step that runs only when it is asked for.
    pub(super) const fn on_request(phase: Phase) -> Self {
        Self {
            phase,
            default_priority: 0,
            abortable: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_offered_with_their_descriptions_where_the_step_lists_them() {
        let mut step = StepSpec {
            name: "create_configuration",
            interface: "raid",
            offers: &[],
            reboot_requested: false,
            args: &[ArgSpec {
                name: "raid_config",
                description: "The RAID configuration to apply.",
                required: true,
            }],
            lists_args: true,
            run: |_, _, _| Ok(Value::Null),
        };
        assert_eq!(
            step.offered(7, Some(false)),
            json!({
                "step": "create_configuration", "priority": 7, "interface": "raid", "reboot_requested": false,
                "abortable": false,
                "argsinfo": {"raid_config": {"description": "The RAID configuration to apply.", "required": true}},
            })
        );
        step.lists_args = false;
        assert_eq!(
            step.offered(7, None),
            json!({"step": "create_configuration", "priority": 7, "interface": "raid", "reboot_requested": false})
        );
    }
}
