//! The service: builds every room, owns the tasks, decides when the agent ends.
//!
//! `life` says which states there are and what leads on; `registration` finds the node, `service` holds both
//! conversations.

mod context;
mod discovery;
mod error;
mod listener;
mod missing_token;
mod network;
mod policy;
mod registration;
mod restore;
mod serving;
mod signals;
mod startup;
mod state;

pub use error::Error;
pub use restore::HandedOver;
pub use startup::preview;

use crate::config::{self, CommandLine};
use crate::error::chain;
use crate::logging::{self, Log};
use crate::machine::power;
use crate::machine::shutdown::{Exit, ShutdownRequest};
use crate::redact::{one_line, redact};
use crate::root::Root;
use crate::sys::process;
use context::AgentContext;
use missing_token::MissingToken;
use network::take_network_down;
use registration::{Registered, Registration};
use restore::{Restored, restore};
use serving::{SHUTDOWN_GRACE_PERIOD, Serving};
use signals::ShutdownSignals;
use startup::{configure, log_permit, log_trust, sources};
use state::{Event, IdleReason, State};
use std::future::Future;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Lives the whole life of the service on the machine below `root`; returns when it ended by a signal or was told to.
///
/// # Errors
/// [`Error`]: why it cannot live, or ended early.
pub fn run(root: Root, command_line: CommandLine, handed_over: &HandedOver) -> Result<(), Error> {
    let log = logging::start();
    let inheritance = restore(handed_over, &log)?;
    let ring = log.ring.clone();
    // Whoever started us tells it on standard error; it is to outlive us, too.
    live(root, command_line, log, inheritance)
        .inspect_err(|error| ring.push(format!("ferrite: {}\n", one_line(&redact(&chain(error))))))
}

fn live(
    root: Root,
    command_line: CommandLine,
    log: Log,
    inheritance: Restored,
) -> Result<(), Error> {
    let arguments = process::Arguments::reach();
    if let Err(error) = process::harden() {
        tracing::warn!(%error, "this process cannot be closed to others");
    }
    let sources = sources(&root, command_line);
    // What was given to be read was read; media and files may be waited for.
    let masked = arguments.and_then(|arguments| arguments.mask(config::places_of_secrets));
    if let Err(error) = masked {
        tracing::warn!(%error, "secrets among this process's arguments and variables stay there to be seen");
    }
    let config = configure(&root, sources?, &log, &inheritance.vault)?;
    let policy = policy::load(&root, &config)?;
    log_permit(&root, &config);
    log_trust(&config);
    // Two threads carry both conversations; disk work has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let Restored {
        vault,
        ledger,
        manager,
    } = inheritance;
    let agent = Agent {
        context: AgentContext {
            root: root.clone(),
            vault,
            ledger,
            manager,
            log,
            cancel: CancellationToken::new(),
            config,
            policy,
            started_at: Instant::now(),
        },
        registered: None,
        service: None,
        missing_token: None,
    };
    let exit = runtime.block_on(agent.live());
    end(runtime, &root, exit?)
}

fn end(runtime: Runtime, root: &Root, exit: Exit) -> Result<(), Error> {
    runtime.shutdown_timeout(SHUTDOWN_GRACE_PERIOD);
    match exit {
        Exit::Process => Ok(()),
        Exit::Machine(action) => Err(Error::Power(power::end(root, action))),
    }
}

struct Agent {
    context: AgentContext,
    /// Since Ironic knows the node.
    registered: Option<Registered>,
    /// While commands are answered.
    service: Option<Serving>,
    /// Where Ironic gave no token.
    missing_token: Option<MissingToken>,
}

