//! Agent → Ironic: what Ironic is asked and told until the first heartbeat is taken.

use super::agents::{Agent, Kind};
use super::recording::{self, Said};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use support::conductor::{Asked, TOKEN};

/// The folder of the recordings.
pub(crate) const FOLDER: &str = "told";

/// What an agent with these options asks.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Start {
    /// The behaviour of IPA that this shows.
    pub(crate) mirrors: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) options: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(crate) requests: Said<Vec<Sent>>,
}

/// A request to Ironic, its volatile parts replaced.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Sent {
    pub(crate) line: String,
    /// All but those of the connection and of the client's library.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[tokio::test]
async fn ferrite_tells_ironic_what_is_recorded() {
    for (name, start) in recording::all::<Start>(FOLDER) {
        assert_eq!(start.requests.fault(), None, "{name}");
        let sent = begin(Kind::Ferrite, &start).await;
        assert_eq!(start.requests.expected(), Some(&sent), "{name}");
    }
}

/// Starts an agent and gives what it sent.
pub(crate) async fn begin(kind: Kind, start: &Start) -> Vec<Sent> {
    let agent = Agent::start(kind, &start.options).await;
    let asked = agent.conductor.asked("");
    asked.iter().map(|asked| sent(asked, agent.port)).collect()
}

fn sent(asked: &Asked, port: u16) -> Sent {
    let mut line = asked.line.clone();
    // The machine's own.
    if let Some((before, _)) = line.split_once("addresses=") {
        line = format!("{before}addresses={{addresses}}");
    }
    let mut body = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        let text = value.as_str().unwrap().replace(&port.to_string(), "{port}");
        *value = Value::from(match (name.as_str(), text) {
            ("agent_token", token) if token == TOKEN => "{token}".to_owned(),
            ("agent_verify_ca", pem) if pem.starts_with("-----BEGIN CERTIFICATE-----\n") => {
                "{certificate}".to_owned()
            }
            (_, text) => text,
        });
    }
    Sent {
        line,
        headers: asked
            .headers
            .iter()
            .filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        body,
    }
}

const OF_THE_CONNECTION: [&str; 5] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "user-agent",
];
