//! Shutdown requests for the agent, and how its process exits.

use super::power::PowerAction;

/// Cause of the agent's shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownRequest {
    /// Ironic: stop serving, take the network down, stay.
    Lockdown,
    /// Ironic: perform a power action.
    Power(PowerAction),
    /// Ironic: stop serving, because the ramdisk now belongs to the machine's owner.
    Rescue,
    /// Signal to the process.
    Signal,
}

/// Exit of the agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Exit with a power action for the machine.
    Machine(PowerAction),
    /// Exit of the process alone.
    Process,
}

impl ShutdownRequest {
    /// Returns how the process exits after it stopped serving; `None` if it stays.
    #[must_use]
    pub const fn exit(self) -> Option<Exit> {
        match self {
            Self::Lockdown => None,
            Self::Power(action) => Some(Exit::Machine(action)),
            Self::Rescue | Self::Signal => Some(Exit::Process),
        }
    }
}
