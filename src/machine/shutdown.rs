//! How the agent is told to end, and how it exits: one request from whoever wants it, one exit of the process.

use super::power::PowerAction;

/// Why the agent is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownRequest {
    /// Ironic: serve no more, take the network down, stay.
    Lockdown,
    /// Ironic: end the machine.
    Power(PowerAction),
    /// Ironic: serve no more, for the ramdisk belongs to the machine's owner now.
    Rescue,
    /// A signal to the process.
    Signal,
}

/// How the agent's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// And the machine with it.
    Machine(PowerAction),
    /// Alone.
    Process,
}

impl ShutdownRequest {
    /// Returns how the process exits once it serves no more; `None` where it stays.
    #[must_use]
    pub const fn exit(self) -> Option<Exit> {
        match self {
            Self::Lockdown => None,
            Self::Power(action) => Some(Exit::Machine(action)),
            Self::Rescue | Self::Signal => Some(Exit::Process),
        }
    }
}
