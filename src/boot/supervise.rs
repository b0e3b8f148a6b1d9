//! An agent kept running where no init of ours does: what an agent that ends leaves to the next is handed over as process 1
//! hands it over.

use super::supervisor::{Order, Program, keep_running};
use crate::handover::Keeper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::WaitStatus;
use std::io;
use std::sync::Arc;
use std::thread;

/// Keeps an agent with these options running until this process is told to end, or until the agent ended because it was told
/// to. Call this before any other thread exists, and start logging before.
///
/// # Errors
/// The kernel gives no memory to keep anything in, or no thread to hear signals on.
pub fn run(options: Vec<String>) -> io::Result<()> {
    let keeper = Keeper::create()?;
    let order = Arc::new(Order::default());
    pass_signals_on(&order)?;
    let agent = Program::agent_with(options);
    keep_running(&[agent], Some(&keeper), &order, |end| {
        matches!(end, WaitStatus::Exited(_, 0))
    });
    tracing::info!("The agent was told to end: it is not started again");
    Ok(())
}

/// Hears the signals that are to end this process on a thread of its own, for as long as the process lives.
fn pass_signals_on(order: &Arc<Order>) -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Of every thread from now on; the agent opens itself to them again.
    signals.thread_block()?;
    let order = Arc::clone(order);
    let hear = move || {
        while let Ok(signal) = signals.wait() {
            tracing::info!(%signal, "Told to end: so is the agent");
            order.give(signal);
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(hear)
        .map(drop)
}
