//! The command extensions, by their wire names: `standby.prepare_image` is in `standby.rs`.
//!
//! A function here reads its parameters, lets the rooms below do the work and shapes the result as Ironic expects it.

mod clean;
mod context;
mod deploy;
mod flow;
mod image;
mod log;
mod log_archive;
mod poll;
mod rescue;
mod service;
mod standby;
mod steps;
mod system;

pub use context::{Context, Extensions};

use crate::command::Command;
use std::sync::Arc;

/// Every command, one slice an extension.
pub static EXTENSIONS: Extensions = &[
    clean::COMMANDS,
    deploy::COMMANDS,
    flow::COMMANDS,
    image::COMMANDS,
    log::COMMANDS,
    poll::COMMANDS,
    rescue::COMMANDS,
    service::COMMANDS,
    standby::COMMANDS,
    system::COMMANDS,
];

/// The commands, ready for the dispatcher.
#[must_use]
pub fn commands(context: &Arc<Context>) -> Vec<Command> {
    EXTENSIONS
        .iter()
        .copied()
        .flatten()
        .map(|spec| spec.bind(context))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{DEFAULTS, Operation, names};
    use std::collections::BTreeSet;

    #[test]
    fn every_command_has_a_rule_and_every_rule_for_one_has_its_command() {
        let commands = EXTENSIONS.iter().copied().flatten();
        let commands: BTreeSet<_> = commands
            .map(|spec| format!("{}.{}", spec.extension, spec.name))
            .map(|name| (format!("{}{name}", names::COMMAND), name))
            .collect();
        let rules: BTreeSet<_> = DEFAULTS
            .iter()
            .flat_map(|rule| rule.operations.iter().map(move |of| (rule.name, of)))
            .filter_map(|(rule, of)| match of {
                Operation::Command(name) => Some((rule.to_owned(), (*name).to_owned())),
                Operation::Request { .. } | Operation::Step(_) => None,
            })
            .collect();
        assert_eq!(commands, rules);
    }

    /// Descriptions of arguments by their names, the archive of logs (its members are redacted one by one), identifiers, the inventory.
    ///
    /// Of all others Ironic reads the step's name and interface and what a RAID step made (`agent_base._get_completed_command`,
    /// `agent.AgentRAID`, releases 21.4 to 39.0), and gets no secret back.
    #[test]
    fn results_are_masked_but_for_those_that_ironic_reads() {
        let commands = EXTENSIONS.iter().copied().flatten();
        let read = commands.filter(|spec| spec.is_read_by_ironic);
        let names: Vec<_> = read
            .map(|spec| format!("{}.{}", spec.extension, spec.name))
            .collect();
        assert_eq!(
            names,
            [
                "clean.get_clean_steps",
                "deploy.get_deploy_steps",
                "log.collect_system_logs",
                "poll.get_hardware_info",
                "service.get_service_steps",
                "standby.get_partition_uuids",
            ]
        );
    }

    #[test]
    fn no_command_is_registered_twice() {
        let names: Vec<_> = EXTENSIONS
            .iter()
            .copied()
            .flatten()
            .map(|spec| (spec.extension, spec.name))
            .collect();
        assert_eq!(
            names.iter().collect::<BTreeSet<_>>().len(),
            names.len(),
            "{names:?}"
        );
    }
}
