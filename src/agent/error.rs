//! Why the agent cannot run, or ended early.

use super::state;
use crate::machine::clock;
use crate::machine::power;
use crate::virtual_media;
use crate::{conductor, config, keystone, policy, tls};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the agent cannot live, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The clock is not right, and must be.
    #[error("setting the clock")]
    Clock(#[source] clock::Error),
    /// Ironic cannot be talked to.
    #[error("talking to Ironic")]
    Conductor(#[source] conductor::Error),
    /// Values that cannot be used.
    #[error(transparent)]
    Config(config::Error),
    /// A conversation ended without an error.
    #[error("a part of the agent ended early")]
    EndedEarly,
    /// The kernel command line.
    #[error("reading the kernel command line")]
    KernelArguments(#[source] io::Error),
    /// A fault of the table of states.
    #[error(transparent)]
    Life(state::InvalidTransition),
    /// The API's address is taken, say.
    #[error("listening on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Keystone is named, and cannot be asked.
    #[error("setting up Keystone's client")]
    Keystone(#[source] keystone::Error),
    /// The kernel gives no memory for secrets.
    #[error("making memory for secrets")]
    Memory(#[source] io::Error),
    /// Virtual media that cannot be read.
    #[error("configuring the agent from virtual media")]
    Media(#[source] virtual_media::Error),
    /// `listen_tls` without files.
    #[error("listen_tls is set, but not both of tls_cert_file and tls_key_file")]
    NoCertificate,
    /// A policy that cannot be lived by.
    #[error("the policy is refused")]
    Policy(#[source] policy::Error),
    /// A policy's file is named, and is not there.
    #[error(
        "policy_file in [oslo_policy] names {}, and there is no such file; a name without a folder is looked for in \
         /etc/ironic-python-agent and /etc/ironic-python-agent.d", .0.display()
    )]
    NoPolicyFile(PathBuf),
    /// The machine did not end.
    #[error("ending the machine")]
    Power(#[source] power::Error),
    /// The runtime or its signals.
    #[error("starting the agent's runtime")]
    Runtime(#[source] io::Error),
    /// A task of the agent panicked.
    #[error("a part of the agent failed")]
    Task(#[source] tokio::task::JoinError),
    /// Certificates and keys.
    #[error("setting up TLS")]
    Tls(#[source] tls::Error),
}

impl Error {
    /// Whether the operator must say something else before the agent can live: starting it anew does not help.
    #[must_use]
    pub fn is_config_error(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Keystone(_)
                | Self::NoCertificate
                | Self::NoPolicyFile(_)
                | Self::Policy(_)
        )
    }
}
