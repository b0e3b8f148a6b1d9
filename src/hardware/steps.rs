//! The steps this agent offers Ironic, and the version it offers them under.
//!
//! Only what the tables say; what a step does is elsewhere. One hardware manager, with IPA's names, so that steps stored by Ironic
//! mean the same here: `GenericHardwareManager`, declared as `generic_hardware_manager` 1.2.

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

    /// The steps there are.
    #[must_use]
    pub const fn steps(self) -> &'static [StepSpec] {
        match self {
            Self::Clean => &CLEAN,
            Self::Deploy => &DEPLOY,
            Self::Service => &SERVICE,
        }
    }

    /// The answer to `get_T_steps`.
    #[must_use]
    pub fn offer(self) -> Value {
        let steps: Vec<Value> = self.steps().iter().map(StepSpec::offered).collect();
        json!({
            format!("{}_steps", self.name()): {MANAGER_CLASS: steps},
            "hardware_manager_version": versions(),
        })
    }
}

/// A step as it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSpec {
    /// Its name.
    pub step: &'static str,
    /// Higher ones run first; zero only when asked for.
    pub priority: u32,
    /// The driver interface it belongs to.
    pub interface: &'static str,
    /// Whether the machine must be started anew afterwards.
    pub reboot_requested: bool,
    /// Whether it may be stopped; deployments have no such thing.
    pub abortable: Option<bool>,
    /// Its arguments; Ironic refuses others where there are any.
    pub argsinfo: &'static [Argument],
}

impl StepSpec {
    fn offered(&self) -> Value {
        let mut step = Map::from_iter([
            ("step".to_owned(), self.step.into()),
            ("priority".to_owned(), self.priority.into()),
            ("interface".to_owned(), self.interface.into()),
            ("reboot_requested".to_owned(), self.reboot_requested.into()),
        ]);
        if let Some(abortable) = self.abortable {
            step.insert("abortable".to_owned(), abortable.into());
        }
        if !self.argsinfo.is_empty() {
            let arguments = self.argsinfo.iter().map(|argument| {
                let about =
                    json!({"description": argument.description, "required": argument.required});
                (argument.name.to_owned(), about)
            });
            step.insert("argsinfo".to_owned(), Value::Object(arguments.collect()));
        }
        Value::Object(step)
    }
}

/// An argument of a step, as it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is for, shown to the operator.
    pub description: &'static str,
    /// Whether the step cannot do without.
    pub required: bool,
}

/// The hardware managers' versions, by declared name.
#[must_use]
pub fn versions() -> Map<String, Value> {
    Map::from_iter([(MANAGER_NAME.to_owned(), MANAGER_VERSION.into())])
}

/// Whether the steps Ironic holds were offered by the same versions; without versions (null) they are taken for it.
#[must_use]
pub fn is_same_version(given: &Value) -> bool {
    given.is_null() || given.as_object() == Some(&versions())
}

const MANAGER_CLASS: &str = "GenericHardwareManager";
const MANAGER_NAME: &str = "generic_hardware_manager";
const MANAGER_VERSION: &str = "1.2";

const CLEAN: [StepSpec; 1] = [StepSpec {
    priority: 99,
    abortable: Some(true),
    ..ERASE_DEVICES_METADATA
}];
const DEPLOY: [StepSpec; 2] = [ERASE_DEVICES_METADATA, WRITE_IMAGE];
const SERVICE: [StepSpec; 1] = [WRITE_IMAGE];

const ERASE_DEVICES_METADATA: StepSpec = StepSpec {
    step: "erase_devices_metadata",
    ..WRITE_IMAGE
};
/// As with IPA it tells of no arguments: Ironic's own step of the same name calls it with what it knows.
const WRITE_IMAGE: StepSpec = StepSpec {
    step: "write_image",
    priority: 0,
    interface: "deploy",
    reboot_requested: false,
    abortable: None,
    argsinfo: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_offers_are_those_of_ipa() {
        assert_eq!(
            Phase::Clean.offer(),
            json!({
                "clean_steps": {"GenericHardwareManager": [
                    {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "reboot_requested": false, "abortable": true},
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
        assert_eq!(
            Phase::Deploy.offer(),
            json!({
                "deploy_steps": {"GenericHardwareManager": [
                    {"step": "erase_devices_metadata", "priority": 0, "interface": "deploy", "reboot_requested": false},
                    {"step": "write_image", "priority": 0, "interface": "deploy", "reboot_requested": false},
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
        assert_eq!(
            Phase::Service.offer(),
            json!({
                "service_steps": {"GenericHardwareManager": [
                    {"step": "write_image", "priority": 0, "interface": "deploy", "reboot_requested": false},
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
    }

    #[test]
    fn arguments_are_offered_with_their_descriptions() {
        let step = StepSpec {
            argsinfo: &[Argument {
                name: "raid_config",
                description: "The RAID configuration to apply.",
                required: true,
            }],
            ..WRITE_IMAGE
        };
        assert_eq!(
            step.offered()["argsinfo"],
            json!({"raid_config": {"description": "The RAID configuration to apply.", "required": true}})
        );
    }

    #[test]
    fn no_step_is_offered_twice() {
        for phase in [Phase::Clean, Phase::Deploy, Phase::Service] {
            let names: HashSet<_> = phase.steps().iter().map(|step| step.step).collect();
            assert_eq!(names.len(), phase.steps().len(), "{}", phase.name());
        }
    }

    #[test]
    fn versions_are_the_same_or_not_told() {
        for (given, expected) in [
            (json!(null), true),
            (json!({"generic_hardware_manager": "1.2"}), true),
            (json!({"generic_hardware_manager": "1.1"}), false),
            (
                json!({"generic_hardware_manager": "1.2", "ContainerHardwareManager": "2"}),
                false,
            ),
            (json!({}), false),
            (json!("1.2"), false),
        ] {
            assert_eq!(is_same_version(&given), expected, "{given}");
        }
    }
}
