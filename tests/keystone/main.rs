//! Whose a token is, asked over real connections of a Keystone that says what a test wants.
//!
//! Where time matters the clock stands still and the test moves it, as in the conductor's tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod account;
mod crowd;
mod failures;
mod log;
mod tls;
mod validation;

use ferrite::config::{CommandLine, Config, KernelArgs, Sources, load};
use ferrite::keystone::{Identity, Keystone, Refusal};
use ferrite::root::Root;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use support::conductor::{Answer, Conductor as Server};

/// A caller's token.
const TOKEN: &[u8] = b"gAAAAABcallers-canary-token";
/// The agent's own.
const OWN: &str = "gAAAAABagents-canary-token";
const PASSWORD: &str = "canary-password";

/// Questions about tokens, and where the agent gets its own.
const LOOK: &str = "GET /v3/auth/tokens";
const LOGIN: &str = "POST /v3/auth/tokens";

/// Configuration with these options of `[keystone_authtoken]`.
fn config(auth_url: &str, options: &[(&str, &str)]) -> Config {
    let variable = |(name, value): &(&str, &str)| {
        let name = format!("OS_KEYSTONE_AUTHTOKEN__{}", name.to_uppercase());
        (name, (*value).to_owned())
    };
    let sources = Sources {
        kernel: KernelArgs::parse(format!("ferrite-keystone-auth-url={auth_url}")),
        media: None,
        environment: options.iter().map(variable).collect(),
        command_line: CommandLine::default(),
    };
    load(&Root::at("/nonexistent"), sources).unwrap().config
}

fn keystone(auth_url: &str, options: &[(&str, &str)]) -> Keystone {
    let config = config(auth_url, options);
    let tls = config.tls_client(&Root::machine()).unwrap();
    Keystone::new(&config.keystone, &tls, &Root::machine()).unwrap()
}

/// What a user's name and password are called.
const CREDENTIALS: [(&str, &str); 3] = [
    ("username", "ferrite"),
    ("password", PASSWORD),
    ("project_name", "service"),
];

/// A token's answer as Keystone recorded it, which ends in a far future.
fn recorded(kind: &str) -> Value {
    let tokens: Value =
        serde_json::from_str(include_str!("../fixtures/keystone/tokens.json")).unwrap();
    let mut answer = tokens[kind]["answer"].clone();
    answer["token"]["expires_at"] = "2999-01-01T00:00:00.000000Z".into();
    answer
}

fn known(kind: &str) -> Answer {
    Answer::json(200, &recorded(kind))
}

fn refused(status: u16) -> Answer {
    let error = json!({"code": status, "message": "Failed to validate token", "title": "No"});
    Answer::json(status, &json!({ "error": error }))
}

/// The answer to the agent's credentials: a token for an hour, and a catalogue.
fn login(catalog: &Value) -> Answer {
    let body = json!({"token": {
        "issued_at": "2026-11-27T23:00:00.000000Z",
        "expires_at": "2026-11-28T00:00:00.000000Z",
        "catalog": catalog,
    }});
    Answer::json(201, &body).with("x-subject-token", OWN)
}

fn refusal(outcome: Result<Arc<Identity>, Refusal>) -> Refusal {
    outcome.unwrap_err()
}

/// A port nobody listens on.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
