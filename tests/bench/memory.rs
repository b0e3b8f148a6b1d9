//! What the agent keeps in memory while it waits for commands.

use crate::agent::{Agent, Installed};
use crate::ironic::{self, HEARTBEAT};
use crate::report::{Row, Section, Size};
use anyhow::{Context, Result};
use ferrite::root::Root;
use ferrite::tls::client::{Bundle, ClientOptions};
use std::time::Duration;
use support::conductor::{Conductor, TOKEN};

/// Resident memory of an agent that Ironic knows, and of one that has answered.
pub(crate) async fn measure() -> Result<Section> {
    let installed = Installed::new()?;
    let conductor = ironic::willing().await;
    let agent = installed.start(&conductor.url())?;
    ironic::arrival(&conductor, HEARTBEAT, PATIENCE)
        .await
        .map_err(|error| agent.explain(&error))?;
    let idle = at_rest(&agent).await?;
    ask(&agent.url(), &conductor).await?;
    let asked = at_rest(&agent).await?;
    Ok(Section {
        title: "Memory",
        method: format!(
            "VmRSS of /proc/PID/status and Pss of smaps_rollup of the release binary, a second after the first heartbeat; \
             again a second after {REQUESTS} GET /v1/commands with the token, each over a TLS connection of its own"
        ),
        rows: vec![
            row("resident, idle", idle),
            row("resident, after requests", asked),
        ],
    })
}

/// Resident and proportional size, when what was begun has ended.
async fn at_rest(agent: &Agent) -> Result<(Size, Size)> {
    tokio::time::sleep(REST).await;
    Ok((agent.resident()?, agent.proportional()?))
}

/// Asks as Ironic does: it trusts the certificate of the heartbeat and nothing else.
pub(crate) async fn ask(agent: &str, conductor: &Conductor) -> Result<()> {
    let options = ClientOptions {
        authorities: Some(Bundle::new("agent.pem", certificate(conductor)?.into())),
        ..ClientOptions::default()
    };
    let client = options
        .builder(&Root::machine())?
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE)
        .build()?;
    let url = format!("{agent}/v1/commands/?agent_token={TOKEN}");
    for _ in 0..REQUESTS {
        client.get(&url).send().await?.error_for_status()?;
    }
    Ok(())
}

/// The certificate that the first heartbeat brought.
pub(crate) fn certificate(conductor: &Conductor) -> Result<String> {
    let heartbeats = conductor.asked(HEARTBEAT);
    let heartbeat = heartbeats.first().context("no heartbeat came")?.json();
    let certificate = heartbeat
        .get("agent_verify_ca")
        .and_then(|text| text.as_str());
    Ok(certificate
        .context("the heartbeat brought no certificate")?
        .to_owned())
}

fn row(what: &str, (resident, proportional): (Size, Size)) -> Row {
    Row::new(what, resident)
        .note(format_args!("Pss {proportional}"))
        .limit(resident, LIMIT)
}

const REQUESTS: usize = 200;
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
const LIMIT: Size = Size(10_000_000);
