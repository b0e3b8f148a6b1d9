//! What an agent before this one left, from whoever kept it: a parent of ours, or systemd.

use super::error::Error;
use crate::handover::systemd::{self, Manager};
use crate::handover::{FILES, Handover, HistoryFile, LogReader};
use crate::logging::Log;
use crate::secret::Vault;
use crate::sys::inherited_fd;
use std::env;
use std::io;
use std::os::fd::RawFd;
use std::process;
use std::sync::Arc;

/// Numbers of descriptors that a parent of ours has for the agent.
#[derive(Clone, Debug, Default)]
pub struct HandedOver {
    /// What an agent before this one left.
    pub left: Vec<RawFd>,
    /// The logs of the parent and its other children.
    pub other_logs: Vec<RawFd>,
}

/// What this agent leaves to the next, and the manager that keeps it where no parent of ours does.
pub(super) struct Restored {
    pub(super) vault: Vault,
    pub(super) ledger: HistoryFile,
    pub(super) manager: Option<Manager>,
}

/// Takes over what was left, or begins anew; the log goes on after the one before, beside those of the other processes. Call this
/// before any file is opened.
pub(super) fn restore(handed_over: &HandedOver, log: &Log) -> Result<Restored, Error> {
    for number in &handed_over.other_logs {
        match inherited_fd::take(*number) {
            Ok(file) => log.ring.add_source(Arc::new(LogReader::of(file))),
            Err(error) => {
                tracing::warn!(%error, "the log of another process is in no log archive");
            }
        }
    }
    let by_systemd = || systemd::inherited_fds(process::id(), |name| env::var_os(name));
    let numbers = handed_over
        .left
        .as_slice()
        .try_into()
        .ok()
        .or_else(by_systemd);
    let taken = numbers.map(take);
    let manager = Manager::of_environment(|name| env::var_os(name));
    let left = match taken {
        Some(Ok(left)) => Some(left),
        Some(Err(error)) => {
            tracing::error!(%error, "what the agent before this one left cannot be used: beginning anew");
            None
        }
        None => None,
    };
    let Handover {
        vault,
        ledger,
        log: tail,
    } = match left {
        Some(left) => left,
        None => {
            let new = Handover::create().map_err(Error::Memory)?;
            if let Some(manager) = &manager
                && let Err(error) = manager.store(new.files())
            {
                tracing::warn!(%error, "the service manager keeps nothing for an agent after this one");
            }
            new
        }
    };
    let earlier = tail.lines().unwrap_or_default();
    log.ring.resume(earlier, Box::new(tail));
    Ok(Restored {
        vault,
        ledger,
        manager,
    })
}

fn take(numbers: [RawFd; FILES]) -> io::Result<Handover> {
    let [vault, ledger, log] = numbers.map(inherited_fd::take);
    Handover::of([vault?, ledger?, log?])
}
