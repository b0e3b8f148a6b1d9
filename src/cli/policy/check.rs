//! `ferrite policy check`: whether an agent would load these policies, and which operations they
//! allow to which caller.
//!
//! Lines and their order are oslopolicy-checker's (`shell.py` of oslo.policy). The results are the
//! agent's own: files override the built-in rules, scopes are enforced, and what raises an
//! exception there is `failed`. The checker's target is the caller's own user and project. Here it
//! is only the command or step: besides the node, the agent knows nothing else of the target.

use super::super::output::{print_message, print_output};
use super::sources::{settings, sources, unusable};
use super::{batch, inputs};
use crate::error::chain;
use crate::policy::credentials::{AGENT, ANONYMOUS, OBSERVER};
use crate::policy::names::{COMMAND, COMMAND_RUN, SECRETS_SHOW};
use crate::policy::{Attributes, DEFAULTS, Enforcer, Operation, Refusal, RuleDefault};
use crate::redact::one_line;
use crate::suggest::nearest;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;
use std::process::ExitCode;

/// Returns the subcommand with its options.
pub(super) fn command() -> Command {
    sources(Command::new("check"))
        .about("Look for errors in policy files, and tell who may do what")
        .arg(
            Arg::new(CREDENTIALS)
                .long(CREDENTIALS)
                .value_name("FILE")
                .help(
                    "Who asks, as JSON: what Keystone's GET /v3/auth/tokens says of a token, or attributes as rules see them. \"-\" is \
                     standard input. Without it the agent's own kinds of callers are told.",
                )
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new(TARGET)
                .long(TARGET)
                .value_name("FILE")
                .help("What is asked for, as JSON: {\"node\": {\"owner\": \"…\"}} for %(node.owner)s.")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new(RULE)
                .long(RULE)
                .value_name("NAME")
                .help("Ask this rule alone.")
                .requires(CREDENTIALS),
        )
        .arg(
            Arg::new(BATCH)
                .long(BATCH)
                .help(
                    "Read questions from standard input instead, a JSON object a line with rules, default_rule (or null), rule, \
                     credentials and target, and print an object for each: with allowed, or, where an agent would not load the rules, with refused.",
                )
                .exclusive(true)
                .action(ArgAction::SetTrue),
        )
        .after_help("Exit codes: 0 the policy can be used, 2 the agent would refuse it.")
}

/// Runs the subcommand.
pub(super) fn run(mut arguments: ArgMatches) -> ExitCode {
    if arguments.get_flag(BATCH) {
        return batch::run();
    }
    match checked(&mut arguments) {
        Ok(text) => {
            // Names of rules and files are untrusted.
            let lines = text.lines().map(|line| one_line(line) + "\n");
            print_output(&lines.collect::<String>())
        }
        Err(reason) => unusable(&reason),
    }
}

fn checked(arguments: &mut ArgMatches) -> Result<String, String> {
    let settings = settings(arguments)?;
    let enforcer = Enforcer::load(DEFAULTS, settings).map_err(|error| chain(&error))?;
    for warning in enforcer.warnings() {
        print_message(&format!("warning: {warning}"));
    }
    if !enforcer.always_denies(SECRETS_SHOW) {
        print_message(&format!(
            "warning: secrets in results of commands are kept in memory and shown to whoever passes {SECRETS_SHOW}"
        ));
    }
    let target: Option<PathBuf> = arguments.remove_one(TARGET);
    let question = Question {
        enforcer: &enforcer,
        target: match target {
            Some(path) => inputs::target(&path)?,
            None => Attributes::new(),
        },
    };
    let Some(credentials) = arguments.remove_one::<PathBuf>(CREDENTIALS) else {
        return Ok(question.table());
    };
    let credentials = inputs::credentials(&credentials)?;
    match arguments.remove_one::<String>(RULE) {
        Some(rule) => question.line(&rule, &credentials),
        None => {
            let rules = enforcer.rules().into_iter();
            rules
                // Like the checker: a rule without a colon is only a part of others.
                .filter(|rule| rule.contains(':'))
                .map(|rule| question.line(&rule, &credentials))
                .collect()
        }
    }
}

/// Policy queries with one target.
struct Question<'a> {
    enforcer: &'a Enforcer,
    target: Attributes,
}

impl Question<'_> {
    fn line(&self, rule: &str, credentials: &Attributes) -> Result<String, String> {
        match self.asked(rule, credentials) {
            Ok(()) => Ok(format!("passed: {rule}\n")),
            Err(Refusal::UnknownRule) => {
                let meant = nearest(rule, self.enforcer.rules());
                let meant = meant.map(|name| format!("; is {name:?} meant?"));
                Err(format!(
                    "there is no rule {rule:?}{}",
                    meant.unwrap_or_default()
                ))
            }
            Err(Refusal::NotAllowed | Refusal::WrongScope) => Ok(format!("failed: {rule}\n")),
        }
    }

    /// Evaluates one rule, with the target that the agent would pass.
    fn asked(&self, rule: &str, credentials: &Attributes) -> Result<(), Refusal> {
        let mut target = self.target.clone();
        let default = DEFAULTS.iter().find(|default| default.name == rule);
        for operation in default.into_iter().flat_map(|default| default.operations) {
            let (kind, name) = match operation {
                Operation::Command(name) => ("command", name),
                Operation::Step(name) => ("step", name),
                Operation::Request { .. } => continue,
            };
            if !target.contains_key(kind) {
                target.insert(kind.to_owned(), (*name).into());
            }
        }
        let asked = self.enforcer.enforce(rule, credentials, &target);
        asked.map_err(|denied| denied.why)
    }

    /// Formats a table of every operation and the agent's own kinds of callers.
    fn table(&self) -> String {
        let operations = DEFAULTS.iter().filter(|rule| !rule.operations.is_empty());
        let rows = operations.map(|rule| {
            let may = |credentials| match self.may(rule, credentials) {
                true => "yes",
                false => "no",
            };
            row([rule.name, may(&AGENT), may(&OBSERVER), may(&ANONYMOUS)])
        });
        std::iter::once(row(["RULE", "CONDUCTOR", "OBSERVER", "NOBODY"]))
            .chain(rows)
            .collect()
    }

    /// Returns whether a caller may perform a rule's operation. A command also requires the rule to
    /// run commands. A step also requires the rule of a command that runs steps (`api::authorize`).
    fn may(&self, rule: &RuleDefault, credentials: &Attributes) -> bool {
        let passes = |rule: &str| self.asked(rule, credentials).is_ok();
        let run_step = || {
            let mut commands = STEPS.iter();
            commands.any(|command| passes(&format!("{COMMAND}{command}")))
        };
        let mut operations = rule.operations.iter();
        passes(rule.name)
            && operations.all(|operation| match operation {
                Operation::Command(_) => passes(COMMAND_RUN),
                Operation::Request { .. } => true,
                Operation::Step(_) => passes(COMMAND_RUN) && run_step(),
            })
    }
}

fn row([rule, conductor, observer, nobody]: [&str; 4]) -> String {
    format!("{rule:RULES$}  {conductor:9}  {observer:8}  {nobody}\n")
}

/// Column width: characters of the longest rule.
const RULES: usize = 56;
/// Commands that run a step.
const STEPS: [&str; 3] = [
    "clean.execute_clean_step",
    "deploy.execute_deploy_step",
    "service.execute_service_step",
];
const BATCH: &str = "batch";
const CREDENTIALS: &str = "credentials";
const RULE: &str = "rule";
const TARGET: &str = "target";
