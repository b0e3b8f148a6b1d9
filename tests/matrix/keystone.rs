//! A real Keystone: what it tells of tokens, and what Ironic makes of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::lab::Api;
use crate::lab::api::VERSION;
use crate::lab::fake::{FakeLab, Given, PATIENCE};
use crate::lab::identity::{Scope, Token};
use crate::lab::instance::Clusters;
use crate::lab::keystone::Keystone;
use crate::lab::parts::Parts;
use crate::lab::process::wait_until;
use crate::lab::release::NEWEST;
use crate::lab::run::Run;
use crate::lab::sandbox;
use crate::{image, step};

#[test]
fn agents_need_no_token_where_ironic_refuses_everybody_else_without_one() -> Result<()> {
    let (lab, mut keystone) =
        FakeLab::start_with_keystone("keystone", NEWEST, HOUR, Api::PrivateTls)?;
    let machine = lab.machine()?;
    let node = &machine.node;
    let stranger = lab.ironic.api.caller();
    let nodes = |token: Option<&Token>| {
        let mut headers = vec![(VERSION, "latest")];
        headers.extend(token.map(Token::header));
        stranger.get("/v1/nodes", &headers)
    };

    step("Ironic lets a reader of the whole system read, and nobody without a token");
    let reader = keystone
        .identity
        .user_with("reader", "reader", Scope::System)?;
    let reader = keystone.identity.token(&reader, Scope::System)?;
    let (status, listed) = nodes(Some(&reader))?;
    ensure!(
        status == 200 && listed["nodes"][0]["uuid"] == json!(node.uuid),
        "{status}: {listed}"
    );
    for token in [None, Some(&Token::from("nobody's"))] {
        let (status, told) = nodes(token)?;
        ensure!(status == 401, "{status}: {told}");
    }

    step("its administrator deploys through an agent without any credentials");
    let file = lab.image("whole", 1)?.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    node.set("/instance_info", &source)?;
    drop(lab.deploy(&machine, &json!({}), "agent", "")?);

    step("while Keystone is away Ironic hears another agent, and lets no reader in");
    let other = lab.machine()?;
    lab.hold(&other)?;
    keystone.stop()?;
    let _cell = lab.boot_given("agent-alone", &other, &Given::default())?;
    let agent = lab.agent(&other)?;
    let (status, told) = agent.caller().get("/v1/status", &[])?;
    ensure!(status == 200, "{status}: {told}");
    let (status, told) = nodes(Some(&reader))?;
    ensure!(status == 503, "{status}: {told}");
    keystone.resume()?;
    let (status, told) = nodes(Some(&reader))?;
    ensure!(status == 200, "{status}: {told}");
    Ok(())
}

/// What an agent without credentials of its own can learn of a caller.
#[test]
fn keystone_tells_each_holder_about_his_own_token_and_readers_of_the_system_about_all() -> Result<()>
{
    let parts = Parts::find_for_cells(NEWEST)?;
    let run = Run::new(&parts, "keystone-tokens")?;
    sandbox::enter(&run.work)?;
    let keystone = Keystone::start(&parts, &run.work, &run.logs, SHORT, None)?;
    let identity = &keystone.identity;
    let project = identity.project("tenants")?;
    let on = Scope::Project(&project);
    let reader = identity.user_with("reader", "reader", Scope::System)?;
    let member = identity.user_with("member", "member", on)?;
    let observer = identity.user_with("observer", "observer", on)?;

    step("each token tells its holder what it is good for");
    for (user, scope, roles, good_for) in [
        (&reader, Scope::System, &["reader"][..], "system"),
        (&member, on, &["member", "reader"], "project"),
        (&observer, on, &["observer"], "project"),
        (&member, Scope::Unscoped, &[], ""),
    ] {
        let token = identity.token(user, scope)?;
        let (status, told) = identity.validate(&token, &token)?;
        ensure!(status == 200, "{status}: {told}");
        let told = &told["token"];
        assert_eq!(told["user"]["name"], json!(user.name));
        assert_eq!(role_names(told), roles);
        let scopes = ["domain", "project", "system"];
        let found = scopes.iter().filter(|scope| told.get(scope).is_some());
        assert_eq!(found.copied().collect::<String>(), good_for);
    }

    step("of another's token it tells a reader of the system, and no member of a project");
    let held = identity.token(&member, on)?;
    let system = identity.token(&reader, Scope::System)?;
    assert_eq!(identity.validate(&system, &held)?.0, 200);
    assert_eq!(identity.validate(&held, &system)?.0, 403);
    let credential = identity.credential(&member, &held, "program", &json!({}))?;
    let credential = identity.token_of(&credential)?;
    let (status, told) = identity.validate(&credential, &credential)?;
    ensure!(status == 200, "{status}: {told}");
    assert_eq!(role_names(&told["token"]), ["member", "reader"]);

    step("nobody's tokens, revoked and old ones are worth nothing");
    let nobody = Token::from("nobody's");
    assert_eq!(identity.validate(&nobody, &nobody)?.0, 401);
    identity.revoke(&credential)?;
    assert_eq!(identity.validate(&credential, &credential)?.0, 401);
    wait_until("a token to be old", PATIENCE, || {
        Ok((identity.validate(&held, &held)?.0 == 401).then_some(()))
    })?;
    // The reader has a new one.
    let system = identity.token(&reader, Scope::System)?;
    for worthless in [&nobody, &credential, &held] {
        assert_eq!(identity.validate(&system, worthless)?.0, 404);
    }
    Ok(())
}

/// The names of a token's roles, in alphabetical order.
fn role_names(token: &Value) -> Vec<&str> {
    let roles = token["roles"].as_array().into_iter().flatten();
    let mut names: Vec<_> = roles.filter_map(|role| role["name"].as_str()).collect();
    names.sort_unstable();
    names
}

const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for a few questions about a token on a busy computer.
const SHORT: Duration = Duration::from_secs(20);
