//! The steps this agent offers Ironic, and the version it offers them under.
//!
//! Only what the tables say; what a step does is elsewhere. One hardware manager, with IPA's names, so that steps stored by Ironic
//! mean the same here: `GenericHardwareManager`, declared as `generic_hardware_manager` 1.2.

use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

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

    /// Whether a step is offered, under any manager.
    #[must_use]
    pub fn offers(self, name: &str) -> bool {
        let mut steps = MANAGERS.iter().flat_map(|manager| manager.steps(self));
        steps.any(|step| step.step == name)
    }

    /// The answer to `get_T_steps`; one priority is the operator's.
    #[must_use]
    pub fn offer(self, inject_files_priority: u8) -> Value {
        let steps: Map<_, _> = deduplicated(MANAGERS, self)
            .into_iter()
            .map(|(class, steps)| {
                let steps = steps
                    .into_iter()
                    .map(|step| step.offered(inject_files_priority))
                    .collect();
                (class.to_owned(), Value::Array(steps))
            })
            .collect();
        json!({
            format!("{}_steps", self.name()): steps,
            "hardware_manager_version": versions(),
        })
    }
}

/// A hardware manager of IPA's, as far as Ironic sees it.
#[derive(Clone, Copy, Debug)]
struct Manager {
    /// Its class, which its steps are listed under.
    class: &'static str,
    /// Its declared name, which its version is listed under.
    name: &'static str,
    version: &'static str,
    /// How well it knows the hardware: 1 for any, more for what it was written for.
    support: u8,
    clean: &'static [StepSpec],
    deploy: &'static [StepSpec],
    service: &'static [StepSpec],
}

impl Manager {
    const fn steps(&self, phase: Phase) -> &'static [StepSpec] {
        match phase {
            Phase::Clean => self.clean,
            Phase::Deploy => self.deploy,
            Phase::Service => self.service,
        }
    }
}

