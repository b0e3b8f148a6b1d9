//! The service: builds every room, owns the tasks, decides when the agent ends.
//!
//! `life` says which states there are and what leads on; `registration` finds the node, `service` holds both
//! conversations.

mod configuration;
mod context;
mod discovery;
mod door;
mod error;
mod inheritance;
mod life;
mod network;
mod policy;
mod registration;
mod service;
mod signals;
mod silence;

pub use configuration::look;
pub use error::Error;
pub use inheritance::HandedOver;

use crate::config::{self, CommandLine};
use crate::error::chain;
use crate::logging::{self, Log};
use crate::machine::power;
use crate::machine::shutdown::{Exit, ShutdownRequest};
use crate::redact::{one_line, redact};
use crate::root::Root;
use crate::sys::process;
use configuration::{configure, sources, tell_of_permit, tell_of_trust};
use context::AgentContext;
use inheritance::{Inheritance, inherit};
use life::{Event, Life, Silence};
use network::take_network_down;
use registration::{Registered, Registration};
use service::{SHUTDOWN_GRACE_PERIOD, Service};
use signals::EndSignal;
use silence::Speechless;
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
    let inheritance = inherit(handed_over, &log)?;
    let ring = log.ring.clone();
    // Whoever started us tells it on standard error; it is to outlive us, too.
    live(root, command_line, log, inheritance)
        .inspect_err(|error| ring.push(format!("ferrite: {}\n", one_line(&redact(&chain(error))))))
}

fn live(
    root: Root,
    command_line: CommandLine,
    log: Log,
    inheritance: Inheritance,
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
    tell_of_permit(&root, &config);
    tell_of_trust(&config);
    // Two threads carry both conversations; disk work has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let Inheritance {
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
            begun: Instant::now(),
        },
        registered: None,
        service: None,
        speechless: None,
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
    service: Option<Service>,
    /// Where Ironic gave no token.
    speechless: Option<Speechless>,
}

impl Agent {
    /// From configuration to the end: in each state its work, whose outcome leads to the next.
    async fn live(mut self) -> Result<Exit, Error> {
        let mut end_signal = EndSignal::listen()?;
        let mut life = Life::Configured;
        loop {
            let event = match life {
                Life::Configured => unless(&mut end_signal, self.find_node()).await?,
                Life::Alone | Life::Registered(_) => unless(&mut end_signal, self.open()).await?,
                Life::Serving => unless(&mut end_signal, self.serve()).await?,
                Life::Leaving(request) => self.leave(request).await,
                Life::Silent(silence) => {
                    match silence {
                        // Whoever left the mark may have died before it forgot.
                        Silence::Rescued => self.forget(),
                        Silence::LockedDown | Silence::NoToken => {}
                    }
                    self.tell_ready();
                    match &self.speechless {
                        Some(speechless) => speechless.tell_until(end_signal.wait()).await,
                        None => end_signal.wait().await,
                    }
                    Event::ShutdownRequested(ShutdownRequest::Signal)
                }
                Life::Over(exit) => {
                    self.context.cancel.cancel();
                    return Ok(exit);
                }
            };
            life = life.after(event).map_err(Error::Life)?;
            tracing::debug!(?life, "the agent's life goes on");
        }
    }

    /// Looks for the node, and keeps what that led to for the next state.
    async fn find_node(&mut self) -> Result<Event, Error> {
        Ok(match self.context.find_node().await? {
            Registration::MissingToken(speechless) => {
                self.speechless = Some(speechless);
                Event::Silenced(Silence::NoToken)
            }
            Registration::NoConductor => Event::NobodyToAsk,
            Registration::Registered(registered) => {
                let event = Event::Found(registered.node.uuid);
                self.registered = Some(*registered);
                event
            }
            Registration::Rescued => Event::Silenced(Silence::Rescued),
            Registration::ShutdownRequested(request) => Event::ShutdownRequested(request),
        })
    }

    /// Opens the API and lets the heart beat.
    async fn open(&mut self) -> Result<Event, Error> {
        let service = match self.registered.take() {
            Some(registered) => self.context.open_for(registered).await?,
            None => self.context.open_alone().await?,
        };
        self.service = Some(service);
        self.tell_ready();
        Ok(Event::Opened)
    }

    fn tell_ready(&self) {
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
    async fn leave(&mut self, request: ShutdownRequest) -> Event {
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
async fn unless(
    end_signal: &mut EndSignal,
    work: impl Future<Output = Result<Event, Error>>,
) -> Result<Event, Error> {
    tokio::select! {
        () = end_signal.wait() => Ok(Event::ShutdownRequested(ShutdownRequest::Signal)),
        event = work => event,
    }
}
