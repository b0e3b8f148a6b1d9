//! An agent's Keystone that is silent, away, or does not know the agent itself.

use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;

use crate::policy::{HOUR, SECRET, arguments, conductor_runs, until};
use crate::{image, step};
use support::lab::Api;
use support::lab::fake::{FakeLab, Given, PATIENCE};
use support::lab::guest::{Guest, sha256};
use support::lab::identity::{Scope, Token};
use support::lab::instance::Clusters;
use support::lab::process::wait_until;
use support::lab::release::NEWEST;

#[test]
fn a_silent_or_absent_keystone_refuses_its_users_in_time_and_disturbs_no_deployment() -> Result<()>
{
    let (lab, mut keystone) =
        FakeLab::start_with_keystone("policy-outage", NEWEST, HOUR, Api::Http)?;
    let machine = lab.machine()?;
    lab.hold(&machine)?;
    let arguments = arguments(&keystone.url());
    let given = Given {
        kernel_arguments: &arguments,
        ..Given::default()
    };
    let _cell = lab.boot_given("agent", &machine, &given)?;
    let agent = lab.agent(&machine)?;
    let caller = agent.caller();
    let observer = Guest::with_secret(&caller, SECRET);
    let identity = keystone.identity.clone();
    let reader = identity.user_with("reader", "reader", Scope::System)?;
    // A new one each time, which no agent has seen.
    let token = || identity.token(&reader, Scope::System);

    step("while Keystone takes connections and says nothing, its users wait, and nobody else");
    let guest = Guest::with_token(&caller, &token()?);
    keystone.fall_silent()?;
    thread::scope(|scope| -> Result<()> {
        let waiting = scope.spawn(|| timed(&guest));
        let mut meanwhile = 0;
        wait_until("the answer about the token", PATIENCE, || {
            let asked = Instant::now();
            ensure!(observer.status()? == 200, "the observer is refused");
            conductor_runs(&caller, agent.token())?;
            let took = asked.elapsed();
            ensure!(took < UNDISTURBED, "others waited {took:?}");
            meanwhile += 1;
            Ok(waiting.is_finished().then_some(()))
        })?;
        let (status, took) = waiting.join().map_err(|_| anyhow!("a user gave up"))??;
        println!("    {status} after {took:?}; {meanwhile} times others asked meanwhile");
        ensure!(status == 503 && took < BOUND, "{status} after {took:?}");
        Ok(())
    })?;
    keystone.go_on()?;
    let took = until(200, &guest)?;
    println!("    let in {took:?} after Keystone goes on");

    step("while Keystone is away Ironic deploys through another agent that refuses its users");
    let other = lab.machine()?;
    let file = lab.image("whole", 32)?.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    other.node.set("/instance_info", &source)?;
    other.node.provision("active", &json!({}))?;
    other.node.wait_state("wait call-back", PATIENCE)?;
    let unseen = token()?;
    keystone.stop()?;
    let mut cell = lab.boot_given("agent-deploys", &other, &given)?;
    let deploys = lab.agent(&other)?;
    let guest = Guest::with_token(&deploys.caller(), &unseen);
    let mut refused = Vec::new();
    wait_until("the end of the deployment", PATIENCE, || {
        if let Ok((status, took)) = timed(&guest) {
            ensure!(status == 503 && took < BOUND, "{status} after {took:?}");
            refused.push(took);
        }
        Ok((!deploys.answers()).then_some(()))
    })?;
    println!(
        "    {} times 503, after at most {:?}",
        refused.len(),
        refused.iter().max()
    );
    ensure!(!refused.is_empty(), "nobody was refused");
    cell.wait_end(PATIENCE)?;

    step("when it is back all is as before");
    keystone.resume()?;
    other.node.wait_state("active", PATIENCE)?;
    let guest = Guest::with_token(&caller, &token()?);
    until(200, &guest)?;
    Ok(())
}

#[test]
fn an_agent_with_a_services_credentials_asks_about_tokens_as_that_service() -> Result<()> {
    let (lab, keystone) =
        FakeLab::start_with_keystone("policy-service", NEWEST, HOUR, Api::PrivateTls)?;
    let identity = &keystone.identity;
    let machine = lab.machine()?;
    lab.hold(&machine)?;
    let authority = keystone.authority.as_ref().context("no authority")?;
    let service = identity.service_user("agents")?;
    let given = Given {
        kernel_arguments: &format!("ferrite-observer-token-sha256={}", sha256(SECRET)),
        configuration: Some(&format!(
            "{}token_cache_time = 0\n",
            keystone.authtoken(&service)
        )),
        files: slice::from_ref(&authority.authority),
        ..Given::default()
    };
    let _cell = lab.boot_given("agent", &machine, &given)?;
    let agent = lab.agent(&machine)?;
    let (agent, token) = (&agent.caller(), agent.token());

    step("it knows whose every kind of token is");
    let reader = identity.user_with("reader", "reader", Scope::System)?;
    let reader = Guest::with_token(agent, &identity.token(&reader, Scope::System)?);
    ensure!(reader.status()? == 200, "the reader is refused");
    let project = identity.project("tenants")?;
    let on = Scope::Project(&project);
    let member = identity.user_with("member", "member", on)?;
    let held = identity.token(&member, on)?;
    let whole = identity.credential(&member, &held, "whole", &json!({}))?;
    let part = json!({"access_rules": [
        {"service": "baremetal", "method": "GET", "path": "/v1/commands/"}
    ]});
    let part = identity.credential(&member, &held, "part", &part)?;
    let trustee = identity.user("trustee")?;
    let trusted = identity.trust(&member, &held, &trustee, &project)?;
    for (token, wanted) in [
        (held, 403),
        (identity.token_of(&whole)?, 403),
        (trusted, 403),
        // Its rules name paths of a service in the catalogue, and that is no agent.
        (identity.token_of(&part)?, 401),
        (Token::from("nobody's"), 401),
    ] {
        let status = Guest::with_token(agent, &token).status()?;
        ensure!(status == wanted, "{status} instead of {wanted}");
    }

    step("a service that may not ask any more lets nobody in, and the log says why");
    identity.withdraw(
        &service,
        "service",
        Scope::Project(&identity.project("service")?),
    )?;
    ensure!(reader.status()? == 503, "the reader is let in");
    let (_, log) = Guest::with_secret(agent, SECRET).read("/v1/log")?;
    ensure!(
        log.contains("does not take the agent's own credentials"),
        "{log}"
    );
    ensure!(!log.contains(&service.password), "{log}");
    conductor_runs(agent, token)?;
    Ok(())
}

/// What somebody is answered, and how long that takes.
fn timed(guest: &Guest) -> Result<(u16, Duration)> {
    let start = Instant::now();
    Ok((guest.status()?, start.elapsed()))
}

/// The agent's own limit is ten seconds.
const BOUND: Duration = Duration::from_secs(30);
/// Whoever needs no Keystone is served sooner than Keystone's users are refused, on a busy computer too.
const UNDISTURBED: Duration = Duration::from_secs(8);
