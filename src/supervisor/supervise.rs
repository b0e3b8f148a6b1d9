//! Supervises an agent on systems with another init. Its state is handed over to the next agent in
//! the same way as by PID 1.

use super::invocation::Invocation;
use super::watcher;
use super::{Child, Inherited, Program, StopSignal, supervise};
use crate::config;
use crate::handover::{LogTail, StateHolder};
use crate::logging::Log;
use crate::sys::process::{self, Arguments};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::WaitStatus;
use std::cell::Cell;
use std::env;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

/// Supervises an agent with these options and returns the exit code, 0 or [`UNUSABLE`]. It returns
/// when this process receives a stop signal, or the agent exits on request or because its
/// configuration is invalid. Call it before any other thread exists, and start logging before. The
/// caller must hold no copy of secrets in the options.
///
/// # Errors
/// The kernel cannot create a memory file for the state, or a thread for signals.
pub fn run(options: impl IntoIterator<Item = OsString>, log: &Log) -> io::Result<u8> {
    let keeper = StateHolder::create()?;
    let tail = LogTail::create(c"ferrite-supervisor-log")?;
    let own_log = tail.read_only();
    log.ring.resume(Vec::new(), Box::new(tail));
    let order = Arc::new(StopSignal::default());
    pass_signals_on(&order)?;
    let variables = env::vars_os().filter(|(name, _)| !MANAGERS.iter().any(|own| name == own));
    let agent = Program::agent(Invocation::new(options, variables));
    // The agent masks its own arguments; the supervisor's are no longer needed from here on.
    let covered = Arguments::reach().and_then(|own| own.mask(config::places_of_secrets));
    if let Err(error) = covered {
        tracing::warn!(%error, "secrets among this process's arguments and variables stay there to be seen");
    }
    // The files of the vault are open in this process, too.
    if let Err(error) = process::harden() {
        tracing::warn!(%error, "this process cannot be closed to others");
    }
    let own_log = own_log.inspect_err(|error| {
        tracing::warn!(%error, "what this process logs is in no log archive");
    });
    let inherited = Inherited::agent(Some(keeper), own_log.into_iter().collect());
    let mut agent = Child::new(agent, inherited);
    let last = Cell::new(0);
    supervise(&mut [&mut agent], &order, |_, end| {
        let WaitStatus::Exited(_, code) = end else {
            return false;
        };
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        last.set(code);
        matches!(code, 0 | UNUSABLE)
    });
    if last.get() == UNUSABLE && !order.is_sent() {
        tracing::error!(
            "the agent cannot use its configuration, which does not change by itself: it is not started again"
        );
        return Ok(UNUSABLE);
    }
    tracing::info!("The agent was told to end: it is not started again");
    Ok(0)
}

/// Exit code of an agent with an invalid command line or configuration.
pub const UNUSABLE: u8 = 2;

/// Waits for stop signals on a separate thread, until the process exits.
fn pass_signals_on(order: &Arc<StopSignal>) -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Blocked in all threads from now on; the agent unblocks them again.
    signals.thread_block()?;
    let order = Arc::clone(order);
    let hear = move || {
        while let Ok(signal) = signals.wait() {
            tracing::info!(%signal, "Told to end: so is the agent");
            order.send(signal);
        }
    };
    watcher::spawn("signals", hear)
}

/// Variables of systemd's protocols for one process: its sockets, descriptor store and watchdog are
/// not the agent's.
const MANAGERS: [&str; 6] = [
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
