//! `log.*`: `collect_system_logs`.

use super::context::{Context, no_validation};
use super::log_archive;
use crate::command::{CommandSpec, Job, Mode, Params};
use crate::error::{AgentError, ErrorClass};
use crate::inventory::diagnostics::{self, LogFile};
use crate::params::ParamReader;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[CommandSpec {
    extension: "log",
    name: "collect_system_logs",
    mode: Mode::Sync,
    is_read_by_ironic: true,
    validate: no_validation,
    run: collect_system_logs,
}];

fn collect_system_logs(context: &Context, params: Params, _: &Job) -> Result<Value, AgentError> {
    ParamReader::new("log.collect_system_logs", params).finish()?;
    let mut members = vec![LogFile {
        name: "ferrite.log",
        text: context.log.text(),
    }];
    let inventory = context.machine.inventory();
    members.push(LogFile {
        name: "inventory.json",
        text: format!("{inventory:#}\n"),
    });
    members.extend(diagnostics::collect(&context.root));
    let archive = log_archive::pack(&members).map_err(|error| {
        AgentError::new(
            ErrorClass::CommandExecutionError,
            format!("packing the log archive failed: {error}"),
        )
    })?;
    Ok(json!({"system_logs": BASE64_STANDARD.encode(archive)}))
}
