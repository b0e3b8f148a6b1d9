//! Eight generations of Ironic deploy a node through the agent, each as its cycle left it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::json;

use crate::written::assert_image_on;
use crate::{image, step};
use support::lab::fake::{FakeLab, PATIENCE};
use support::lab::instance::{Clusters, InstanceImage};
use support::lab::release::{self, RELEASES, Release};

#[test]
fn the_oldest_generation_deploys_with_the_open_command_list_and_fails_without_it() -> Result<()> {
    let lab = FakeLab::start("fake-oldest", release::OLDEST)?;
    let built = lab.image("generation", 1)?;
    step("without the option");
    let failure = deployment(&lab, &built, "agent-closed", "")?
        .failure
        .context("the conductor that sends no token was served all the same")?;
    // The conductor looks for the list in our refusal, and tells the key it misses.
    ensure!(failure.contains("'commands'"), "{failure}");
    ensure!(
        fs::read_to_string(lab.logs().join("agent-closed.out"))?
            .lines()
            .any(|line| line.contains("method=GET target=/v1/commands/ status=401")),
        "no request for the list of commands was refused"
    );
    step("with it");
    let seen = deployment(&lab, &built, "agent-open", OPEN)?;
    ensure!(!seen.token_on_read, "it sends a token after all");
    seen.failure.map_or(Ok(()), |failure| Err(anyhow!(failure)))
}

#[test]
fn a_generation_between_deploys_without_any_option() -> Result<()> {
    let lab = FakeLab::start("fake-between", release::BETWEEN)?;
    let built = lab.image("generation", 1)?;
    let seen = deployment(&lab, &built, "agent", "")?;
    ensure!(seen.token_on_read, "it sends no token");
    seen.failure.map_or(Ok(()), |failure| Err(anyhow!(failure)))
}

#[test]
#[ignore = "installs eight environments: `make test-matrix` runs it"]
fn every_generation_deploys_and_the_table_says_how() -> Result<()> {
    let mut table = String::from(HEAD);
    let mut failed = Vec::new();
    for release in RELEASES {
        step(&format!("Ironic {} of {}", release.ironic, release.cycle));
        // A lab takes its thread into namespaces, for good.
        let row = thread::spawn(move || row(release)).join();
        let row = row.map_err(|_| anyhow!("the lab panicked"))?;
        let (row, works) = row.with_context(|| format!("Ironic {}", release.ironic))?;
        table.push_str(&row);
        if !works {
            failed.push(release.ironic);
        }
    }
    println!("\n{table}");
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE), &table)?;
    ensure!(failed.is_empty(), "not as expected: {failed:?}");
    Ok(())
}

/// One line of the table, and whether all was as expected.
fn row(release: Release) -> Result<(String, bool)> {
    let lab = FakeLab::start(&format!("fake-{}", release.ironic), release)?;
    let built = lab.image("generation", 1)?;
    let option = if release.token_on_read { "" } else { OPEN };
    let seen = deployment(&lab, &built, "agent", option)?;
    let (oldest, newest) = lab.ironic.api.versions()?;
    let works = seen.failure.is_none() && seen.token_on_read == release.token_on_read;
    let result = match &seen.failure {
        None if option.is_empty() => "active".to_owned(),
        None => "active, with `open_command_list`".to_owned(),
        Some(failure) => failure.lines().next().unwrap_or_default().to_owned(),
    };
    Ok((
        format!(
            "| {} | {} | {oldest} to {newest} | {result} | {} | {} |\n",
            release.ironic,
            release.cycle,
            if seen.token_on_read { "yes" } else { "no" },
            seen.took.as_secs(),
        ),
        works,
    ))
}

/// What a deployment showed.
struct Outcome {
    /// Why it failed, if it did.
    failure: Option<String>,
    /// Whether the conductor sent the agent token when it read the list of commands, by the agent's log.
    token_on_read: bool,
    /// From the request to the end.
    took: Duration,
}

/// Deploys a new machine, with further kernel arguments, and looks at its disk where that succeeds.
fn deployment(
    lab: &FakeLab,
    built: &InstanceImage,
    log: &'static str,
    arguments: &str,
) -> Result<Outcome> {
    let machine = lab.machine()?;
    let file = built.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    machine.node.set("/instance_info", &source)?;
    let begin = Instant::now();
    machine.node.provision("active", &json!({}))?;
    machine.node.wait_state("wait call-back", PATIENCE)?;
    let mut cell = lab.boot(log, &machine, arguments)?;
    let failure = machine.node.wait_state("active", PATIENCE).err();
    let took = begin.elapsed();
    if failure.is_none() {
        cell.wait_end(PATIENCE)?;
        let further = assert_image_on(&machine.disk, &built.raw)?;
        ensure!(further.is_empty(), "partitions of nobody: {further:?}");
    }
    let told = cell.told()?;
    let mut reads = told
        .lines()
        .filter(|line| line.contains("method=GET target=/v1/commands/"))
        .peekable();
    if reads.peek().is_none() {
        bail!("the conductor never read the list of commands: {failure:?}");
    }
    Ok(Outcome {
        failure: failure.map(|error| error.to_string()),
        token_on_read: reads.all(|line| line.contains("agent_token=***")),
        took,
    })
}

const OPEN: &str = "ferrite-open-command-list=1";
const TABLE: &str = "target/lab/generations.md";
const HEAD: &str = "| Ironic | cycle | API | deployment | token on `GET /v1/commands` | seconds |\n\
                    |---|---|---|---|---|---|\n";
