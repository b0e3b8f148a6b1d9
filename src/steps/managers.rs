//! Hardware managers, with their steps and versions.
//!
//! There is one manager with IPA's names, so that steps stored by Ironic mean the same here:
//! `GenericHardwareManager`, declared as `generic_hardware_manager` 1.2. Its steps are the rows of
//! the files that implement them.

use super::machine::Priorities;
use super::spec::{Phase, StepSpec};
use super::{erase, inject_files, write_image};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A hardware manager, as in IPA's interface to Ironic.
pub(super) trait HardwareManager: Sync {
    /// Class name, under which its steps are listed.
    fn class(&self) -> &str;
    /// Declared name, under which its version is listed.
    fn name(&self) -> &str;
    fn version(&self) -> &str;
    /// Hardware support: 1 for any hardware, more for a specific one.
    fn support(&self) -> u8;
    /// Steps of the manager, one slice per file.
    fn steps(&self) -> &[&[StepSpec]];
}

/// Manager for any machine.
struct GenericHardwareManager;

impl HardwareManager for GenericHardwareManager {
    fn class(&self) -> &str {
        "GenericHardwareManager"
    }

    fn name(&self) -> &str {
        "generic_hardware_manager"
    }

    fn version(&self) -> &str {
        "1.2"
    }

    fn support(&self) -> u8 {
        1
    }

    fn steps(&self) -> &[&[StepSpec]] {
        GENERIC
    }
}

/// Steps in the order in which Ironic gets them.
static GENERIC: &[&[StepSpec]] = &[erase::STEPS, write_image::STEPS, inject_files::STEPS];
static MANAGERS: &[&dyn HardwareManager] = &[&GenericHardwareManager];

/// Returns the response to `get_T_steps`.
pub(super) fn offer(phase: Phase, priorities: &Priorities) -> Value {
    let mut steps = BTreeMap::<_, Vec<_>>::new();
    for offered in offered(MANAGERS, phase, priorities) {
        let step = offered.step.offered(offered.priority, offered.abortable);
        steps.entry(offered.manager.class()).or_default().push(step);
    }
    json!({
        format!("{}_steps", phase.name()): steps,
        "hardware_manager_version": versions(),
    })
}

/// Returns an offered step by its name.
pub(super) fn find(phase: Phase, name: &str, priorities: &Priorities) -> Option<&'static StepSpec> {
    let mut steps = offered(MANAGERS, phase, priorities).into_iter();
    steps
        .find(|offered| offered.step.name == name)
        .map(|offered| offered.step)
}

/// Returns the hardware managers' versions by declared name.
#[must_use]
pub fn versions() -> Map<String, Value> {
    let managers = MANAGERS.iter();
    managers
        .map(|manager| (manager.name().to_owned(), manager.version().into()))
        .collect()
}

/// Returns whether Ironic's steps are from the same versions; true without versions (null).
#[must_use]
pub fn is_same_version(given: &Value) -> bool {
    given.is_null() || given.as_object() == Some(&versions())
}

/// An offered step, with its manager.
#[derive(Clone, Copy)]
struct Offered<'a> {
    manager: &'a dyn HardwareManager,
    step: &'a StepSpec,
    priority: u32,
    abortable: Option<bool>,
}

/// Returns the steps of a phase, each name once. Conflicts are resolved by the manager's hardware
/// support, then by the higher priority, then by the alphabetical order of the classes.
fn offered<'a>(
    managers: &[&'a dyn HardwareManager],
    phase: Phase,
    priorities: &Priorities,
) -> Vec<Offered<'a>> {
    let mut all = Vec::new();
    for &manager in managers {
        for step in manager.steps().iter().copied().flatten() {
            let offers = step.offers.iter().filter(|offer| offer.phase == phase);
            all.extend(offers.map(|offer| Offered {
                manager,
                step,
                priority: *priorities.get(step.name).unwrap_or(&offer.default_priority),
                abortable: offer.abortable,
            }));
        }
    }
    let rank = |of: &Offered<'a>| {
        let better_first = (Reverse(of.manager.support()), Reverse(of.priority));
        (better_first, of.manager.class())
    };
    let rivals = all.clone();
    all.retain(|offered| {
        let mut rivals = rivals
            .iter()
            .filter(|rival| rival.step.name == offered.step.name);
        rivals.all(|rival| rank(offered) <= rank(rival))
    });
    all
}

#[cfg(test)]
mod tests {
    use super::super::spec::Offer;
    use super::*;
    use crate::policy::{DEFAULTS, Operation, names};
    use std::collections::BTreeSet;

