//! The two agents, started alike: as nobody, told the same by their environment, with a conductor of their own.

use serde_json::json;
use std::collections::BTreeMap;
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::ipa::Ipa;
use support::process::{Program, free_port, within};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ferrite,
    Ipa,
}

/// An agent that found its node.
pub(crate) struct Agent {
    pub(crate) conductor: Conductor,
    pub(crate) port: u16,
    _process: Process,
}

#[expect(dead_code, reason = "it ends with this value")]
enum Process {
    Ferrite(Program),
    Ipa(Ipa),
}

impl Agent {
    /// Starts one with these options, in clear unless they say otherwise, and waits for its first heartbeat.
    pub(crate) async fn start(kind: Kind, options: &BTreeMap<String, String>) -> Self {
        let conductor = Conductor::start().await;
        conductor
            .on("GET /v1/lookup", [conductor::lookup(json!(TOKEN))])
            .on(HEARTBEAT, [Answer::bytes(202, "")]);
        let port = free_port();
        let (url, number) = (conductor.url(), port.to_string());
        let mut all = vec![
            ("api_url", url.as_str()),
            ("listen_port", &number),
            ("advertise_port", &number),
            ("advertise_host", "127.0.0.1"),
            ("disk_wait_attempts", "0"),
            ("ip_lookup_attempts", "1"),
            ("enable_auto_tls", "false"),
        ];
        for (name, value) in options {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        let process = match kind {
            Kind::Ferrite => Process::Ferrite(ferrite(&all)),
            Kind::Ipa => Process::Ipa(Ipa::start(&all).unwrap()),
        };
        within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
        Self {
            conductor,
            port,
            _process: process,
        }
    }
}

fn ferrite(options: &[(&str, &str)]) -> Program {
    let variables: Vec<_> = options
        .iter()
        .map(|(name, value)| (format!("OS_DEFAULT__{}", name.to_uppercase()), *value))
        .collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    Program::start(&["agent"], &variables)
}

const HEARTBEAT: &str = "POST /v1/heartbeat/";
