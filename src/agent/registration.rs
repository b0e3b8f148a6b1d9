//! From the first look at the hardware to a node with a token: who this machine is to Ironic.

use super::context::AgentContext;
use super::error::Error;
use super::missing_token::MissingToken;
use super::startup::{clock_settings, installed_system};
use crate::conductor::RetryPolicy;
use crate::conductor::client::Client;
use crate::conductor::lookup::{self, Lookup};
use crate::error::chain;
use crate::inventory::network as interfaces;
use crate::json::Json;
use crate::machine::shutdown::ShutdownRequest;
use crate::machine::{Permit, clock, marks, rescue, wait};
use crate::node::Node;
use crate::progress::Cancel;
use crate::root::Root;
use crate::secret::AgentToken;
use crate::steps::NodeSource;
use crate::tls::client::ClientOptions;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// What the lookup settled: who we are and what Ironic wants.
pub(super) struct Registered {
    pub(super) client: Arc<Client>,
    /// What Ironic knows the machine by.
    pub(super) machine: lookup::LookupQuery,
    pub(super) node: lookup::Node,
    pub(super) settings: lookup::ConductorSettings,
    pub(super) token: Arc<AgentToken>,
    pub(super) tls_client: ClientOptions,
}

/// What the search for the node led to.
pub(super) enum Registration {
    /// Ironic gave no token.
    MissingToken(MissingToken),
    /// There is no Ironic to ask.
    NoConductor,
    Registered(Box<Registered>),
    /// An earlier agent handed the machine to its owner.
    Rescued,
    /// An earlier agent was told to, and may have died before it did.
    ShutdownRequested(ShutdownRequest),
}

impl AgentContext {
    /// Finds the node and settles the token.
    pub(super) async fn find_node(&mut self) -> Result<Registration, Error> {
        if let Some(marked) = marked(&self.root) {
            return Ok(marked);
        }
        let urls = if self.config.standalone {
            Vec::new()
        } else {
            self.api_urls().await?
        };
        self.set_clock().await?;
        self.wait_for_hardware().await;
        if self.config.standalone {
            return Ok(Registration::NoConductor);
        }
        if urls.is_empty() {
            // As IPA: the API is open all the same, in clear. Ending would only make process 1 start us anew.
            tracing::error!(
                "no api_url is configured (ipa-api-url on the kernel command line): nobody is asked for this machine's node, \
                 and nobody will know of this agent"
            );
            return Ok(Registration::NoConductor);
        }
        let tls_client = self.config.tls_client(&self.root).map_err(Error::Tls)?;
        let client =
            Client::new(&urls, &self.config, &tls_client, &self.root).map_err(Error::Conductor)?;
        let machine = lookup::LookupQuery {
            addresses: self.wait_for_interface().await,
            node: None,
        };
        let law = RetryPolicy::of(&self.config);
        let own = self.local_token();
        let (token, cancel) = (own.as_ref(), &self.cancel);
        let found = lookup::lookup(&client, &machine, &self.config, token, &law, cancel).await;
        let Lookup {
            node,
            settings,
            token,
            ..
        } = found.map_err(Error::Conductor)?;
        // Before anything that takes time: an agent after this one is not to do without Ironic.
        self.vault.store_lookup();
        let token = match token.resolve(own) {
            // Before anything else: Ironic gives it once.
            Ok(token) => Arc::new(self.vault.store_token(token)),
            Err(reason) => {
                let speechless = MissingToken::now(node.uuid, reason, self.started_at);
                return Ok(Registration::MissingToken(speechless));
            }
        };
        Ok(Registration::Registered(Box::new(Registered {
            client: Arc::new(client),
            machine: lookup::LookupQuery {
                node: Some(node.uuid),
                ..machine
            },
            node,
            settings,
            token,
            tls_client,
        })))
    }

