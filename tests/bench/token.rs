//! The agent token of Ferrite beside IPA 13.0.0's, in turns: its copies in memory and in the log, and what its check costs.

use crate::agent::Installed;
use crate::contender::{Contender, Kind, MEASURING, on_core};
use crate::ironic::{self, HEARTBEAT};
use crate::load::{self, Asker, Question};
use crate::memory;
use crate::report::{Better, Compared, Row, Section};
use anyhow::{Context, Result};
use std::time::Duration;
use support::conductor::{Conductor, TOKEN};
use support::scan::{Needle, Scan};

/// Both agents, and how many times better Ferrite is.
pub(crate) fn measure() -> Result<Section> {
    let runs = on_core(MEASURING, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(all())
    })??;
    let of = |kind, number: fn(&Run) -> f64| -> Vec<f64> {
        let runs = runs.iter().filter(move |run| run.kind == kind);
        runs.map(number).collect()
    };
    let row = |what, better, unit, number: fn(&Run) -> f64| -> Row {
        Compared {
            what,
            better,
            unit,
            ferrite: of(Kind::Ferrite, number),
            ipa: of(Kind::Ipa, number),
        }
        .row()
    };
    Ok(Section {
        title: "Agent token beside IPA 13.0.0",
        method: format!(
            "both in one sitting, in turns, {RUNS} runs each after one to warm up, as nobody, each alone on one core, the bench \
             with its conductor on another; copies: of the token in all that can be read of the process's memory \
             (/proc/PID/mem; not what the kernel hides from everybody) a second after 200 requests with the token over \
             connections of their own, and in all that the process has told by then; requests: GET /v1/commands/ over TLS, {0} \
             at once for {1} s each, with the token over connections that stay open, with a wrong one over a connection and \
             from a loopback address of its own each, and with a wrong one from the same {0} addresses; processor: of the \
             agent's threads meanwhile; median (least..most); x: how many times better Ferrite is",
            load::CONNECTIONS,
            load::DURATION.as_secs()
        ),
        rows: vec![
            row("copies in memory", Better::Less, "copies", |run| run.copies),
            row("copies in the log", Better::Less, "copies", |run| {
                run.logged
            }),
            row("requests with the token", Better::More, "/s", |run| {
                run.accepted.rate
            }),
            row("processor for one of them", Better::Less, "us", |run| {
                run.accepted.processor
            }),
            row("refusals of strangers", Better::More, "/s", |run| {
                run.refused.rate
            }),
            row("processor for one of them", Better::Less, "us", |run| {
                run.refused.processor
            }),
            row("guesses from a few addresses", Better::Less, "/s", |run| {
                run.guesses
            }),
        ],
    })
}

struct Run {
    kind: Kind,
    copies: f64,
    logged: f64,
    accepted: Cost,
    refused: Cost,
    guesses: f64,
}

/// Answers a second, and microseconds of the processor for each.
struct Cost {
    rate: f64,
    processor: f64,
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
    let agent = Contender::start(kind, installed, &conductor)?;
    ironic::arrival(&conductor, HEARTBEAT, PATIENCE)
        .await
        .map_err(|error| agent.explain(&error))?;
    let url = format!("https://127.0.0.1:{}", agent.port);
    memory::ask(&url, &conductor).await?;
    tokio::time::sleep(REST).await;
    let found = Scan::of(&[agent.pid()], &[Needle::new("token", TOKEN.bytes())])?;
    let logged = agent.log().matches(TOKEN).count();
    let asked = |token: &str, status, asker| {
        Question::get(format!("/v1/commands/?agent_token={token}"), status, asker)
    };
    let wrong = TOKEN.replace('0', "1");
    let accepted = asked(TOKEN, 200, Asker::Same);
    let accepted = cost(&agent, &conductor, &accepted).await?;
    let refused = cost(&agent, &conductor, &asked(&wrong, 401, Asker::Stranger)).await?;
    let guessed = cost(&agent, &conductor, &asked(&wrong, 401, Asker::Same)).await?;
    Ok(Run {
        kind,
        copies: count(found.copies("token")),
        logged: count(logged),
        accepted,
        refused,
        guesses: guessed.rate,
    })
}

async fn cost(agent: &Contender, conductor: &Conductor, question: &Question) -> Result<Cost> {
    let before = agent.threads()?;
    let certificate = memory::certificate(conductor)?;
    let answers = load::answers(agent.port, &certificate, question).await?;
    let used = agent.threads()?.saturating_sub(before);
    Ok(Cost {
        rate: answers.a_second(),
        processor: used.as_secs_f64() * 1e6 / f64::from(answers.number.max(1)),
    })
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

const RUNS: usize = 3;
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
