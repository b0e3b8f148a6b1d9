//! `standby.*`: write an image, tell what was written, flush, end.

use super::context::{Context, commander, no_validation};
use crate::command::{CommandSpec, Job, Mode, Params};
use crate::error::AgentError;
use crate::json::Json;
use crate::machine::marks;
use crate::machine::power::PowerAction;
use crate::machine::shutdown::ShutdownRequest;
use crate::params::ParamReader;
use crate::secret::Secret;
use crate::steps::StepContext;
use serde_json::Value;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "standby",
        name: "prepare_image",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: validate_image,
        run: prepare_image,
    },
    CommandSpec {
        extension: "standby",
        name: "get_partition_uuids",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: no_validation,
        run: partition_uuids,
    },
    CommandSpec {
        extension: "standby",
        name: "sync",
        mode: Mode::Sync,
        is_read_by_ironic: false,
        validate: no_validation,
        run: sync,
    },
    CommandSpec {
        extension: "standby",
        name: "power_off",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: no_validation,
        run: |context, params, _| end(context, "standby.power_off", params, PowerAction::PowerOff),
    },
    CommandSpec {
        extension: "standby",
        name: "run_image",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: no_validation,
        run: |context, params, _| end(context, "standby.run_image", params, PowerAction::Reboot),
    },
];

fn validate_image(context: &Context, params: &Params) -> Result<(), AgentError> {
    let image = ParamReader::new("standby.prepare_image", params.clone()).object("image_info")?;
    context.machine.image(&image)?;
    Ok(())
}

fn prepare_image(context: &Context, params: Params, job: &Job) -> Result<Value, AgentError> {
    let mut reader = ParamReader::new("standby.prepare_image", params);
    let image = context.machine.image(&reader.object("image_info")?)?;
    let config_drive = reader.text("configdrive")?.map(Secret::new);
    reader.finish()?;
    let with = StepContext {
        commander: commander(job),
        ports: &Json::NULL,
        cancel: &job.cancel,
        progress: &job.progress,
    };
    context
        .machine
        .prepare_image(image, config_drive, with)
        .map(Value::String)
}

fn partition_uuids(context: &Context, params: Params, job: &Job) -> Result<Value, AgentError> {
    ParamReader::new("standby.get_partition_uuids", params).finish()?;
    Ok(Value::Object(
        context.machine.partition_uuids(commander(job)),
    ))
}

fn sync(context: &Context, params: Params, _: &Job) -> Result<Value, AgentError> {
    ParamReader::new("standby.sync", params).finish()?;
    context.machine.flush()?;
    Ok(Value::Null)
}

fn end(
    context: &Context,
    command: &str,
    params: Params,
    action: PowerAction,
) -> Result<Value, AgentError> {
    ParamReader::new(command, params).finish()?;
    context.machine.prepare_shutdown()?;
    marks::log_if_unset(marks::end(&context.root, context.machine.permit()?, action));
    let request = ShutdownRequest::Power(action);
    context.shutdown.send_replace(Some(request));
    Ok(Value::Null)
}
