//! Ferrite beside IPA 13.0.0, in turns: start, memory, requests.

use crate::agent::Installed;
use crate::contender::{Contender, Kind, MEASURING, on_core};
use crate::ironic::{self, HEARTBEAT, LOOKUP};
use crate::load::{self, Question};
use crate::memory;
use crate::report::{Better, Compared, Section};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use support::conductor::Conductor;

/// Both agents, and how many times better Ferrite is.
pub(crate) fn measure() -> Result<Section> {
    let runs = on_core(MEASURING, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(all())
    })??;
    let row = |what, better, unit, number: fn(&Run) -> f64| {
        let of = |kind| {
            let runs = runs.iter().filter(move |run| run.kind == kind);
            runs.map(number).collect()
        };
        Compared {
            what,
            better,
            unit,
            ferrite: of(Kind::Ferrite),
            ipa: of(Kind::Ipa),
        }
        .row()
    };
    Ok(Section {
        title: "Beside IPA 13.0.0",
        method: format!(
            "both in one sitting, in turns, {RUNS} runs each after one to warm up; as nobody, each alone on one core, the \
             bench with its conductor on another; Ferrite is the release binary, IPA is Debian's Python with the packages \
             of its requirements and stand-ins for most programs it calls; from before fork and exec; processor: utime and \
             stime with ended children; memory: Pss, a second after the heartbeat and after 200 requests over connections \
             of their own; idle over {} s; requests: GET /v1/status over TLS by {} connections for {} s; median (least..most); \
             x: how many times better Ferrite is",
            IDLE.as_secs(),
            load::CONNECTIONS,
            load::DURATION.as_secs()
        ),
        rows: vec![
            row("exec to lookup", Better::Less, "ms", |run| run.lookup),
            row("exec to heartbeat", Better::Less, "ms", |run| run.heartbeat),
            row("processor until the heartbeat", Better::Less, "ms", |run| {
                run.processor
            }),
            row("processor when idle", Better::Less, "ms/s", |run| run.idle),
            row("memory, idle", Better::Less, "MB", |run| run.memory),
            row("memory, after 200 requests", Better::Less, "MB", |run| {
                run.asked
            }),
            row("requests over TLS", Better::More, "/s", |run| run.requests),
        ],
    })
}

struct Run {
    kind: Kind,
    lookup: f64,
    heartbeat: f64,
    processor: f64,
    idle: f64,
    memory: f64,
    asked: f64,
    requests: f64,
}

async fn all() -> Result<Vec<Run>> {
    let installed = Installed::new()?;
    let mut runs = Vec::new();
    for number in 0..=RUNS {
        for kind in [Kind::Ferrite, Kind::Ipa] {
            let run = once(kind, &installed)
                .await
                .with_context(|| format!("measuring {kind:?}"))?;
            if number > 0 {
                runs.push(run);
            }
        }
    }
    Ok(runs)
}

async fn once(kind: Kind, installed: &Installed) -> Result<Run> {
    let conductor = ironic::willing().await;
    let begin = Instant::now();
    let agent = Contender::start(kind, installed, &conductor)?;
    let lookup = arrival(&conductor, LOOKUP, &agent).await?;
    let heartbeat = arrival(&conductor, HEARTBEAT, &agent).await?;
    let processor = agent.processor()?;
    tokio::time::sleep(REST).await;
    let memory = agent.memory()?;
    let before = agent.threads()?;
    tokio::time::sleep(IDLE).await;
    let idle = agent.threads()?.saturating_sub(before);
    let url = format!("https://127.0.0.1:{}", agent.port);
    memory::ask(&url, &conductor).await?;
    tokio::time::sleep(REST).await;
    let asked = agent.memory()?;
    let certificate = memory::certificate(&conductor)?;
    let requests = load::answers(agent.port, &certificate, &Question::status()).await?;
    Ok(Run {
        kind,
        lookup: millis(lookup - begin),
        heartbeat: millis(heartbeat - begin),
        processor: millis(processor),
        idle: millis(idle) / IDLE.as_secs_f64(),
        memory: memory.megabytes(),
        asked: asked.megabytes(),
        requests: requests.a_second(),
    })
}

async fn arrival(conductor: &Conductor, route: &str, agent: &Contender) -> Result<Instant> {
    let arrival = ironic::arrival(conductor, route, PATIENCE).await;
    arrival.map_err(|error| agent.explain(&error))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const RUNS: usize = 5;
const REST: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
