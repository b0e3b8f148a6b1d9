//! The conversation with Ironic, over real connections to a conductor that plays its part.
//!
//! Where time matters the clock stands still and the test moves it: see [`support::clock`].

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod address;
mod discovery;
mod faults;
mod heartbeats;
mod lookups;
mod names;
mod negotiation;
mod settings;
mod timing;
mod tls;
mod urls;

use ferrite::conductor::client::Client;
use ferrite::conductor::heartbeat::Heartbeat;
use ferrite::conductor::lookup::{self, Lookup, LookupQuery};
use ferrite::conductor::{Error, RetryPolicy};
use ferrite::config::{CommandLine, Config, KernelArgs, Sources, load};
use ferrite::root::Root;
use ferrite::secret::AgentToken;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use support::conductor::{NODE, TOKEN};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Configuration as kernel arguments give it.
fn config(arguments: &str) -> Config {
    config_with(arguments, &[])
}

/// Configuration as kernel arguments and the environment give it.
fn config_with(arguments: &str, environment: &[(&str, &str)]) -> Config {
    let sources = Sources {
        kernel: KernelArgs::parse(Zeroizing::new(arguments.to_owned())),
        media: None,
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        command_line: CommandLine::default(),
    };
    load(&nowhere(), sources).unwrap().config
}

fn nowhere() -> Root {
    Root::at("/nonexistent")
}

fn client(config: &Config) -> Client {
    let tls = config.tls_client(&Root::machine()).unwrap();
    Client::new(config.api_url.urls(), config, &tls, &nowhere()).unwrap()
}

fn machine() -> LookupQuery {
    LookupQuery {
        addresses: vec!["52:54:00:00:00:01".into(), "52:54:00:00:00:02".into()],
        node: None,
    }
}

/// Looks up by a law that never waits.
async fn look_up(config: &Config, client: &Client) -> Result<Lookup, Error> {
    let law = RetryPolicy {
        interval: Duration::ZERO,
        random: || 0.0,
        ..RetryPolicy::of(config)
    };
    let cancel = CancellationToken::new();
    lookup::lookup(client, &machine(), config, None, &law, &cancel).await
}

fn heartbeat_of(verify_ca: Option<&str>) -> Heartbeat {
    Heartbeat {
        node: NODE.parse().unwrap(),
        callback_url: "https://192.0.2.1:9999".into(),
        token: Arc::new(AgentToken::from_lookup(TOKEN.into()).unwrap()),
        verify_ca: verify_ca.map(str::to_owned),
        timeout: Duration::from_secs(300),
        random: || 1.0,
    }
}

/// A port nobody listens on.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
