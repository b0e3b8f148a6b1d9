//! `system.*`: `lockdown`.

use super::context::{Context, no_validation};
use crate::command::{CommandSpec, Job, Mode, Params};
use crate::error::AgentError;
use crate::machine::marks;
use crate::machine::shutdown::ShutdownRequest;
use crate::params::ParamReader;
use serde_json::Value;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[CommandSpec {
    extension: "system",
    name: "lockdown",
    mode: Mode::Sync,
    is_read_by_ironic: false,
    validate: no_validation,
    run: lockdown,
}];

/// Ironic's end for machines that must stay powered: no API, no heartbeats, no network, only waiting.
fn lockdown(context: &Context, params: Params, _: &Job) -> Result<Value, AgentError> {
    ParamReader::new("system.lockdown", params).finish()?;
    let permit = context.machine.permit()?;
    marks::log_if_unset(marks::lock_down(&context.root, permit));
    let request = ShutdownRequest::Lockdown;
    context.shutdown.send_replace(Some(request));
    Ok(Value::Null)
}
