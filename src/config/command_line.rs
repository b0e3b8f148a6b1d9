//! The command line: arguments made from the table of options, and what was given for them.

use super::merge::{Origin, Raw};
use super::options::{Kind, OPTIONS, Spec};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What the command line gave.
#[derive(Default)]
pub struct CommandLine {
    pub(super) raws: Vec<Raw>,
    /// `--config-file`, in order.
    pub(super) files: Vec<PathBuf>,
    /// `--config-dir`, in order.
    pub(super) directories: Vec<PathBuf>,
}

impl std::fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandLine")
            .field("files", &self.files)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

impl CommandLine {
    /// Adds every option to a subcommand, by IPA's spelling: `--api_url URLS`, `--insecure`, `--noinsecure`, beside
    /// `--config-file` and `--config-dir`. Hyphens are understood too.
    #[must_use]
    pub fn arguments(command: Command) -> Command {
        let path = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("PATH")
                .help(help)
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf))
        };
        let command = command
            .arg(path(
                CONFIG_FILE,
                "Read this file instead of the usual one.",
            ))
            .arg(path(
                CONFIG_DIR,
                "Read *.conf in this directory instead of the usual ones.",
            ));
        options().fold(command, |command, spec| {
            let command = command.arg(argument(spec));
            match spec.kind {
                Kind::Flag => command.arg(negation(spec)),
                _ => command,
            }
        })
    }

    /// Takes what was given for those arguments. The library keeps copies of its own, as the kernel does of every argument:
    /// a secret belongs elsewhere, and the agent says so.
    #[must_use]
    pub fn taken_from(matches: &mut ArgMatches) -> Self {
        let mut paths = |name| {
            matches
                .remove_many(name)
                .map(Iterator::collect)
                .unwrap_or_default()
        };
        let files = paths(CONFIG_FILE);
        let directories = paths(CONFIG_DIR);
        Self {
            raws: options()
                .filter_map(|spec| {
                    Some(Raw {
                        option: spec,
                        text: given(spec, matches)?,
                        origin: Origin::CommandLine(spec.name),
                    })
                })
                .collect(),
            files,
            directories,
        }
    }
}

/// Other groups stand in files and the environment alone.
fn options() -> impl Iterator<Item = &'static Spec> {
    OPTIONS.iter().filter(|spec| spec.group == "DEFAULT")
}

fn argument(spec: &'static Spec) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .help(help(spec))
        .alias(hyphens(spec.name))
        .overrides_with(spec.name);
    match spec.kind {
        Kind::Flag => argument
            .action(ArgAction::SetTrue)
            .overrides_with(spec.negation),
        Kind::Secret(value) | Kind::Value(value) => argument.value_name(value),
        Kind::Switch => argument.action(ArgAction::SetTrue),
    }
}

fn negation(spec: &'static Spec) -> Arg {
    Arg::new(spec.negation)
        .long(spec.negation)
        .hide(true)
        .action(ArgAction::SetTrue)
        .alias(hyphens(spec.negation))
        .overrides_with_all([spec.name, spec.negation])
}

fn help(spec: &Spec) -> String {
    let text = spec.help.trim();
    match (spec.kind, spec.default) {
        (Kind::Switch, _) | (_, "") => text.to_owned(),
        (_, default) => format!("{text} [default: {default}]"),
    }
}

fn hyphens(name: &str) -> clap::builder::Str {
    name.replace('_', "-").into()
}

fn given(spec: &Spec, matches: &mut ArgMatches) -> Option<Zeroizing<String>> {
    let switched = |name| {
        matches.value_source(name) == Some(ValueSource::CommandLine) && matches.get_flag(name)
    };
    let text = match spec.kind {
        Kind::Flag if switched(spec.negation) => "false".to_owned(),
        Kind::Flag | Kind::Switch => switched(spec.name).then(|| "true".to_owned())?,
        Kind::Secret(_) | Kind::Value(_) => matches.remove_one::<String>(spec.name)?,
    };
    Some(Zeroizing::new(text))
}

const CONFIG_FILE: &str = "config-file";
const CONFIG_DIR: &str = "config-dir";

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(arguments: &[&str]) -> CommandLine {
        let command = CommandLine::arguments(Command::new("agent"));
        let mut matches = command
            .try_get_matches_from([&["agent"], arguments].concat())
            .unwrap();
        CommandLine::taken_from(&mut matches)
    }

    fn texts(line: &CommandLine) -> Vec<(&str, &str)> {
        line.raws
            .iter()
            .map(|raw| (raw.option.name, raw.text.as_str()))
            .collect()
    }

    #[test]
    fn the_arguments_are_well_formed() {
        CommandLine::arguments(Command::new("agent")).debug_assert();
    }

    #[test]
    fn nothing_given_is_nothing_taken() {
        assert_eq!(texts(&taken(&[])), []);
    }

    #[test]
    fn names_are_spelled_with_underscores_or_hyphens() {
        let line = taken(&["--api_url", "http://a", "--listen-port=1", "--standalone"]);
        assert_eq!(
            texts(&line),
            [
                ("api_url", "http://a"),
                ("listen_port", "1"),
                ("standalone", "true")
            ]
        );
    }

    #[test]
    fn of_repeated_arguments_the_last_wins() {
        let line = taken(&["--insecure", "--noinsecure", "--nodebug", "--debug"]);
        assert_eq!(texts(&line), [("insecure", "false"), ("debug", "true")]);
        let line = taken(&["--listen_port=1", "--listen_port=2"]);
        assert_eq!(texts(&line), [("listen_port", "2")]);
    }

    #[test]
    fn files_and_directories_keep_their_order() {
        let line = taken(&["--config-file", "/a", "--config-dir=/d", "--config-file=/b"]);
        assert_eq!(line.files, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(line.directories, [PathBuf::from("/d")]);
    }
}
