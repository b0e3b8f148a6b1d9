//! A real Keystone, and what Ironic makes of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{image, step};
use support::lab::Api;
use support::lab::api::VERSION;
use support::lab::fake::{FakeLab, Given};
use support::lab::identity::{Scope, Token};
use support::lab::instance::Clusters;
use support::lab::release::NEWEST;

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

const HOUR: Duration = Duration::from_secs(3600);
