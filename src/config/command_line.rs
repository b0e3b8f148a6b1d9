//! The command line: arguments generated from the table of options, and their values.

use super::merge::{Origin, Raw};
use super::registry::{RENAMED, all};
use super::spec::{DEFAULT, Effect, Kind, Scope, Spec};
use crate::suggest::nearest;
use clap::builder::Str;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Values from the command line.
#[derive(Default)]
pub struct CommandLine {
    pub(super) raws: Vec<Raw>,
    /// `--config-file` and `--config-dir`, in the order given.
    pub(super) places: Vec<Place>,
}

/// A location that configuration is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Directory(PathBuf),
    File(PathBuf),
}

impl std::fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandLine")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl CommandLine {
    /// Adds every option to a subcommand in IPA's spelling: `--api_url URLS`, `--insecure`,
    /// `--noinsecure`, beside `--config-file` and `--config-dir`. Hyphens and unambiguous prefixes
    /// of names are accepted too.
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
            .infer_long_args(true)
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

    /// Returns the option most similar to a misspelled one: `--listen_port` for `--listen_prt`.
    #[must_use]
    pub fn nearest(wrong: &str) -> Option<String> {
        let name = wrong.strip_prefix("--")?.split('=').next()?;
        let shown = |name| spellings(name).0.to_string();
        let flags = options().filter(|spec| spec.kind == Kind::Flag);
        let negations = flags.map(|spec| shown(spec.negation));
        let names = options().map(|spec| shown(spec.name)).chain(negations);
        nearest(name, names).map(|name| format!("--{name}"))
    }

    /// Takes the values of those arguments. clap stores copies of its own, and the kernel one of
    /// every argument. Secrets do not belong here, and the agent warns about them.
    #[must_use]
    pub fn taken_from(matches: &mut ArgMatches) -> Self {
        let mut places = paths(CONFIG_FILE, Place::File, matches);
        places.append(&mut paths(CONFIG_DIR, Place::Directory, matches));
        places.sort_by_key(|(index, _)| *index);
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
            places: places.into_iter().map(|(_, place)| place).collect(),
        }
    }
}

/// Returns the values of one of the two, each with its index among the arguments.
fn paths(name: &str, place: fn(PathBuf) -> Place, matches: &mut ArgMatches) -> Vec<(usize, Place)> {
    let indices: Vec<usize> = matches
        .indices_of(name)
        .map(Iterator::collect)
        .unwrap_or_default();
    let given = matches.remove_many(name).into_iter().flatten();
    indices.into_iter().zip(given.map(place)).collect()
}

/// Returns the options of the command line. Other groups are set in files and the environment only.
fn options() -> impl Iterator<Item = &'static Spec> {
    all().filter(|spec| spec.reach == Scope::Everywhere)
}

fn argument(spec: &'static Spec) -> Arg {
    let (spelling, other) = spellings(spec.name);
    let old = RENAMED
        .iter()
        .filter(|(group, _, now)| *group == DEFAULT && *now == spec.name)
        .map(|(_, old, _)| spellings(old).0);
    let argument = Arg::new(spec.name)
        .long(spelling)
        .help(help(spec))
        .alias(other)
        .aliases(old)
        .hide(spec.effect == Effect::None)
        .overrides_with(spec.name);
    let argument = match spec.name {
        "debug" => argument.short('d'),
        _ => argument,
    };
    match spec.kind {
        Kind::Flag => argument
            .action(ArgAction::SetTrue)
            .overrides_with(spec.negation),
        Kind::List(value) | Kind::Number(value) | Kind::Value(value) => argument.value_name(value),
        // It may begin with hyphens; else the complaint about an unknown argument would show it.
        Kind::Secret(value) => argument.value_name(value).allow_hyphen_values(true),
        Kind::Switch => argument.action(ArgAction::SetTrue),
    }
}