/// The managers' steps by class, each name once: offered by whoever knows the hardware better, else with the higher priority,
/// else by the class that comes first in the alphabet. A class without any step left is not there.
fn deduplicated(managers: &[Manager], phase: Phase) -> BTreeMap<&str, Vec<&StepSpec>> {
    let offers = || {
        managers.iter().flat_map(|manager| {
            let steps = manager.steps(phase).iter();
            steps.map(move |step| (manager, step))
        })
    };
    let rank = |(manager, step): &(&Manager, &StepSpec)| {
        let better_first = (Reverse(manager.support), Reverse(step.priority));
        (better_first, manager.class)
    };
    let mut kept = BTreeMap::<_, Vec<_>>::new();
    for offer in offers() {
        let (manager, step) = offer;
        let mut rivals = offers().filter(|(_, other)| other.step == step.step);
        if rivals.all(|rival| rank(&offer) <= rank(&rival)) {
            kept.entry(manager.class).or_default().push(step);
        }
    }
    kept
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
    fn offered(&self, inject_files_priority: u8) -> Value {
        let priority = if self.step == INJECT_FILES.step {
            inject_files_priority.into()
        } else {
            self.priority
        };
        let mut step = Map::from_iter([
            ("step".to_owned(), self.step.into()),
            ("priority".to_owned(), priority.into()),
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
    MANAGERS
        .iter()
        .map(|manager| (manager.name.to_owned(), manager.version.into()))
        .collect()
}

/// Whether the steps Ironic holds were offered by the same versions; without versions (null) they are taken for it.
#[must_use]
pub fn is_same_version(given: &Value) -> bool {
    given.is_null() || given.as_object() == Some(&versions())
}

static MANAGERS: &[Manager] = &[Manager {
    class: "GenericHardwareManager",
    name: "generic_hardware_manager",
    version: "1.2",
    support: 1,
    clean: &[StepSpec {
        priority: 99,
        abortable: Some(true),
        ..ERASE_DEVICES_METADATA
    }],
    deploy: &[ERASE_DEVICES_METADATA, WRITE_IMAGE, INJECT_FILES],
    service: &[WRITE_IMAGE, INJECT_FILES],
}];

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

/// Its priority is the operator's (`inject_files_priority`).
const INJECT_FILES: StepSpec = StepSpec {
    step: "inject_files",
    argsinfo: &[
        Argument {
            name: "files",
            description: "Files to write or delete, after those of node.properties[inject_files]: a list of objects with path \
                          and content (base64, or a URL), or deleted; and, if wanted, partition, mode, dirmode (of a folder \
                          that is made for the file), owner and group.",
            required: false,
        },
        Argument {
            name: "verify_ca",
            description: "Whether servers of content must show a certificate that the agent trusts; they must if not told.",
            required: false,
        },
    ],
    ..WRITE_IMAGE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{DEFAULTS, Operation, names};
    use std::collections::BTreeSet;

    #[test]
    fn every_step_has_a_rule_and_every_rule_for_one_has_its_step() {
        let phases = [Phase::Clean, Phase::Deploy, Phase::Service];
        let steps: BTreeSet<_> = phases
            .iter()
            .flat_map(|phase| MANAGERS.iter().flat_map(|manager| manager.steps(*phase)))
            .map(|step| (format!("{}{}", names::STEP, step.step), step.step))
            .collect();
        let rules: BTreeSet<_> = DEFAULTS
            .iter()
            .flat_map(|rule| rule.operations.iter().map(move |of| (rule.name, of)))
            .filter_map(|(rule, of)| match of {
                Operation::Step(name) => Some((rule.to_owned(), *name)),
                Operation::Request { .. } | Operation::Command(_) => None,
            })
            .collect();
        assert_eq!(steps, rules);
    }

    #[test]
    fn the_offers_are_those_of_ipa() {
        let [files, verify] = INJECT_FILES.argsinfo else {
            panic!("two arguments");
        };
        let injecting = json!({
            "step": "inject_files", "priority": 7, "interface": "deploy", "reboot_requested": false,
            "argsinfo": {
                "files": {"description": files.description, "required": false},
                "verify_ca": {"description": verify.description, "required": false},
            },
        });
        assert_eq!(
            Phase::Clean.offer(7),
            json!({
                "clean_steps": {"GenericHardwareManager": [
                    {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "reboot_requested": false, "abortable": true},
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
        assert_eq!(
            Phase::Deploy.offer(7),
            json!({
                "deploy_steps": {"GenericHardwareManager": [
                    {"step": "erase_devices_metadata", "priority": 0, "interface": "deploy", "reboot_requested": false},
                    {"step": "write_image", "priority": 0, "interface": "deploy", "reboot_requested": false},
                    injecting,
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
        assert_eq!(
            Phase::Service.offer(7),
            json!({
                "service_steps": {"GenericHardwareManager": [
                    {"step": "write_image", "priority": 0, "interface": "deploy", "reboot_requested": false},
                    injecting,
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
            step.offered(7)["argsinfo"],
            json!({"raid_config": {"description": "The RAID configuration to apply.", "required": true}})
        );
    }

    #[test]
    fn a_step_of_several_managers_is_offered_once() {
        const fn step(step: &'static str, priority: u32) -> StepSpec {
            StepSpec {
                step,
                priority,
                ..WRITE_IMAGE
            }
        }
        let manager = |class, support, clean| Manager {
            class,
            name: class,
            version: "1",
            support,
            clean,
            deploy: &[],
            service: &[],
        };
        const GENERIC: &[StepSpec] = &[step("support", 99), step("priority", 10), step("name", 5)];
        const ALIKE: &[StepSpec] = &[step("name", 5), step("priority", 20), step("support", 1)];
        const SPECIAL: &[StepSpec] = &[step("support", 0)];
        let managers = [
            manager("Generic", 1, GENERIC),
            manager("Alike", 1, ALIKE),
            manager("Special", 2, SPECIAL),
        ];
        let kept = deduplicated(&managers, Phase::Clean);
        let kept: Vec<_> = kept
            .into_iter()
            .map(|(class, steps)| (class, steps.iter().map(|step| step.step).collect()))
            .collect();
        let expected: [(&str, Vec<&str>); 2] = [
            ("Alike", vec!["name", "priority"]),
            ("Special", vec!["support"]),
        ];
        assert_eq!(kept, expected);
        assert_eq!(deduplicated(&managers, Phase::Deploy).len(), 0);
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
