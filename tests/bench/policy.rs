//! What it costs to decide whether a caller may: the decision alone, and refusals over the wire.

use crate::agent::Installed;
use crate::field::kilobytes;
use crate::ironic::{self, HEARTBEAT};
use crate::load::{self, Asker, Question};
use crate::memory::certificate;
use crate::report::{Row, Section, Size};
use anyhow::{Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use ferrite::policy::credentials::{AGENT, OBSERVER};
use ferrite::policy::names::{COMMAND_LIST, COMMAND_RUN};
use ferrite::policy::{Attributes, DEFAULTS, Enforcer, Settings};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// The decision in this process, a million times; then an agent that refuses an observer.
pub(crate) async fn measure() -> Result<Section> {
    let policy = Enforcer::load(DEFAULTS, Settings::default())?;
    let conductor = decided(&policy, COMMAND_LIST, &AGENT, true)?;
    let observer = decided(&policy, COMMAND_LIST, &OBSERVER, true)?;
    let refused = decided(&policy, COMMAND_RUN, &OBSERVER, false)?;
    let wire = refusals().await?;
    Ok(Section {
        title: "Policy",
        method: format!(
            "a decision: Enforcer::enforce with the built-in rules and a node's attributes, in the bench's own process, {DECISIONS} \
             times, after as many to warm up; growth: of the process's VmRSS meanwhile; refusals: POST /v1/commands/ with an \
             observer's secret over {} TLS connections that stay open, for {} s, twice; growth: of the agent's VmRSS in the second time",
            load::CONNECTIONS,
            load::DURATION.as_secs()
        ),
        rows: vec![
            conductor.row("the conductor may list"),
            observer.row("an observer may list"),
            refused.row("an observer may not run"),
            Row::new("refusals over the wire", format!("{:.0}/s", wire.rate)).note(format_args!(
                "{} of them, growth {}",
                wire.number, wire.growth
            )),
        ],
    })
}

/// What a decision takes, and what is left of a million.
struct Decision {
    time: Duration,
    growth: Size,
}

impl Decision {
    fn row(&self, what: &str) -> Row {
        let nanoseconds = self.time.as_nanos() / u128::from(DECISIONS);
        Row::new(what, format!("{nanoseconds} ns"))
            .note(format_args!("growth {}", self.growth))
            .limit(nanoseconds, LIMIT)
    }
}

fn decided(policy: &Enforcer, rule: &str, who: &Attributes, may: bool) -> Result<Decision> {
    let target = Attributes::from_iter([("node.uuid".to_owned(), "1be26c0b".into())]);
    let decide = || {
        for _ in 0..DECISIONS {
            let decided = policy.enforce(black_box(rule), black_box(who), &target);
            ensure!(decided.is_ok() == may, "{rule}: {decided:?}");
        }
        Ok(())
    };
    decide()?;
    let (before, begin) = (own()?, Instant::now());
    decide()?;
    Ok(Decision {
        time: begin.elapsed(),
        growth: Size(own()?.0.saturating_sub(before.0)),
    })
}

struct Refusals {
    rate: f64,
    number: u32,
    growth: Size,
}

async fn refusals() -> Result<Refusals> {
    let installed = Installed::new()?;
    let conductor = ironic::willing().await;
    let hash: String = digest(&SHA256, SECRET.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let agent = installed.start_with(&conductor.url(), &["--observer_token_sha256", &hash])?;
    ironic::arrival(&conductor, HEARTBEAT, PATIENCE)
        .await
        .map_err(|error| agent.explain(&error))?;
    let question = Question {
        method: "POST",
        header: format!("Authorization: Bearer {SECRET}\r\n"),
        ..Question::get("/v1/commands/".into(), 403, Asker::Same)
    };
    let (port, certificate) = (agent.port()?, certificate(&conductor)?);
    load::answers(port, &certificate, &question).await?;
    let before = agent.resident()?;
    let answers = load::answers(port, &certificate, &question).await?;
    Ok(Refusals {
        rate: answers.a_second(),
        number: answers.number,
        growth: Size(agent.resident()?.0.saturating_sub(before.0)),
    })
}

fn own() -> Result<Size> {
    kilobytes(Path::new("/proc/self/status"), "VmRSS:")
}

const DECISIONS: u64 = 1_000_000;
/// Nanoseconds of a decision.
const LIMIT: u128 = 10_000;
const SECRET: &str = "an observer's secret of the bench";
const PATIENCE: Duration = Duration::from_secs(20);
