//! The life of the service: builds every room, owns the tasks, decides when the agent ends.
//!
//! ```text
//! Booting ─► Configured ─► Registered ─► Serving ─► Leaving
//!                 └────────── standalone ──┘
//! ```

mod configuration;
mod door;
mod network;
mod signals;

use crate::api;
use crate::boot::{media, power};
use crate::clock;
use crate::command::Dispatcher;
use crate::conductor::address::{self, Advertised};
use crate::conductor::client::Client;
use crate::conductor::heartbeat::{self, Heartbeat};
use crate::conductor::lookup::{self, Lookup, Node};
use crate::conductor::{self, AGENT_VERSION, Law};
use crate::config::{self, CommandLine, Config};
use crate::extensions::{self, Context, Ending};
use crate::hardware::{Machine, network as interfaces, rescue, wait};
use crate::logging::{self, Log};
use crate::progress::Cancel;
use crate::root::Root;
use crate::secret::AgentToken;
use crate::tls;
use configuration::{configure, machine_settings, tell_of_permit};
use network::{Routes, take_network_down};
use serde_json::Value;
use signals::EndSignal;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long running work may take to stop when the agent ends.
const GRACE: Duration = Duration::from_secs(5);

/// Lives the whole life of the service on the machine below `root`; returns when it ended by a signal or was told to.
///
/// # Errors
/// [`Error`]: why it cannot live, or ended early.
pub fn run(root: Root, command_line: CommandLine) -> Result<(), Error> {
    let log = logging::start();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        ipa_version = AGENT_VERSION,
        "the agent starts"
    );
    let config = configure(&root, command_line, &log)?;
    tell_of_permit(&root, &config);
    // Two threads carry both conversations; disk work has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let agent = Agent {
        root: root.clone(),
        log,
        cancel: CancellationToken::new(),
        config,
    };
    let leaving = runtime.block_on(agent.live());
    end(runtime, &root, leaving?)
}

fn end(runtime: Runtime, root: &Root, how: How) -> Result<(), Error> {
    runtime.shutdown_timeout(GRACE);
    match how {
        How::Rescue | How::Signal => Ok(()),
        How::Machine(end) => Err(Error::Power(power::end(root, end))),
    }
}

/// The agent's life so far.
#[derive(Debug)]
enum Life {
    /// Configuration is read.
    Configured,
    /// Ironic knows the node.
    Registered,
    /// Commands are answered.
    Serving,
    /// It ends.
    Leaving,
}

/// How the agent leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Machine(power::End),
    Rescue,
    Signal,
}

struct Agent {
    root: Root,
    config: Config,
    log: Log,
    cancel: CancellationToken,
}

/// What the lookup settled: who we are and what Ironic wants.
struct Registered {
    client: Client,
    node: Node,
    settings: lookup::Settings,
    token: Arc<AgentToken>,
    advertised: Advertised,
    tls_client: tls::client::ClientOptions,
}

impl Agent {
    /// From configuration to the end.
    async fn live(mut self) -> Result<How, Error> {
        enter(&Life::Configured);
        let mut end_signal = EndSignal::listen()?;
        if rescue::is_finished(&self.root) {
            // Started anew by an init that does not know: the machine's owner is nobody for Ironic to talk about.
            tracing::info!(mark = %self.root.rescue_mark().display(), "this machine was rescued: the agent stays silent");
            end_signal.wait().await;
            return Ok(How::Signal);
        }
        let cancel = self.cancel.clone();
        let registered = tokio::select! {
            () = end_signal.wait() => { cancel.cancel(); return Ok(How::Signal) }
            registered = self.register() => registered?,
        };
        match registered {
            Some(registered) => {
                enter(&Life::Registered);
                self.serve(Some(registered), end_signal).await
            }
            None if self.config.standalone => self.serve(None, end_signal).await,
            None => {
                // Leaving would only make process 1 start us again, and every start is another lookup. We stay, so that
                // the console can be read.
                end_signal.wait().await;
                Ok(How::Signal)
            }
        }
    }

    /// Finds the node and settles the token; `None` where there is no node to find (standalone) or no token to be had.
    async fn register(&mut self) -> Result<Option<Registered>, Error> {
        if self.config.standalone {
            return Ok(None);
        }
        let tls_client = self.config.tls_client(&self.root).map_err(Error::Tls)?;
        let client =
            Client::new(&self.config, &tls_client, &self.root).map_err(Error::Conductor)?;
        let addresses = self.wait_for_interface().await;
        let machine = lookup::Machine {
            addresses,
            node: None,
        };
        let law = Law::of(&self.config);
        let Lookup {
            node,
            settings,
            token,
            ..
        } = lookup::lookup(&client, &machine, &self.config, &law, &self.cancel)
            .await
            .map_err(Error::Conductor)?;
        let token = match token.settle(self.config.agent_token.take()) {
            Ok(token) => Arc::new(token),
            Err(reason) => {
                tracing::error!(node = %node.uuid, %reason, "the agent stays silent: no API, no heartbeat");
                return Ok(None);
            }
        };
        let advertised = address::find(&client, &self.config, &Routes, &self.cancel)
            .await
            .map_err(Error::Conductor)?;
        Ok(Some(Registered {
            client,
            node,
            settings,
            token,
            advertised,
            tls_client,
        }))
    }

