//! The two conversations: commands are answered, and Ironic hears the heart beat.

use super::context::AgentContext;
use super::error::Error;
use super::network::KernelNetwork;
use super::registration::{NodeRefresher, Registered, described};
use super::startup::machine_settings;
use super::{listener, policy};
use crate::api;
use crate::clock;
use crate::command::Dispatcher;
use crate::conductor::address::{self, CallbackAddress};
use crate::conductor::client::Client;
use crate::conductor::heartbeat::{self, Heartbeat};
use crate::conductor::lookup::ConductorSettings;
use crate::conductor::{self, AGENT_VERSION, RetryPolicy};
use crate::extensions::{self, Context};
use crate::machine::shutdown::ShutdownRequest;
use crate::secret::{CurrentToken, Session};
use crate::steps::Machine;
use crate::tls::client::ClientOptions;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Host;
use uuid::Uuid;

/// Both conversations while they go on.
pub(super) struct Serving {
    tasks: JoinSet<()>,
    dispatcher: Dispatcher,
    shutdown: watch::Receiver<Option<ShutdownRequest>>,
}

impl Serving {
    /// Waits until a command requests a shutdown.
    ///
    /// # Errors
    /// A conversation ended, which none does by itself.
    pub(super) async fn shutdown_requested(&mut self) -> Result<ShutdownRequest, Error> {
        tokio::select! {
            request = self.shutdown.wait_for(Option::is_some) => request.ok().and_then(|request| *request).ok_or(Error::EndedEarly),
            ended = self.tasks.join_next() => Err(match ended {
                Some(Err(panic)) => Error::Task(panic),
                Some(Ok(())) | None => Error::EndedEarly,
            }),
        }
    }

    /// Waits until everything has stopped, but not for ever; it was told to stop before.
    pub(super) async fn stop(mut self) {
        let stopped = async {
            self.dispatcher.shut_down().await;
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(SHUTDOWN_GRACE_PERIOD, stopped)
            .await
            .is_err()
        {
            tracing::warn!("not everything stopped in time");
        }
    }
}

impl AgentContext {
    /// Opens the API for Ironic, then tells Ironic of it.
    pub(super) async fn serve_registered(
        &mut self,
        registered: Registered,
    ) -> Result<Serving, Error> {
        let Registered {
            client,
            machine,
            node,
            settings,
            token,
            tls_client,
        } = registered;
        let (mut context, shutdown) = self.context(&settings, tls_client, None);
        context.machine = context.machine.with_node_source(Box::new(NodeRefresher {
            client: Arc::clone(&client),
            machine,
            token: Arc::clone(&token),
            retry_policy: RetryPolicy::of(&self.config),
            cancel: self.cancel.clone(),
            runtime: Handle::current(),
        }));
        let context = Arc::new(context);
        // Its disk is waited for when a command brings a node: a machine without one still tells Ironic that it is there.
        if let Some(node) = described(node.document) {
            context.machine.remember_node(node);
        }
        let known = self.known_address(node.uuid);
        let advertised = match &known {
            Some((_, advertised)) => advertised.clone(),
            None => self.callback_address(&client).await?,
        };
        let bound = self.bind_address(Some(&client)).await?;
        log_other_address(bound, &advertised);
        let identity = {
            let supported = client.supports_verify_ca().await;
            let host = supported
                .map_err(Error::Conductor)?
                .then_some(&advertised.host);
            listener::identity(&self.root, &self.vault, &self.config, &settings, host)?
        };
        let heartbeat = Heartbeat {
            node: node.uuid,
            callback_url: known.map_or_else(|| advertised.url(identity.scheme), |(url, _)| url),
            token: Arc::clone(&token),
            verify_ca: identity.pem.clone(),
            timeout: settings.heartbeat_timeout,
            random: conductor::random_unit,
        };
        // Before Ironic hears of it: it takes no other until the machine starts anew.
        self.vault.store_session(&Session {
            node: heartbeat.node,
            callback_url: heartbeat.callback_url.clone(),
        });
        let token = CurrentToken::new(Some(token));
        let mut service = self.open_api(&context, shutdown, token, identity, bound)?;
        tracing::info!(url = heartbeat.callback_url, "Ironic is told to call");
        let (completions, cancel) = (service.dispatcher.completions(), self.cancel.clone());
        service.tasks.spawn(async move {
            heartbeat::run(&client, &heartbeat, completions, &cancel).await;
        });
        Ok(service)
    }

    /// Opens the API where there is no Ironic.
    pub(super) async fn serve_standalone(&mut self) -> Result<Serving, Error> {
        let tls_client = self.config.tls_client(&self.root).map_err(Error::Tls)?;
        let own = self.local_token();
        let token = own.map(|token| Arc::new(self.vault.store_token(token)));
        if token.is_none() {
            tracing::warn!("no agent token was given: every command will be refused");
        }
        let token = CurrentToken::stored_in(&self.vault, token);
        let settable = self.config.standalone.then(|| token.clone());
        let settings = ConductorSettings::of(&self.config);
        let (context, shutdown) = self.context(&settings, tls_client, settable);
        let identity = listener::identity(&self.root, &self.vault, &self.config, &settings, None)?;
        let bound = self.bind_address(None).await?;
        self.open_api(&Arc::new(context), shutdown, token, identity, bound)
    }

