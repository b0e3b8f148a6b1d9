//! Who may do what on the API of an agent that asks a real Keystone, while a real Ironic commands it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrite::policy::{DEFAULTS, Operation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::step;
use support::lab::Api;
use support::lab::caller::Caller;
use support::lab::fake::{FakeLab, Given, PATIENCE};
use support::lab::guest::{Guest, denied, sha256};
use support::lab::identity::{Identity, Scope, Token};
use support::lab::process::{program, run, wait_until};
use support::lab::release::NEWEST;

#[test]
fn readers_of_the_system_read_and_its_administrators_command_until_their_tokens_end() -> Result<()>
{
    let (lab, keystone) =
        FakeLab::start_with_keystone("policy-roles", NEWEST, HOUR, Api::PrivateTls)?;
    let identity = &keystone.identity;
    let machine = lab.machine()?;
    lab.hold(&machine)?;
    let authority = keystone.authority.as_ref().context("no authority")?;
    let authority = authority.authority.clone();
    let given = Given {
        kernel_arguments: &arguments(&keystone.url()),
        configuration: Some(&format!(
            "[keystone_authtoken]\ncafile = {}\ntoken_cache_time = {CACHED}\n",
            authority.display()
        )),
        files: &[authority],
        ..Given::default()
    };
    let _cell = lab.boot_given("agent", &machine, &given)?;
    let agent = lab.agent(&machine)?;
    let id = conductor_runs(&agent.caller(), agent.token())?;
    let agent = &agent.caller();
    let project = identity.project("tenants")?;
    let holder = |role: &str, scope: Scope<'_>| -> Result<Guest> {
        let of = if matches!(scope, Scope::System) {
            "system"
        } else {
            "project"
        };
        let name = format!("{of}-{role}");
        let user = identity.user_with(&name, role, scope)?;
        Ok(Guest::with_token(agent, &identity.token(&user, scope)?))
    };

    step("readers and observers of the system read everything and change nothing");
    for guest in [
        Guest::with_secret(agent, SECRET),
        holder("reader", Scope::System)?,
        holder("observer", Scope::System)?,
    ] {
        for path in reads(&id) {
            let (status, told) = guest.read(&path)?;
            ensure!(status == 200, "{path}: {status}: {told}");
        }
        for command in commands() {
            guest.assert_may_not_run(command)?;
        }
    }

    step("whoever has a role in a project alone reads nothing");
    for role in ["member", "admin"] {
        let guest = holder(role, Scope::Project(&project))?;
        for (path, rule) in reads(&id).iter().zip(READ_RULES) {
            let (status, told) = guest.read(path)?;
            ensure!(
                status == 403 && told.contains(&denied(rule)),
                "{role}, {path}: {status}: {told}"
            );
        }
        guest.assert_may_not_run("standby.sync")?;
    }

    step("an administrator of the system runs a command");
    let (status, told) = holder("admin", Scope::System)?.run("standby.sync")?;
    ensure!(
        status == 200 && told["command_status"] == "SUCCEEDED",
        "{status}: {told}"
    );

    step("nobody's token, and a wrong secret, are nobody's");
    for guest in [
        Guest::with_token(agent, &Token::from("nobody's")),
        Guest::with_secret(agent, "wrong"),
    ] {
        for path in reads(&id) {
            let (status, told) = guest.read(&path)?;
            ensure!(status == 401, "{path}: {status}: {told}");
        }
        let (status, told) = guest.run("standby.sync")?;
        ensure!(status == 401, "{status}: {told}");
    }

    step("a revoked token lets nobody in as soon as the agent's memory of it ends");
    let reader = identity.user_with("leaver", "reader", Scope::System)?;
    let token = identity.token(&reader, Scope::System)?;
    let guest = Guest::with_token(agent, &token);
    ensure!(guest.status()? == 200, "the token is not taken");
    identity.revoke(&token)?;
    let took = until(401, &guest)?;
    println!(
        "    refused {took:?} after it was revoked, with the pause that is made for strangers"
    );

    step("an expired one is refused");
    let guest = Guest::with_token(agent, &short_lived(identity)?);
    ensure!(guest.status()? == 403, "it is old too early");
    let took = until(401, &guest)?;
    println!("    refused after {took:?}");
    Ok(())
}

