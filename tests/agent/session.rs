//! An agent that found its node: the conductor, the process, and a caller that trusts the heartbeat's certificate.

use super::caller::Caller;
use serde_json::{Value, json};
use std::io::PipeReader;
use std::path::Path;
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::process::{Program, free_port};

/// The routes of the conductor.
pub(crate) const LOOKUP: &str = "GET /v1/lookup";
pub(crate) const HEARTBEAT: &str = "POST /v1/heartbeat/";

/// The conductor, the agent, and who may command it.
pub(crate) struct Session {
    pub(crate) conductor: Conductor,
    pub(crate) agent: Program,
    pub(crate) caller: Caller,
    /// The body of the first heartbeat.
    pub(crate) heartbeat: Value,
}

impl Session {
    /// Starts an agent and waits for its first heartbeat.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_with(json!(TOKEN), options, &[]).await
    }

    /// The same with this in the token's place of the lookup, and variables.
    pub(crate) async fn start_with(
        token: Value,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let conductor = willing_conductor(token).await;
        let agent = start_agent(&conductor, free_port(), options, environment);
        Self::begun(conductor, agent).await
    }

    /// The same in a ramdisk with this /etc.
    pub(crate) async fn start_in_ramdisk(etc: &Path, options: &[&str]) -> Self {
        let conductor = willing_conductor(json!(TOKEN)).await;
        let agent = start_agent_in_ramdisk(etc, &conductor, options);
        Self::begun(conductor, agent).await
    }

    /// The same with a standard error that nobody reads.
    pub(crate) async fn start_unread(options: &[&str]) -> (Self, PipeReader) {
        let conductor = willing_conductor(json!(TOKEN)).await;
        let (url, port) = (conductor.url(), free_port().to_string());
        let mut arguments = impatient(&url, &port);
        arguments.extend(options);
        let (agent, unread) = Program::start_unread(&arguments);
        (Self::begun(conductor, agent).await, unread)
    }

    async fn begun(conductor: Conductor, mut agent: Program) -> Self {
        agent
            .until("a heartbeat", conductor.until_asked(HEARTBEAT, 1))
            .await;
        let heartbeat = conductor.asked(HEARTBEAT)[0].json();
        let text = |name: &str| heartbeat[name].as_str().unwrap();
        let caller = Caller::new(
            text("callback_url"),
            Some(text("agent_verify_ca")),
            Some(text("agent_token")),
        );
        Self {
            conductor,
            agent,
            caller,
            heartbeat,
        }
    }
}

/// A conductor that knows the node and takes heartbeats.
pub(crate) async fn willing_conductor(token: Value) -> Conductor {
    let conductor = Conductor::start().await;
    conductor
        .on(LOOKUP, [conductor::lookup(token)])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    conductor
}

/// An agent that knows its conductor and waits for nothing that a test machine has not.
pub(crate) fn start_agent(
    conductor: &Conductor,
    port: u16,
    options: &[&str],
    environment: &[(&str, &str)],
) -> Program {
    let (url, port) = (conductor.url(), port.to_string());
    let mut arguments = impatient(&url, &port);
    arguments.extend(options);
    Program::start(&arguments, environment)
}

/// The same in a ramdisk with this /etc.
pub(crate) fn start_agent_in_ramdisk(
    etc: &Path,
    conductor: &Conductor,
    options: &[&str],
) -> Program {
    let (url, port) = (conductor.url(), free_port().to_string());
    let mut arguments = impatient(&url, &port);
    arguments.extend(options);
    Program::start_in_ramdisk(etc, &arguments, &[])
}

fn impatient<'a>(url: &'a str, port: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["agent"];
    arguments.extend(knowing(url, port));
    arguments.extend(["--disk_wait_attempts", "0"]);
    arguments
}

/// Options of an agent that knows its conductor, whatever keeps it running.
pub(crate) fn knowing<'a>(url: &'a str, port: &'a str) -> [&'a str; 8] {
    [
        "--api_url",
        url,
        "--listen_port",
        port,
        "--advertise_port",
        port,
        "--ip_lookup_attempts",
        "1",
    ]
}