    fn open_api(
        &self,
        context: &Arc<Context>,
        shutdown: watch::Receiver<Option<ShutdownRequest>>,
        token: CurrentToken,
        identity: listener::ListenerTls,
        bound: Option<IpAddr>,
    ) -> Result<Serving, Error> {
        let left = self.ledger.records().unwrap_or_else(|error| {
            tracing::error!(%error, "the records of the agent before this one cannot be read");
            Vec::new()
        });
        let journal = Box::new(self.ledger.clone());
        let dispatcher = Dispatcher::resumed(extensions::commands(context), left, journal);
        let listener = listener::listen(&self.config, bound)?;
        let state = api::State {
            dispatcher: dispatcher.clone(),
            gate: api::Authorizer {
                credentials: policy::credentials(&self.root, &self.config, token)?,
                policy: Arc::clone(&self.policy),
                subject: Arc::new(policy::AgentResources(Arc::clone(context))),
            },
            started_at: clock::since_epoch(),
            version: AGENT_VERSION,
        };
        log_listener(&listener, &identity);
        let cancel = self.cancel.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(policy::watch(
            Arc::clone(&self.policy),
            dispatcher.clone(),
            cancel.clone(),
        ));
        tasks.spawn(async move {
            api::serve(listener, identity.server, state, cancel).await;
        });
        Ok(Serving {
            tasks,
            dispatcher,
            shutdown,
        })
    }

    /// What commands work on, and where they request a shutdown.
    fn context(
        &mut self,
        settings: &ConductorSettings,
        tls: ClientOptions,
        token: Option<CurrentToken>,
    ) -> (Context, watch::Receiver<Option<ShutdownRequest>>) {
        let (shutdown, requests) = watch::channel(None);
        let machine = machine_settings(&self.root, &mut self.config, settings, tls);
        let context = Context {
            machine: Machine::new(self.root.clone(), machine),
            root: self.root.clone(),
            log: self.log.ring.clone(),
            ignore_bootloader_failure: self.config.ignore_bootloader_failure.unwrap_or(false),
            token,
            extensions: extensions::EXTENSIONS,
            shutdown,
        };
        (context, requests)
    }

    /// Where Ironic was told to call by an agent before this one.
    fn known_address(&self, node: Uuid) -> Option<(String, CallbackAddress)> {
        let session = self.vault.session()?;
        if session.node != node {
            tracing::warn!(node = %session.node, "an agent before this one was of another node: it leaves no address");
            return None;
        }
        let advertised = CallbackAddress::of_url(&session.callback_url)?;
        tracing::info!(
            url = session.callback_url,
            "Ironic knows the address from an agent before this one"
        );
        Some((session.callback_url, advertised))
    }

    /// Where Ironic is told to call. It is looked for as long as it takes: the token is here and nowhere else, so an agent that
    /// was started anew could not take this one's place.
    async fn callback_address(&self, client: &Client) -> Result<CallbackAddress, Error> {
        self.until_found(|| address::discover(client, &self.config, &KernelNetwork, &self.cancel))
            .await
    }

    /// The address that the API is bound to; none is every one. It is looked for just as long.
    async fn bind_address(&self, client: Option<&Client>) -> Result<Option<IpAddr>, Error> {
        self.until_found(|| address::bound(client, &self.config, &KernelNetwork, &self.cancel))
            .await
    }

    async fn until_found<T, F>(&self, mut look: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, conductor::Error>>,
    {
        loop {
            match look().await {
                Err(
                    error @ (conductor::Error::NoAddress(_) | conductor::Error::Interface { .. }),
                ) => {
                    let error = crate::error::chain(&error);
                    tracing::error!(error, "Ironic cannot call this agent: looking again");
                    tokio::time::sleep(self.config.ip_lookup_sleep.max(POLL_INTERVAL)).await;
                }
                found => return found.map_err(Error::Conductor),
            }
        }
    }
}

/// How long running work may take to stop when the agent ends.
pub(super) const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(5);
/// Fewest seconds between two searches for the address, however short the operator wants the wait.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// An operator's choice that cannot work, unless something in between leads from one address to the other.
fn log_other_address(bound: Option<IpAddr>, advertised: &CallbackAddress) {
    let told = match advertised.host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    };
    if let (Some(bound), Some(told)) = (bound, told)
        && bound != told
    {
        tracing::warn!(%bound, %told, "the API is bound to another address than Ironic is told to call");
    }
}

fn log_listener(listener: &TcpListener, identity: &listener::ListenerTls) {
    let tls = identity.server.is_some();
    if !tls
        && !listener
            .local_addr()
            .is_ok_and(|address| address.ip().is_loopback())
    {
        tracing::warn!(
            "NO TLS ON THIS AGENT'S API (no certificate, and none is made: see enable_auto_tls): THE AGENT TOKEN TRAVELS IN CLEAR WITH EACH COMMAND, and whoever sees it can command this machine"
        );
    }
    match listener.local_addr() {
        Ok(address) => tracing::info!(%address, tls, "serving commands"),
        Err(error) => tracing::warn!(%error, tls, "serving commands at an unknown address"),
    }
}
