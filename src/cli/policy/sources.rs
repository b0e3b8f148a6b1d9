//! Options that name policies, shared by the subcommands.

use super::super::output::{UNUSABLE, print_message};
use crate::policy::Settings;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use std::process::ExitCode;

/// Adds the options that name policies.
pub(super) fn sources(command: Command) -> Command {
    command
        .arg(
            Arg::new(FILE)
                .long(FILE)
                .value_name("FILE")
                .help("A policy file, YAML or JSON; rules of later ones win.")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new(DIRECTORY)
                .long(DIRECTORY)
                .value_name("DIR")
                .help("A directory with policy files, read after FILE in the order of their names.")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf)),
        )
}

/// Returns the settings for the named policies. Write permission for other users is checked only
/// when an agent loads them.
pub(super) fn settings(arguments: &mut ArgMatches) -> Result<Settings, String> {
    let mut paths = |name| arguments.remove_many(name).into_iter().flatten().collect();
    let settings = Settings {
        files: paths(FILE),
        directories: paths(DIRECTORY),
        ..Settings::default()
    };
    match settings.directories.iter().find(|path| !path.is_dir()) {
        Some(path) => Err(format!("{} is no directory", path.display())),
        None => Ok(settings),
    }
}

pub(super) fn unusable(reason: &str) -> ExitCode {
    print_message(&format!("error: {reason}"));
    ExitCode::from(UNUSABLE)
}

pub(super) const FILE: &str = "file";
pub(super) const DIRECTORY: &str = "dir";
