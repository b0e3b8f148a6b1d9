//! The signals that end the agent.

use super::error::Error;
use nix::sys::signal::SigSet;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM or SIGINT.
pub(super) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    pub(super) fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::Runtime);
        let heard = Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        // Whoever started this process may have kept them from itself, and a program inherits that.
        SigSet::all()
            .thread_unblock()
            .map_err(|error| Error::Runtime(io::Error::from(error)))?;
        Ok(heard)
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("told to end by SIGTERM"),
            _ = self.interrupt.recv() => tracing::info!("told to end by SIGINT"),
        }
    }
}