    /// Answers commands and heartbeats until the end.
    async fn serve(
        mut self,
        registered: Option<Registered>,
        mut end_signal: EndSignal,
    ) -> Result<How, Error> {
        let (ending, mut wish) = watch::channel(None);
        let context = Arc::new(self.context(registered.as_ref(), ending)?);
        let dispatcher = Dispatcher::new(extensions::commands(&context));
        let identity = door::identity(&self.root, &self.config, registered.as_ref())?;
        let listener = door::listen(&self.config)?;
        let mut tasks = JoinSet::new();
        let token = match &registered {
            Some(registered) => Some(Arc::clone(&registered.token)),
            None => self.config.agent_token.take().map(Arc::new),
        };
        if token.is_none() {
            tracing::warn!("no agent token was given: every command will be refused");
        }
        let state = api::State {
            dispatcher: dispatcher.clone(),
            token,
            readers: configuration::readers(&self.config),
            started_at: clock::since_epoch(),
            version: AGENT_VERSION,
        };
        tell_of_door(&listener, &identity);
        let cancel = self.cancel.clone();
        tasks.spawn(async move {
            api::serve(listener, identity.server, state, cancel).await;
            Ok(())
        });
        if let Some(Registered {
            client,
            node,
            settings,
            token,
            advertised,
            ..
        }) = registered
        {
            let heartbeat = Heartbeat {
                node: node.uuid,
                callback_url: advertised.url(identity.scheme),
                token,
                verify_ca: identity.pem,
                timeout: settings.heartbeat_timeout,
            };
            tracing::info!(url = heartbeat.callback_url, "Ironic is told to call");
            let (completions, cancel) = (dispatcher.completions(), self.cancel.clone());
            tasks.spawn(async move {
                heartbeat::run(&client, &heartbeat, completions, &cancel).await;
                Ok(())
            });
        }
        enter(&Life::Serving);
        let wished = tokio::select! {
            () = end_signal.wait() => None,
            wished = wish.wait_for(Option::is_some) => wished.ok().and_then(|wished| *wished),
            ended = tasks.join_next() => return Err(ended_early(ended)),
        };
        enter(&Life::Leaving);
        self.leave(wished, tasks, &dispatcher, end_signal).await
    }

    /// Stops both conversations, then does what was wished.
    async fn leave(
        self,
        wished: Option<Ending>,
        mut tasks: JoinSet<Result<(), Error>>,
        dispatcher: &Dispatcher,
        mut end_signal: EndSignal,
    ) -> Result<How, Error> {
        self.cancel.cancel();
        let stopped = async {
            dispatcher.shut_down().await;
            while tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(GRACE, stopped).await.is_err() {
            tracing::warn!("not everything stopped in time");
        }
        match wished {
            None => Ok(How::Signal),
            Some(Ending::PowerOff) => Ok(How::Machine(power::End::PowerOff)),
            Some(Ending::Reboot) => Ok(How::Machine(power::End::Reboot)),
            Some(Ending::Rescue) => {
                tracing::info!("the machine belongs to its owner now: the agent ends");
                Ok(How::Rescue)
            }
            Some(Ending::Lockdown) => {
                take_network_down();
                tracing::info!("locked down: the network is down, the machine only waits");
                end_signal.wait().await;
                Ok(How::Signal)
            }
        }
    }

    /// What commands work on, with Ironic's settings before our own.
    fn context(
        &mut self,
        registered: Option<&Registered>,
        ending: watch::Sender<Option<Ending>>,
    ) -> Result<Context, Error> {
        let settings = registered.map_or_else(
            || lookup::Settings::of(&self.config),
            |registered| registered.settings.clone(),
        );
        let tls = match registered {
            Some(registered) => registered.tls_client.clone(),
            None => self.config.tls_client(&self.root).map_err(Error::Tls)?,
        };
        let machine = machine_settings(&self.root, &mut self.config, &settings, tls);
        let machine = Machine::new(self.root.clone(), machine);
        if let Some(registered) = registered {
            machine.remember_node(Value::Object(registered.node.raw.clone()));
        }
        Ok(Context {
            machine,
            root: self.root.clone(),
            log: self.log.ring.clone(),
            ignore_bootloader_failure: self.config.ignore_bootloader_failure.unwrap_or(false),
            ending,
        })
    }

    /// The addresses Ironic finds the node by; waits for the first of them.
    async fn wait_for_interface(&self) -> Vec<String> {
        let root = self.root.clone();
        let cancel = Cancel::default();
        let _forgotten = StopWhenDropped(cancel.clone());
        let waiting = tokio::task::spawn_blocking(move || {
            wait::interface(&root, &cancel);
            interfaces::mac_addresses(&root)
        });
        waiting.await.unwrap_or_default()
    }
}

/// Ends blocking work that nobody waits for any more: a signal would otherwise wait for it.
struct StopWhenDropped(Cancel);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn enter(life: &Life) {
    tracing::debug!(?life, "the agent's life goes on");
}

fn tell_of_door(listener: &TcpListener, identity: &door::Identity) {
    let tls = identity.server.is_some();
    match listener.local_addr() {
        Ok(address) => tracing::info!(%address, tls, "serving commands"),
        Err(error) => tracing::warn!(%error, tls, "serving commands at an unknown address"),
    }
}

fn ended_early(task: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Error {
    match task {
        Some(Ok(Err(error))) => error,
        Some(Err(panic)) => Error::Task(panic),
        Some(Ok(Ok(()))) | None => Error::EndedEarly,
    }
}

/// Why the agent cannot live, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// The API's address is taken, say.
    #[error("listening on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Virtual media that cannot be read.
    #[error("configuring the agent from virtual media")]
    Media(#[source] media::Error),
    /// `listen_tls` without files.
    #[error("listen_tls is set, but not both of tls_cert_file and tls_key_file")]
    NoCertificate,
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
            Self::Config(_) | Self::NoCertificate | Self::Conductor(conductor::Error::NoUrl)
        )
    }
}
