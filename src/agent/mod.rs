//! The service: builds every room, owns the tasks, decides when the agent ends.
//!
//! `life` says which states there are and what leads on; `registration` finds the node, `service` holds both
//! conversations.

mod configuration;
mod discovery;
mod door;
mod inheritance;
mod life;
mod network;
mod policy;
mod registration;
mod service;
mod signals;
mod silence;

use crate::boot::{media, power};
use crate::conductor;
use crate::config::{self, CommandLine, Config};
use crate::error::chain;
use crate::extensions::Ending;
use crate::handover::LedgerFile;
use crate::handover::systemd::Manager;
use crate::hardware::clock;
use crate::keystone;
use crate::logging::{self, Log};
use crate::policy::Enforcer;
use crate::redact::{one_line, redact};
use crate::root::Root;
use crate::secret::Vault;
use crate::sys::process;
use crate::tls;
pub use configuration::look;
use configuration::{configure, tell_of_permit, tell_of_trust};
use inheritance::{Inheritance, inherit};
use life::{Event, How, Life, Parting, Silence};
use network::take_network_down;
use registration::Registered;
use service::Service;
use signals::EndSignal;
use silence::Speechless;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long running work may take to stop when the agent ends.
const GRACE: Duration = Duration::from_secs(5);

/// Numbers of descriptors that a parent of ours has for the agent.
#[derive(Clone, Debug, Default)]
pub struct HandedOver {
    /// What an agent before this one left.
    pub left: Vec<RawFd>,
    /// The logs of the parent and its other children.
    pub other_logs: Vec<RawFd>,
}

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
    let config = configure(&root, command_line, &log);
    // What was given to be read was read.
    let masked = arguments.and_then(|arguments| arguments.mask(config::places_of_secrets));
    if let Err(error) = masked {
        tracing::warn!(%error, "secrets among this process's arguments and variables stay there to be seen");
    }
    let config = config?;
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
        root: root.clone(),
        vault,
        ledger,
        manager,
        log,
        cancel: CancellationToken::new(),
        config,
        policy,
        begun: Instant::now(),
        registered: None,
        service: None,
        speechless: None,
    };
    let how = runtime.block_on(agent.live());
    end(runtime, &root, how?)
}

fn end(runtime: Runtime, root: &Root, how: How) -> Result<(), Error> {
    runtime.shutdown_timeout(GRACE);
    match how {
        How::Process => Ok(()),
        How::Machine(end) => Err(Error::Power(power::end(root, end))),
    }
}

struct Agent {
    root: Root,
    /// What outlives this agent.
    vault: Vault,
    /// The records of its commands, which outlive it too.
    ledger: LedgerFile,
    /// Who keeps both, where no parent of ours does.
    manager: Option<Manager>,
    config: Config,
    /// Who may do what on its API.
    policy: Arc<Enforcer>,
    log: Log,
    cancel: CancellationToken,
    begun: Instant,
    /// Since Ironic knows the node.
    registered: Option<Registered>,
    /// While commands are answered.
    service: Option<Service>,
    /// Where Ironic gave no token.
    speechless: Option<Speechless>,
}

impl Agent {
    /// From configuration to the end: in each state its work, whose outcome leads to the next.
    async fn live(mut self) -> Result<How, Error> {
        let mut end_signal = EndSignal::listen()?;
        let mut life = Life::Configured;
        loop {
            let event = match life {
                Life::Configured => unless(&mut end_signal, self.find_node()).await?,
                Life::Alone | Life::Registered(_) => unless(&mut end_signal, self.open()).await?,
                Life::Serving => unless(&mut end_signal, self.serve()).await?,
                Life::Leaving(parting) => self.leave(parting).await,
                Life::Silent(silence) => {
                    match silence {
                        // Whoever left the mark may have died before it forgot.
                        Silence::LockedDown | Silence::Rescued => self.forget(),
                        Silence::NoToken => {}
                    }
                    self.tell_ready();
                    match &self.speechless {
                        Some(speechless) => speechless.tell_until(end_signal.wait()).await,
                        None => end_signal.wait().await,
                    }
                    Event::Signalled
                }
                Life::Over(how) => {
                    self.cancel.cancel();
                    return Ok(how);
                }
            };
            life = life.after(event).map_err(Error::Life)?;
            tracing::debug!(?life, "the agent's life goes on");
        }
    }

    /// Opens the API and lets the heart beat.
    async fn open(&mut self) -> Result<Event, Error> {
        let service = match self.registered.take() {
            Some(registered) => self.open_for(registered).await?,
            None => self.open_alone().await?,
        };
        self.service = Some(service);
        self.tell_ready();
        Ok(Event::Opened)
    }

    fn tell_ready(&self) {
        if let Some(manager) = &self.manager {
            manager.ready();
        }
    }

    /// Answers commands and heartbeats until a command wishes for an end.
    async fn serve(&mut self) -> Result<Event, Error> {
        match &mut self.service {
            Some(service) => service.until_wished().await.map(Event::Wished),
            None => Err(Error::EndedEarly),
        }
    }

    /// Stops both conversations.
    async fn leave(&mut self, parting: Parting) -> Event {
        self.cancel.cancel();
        if let Parting::Wished(_) = parting {
            // No heart beats any more, and an answer that is on its way needs neither token nor key.
            self.forget();
        }
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
        if let Parting::Wished(_) = parting {
            // Commands that were stopped have left a last word.
            self.forget_records();
        }
        match parting {
            Parting::Wished(Ending::Lockdown) => {
                take_network_down(&self.root);
                tracing::info!("locked down: the network is down, the machine only waits");
            }
            Parting::Wished(Ending::Rescue) => {
                tracing::info!("the machine belongs to its owner now: the agent ends");
            }
            Parting::Wished(Ending::PowerOff | Ending::Reboot) | Parting::Signalled => {}
        }
        Event::Stopped
    }

    /// Forgets what it spoke to Ironic with: no agent is to speak on this machine any more.
    fn forget(&mut self) {
        self.vault.wipe();
        self.config.agent_token = None;
        self.forget_records();
        tracing::info!("the agent has forgotten all that it spoke to Ironic with");
    }

    fn forget_records(&self) {
        if let Err(error) = self.ledger.forget() {
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
        () = end_signal.wait() => Ok(Event::Signalled),
        event = work => event,
    }
}

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
    Life(life::Lost),
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
    Media(#[source] media::Error),
    /// `listen_tls` without files.
    #[error("listen_tls is set, but not both of tls_cert_file and tls_key_file")]
    NoCertificate,
    /// A policy that cannot be lived by.
    #[error("the policy is refused")]
    Policy(#[source] crate::policy::Error),
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
    pub fn is_of_configuration(&self) -> bool {
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
