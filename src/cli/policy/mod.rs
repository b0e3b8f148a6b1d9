//! `ferrite policy`: oslo.policy's tools. They print a sample, validate files, list redundant rules
//! and replace deprecated names.
//!
//! Policies hold no secrets, and the redactor would mistake the names of rules for some
//! (`secrets:show`): messages are not redacted.

mod batch;
mod check;
mod inputs;
mod sources;

use super::output::{print_message, print_output};
use crate::error::chain;
use crate::policy::{self, DEFAULTS};
use crate::redact::one_line;
use clap::{Arg, ArgGroup, ArgMatches, Command};
use sources::{DIRECTORY, FILE, settings, sources, unusable};
use std::path::PathBuf;
use std::process::ExitCode;

/// Returns the subcommand and its own subcommands.
pub(super) fn command() -> Command {
    let upgraded = Arg::new(FILE)
        .long(FILE)
        .value_name("FILE")
        .help("A policy file, YAML or JSON. It is not changed.")
        .required(true)
        .value_parser(clap::value_parser!(PathBuf));
    Command::new("policy")
        .about("About policies: who may do what")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("sample")
                .about("Print a policy file with every rule, commented out, and what it is for"),
        )
        .subcommand(check::command())
        .subcommand(
            sources(Command::new("list-redundant"))
                .about("Print the rules of policy files that say what is built in")
                .group(
                    ArgGroup::new("sources")
                        .args([FILE, DIRECTORY])
                        .required(true)
                        .multiple(true),
                ),
        )
        .subcommand(
            Command::new("upgrade")
                .about("Print a policy file with the new names of rules in the place of old ones")
                .arg(upgraded),
        )
}

/// Runs the requested subcommand.
pub(super) fn run(mut arguments: ArgMatches) -> ExitCode {
    match arguments.remove_subcommand() {
        Some((name, arguments)) if name == "check" => check::run(arguments),
        Some((name, arguments)) if name == "list-redundant" => list_redundant(arguments),
        Some((name, arguments)) if name == "upgrade" => upgrade(arguments),
        _ => print_output(&policy::sample()),
    }
}

fn list_redundant(mut arguments: ArgMatches) -> ExitCode {
    let redundant = settings(&mut arguments)
        .and_then(|settings| policy::redundant(DEFAULTS, &settings).map_err(|error| chain(&error)));
    match redundant {
        Ok(rules) => print_output(
            &rules
                .iter()
                .map(|rule| format!("{}\n", one_line(&rule.to_string())))
                .collect::<String>(),
        ),
        Err(reason) => unusable(&reason),
    }
}

fn upgrade(mut arguments: ArgMatches) -> ExitCode {
    let path: PathBuf = arguments.remove_one(FILE).unwrap_or_default();
    match policy::upgrade(DEFAULTS, &path) {
        Ok(upgraded) => {
            for hint in &upgraded.hints {
                print_message(&format!("{}:{}: {hint}", path.display(), hint.line));
            }
            print_output(&upgraded.text)
        }
        Err(error) => unusable(&chain(&error)),
    }
}
