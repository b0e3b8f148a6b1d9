//! `ferrite config`: the effective settings, a sample file, and validation of files.

use super::output::{UNUSABLE, print_error, print_output, shown_json};
use crate::agent;
use crate::config::{self, CommandLine, Loaded, Origin, Problem, Setting, TokenRequired, Value};
use crate::error::chain;
use crate::redact::one_line;
use crate::root::Root;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Returns the subcommand and its own subcommands.
pub(super) fn command() -> Command {
    let show = Command::new("show")
        .about("Print what an agent started so would use, and where each value is from")
        .arg(
            Arg::new(JSON)
                .long(JSON)
                .help("Print JSON.")
                .action(ArgAction::SetTrue),
        );
    Command::new("config")
        .about("About the configuration")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(CommandLine::arguments(show))
        .subcommand(Command::new("sample").about("Print a configuration file with every option"))
        .subcommand(
            Command::new("check")
                .about("Look for errors in configuration files")
                .arg(
                    Arg::new(FILES)
                        .value_name("FILE")
                        .help("A file, or a directory with at least one *.conf; later ones win.")
                        .required(true)
                        .action(ArgAction::Append)
                        .value_parser(clap::value_parser!(PathBuf)),
                ),
        )
}

/// Runs the requested subcommand.
pub(super) fn run(mut arguments: ArgMatches) -> ExitCode {
    match arguments.remove_subcommand() {
        Some((name, arguments)) if name == "show" => show(arguments),
        Some((name, arguments)) if name == "check" => check(arguments),
        _ => print_output(&config::sample()),
    }
}

fn show(mut arguments: ArgMatches) -> ExitCode {
    let as_json = arguments.get_flag(JSON);
    let command_line = CommandLine::taken_from(&mut arguments);
    match agent::preview(&Root::machine(), command_line) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                print_error(&format!("warning: {warning}"));
            }
            print_output(&if as_json {
                json_of(&loaded)
            } else {
                table_of(&loaded)
            })
        }
        Err(error) => {
            print_error(&chain(&error));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn table_of(loaded: &Loaded) -> String {
    let Loaded {
        settings,
        token_required,
        ..
    } = loaded;
    let rows: Vec<[String; 3]> = std::iter::once(["OPTION", "VALUE", "ORIGIN"].map(str::to_owned))
        .chain(settings.iter().map(row))
        .chain(token_required.iter().map(assertion))
        .collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        let widths = rows.iter().map(|row| column(row).chars().count());
        widths.max().unwrap_or_default().min(MAX_WIDTH)
    };
    let (names, values) = (width(|[name, _, _]| name), width(|[_, value, _]| value));
    rows.iter()
        .map(|[name, value, origin]| format!("{name:names$}  {value:values$}  {origin}\n"))
        .collect()
}

fn row(setting: &Setting) -> [String; 3] {
    let mut origin = setting.origin();
    if !setting.has_effect {
        origin.push_str(" (changes nothing: its part is not here)");
    }
    let value = one_line(&setting.value.to_string());
    [setting.full_name(), value, one_line(&origin)]
}

/// Formats an assertion that the agent token is required. Each is shown, because assertions are not
/// options that override each other.
fn assertion(assertion: &TokenRequired) -> [String; 3] {
    [
        TOKEN_REQUIRED.to_owned(),
        said(assertion).to_owned(),
        format!("{} ({ALWAYS})", assertion.origin),
    ]
}

fn said(assertion: &TokenRequired) -> &'static str {
    match assertion.asserted {
        Some(true) => "true",
        Some(false) => "false",
        None => "neither true nor false",
    }
}

fn json_of(loaded: &Loaded) -> String {
    let mut groups = Map::new();
    for setting in loaded.settings.iter() {
        let value = match &setting.value {
            Value::Flag(flag) => json!(flag),
            Value::List(words) => json!(words),
            Value::Number(number) => json!(number),
            Value::Unset => json!(null),
            value @ (Value::Secret | Value::Text(_)) => json!(value.to_string()),
        };
        let group = groups.entry(setting.group).or_insert_with(|| json!({}));
        if let Some(group) = group.as_object_mut() {
            let shown = json!({
                "value": value,
                "origin": setting.origin(),
                "effect": setting.has_effect,
            });
            group.insert(setting.name.to_owned(), shown);
        }
    }
    for assertion in &loaded.token_required {
        let group = groups.entry(TOKEN_REQUIRED).or_insert_with(|| json!({}));
        if let Some(group) = group.as_object_mut() {
            let shown = json!({"value": said(assertion), "effect": false});
            group.insert(assertion.origin.to_string(), shown);
        }
    }
    shown_json(&format!("{:#}\n", serde_json::Value::Object(groups)))
}

fn check(mut arguments: ArgMatches) -> ExitCode {
    let files = arguments.remove_many(FILES).into_iter().flatten();
    let checked = config::check(files.collect());
    let unusable = !checked.errors.is_empty();
    let errors = checked.errors.iter().map(|problem| ("error", problem));
    let warnings = checked.warnings.iter().map(|problem| ("warning", problem));
    let mut found: Vec<_> = errors.chain(warnings).collect();
    found.sort_by_key(|(_, problem)| place(problem));
    let lines: String = found
        .into_iter()
        .map(|(kind, problem)| line(kind, problem))
        .collect();
    let answered = print_output(&lines);
    if unusable {
        ExitCode::from(UNUSABLE)
    } else {
        answered
    }
}

/// Formats a problem as `file:line: error: reason`, like a compiler.
fn line(kind: &str, problem: &Problem) -> String {
    let reason = &problem.reason;
    let line = match place(problem) {
        Some((path, 0)) => format!("{}: {kind}: {reason}", path.display()),
        Some((path, line)) => format!("{}:{line}: {kind}: {reason}", path.display()),
        None => format!("{kind}: {problem}"),
    };
    one_line(&line) + "\n"
}

fn place(problem: &Problem) -> Option<(&Path, usize)> {
    match &problem.origin {
        Origin::File(path, line) => Some((path, *line)),
        _ => None,
    }
}

/// Maximum column width. A wider value shifts only its own origin, not those of all others.
const MAX_WIDTH: usize = 40;
const TOKEN_REQUIRED: &str = "agent_token_required";
const ALWAYS: &str = "changes nothing: the token is always required";
const JSON: &str = "json";
const FILES: &str = "files";
