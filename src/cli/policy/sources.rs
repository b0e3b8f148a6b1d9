//! The options that name policies, for all subcommands alike.

use super::super::output::{UNUSABLE, print_message};
use crate::policy::Settings;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use std::process::ExitCode;

/// The options that name policies.
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

/// The policies that are named. Others may write to them: that is asked where they are to be lived by.
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
