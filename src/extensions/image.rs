//! `image.*`: `install_bootloader`.

use super::context::{Context, commander, no_validation};
use crate::command::{CommandSpec, Job, Mode, Params};
use crate::error::AgentError;
use crate::params::ParamReader;
use crate::steps::BootLoader;
use serde_json::Value;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[CommandSpec {
    extension: "image",
    name: "install_bootloader",
    mode: Mode::Async,
    is_read_by_ironic: false,
    validate: no_validation,
    run: install_bootloader,
}];

fn install_bootloader(context: &Context, params: Params, job: &Job) -> Result<Value, AgentError> {
    let mut reader = ParamReader::new("image.install_bootloader", params);
    let root_uuid = reader.text("root_uuid")?;
    let efi_partition = reader.text("efi_system_part_uuid")?;
    // PowerPC's partition; Ironic always sends the name, Ferrite runs on no such machine.
    let _prep_partition = reader.text("prep_boot_part_uuid")?;
    let target_boot_mode = reader
        .text("target_boot_mode")?
        .unwrap_or_else(|| "bios".to_owned());
    let ignore = reader.flag("ignore_bootloader_failure")?;
    reader.finish()?;
    // To be refused is no failure of a boot loader: it is never ignored.
    context.machine.permit()?;
    let request = BootLoader {
        root_uuid,
        efi_partition,
        target_boot_mode,
    };
    let ignore = ignore.unwrap_or(context.ignore_bootloader_failure);
    match context
        .machine
        .install_bootloader(&request, commander(job), &job.cancel)
    {
        Ok(()) => Ok(Value::Null),
        Err(error) if ignore && !job.cancel.is_cancelled() => {
            tracing::warn!(error = %error, "the boot loader was not installed; the failure is ignored as configured");
            Ok(Value::Null)
        }
        Err(error) => Err(error),
    }
}
