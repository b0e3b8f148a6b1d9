//! `rescue.*`: `finalize_rescue`.

use super::context::{Context, no_validation};
use crate::command::{CommandSpec, Job, Mode, Params};
use crate::error::AgentError;
use crate::machine::rescue::{self, Password};
use crate::machine::shutdown::ShutdownRequest;
use crate::params::ParamReader;
use crate::secret::Secret;
use serde_json::Value;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[CommandSpec {
    extension: "rescue",
    name: "finalize_rescue",
    mode: Mode::Sync,
    is_read_by_ironic: false,
    validate: no_validation,
    run: finalize_rescue,
}];

/// The last command of a machine that is handed to its owner: after the answer there is neither API nor heartbeat.
fn finalize_rescue(context: &Context, params: Params, _: &Job) -> Result<Value, AgentError> {
    let mut reader = ParamReader::new("rescue.finalize_rescue", params);
    let text = reader
        .text("rescue_password")?
        .map(Secret::new)
        .unwrap_or_else(|| Secret::new(String::new()));
    let password = match reader.flag("hashed")? {
        Some(true) => Password::Hashed(text),
        Some(false) | None => Password::Plain(text),
    };
    reader.finish()?;
    let permit = context.machine.permit()?;
    rescue::finish(&context.root, permit, &password)?;
    let request = ShutdownRequest::Rescue;
    context.shutdown.send_replace(Some(request));
    Ok(Value::Null)
}
