//! What commands work on.

use crate::command::{self, CommandSpec, Job, Params};
use crate::error::AgentError;
use crate::logging::Ring;
use crate::machine::shutdown::ShutdownRequest;
use crate::root::Root;
use crate::secret::CurrentToken;
use crate::steps::{Commander, Machine};
use tokio::sync::watch;

/// The tables of commands, one an extension.
pub type Extensions = &'static [&'static [CommandSpec<Context>]];

/// What commands work on.
#[derive(Debug)]
pub struct Context {
    /// The machine: disks, steps, images.
    pub machine: Machine,
    /// Where the machine's file trees begin.
    pub root: Root,
    /// The agent's own log.
    pub log: Ring,
    /// Whether a boot loader that cannot be installed fails the deployment, when the command does not say.
    pub ignore_bootloader_failure: bool,
    /// The token, where there is no Ironic to look up: `poll.set_node_info` brings another.
    pub token: Option<CurrentToken>,
    /// Every command, for those of a flow.
    pub extensions: Extensions,
    /// Written by the commands that end the agent, read by `agent`.
    pub shutdown: watch::Sender<Option<ShutdownRequest>>,
}

/// Who wants what a command does.
pub(super) const fn commander(job: &Job) -> Commander {
    match job.commander {
        command::Commander::Conductor => Commander::Ironic,
        command::Commander::User { .. } => Commander::User,
    }
}

/// The validator of commands whose parameters are looked at when they run.
#[expect(clippy::unnecessary_wraps, reason = "it is one of the validators")]
pub(super) fn no_validation(_: &Context, _: &Params) -> Result<(), AgentError> {
    Ok(())
}
