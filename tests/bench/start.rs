//! From the program's start to its first words on the wire.

use crate::agent::Installed;
use crate::ironic::{self, HEARTBEAT, LOOKUP};
use crate::report::{Section, Spread, Time};
use anyhow::Result;
use std::time::{Duration, Instant};

/// How long exec takes to the lookup, and to the first heartbeat.
pub(crate) async fn measure() -> Result<Section> {
    let installed = Installed::new()?;
    once(&installed).await?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(once(&installed).await?);
    }
    let lookup = Spread::of(runs.iter().map(|run| run.0));
    let heartbeat = Spread::of(runs.iter().map(|run| run.1));
    Ok(Section {
        title: "Start",
        method: format!(
            "the release binary, not as root, from before fork and exec to the request at a conductor in the bench, in clear \
             over loopback; median of {RUNS} runs after one to warm up; the heartbeat's includes the certificate's making"
        ),
        rows: vec![
            lookup
                .row("exec to lookup on the wire")
                .limit(lookup.median(), LOOKUP_LIMIT),
            heartbeat.row("exec to first heartbeat"),
        ],
    })
}

async fn once(installed: &Installed) -> Result<(Duration, Duration)> {
    let conductor = ironic::willing().await;
    let begin = Instant::now();
    let agent = installed.start(&conductor.url())?;
    let after = async |route| {
        let arrival = ironic::arrival(&conductor, route, PATIENCE).await;
        let arrival = arrival.map_err(|error| agent.explain(&error))?;
        anyhow::Ok(arrival - begin)
    };
    Ok((after(LOOKUP).await?, after(HEARTBEAT).await?))
}

const RUNS: usize = 15;
const PATIENCE: Duration = Duration::from_secs(20);
const LOOKUP_LIMIT: Time = Time(Duration::from_millis(50));