#[test]
fn a_role_of_the_operators_own_runs_the_one_command_that_a_changed_policy_file_gives_it()
-> Result<()> {
    let (lab, keystone) = FakeLab::start_with_keystone("policy-file", NEWEST, HOUR, Api::Http)?;
    let identity = &keystone.identity;
    let machine = lab.machine()?;
    lab.hold(&machine)?;
    let etc = lab.work().join("etc");
    let folder = etc.join("ironic-python-agent");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("policy.yaml"), policy("technician"))?;
    let given = Given {
        kernel_arguments: &arguments(&keystone.url()),
        etc: Some(&etc),
        ..Given::default()
    };
    let cell = lab.boot_given("agent", &machine, &given)?;
    let agent = lab.agent(&machine)?;
    let agent = &agent.caller();
    let project = identity.project("workshop")?;
    let on = Scope::Project(&project);
    let holder = |role: &str| -> Result<Guest> {
        let user = identity.user_with(role, role, on)?;
        Ok(Guest::with_token(agent, &identity.token(&user, on)?))
    };
    let (technician, trainee) = (holder("technician")?, holder("trainee")?);

    step("a technician asks for the steps of cleaning, and may do nothing else");
    let (status, told) = technician.run(STEPS)?;
    ensure!(status == 200, "{status}: {told}");
    for command in commands().filter(|command| *command != STEPS) {
        let (status, told) = technician.run(command)?;
        let rule = format!("baremetal:agent:command:{command}");
        ensure!(
            status == 403 && told["faultstring"] == denied(&rule),
            "{command}: {status}: {told}"
        );
    }
    ensure!(technician.status()? == 403, "a technician reads");
    trainee.assert_may_not_run(STEPS)?;

    step("a file with an error changes nothing");
    let file = cell.file("/etc/ironic-python-agent/policy.yaml")?;
    replace(
        &file,
        "\"baremetal:agent:command:run\": \"role:trainee or\"\n",
    )?;
    wait_until("the refusal in the log", PATIENCE, || {
        Ok(cell
            .told()?
            .contains("THE CHANGED POLICY IS REFUSED")
            .then_some(()))
    })?;
    ensure!(technician.run(STEPS)?.0 == 200, "the technician is refused");
    trainee.assert_may_not_run(STEPS)?;

    step("a changed one counts");
    let changed = Instant::now();
    replace(&file, &policy("trainee"))?;
    wait_until("the changed policy", PATIENCE, || {
        Ok((trainee.run(STEPS)?.0 == 200).then_some(()))
    })?;
    println!("    after {:?}", changed.elapsed());
    technician.assert_may_not_run(STEPS)?;
    Ok(())
}

/// What an agent is told of Keystone and of the observer.
pub(crate) fn arguments(keystone: &str) -> String {
    format!(
        "ferrite-keystone-auth-url={keystone} ferrite-observer-token-sha256={}",
        sha256(SECRET)
    )
}

/// A policy by which a role may ask for the steps of cleaning.
fn policy(role: &str) -> String {
    let mut text = String::new();
    for rule in ["run", "clean.get_clean_steps"] {
        let check = format!("rule:agent_admin or role:{role}");
        text.push_str(&format!(
            "\"baremetal:agent:command:{rule}\": \"{check}\"\n"
        ));
    }
    text
}

/// Changes a file at once: who reads it finds the old text or the new one.
fn replace(file: &Path, text: &str) -> Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, text)?;
    Ok(fs::rename(fresh, file)?)
}

/// What there is to read, with the record of one command.
fn reads(id: &str) -> [String; 4] {
    let command = format!("/v1/commands/{id}");
    ["/v1/commands/", &command, "/v1/inventory", "/v1/log"].map(str::to_owned)
}

/// All commands.
fn commands() -> impl Iterator<Item = &'static str> {
    let operations = DEFAULTS.iter().flat_map(|rule| rule.operations);
    operations.filter_map(|of| match of {
        Operation::Command(name) => Some(*name),
        Operation::Request { .. } | Operation::Step(_) => None,
    })
}

/// Runs a harmless command as Ironic does, and returns its identifier.
pub(crate) fn conductor_runs(agent: &Caller, token: &str) -> Result<String> {
    let path = format!("/v1/commands/?agent_token={token}");
    let body = json!({"name": "standby.sync", "params": {}});
    let (status, told) = agent.call(Method::POST, &path, &[], Some(&body))?;
    ensure!(status == 200, "{status}: {told}");
    let id = told["id"].as_str().context("a command without id")?;
    Ok(id.to_owned())
}

/// A token that lives for a few seconds: none of a credential's lives longer than the credential.
fn short_lived(identity: &Identity) -> Result<Token> {
    let project = identity.project("tenants")?;
    let on = Scope::Project(&project);
    let user = identity.user_with("short-lived", "member", on)?;
    let held = identity.token(&user, on)?;
    let end = run(program("date").args(["-u", "-d", LIFE, "+%Y-%m-%dT%H:%M:%S"]))?;
    let more: Value = json!({"expires_at": end.trim()});
    identity.token_of(&identity.credential(&user, &held, "short", &more)?)
}

/// How long it takes until somebody is answered so.
pub(crate) fn until(status: u16, guest: &Guest) -> Result<Duration> {
    let start = Instant::now();
    wait_until(&format!("the answer {status}"), PATIENCE, || {
        Ok((guest.status()? == status).then(|| start.elapsed()))
    })
}

/// For how many seconds the agent remembers whose a token is.
const CACHED: u64 = 1;
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const LIFE: &str = "+20 seconds";
const READ_RULES: [&str; 4] = [
    "baremetal:agent:command:list",
    "baremetal:agent:command:get",
    "baremetal:agent:inventory:get",
    "baremetal:agent:log:get",
];
pub(crate) const SECRET: &str = "what-the-observer-shows";
const STEPS: &str = "clean.get_clean_steps";
