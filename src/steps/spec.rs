//! Specification of a step: name, phases, arguments and function. It is one row in the file that
//! implements the step.

use super::context::StepContext;
use super::machine::Machine;
use crate::error::AgentError;
use crate::params::ParamReader;
use serde_json::{Map, Value, json};

/// Phase in which steps are run: the `T` of the commands `T.get_T_steps` and `T.execute_T_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Cleaning of a machine.
    Clean,
    /// Deployment of a machine.
    Deploy,
    /// Service of a deployed machine.
    Service,
}

impl Phase {
    /// Returns the name in commands and results: `clean`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }
}

/// Specification of a step.
#[derive(Debug)]
pub(super) struct StepSpec {
    /// Name of the step, also in the policy's rules.
    pub(super) name: &'static str,
    /// Driver interface of the step.
    pub(super) interface: &'static str,
    /// Offers of the step, one per phase.
    pub(super) offers: &'static [Offer],
    /// Whether the machine must reboot afterwards.
    pub(super) reboot_requested: bool,
    /// Arguments of the step: all others are refused.
    pub(super) args: &'static [ArgSpec],
    /// Whether the offer lists the arguments; Ironic then refuses others itself.
    pub(super) lists_args: bool,
    /// Function of the step: blocking code, which polls `context.cancel`.
    pub(super) run: fn(&Machine, ParamReader<'_>, StepContext<'_>) -> Result<Value, AgentError>,
}

/// Offer of a step in a phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) phase: Phase,
    /// Default priority: higher ones run first, zero only on request. The configuration may
    /// override it (`Settings::priorities`).
    pub(super) default_priority: u32,
    /// Whether the step may be aborted; `None` in deployments, which have no such property.
    pub(super) abortable: Option<bool>,
}

/// Argument of a step.
#[derive(Debug)]
pub(super) struct ArgSpec {
    pub(super) name: &'static str,
    /// Description for the operator.
    pub(super) description: &'static str,
    /// Whether the argument is required.
    pub(super) required: bool,
}

impl StepSpec {
    /// Returns the step in the form of the response to `get_T_steps`.
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
    /// Returns an offer of a step that runs only on request.
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
