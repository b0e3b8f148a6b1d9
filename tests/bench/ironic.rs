//! Ironic as far as start-up needs it: it knows every machine and takes every heartbeat.

use anyhow::{Result, bail};
use serde_json::json;
use std::time::{Duration, Instant};
use support::conductor::{Answer, Conductor, TOKEN, lookup};

pub(crate) const LOOKUP: &str = "GET /v1/lookup";
pub(crate) const HEARTBEAT: &str = "POST /v1/heartbeat/";

/// A conductor for one agent.
pub(crate) async fn willing() -> Conductor {
    let conductor = Conductor::start().await;
    conductor
        .on(LOOKUP, [lookup(TOKEN.into())])
        .on(HEARTBEAT, [Answer::json(202, &json!({}))]);
    conductor
}

/// Waits for the first request on a route, and says when it was there.
pub(crate) async fn arrival(
    conductor: &Conductor,
    route: &str,
    limit: Duration,
) -> Result<Instant> {
    let asked = tokio::time::timeout(limit, conductor.until_asked(route, 1)).await;
    if asked.is_err() {
        bail!("no {route} came within {} s", limit.as_secs());
    }
    Ok(Instant::now())
}
