//! Before the end: clocks right, nothing unwritten.

use super::Machine;
use crate::error::{AgentError, ErrorClass, chain};
use crate::machine::{clock, power_control};

impl Machine {
    /// Makes the machine ready to be switched off or started anew.
    ///
    /// # Errors
    /// It is an installed system's, or nobody's to switch off; a clock cannot be set that must be.
    pub fn prepare_shutdown(&self) -> Result<(), AgentError> {
        let permit = self.permit()?;
        power_control::check(&self.root)?;
        let wishes = &self.settings.clock;
        if let Some(server) = &wishes.server {
            self.tolerate(clock::set(&self.root, server, permit))?;
        }
        self.tolerate(clock::set_hardware(&self.root, permit))?;
        // What was written is on the disks already; a flush that fails must not keep the machine on.
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
