//! Preparation of a shutdown: sets the clocks and flushes the disks.

use super::Machine;
use crate::error::{AgentError, ErrorClass, chain};
use crate::machine::{clock, power_control};

impl Machine {
    /// Prepares the machine for power off or reboot.
    ///
    /// # Errors
    /// There is no permit or no power control, or a clock that is required cannot be set.
    pub fn prepare_shutdown(&self) -> Result<(), AgentError> {
        let permit = self.permit()?;
        power_control::check(&self.root)?;
        let wishes = &self.settings.clock;
        if let Some(server) = &wishes.server {
            self.tolerate(clock::set(&self.root, server, permit))?;
        }
        self.tolerate(clock::set_hardware(&self.root, permit))?;
        // Written data is on the disks already, so a failing flush must not prevent the shutdown.
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "flushing before the end failed");
        }
        Ok(())
    }

    fn tolerate(&self, set: Result<(), clock::Error>) -> Result<(), AgentError> {
        match set {
            Err(error) if self.settings.clock.needed => {
                Err(AgentError::caused(ErrorClass::ClockSyncError, &error))
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "a clock stays as it is");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