    /// Sets the clock by a time server, where the operator named one: certificates are valid at times.
    async fn set_clock(&self) -> Result<(), Error> {
        let clock::ClockSettings { server, needed } = clock_settings(&self.config);
        let Some(server) = server else {
            return Ok(());
        };
        let permit = Permit::obtain(&self.root, installed_system(&self.config));
        let set = match permit {
            Ok(permit) => {
                let root = self.root.clone();
                spawn_blocking(move || clock::set(&root, &server, permit))
                    .await
                    .map_err(Error::Task)?
            }
            Err(refusal) => Err(clock::Error::Installed(refusal)),
        };
        match set {
            Err(error) if needed => Err(Error::Clock(error)),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "the clock stays as it is");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Gives slow hardware the time that the operator wants, before anything is asked of it. (IPA waits when it has asked already.)
    async fn wait_for_hardware(&self) {
        let delay = self.config.hardware_initialization_delay;
        if !delay.is_zero() {
            tracing::info!(seconds = delay.as_secs(), "waiting for the hardware");
            tokio::time::sleep(delay).await;
        }
    }

    /// The addresses Ironic finds the node by; waits for the first of them.
    async fn wait_for_interface(&self) -> Vec<String> {
        let root = self.root.clone();
        let (cancel, _forgotten) = CancelOnDrop::new();
        let waiting = spawn_blocking(move || {
            wait::interface(&root, &cancel);
            interfaces::mac_addresses(&root)
        });
        waiting.await.unwrap_or_default()
    }
}

/// Returns what this agent is to do instead of serving, where an earlier one left a mark: the init that
/// restarted it does not know.
fn marked(root: &Root) -> Option<Registration> {
    if rescue::is_finished(root) {
        tracing::info!(mark = %root.rescue_mark().display(), "this machine was rescued: the agent stays silent");
        Some(Registration::Rescued)
    } else if let Some(action) = marks::shutdown(root) {
        tracing::info!(mark = %root.shutdown_mark().display(), end = ?action, "this machine was told to end: the agent ends it");
        Some(Registration::ShutdownRequested(ShutdownRequest::Power(
            action,
        )))
    } else if marks::is_locked_down(root) {
        tracing::info!(mark = %root.lockdown_mark().display(), "this machine is locked down: the agent stays silent");
        Some(Registration::ShutdownRequested(ShutdownRequest::Lockdown))
    } else {
        None
    }
}

/// Ironic, to be asked for the node again.
#[derive(Debug)]
pub(super) struct NodeRefresher {
    pub(super) client: Arc<Client>,
    pub(super) machine: lookup::LookupQuery,
    pub(super) token: Arc<AgentToken>,
    pub(super) retry_policy: RetryPolicy,
    pub(super) cancel: CancellationToken,
    pub(super) runtime: Handle,
}

impl NodeSource for NodeRefresher {
    fn node(&self) -> Option<Node> {
        // A deployment waits for this.
        let law = RetryPolicy {
            timeout: self.retry_policy.timeout.min(REFRESH_TIMEOUT),
            ..self.retry_policy
        };
        let asked = lookup::refresh_node(
            &self.client,
            &self.machine,
            Some(&self.token),
            &law,
            &self.cancel,
        );
        self.runtime
            .block_on(asked)
            .inspect_err(|error| {
                let error = chain(error);
                tracing::warn!(
                    error,
                    "Ironic does not tell the node again: going by what is known"
                );
            })
            .ok()
            .and_then(|node| described(node.document))
    }
}

/// The node that a lookup found, for commands and steps. A lookup's has a name.
pub(super) fn described(document: Json) -> Option<Node> {
    Node::parse(document)
        .inspect_err(|error| tracing::error!(%error, "the lookup's node is none"))
        .ok()
}

const REFRESH_TIMEOUT: Duration = Duration::from_secs(60);

/// Ends blocking work that nobody waits for any more: a signal would otherwise wait for it.
struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    /// The wish to stop, for the work and for whoever waits.
    fn new() -> (Cancel, Self) {
        let cancel = Cancel::default();
        (cancel.clone(), Self(cancel))
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::power;
    use std::fs;

    #[test]
    fn an_agent_serves_nobody_where_an_earlier_one_was_told_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        assert!(marked(&root).is_none() && !marks::is_marked(&root));
        let boot = root.path("proc/sys/kernel/random/boot_id");
        let action = power::PowerAction::PowerOff;
        for (file, text) in [
            (boot, "boot"),
            (root.lockdown_mark(), ""),
            (root.shutdown_mark(), "power-off boot"),
            (root.rescue_mark(), ""),
        ] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            let marked = marked(&root);
            assert_eq!(marks::is_marked(&root), marked.is_some());
            match (file.file_name().unwrap().to_str().unwrap(), marked) {
                ("boot_id", None) | (".rescued", Some(Registration::Rescued)) => {}
                ("locked-down", Some(Registration::ShutdownRequested(request))) => {
                    assert_eq!(request, ShutdownRequest::Lockdown);
                }
                ("ending", Some(Registration::ShutdownRequested(request))) => {
                    assert_eq!(request, ShutdownRequest::Power(action));
                }
                (file, _) => panic!("{file}"),
            }
        }
    }
}