    fn steps() -> Vec<&'static StepSpec> {
        let steps = MANAGERS.iter().flat_map(|manager| manager.steps());
        steps.copied().flatten().collect()
    }

    #[test]
    fn every_step_has_a_rule_and_every_rule_for_one_has_its_step() {
        let steps: BTreeSet<_> = steps()
            .into_iter()
            .map(|step| (format!("{}{}", names::STEP, step.name), step.name))
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
    fn every_step_is_offered_once_a_phase_and_describes_its_arguments() {
        for step in steps() {
            let phases: Vec<_> = step.offers.iter().map(|offer| offer.phase).collect();
            let distinct: BTreeSet<_> = phases.iter().map(|phase| phase.name()).collect();
            assert!(
                !phases.is_empty() && distinct.len() == phases.len(),
                "{}: {phases:?}",
                step.name
            );
            let names: BTreeSet<_> = step.args.iter().map(|arg| arg.name).collect();
            assert_eq!(names.len(), step.args.len(), "{}", step.name);
            for arg in step.args {
                let description = arg.description;
                assert!(
                    description.len() > 20 && description.ends_with('.'),
                    "{}, {}: {description:?}",
                    step.name,
                    arg.name
                );
            }
        }
    }

    #[test]
    fn the_offers_are_those_of_ipa() {
        let priorities = Priorities::from([("inject_files", 7)]);
        let offer = |phase| offer(phase, &priorities);
        let [.., injection] = steps()[..] else {
            panic!("no steps");
        };
        let [files, verify] = injection.args else {
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
            offer(Phase::Clean),
            json!({
                "clean_steps": {"GenericHardwareManager": [
                    {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "reboot_requested": false, "abortable": true},
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
        assert_eq!(
            offer(Phase::Deploy),
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
            offer(Phase::Service),
            json!({
                "service_steps": {"GenericHardwareManager": [
                    {"step": "write_image", "priority": 0, "interface": "deploy", "reboot_requested": false},
                    injecting,
                ]},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
    }

    /// A manager with cleaning steps, by their names and priorities.
    struct Site {
        class: &'static str,
        support: u8,
        steps: &'static [&'static [StepSpec]],
    }

    impl HardwareManager for Site {
        fn class(&self) -> &str {
            self.class
        }

        fn name(&self) -> &str {
            self.class
        }

        fn version(&self) -> &str {
            "1"
        }

        fn support(&self) -> u8 {
            self.support
        }

        fn steps(&self) -> &[&[StepSpec]] {
            self.steps
        }
    }

    const fn step(name: &'static str, offers: &'static [Offer]) -> StepSpec {
        StepSpec {
            name,
            interface: "deploy",
            offers,
            reboot_requested: false,
            args: &[],
            lists_args: true,
            run: |_, _, _| Ok(Value::Null),
        }
    }

    const fn clean(default_priority: u32) -> Offer {
        Offer {
            default_priority,
            ..Offer::on_request(Phase::Clean)
        }
    }

    #[test]
    fn a_step_of_several_managers_is_offered_once() {
        static GENERIC: &[&[StepSpec]] = &[&[
            step("support", &[clean(99)]),
            step("priority", &[clean(10)]),
            step("name", &[clean(5)]),
        ]];
        static ALIKE: &[&[StepSpec]] = &[&[
            step("name", &[clean(5)]),
            step("priority", &[clean(20)]),
            step("support", &[clean(1)]),
        ]];
        static SPECIAL: &[&[StepSpec]] = &[&[step("support", &[clean(0)])]];
        let site = |class, support, steps| Site {
            class,
            support,
            steps,
        };
        let generic = site("Generic", 1, GENERIC);
        let alike = site("Alike", 1, ALIKE);
        let special = site("Special", 2, SPECIAL);
        let managers: [&dyn HardwareManager; 3] = [&generic, &alike, &special];
        let kept = |phase, priorities| {
            let kept = offered(&managers, phase, &priorities).into_iter();
            kept.map(|of| (of.manager.class(), of.step.name, of.priority))
                .collect::<Vec<_>>()
        };
        let expected = [
            ("Alike", "name", 5),
            ("Alike", "priority", 20),
            ("Special", "support", 0),
        ];
        assert_eq!(kept(Phase::Clean, Priorities::new()), expected);
        assert_eq!(kept(Phase::Deploy, Priorities::new()), []);
        // A configured priority applies to all managers.
        let configured = Priorities::from([("priority", 7)]);
        let expected = [
            ("Alike", "name", 5),
            ("Alike", "priority", 7),
            ("Special", "support", 0),
        ];
        assert_eq!(kept(Phase::Clean, configured), expected);
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
