//! From an agent that is killed to the next command that is answered.

use crate::agent::{Agent, Installed, free_port};
use crate::ironic::{self, HEARTBEAT};
use crate::load::{self, Asker, Question};
use crate::memory;
use crate::report::{Row, Section, Spread};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use support::conductor::TOKEN;

/// Time without an agent.
pub(crate) async fn measure() -> Result<Section> {
    let installed = Installed::new()?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(once(&installed).await?);
    }
    let rows = vec![
        Spread::of(runs).row("kill to the next command answered"),
        Row::new("the same of IPA 13.0.0", "never")
            .note("the token is lost with the process, and Ironic gives it once"),
    ];
    Ok(Section {
        title: "Crash",
        method: format!(
            "the release binary under `ferrite supervise`, not as root; from SIGKILL of the agent to the whole answer of GET \
             /v1/commands/ with the same token, over TLS with the same certificate, asked again and again; the pause before \
             an agent is started anew is in it; median of {RUNS} runs"
        ),
        rows,
    })
}

async fn once(installed: &Installed) -> Result<Duration> {
    let conductor = ironic::willing().await;
    let port = free_port()?;
    let supervisor = installed.supervise_at(&conductor.url(), port)?;
    ironic::arrival(&conductor, HEARTBEAT, PATIENCE)
        .await
        .map_err(|error| supervisor.explain(&error))?;
    let certificate = memory::certificate(&conductor)?;
    let target = format!("/v1/commands/?agent_token={TOKEN}");
    let commands = Question::get(target, 200, Asker::Same);
    load::until_answered(port, &certificate, &commands, PATIENCE).await?;
    kill(Pid::from_raw(only_child(&supervisor)?), Signal::SIGKILL)?;
    let time = load::until_answered(port, &certificate, &commands, PATIENCE).await;
    time.map_err(|error| supervisor.explain(&error))
}

/// The agent.
fn only_child(supervisor: &Agent) -> Result<i32> {
    let children = supervisor.children()?;
    children
        .first()
        .copied()
        .context("the supervisor has started no agent")
}

const RUNS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);
