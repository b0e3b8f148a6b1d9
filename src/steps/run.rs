//! Running a step by its name.

use super::context::StepContext;
use super::machine::Machine;
use super::managers;
use super::spec::Phase;
use crate::error::{AgentError, ErrorClass};
use crate::params::ParamReader;
use serde_json::{Map, Value};

impl Machine {
    /// Returns the response to `get_T_steps`.
    #[must_use]
    pub fn offer(&self, phase: Phase) -> Value {
        managers::offer(phase, &self.settings.priorities)
    }

    /// Runs a step of a phase with its arguments.
    ///
    /// # Errors
    /// The step is not offered, has no such argument, or failed.
    pub fn run_step(
        &self,
        phase: Phase,
        name: &str,
        arguments: Map<String, Value>,
        context: StepContext<'_>,
    ) -> Result<Value, AgentError> {
        // Only offered steps can be run: no other function is reachable by its name.
        let Some(step) = managers::find(phase, name, &self.settings.priorities) else {
            return Err(AgentError::new(
                ErrorClass::HardwareManagerMethodNotFound,
                format!("Could not find method: {name}"),
            ));
        };
        // Otherwise a misspelt argument could silently drop the config drive.
        let arguments = ParamReader::for_step(step.name, arguments)
            .only(|name| step.args.iter().any(|arg| arg.name == name))?;
        (step.run)(self, arguments, context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Lab, image, info_of};
    use super::*;
    use serde_json::json;

    #[test]
    fn an_installed_system_is_not_written_to() {
        let lab = Lab::on("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
        for (phase, step, arguments) in [
            (Phase::Clean, "erase_devices_metadata", json!({})),
            (Phase::Deploy, "erase_devices_metadata", json!({})),
            (
                Phase::Deploy,
                "write_image",
                json!({"image_info": info_of(image(7))}),
            ),
            (
                Phase::Service,
                "write_image",
                json!({"image_info": info_of(image(7))}),
            ),
        ] {
            let error = lab.run(phase, step, arguments).unwrap_err();
            assert!(error.details.starts_with("refused: "), "{error}");
        }
        lab.assert_untouched();
    }

    #[test]
    fn only_offered_steps_are_run_and_only_with_their_arguments() {
        let lab = Lab::new();
        let error =
            |phase, step, arguments| lab.run(phase, step, arguments).unwrap_err().to_string();
        assert_eq!(
            error(Phase::Clean, "write_image", json!({})),
            "No HardwareManager found to handle method: Could not find method: write_image"
        );
        assert_eq!(
            error(
                Phase::Clean,
                "erase_devices_metadata",
                json!({"disk": "/dev/sdy"})
            ),
            "Invalid command parameters: erase_devices_metadata: there is no argument disk"
        );
        let info = info_of(image(7));
        assert_eq!(
            error(
                Phase::Deploy,
                "write_image",
                json!({"image_info": info, "configdrve": "x"})
            ),
            "Invalid command parameters: write_image: there is no argument configdrve"
        );
        lab.assert_untouched();
    }
}
