//! The command line: subcommands, their dispatch, and exit codes. The modules below produce the
//! output.

mod configuration;
mod output;
mod policy;

use crate::config::CommandLine;
use crate::redact::{one_line, redact_lines};
use crate::root::Root;
use crate::suggest::nearest;
use crate::{agent, init, inventory, logging, network, supervisor};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};
use output::{UNUSABLE, print_error, print_output, shown_json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the subcommand that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let _flush = FlushWhenDropped;
    run_command()
}

/// Flushes logs and output, even if a panic ends the process.
struct FlushWhenDropped;

impl Drop for FlushWhenDropped {
    fn drop(&mut self) {
        logging::flush();
    }
}

fn run_command() -> ExitCode {
    // Each parse of the arguments copies all of them, including secrets: drop it as soon as it is
    // used.
    let program = std::env::args_os().next().map(PathBuf::from);
    if program.is_some_and(|program| program.ends_with(MODPROBE)) {
        return modprobe();
    }
    let mut matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return explain(error),
    };
    match matches.remove_subcommand() {
        Some((name, arguments)) if name == "agent" => serve(arguments),
        Some((name, _)) if name == "init" => {
            print_error(
                "ferrite init is process 1 of a ramdisk: the kernel starts it, nobody else",
            );
            ExitCode::from(UNUSABLE)
        }
        Some((name, arguments)) if name == "network" => network(arguments),
        Some((name, arguments)) if name == "supervise" => {
            drop(arguments);
            supervise()
        }
        Some((name, arguments)) if name == "config" => configuration::run(arguments),
        Some((name, arguments)) if name == "policy" => policy::run(arguments),
        _ => {
            let inventory = inventory::collect(
                &Root::machine(),
                None,
                inventory::bmc::find(&Root::machine()),
            );
            let json = format!("{:#}\n", inventory::wire::inventory(&inventory));
            print_output(&shown_json(&json))
        }
    }
}

/// Returns every subcommand with its arguments.
#[must_use]
pub fn command() -> Command {
    Command::new("ferrite")
        .about("The ramdisk agent for OpenStack Ironic")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(
            "Exit codes: 0 done, 1 failed, 2 the command line or configuration cannot be used.",
        )
        .subcommand(
            CommandLine::arguments(
                Command::new("agent").about("Look up the node, heartbeat, serve Ironic's commands"),
            )
            .arg(handed_over(HANDED_OVER))
            .arg(handed_over(OTHER_LOGS)),
        )
        .subcommand(
            Command::new("init")
                .about("Process 1 of the ramdisk: prepare the machine, keep the agent running"),
        )
        .subcommand(
            Command::new("network")
                .about("A part of process 1: addresses for every interface")
                .hide(true)
                .arg(handed_over(HANDED_OVER))
                .arg(handed_over(OWN_LOG)),
        )
        .subcommand(CommandLine::arguments(Command::new("supervise").about(
            "Keep an agent with these options running where no init of ours does: one that is started again goes on as the one \
             before it",
        )))
        .subcommand(Command::new("inventory").about("Print what the machine is, as JSON"))
        .subcommand(configuration::command())
        .subcommand(policy::command())
}

/// Returns the argument for the numbers of inherited descriptors. Only the supervisor passes it.
fn handed_over(option: &'static str) -> Arg {
    Arg::new(option)
        .long(option)
        .hide(true)
        .value_delimiter(',')
        .value_parser(clap::value_parser!(i32))
}

/// Prints help, the version or the error in the arguments. For an unknown option or subcommand it
/// suggests the most similar one.
fn explain(mut error: clap::Error) -> ExitCode {
    if let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && let Some(meant) = CommandLine::nearest(wrong)
    {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(meant));
    }
    if let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(meant) = nearest_subcommand(wrong, std::env::args_os().nth(1))
    {
        let meant = ContextValue::Strings(vec![meant]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
    if error.use_stderr() {
        let said = redact_lines(&error.render().to_string());
        let lines = said.lines().map(one_line);
        lines.for_each(|line| logging::print(&format!("{line}\n")));
    } else {
        // Help and version are the program's own text. A failed write means that standard output is
        // gone, so there is nowhere to report it.
        let _gone = error.print();
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Returns the subcommand most similar to a misspelled one: among those of `parent`, if that is a
/// subcommand itself.
fn nearest_subcommand(wrong: &str, parent: Option<OsString>) -> Option<String> {
    let top = command();
    let level = parent
        .as_ref()
        .and_then(|parent| top.find_subcommand(parent))
        .unwrap_or(&top);
    let shown = level.get_subcommands().filter(|known| !known.is_hide_set());
    nearest(wrong, shown.map(|known| known.get_name().to_owned()))
}

fn serve(mut arguments: ArgMatches) -> ExitCode {
    let handed_over = agent::HandedOver {
        left: numbers(&mut arguments, HANDED_OVER),
        other_logs: numbers(&mut arguments, OTHER_LOGS),
    };
    let command_line = CommandLine::taken_from(&mut arguments);
    drop(arguments);
    match agent::run(Root::machine(), command_line, &handed_over) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&crate::error::chain(&error));
            if error.is_config_error() {
                ExitCode::from(UNUSABLE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Handles the start by the kernel under this name, which passes no subcommand.
fn modprobe() -> ExitCode {
    let request = match init::modprobe::Request::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    match request.run(&Root::machine()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !request.is_quiet() {
                print_error(&crate::error::chain(&error));
            }
            ExitCode::FAILURE
        }
    }
}

fn network(mut arguments: ArgMatches) -> ExitCode {
    let log = logging::start();
    let handed_over = numbers(&mut arguments, HANDED_OVER);
    let own_log = numbers(&mut arguments, OWN_LOG).first().copied();
    match network::serve(&Root::machine(), &handed_over, own_log, &log) {
        Ok(never) => match never {},
        Err(error) => {
            print_error(&crate::error::chain(&error));
            match error {
                network::Error::NotAChild => ExitCode::from(UNUSABLE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn numbers(arguments: &mut ArgMatches, option: &str) -> Vec<i32> {
    let numbers = arguments.remove_many(option).into_iter().flatten();
    numbers.collect()
}

/// Passes the options on to the agent as they were written; they were parsed already.
fn supervise() -> ExitCode {
    let log = logging::start();
    match supervisor::supervise::run(std::env::args_os().skip(2), &log) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            print_error(&format!("no agent can be kept running: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Option with the numbers of the files that an agent inherits.
const HANDED_OVER: &str = "handed-over";
/// Option with the number of the file that stores this process's log.
const OWN_LOG: &str = "own-log";
/// Option with the numbers of the logs of the processes around an agent.
const OTHER_LOGS: &str = "other-logs";
/// The kernel's name for the program that loads modules.
const MODPROBE: &str = "modprobe";