impl Agent {
    /// From configuration to the end: in each state its work, whose outcome leads to the next.
    async fn live(mut self) -> Result<Exit, Error> {
        let mut end_signal = ShutdownSignals::listen()?;
        let mut life = State::Configured;
        loop {
            let event = match life {
                State::Configured => or_shutdown(&mut end_signal, self.find_node()).await?,
                State::NoConductor | State::Registered(_) => {
                    or_shutdown(&mut end_signal, self.open()).await?
                }
                State::Serving => or_shutdown(&mut end_signal, self.serve()).await?,
                State::ShuttingDown(request) => self.shut_down(request).await,
                State::Idle(silence) => {
                    match silence {
                        // Whoever left the mark may have died before it forgot.
                        IdleReason::Rescued => self.forget(),
                        IdleReason::LockedDown | IdleReason::NoToken => {}
                    }
                    self.notify_ready();
                    match &self.missing_token {
                        Some(missing_token) => missing_token.warn_until(end_signal.wait()).await,
                        None => end_signal.wait().await,
                    }
                    Event::ShutdownRequested(ShutdownRequest::Signal)
                }
                State::Exited(exit) => {
                    self.context.cancel.cancel();
                    return Ok(exit);
                }
            };
            life = life.transition(event).map_err(Error::Life)?;
            tracing::debug!(?life, "the agent's life goes on");
        }
    }

    /// Looks for the node, and keeps what that led to for the next state.
    async fn find_node(&mut self) -> Result<Event, Error> {
        Ok(match self.context.find_node().await? {
            Registration::MissingToken(missing_token) => {
                self.missing_token = Some(missing_token);
                Event::Idled(IdleReason::NoToken)
            }
            Registration::NoConductor => Event::ConductorMissing,
            Registration::Registered(registered) => {
                let event = Event::Found(registered.node.uuid);
                self.registered = Some(*registered);
                event
            }
            Registration::Rescued => Event::Idled(IdleReason::Rescued),
            Registration::ShutdownRequested(request) => Event::ShutdownRequested(request),
        })
    }

    /// Opens the API and lets the heart beat.
    async fn open(&mut self) -> Result<Event, Error> {
        let service = match self.registered.take() {
            Some(registered) => self.context.serve_registered(registered).await?,
            None => self.context.serve_standalone().await?,
        };
        self.service = Some(service);
        self.notify_ready();
        Ok(Event::Opened)
    }

    fn notify_ready(&self) {
        if let Some(manager) = &self.context.manager {
            manager.ready();
        }
    }

    /// Answers commands and heartbeats until a command requests a shutdown.
    async fn serve(&mut self) -> Result<Event, Error> {
        match &mut self.service {
            Some(service) => service
                .shutdown_requested()
                .await
                .map(Event::ShutdownRequested),
            None => Err(Error::EndedEarly),
        }
    }

    /// Stops both conversations.
    async fn shut_down(&mut self, request: ShutdownRequest) -> Event {
        self.context.cancel.cancel();
        let is_final = request != ShutdownRequest::Signal;
        if is_final {
            // No heart beats any more, and an answer that is on its way needs neither token nor key.
            self.forget();
        }
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
        if is_final {
            // Commands that were stopped have left a last word.
            self.forget_records();
        }
        match request {
            ShutdownRequest::Lockdown => {
                take_network_down();
                tracing::info!("locked down: the network is down, the machine only waits");
            }
            ShutdownRequest::Rescue => {
                tracing::info!("the machine belongs to its owner now: the agent ends");
            }
            ShutdownRequest::Power(_) | ShutdownRequest::Signal => {}
        }
        Event::Stopped
    }

    /// Forgets what it spoke to Ironic with: no agent is to speak on this machine any more.
    fn forget(&mut self) {
        self.context.vault.wipe();
        self.context.config.agent_token = None;
        self.forget_records();
        tracing::info!("the agent has forgotten all that it spoke to Ironic with");
    }

    fn forget_records(&self) {
        if let Err(error) = self.context.ledger.forget() {
            tracing::warn!(%error, "the records of commands are not forgotten");
        }
    }
}

/// Does a state's work unless the process is told to end first.
async fn or_shutdown(
    end_signal: &mut ShutdownSignals,
    work: impl Future<Output = Result<Event, Error>>,
) -> Result<Event, Error> {
    tokio::select! {
        () = end_signal.wait() => Ok(Event::ShutdownRequested(ShutdownRequest::Signal)),
        event = work => event,
    }
}