fn negation(spec: &'static Spec) -> Arg {
    let (spelling, other) = spellings(spec.negation);
    Arg::new(spec.negation)
        .long(spelling)
        .hide(true)
        .action(ArgAction::SetTrue)
        .alias(other)
        .overrides_with_all([spec.name, spec.negation])
}

/// Returns the spelling that is shown, and the alternative that is accepted. IPA spells its own
/// options with underscores, oslo.log spells log options with hyphens.
fn spellings(name: &'static str) -> (Str, Str) {
    let hyphens = Str::from(name.replace('_', "-"));
    let own = name.strip_prefix("no").unwrap_or(name);
    let with_hyphens = ["log_", "syslog_", "use_", "guard_"];
    if with_hyphens.iter().any(|prefix| own.starts_with(prefix)) {
        (hyphens, name.into())
    } else {
        (name.into(), hyphens)
    }
}

fn help(spec: &Spec) -> String {
    let text = spec.help.trim();
    match (spec.kind, spec.default) {
        (Kind::Switch, _) | (_, "") => text.to_owned(),
        (_, default) => format!("{text} [default: {default}]"),
    }
}

fn given(spec: &Spec, matches: &mut ArgMatches) -> Option<Zeroizing<String>> {
    let switched = |name| {
        matches.value_source(name) == Some(ValueSource::CommandLine) && matches.get_flag(name)
    };
    let text = match spec.kind {
        Kind::Flag if switched(spec.negation) => "false".to_owned(),
        Kind::Flag | Kind::Switch => switched(spec.name).then(|| "true".to_owned())?,
        Kind::List(_) | Kind::Number(_) | Kind::Secret(_) | Kind::Value(_) => {
            matches.remove_one::<String>(spec.name)?
        }
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
    fn a_secret_may_begin_with_hyphens() {
        for secret in ["--hush", "-x"] {
            let line = taken(&["--agent_token", secret, "--debug"]);
            assert_eq!(texts(&line), [("agent_token", secret), ("debug", "true")]);
        }
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
        let (a, b, d) = ("/a".into(), "/b".into(), "/d".into());
        assert_eq!(
            line.places,
            [Place::File(a), Place::Directory(d), Place::File(b)]
        );
    }

    #[test]
    fn the_logs_options_have_hyphens_an_old_name_and_a_letter() {
        for argument in ["--log-file=/l", "--log_file=/l", "--logfile=/l"] {
            assert_eq!(texts(&taken(&[argument])), [("log_file", "/l")]);
        }
        assert_eq!(texts(&taken(&["-d"])), [("debug", "true")]);
        assert_eq!(
            texts(&taken(&["--nouse-json", "--noguard-special-filesystems"])),
            [
                ("guard_special_filesystems", "false"),
                ("use_json", "false")
            ]
        );
    }

    #[test]
    fn a_wrong_spelling_has_a_nearest_right_one() {
        let nearest = |wrong| CommandLine::nearest(wrong);
        assert_eq!(nearest("--listen_prt").unwrap(), "--listen_port");
        assert_eq!(nearest("--log-fil=x").unwrap(), "--log-file");
        assert_eq!(nearest("--noinsecrue").unwrap(), "--noinsecure");
        assert_eq!(nearest("--colour"), None);
    }

    #[test]
    fn a_beginning_that_is_one_options_alone_is_enough() {
        assert_eq!(texts(&taken(&["--listen_p", "7"])), [("listen_port", "7")]);
        let command = CommandLine::arguments(Command::new("agent"));
        assert!(
            command
                .try_get_matches_from(["agent", "--listen", "7"])
                .is_err()
        );
    }

    #[test]
    fn options_of_parts_that_are_not_here_are_taken_and_those_of_other_groups_are_not() {
        assert_eq!(
            texts(&taken(&["--collect_lldp"])),
            [("collect_lldp", "true")]
        );
        for argument in ["--use_mdns", "--runner=docker", "--log_color"] {
            let command = CommandLine::arguments(Command::new("agent"));
            assert!(
                command.try_get_matches_from(["agent", argument]).is_err(),
                "{argument}"
            );
        }
    }
}
