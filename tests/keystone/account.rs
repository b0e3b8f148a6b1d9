//! The agent asks as itself, where the operator gave it credentials.

use super::{
    CREDENTIALS, LOGIN, LOOK, OWN, PASSWORD, Server, TOKEN, keystone, known, login, refusal,
    refused,
};
use ferrite::keystone::Refusal;
use serde_json::{Value, json};
use std::time::Duration;
use support::clock::Clock;
use support::conductor::{Answer, Asked};

fn own_token(asked: &Asked) -> &str {
    &asked.headers["x-auth-token"]
}

#[tokio::test]
async fn the_agents_token_is_fetched_once_and_shown_with_every_question() {
    let server = Server::start().await;
    server.on(LOGIN, [login(&json!([]))]);
    server.on(LOOK, [known("project")]);
    let keystone = keystone(&server.url(), &CREDENTIALS);
    keystone.validate(TOKEN).await.unwrap();
    keystone.validate(b"another").await.unwrap();
    let logins = server.asked(LOGIN);
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].line, LOGIN);
    assert_eq!(logins[0].headers["content-type"], "application/json");
    assert_eq!(
        logins[0].json(),
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "ferrite", "domain": {"name": "Default"}, "password": PASSWORD
            }}},
            "scope": {"project": {"name": "service", "domain": {"name": "Default"}}}
        }})
    );
    let asked = server.asked(LOOK);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| own_token(asked) == OWN));
    assert_eq!(asked[1].headers["x-subject-token"], "another");
}

#[tokio::test]
async fn a_scope_of_the_whole_cloud_and_an_application_credential_are_other_ways() {
    let server = Server::start().await;
    server.on(LOGIN, [login(&json!([]))]);
    server.on(LOOK, [known("project")]);
    let system = [CREDENTIALS[0], CREDENTIALS[1], ("system_scope", "all")];
    let credential = [
        ("application_credential_id", "an-id"),
        ("application_credential_secret", PASSWORD),
    ];
    keystone(&server.url(), &system)
        .validate(TOKEN)
        .await
        .unwrap();
    keystone(&server.url(), &credential)
        .validate(TOKEN)
        .await
        .unwrap();
    let logins = server.asked(LOGIN);
    assert_eq!(
        logins[0].json()["auth"]["scope"],
        json!({"system": {"all": true}})
    );
    assert_eq!(
        logins[1].json(),
        json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": "an-id", "secret": PASSWORD}
        }}})
    );
}

#[tokio::test]
async fn the_agents_token_is_renewed_two_minutes_before_its_end() {
    let clock = Clock::stop();
    let server = Server::start().await;
    let second = login(&json!([])).with("x-subject-token", "second");
    server.on(LOGIN, [login(&json!([])), second]);
    server.on(LOOK, [known("project")]);
    let keystone = keystone(&server.url(), &CREDENTIALS);
    keystone.validate(TOKEN).await.unwrap();
    clock.pass(Duration::from_secs(58 * 60 - 1)).await;
    keystone.validate(TOKEN).await.unwrap();
    assert_eq!(server.asked(LOGIN).len(), 1);
    clock.pass(Duration::from_secs(61)).await;
    keystone.validate(TOKEN).await.unwrap();
    let asked = server.asked(LOOK);
    let tokens: Vec<_> = asked.iter().map(own_token).collect();
    assert_eq!(tokens, [OWN, OWN, "second"]);
}

#[tokio::test]
async fn a_token_that_keystone_forgot_is_renewed_once() {
    let clock = Clock::stop();
    let server = Server::start().await;
    let second = login(&json!([])).with("x-subject-token", "second");
    server.on(LOGIN, [login(&json!([])), second]);
    server.on(
        LOOK,
        [
            known("project"),
            refused(401),
            known("system"),
            refused(401),
        ],
    );
    let keystone = keystone(&server.url(), &CREDENTIALS);
    keystone.validate(TOKEN).await.unwrap();
    clock.pass(Duration::from_secs(2)).await;
    let identity = keystone.validate(b"another").await.unwrap();
    assert_eq!(identity.scope, "system all");
    assert_eq!(server.asked(LOGIN).len(), 2);
    // One that Keystone does not know as soon as it has made it is no remedy.
    let outcome = keystone.validate(b"third").await;
    assert_eq!(refusal(outcome), Refusal::Unavailable);
    assert_eq!(server.asked(LOGIN).len(), 2);
    clock.pass(Duration::from_secs(2)).await;
    let outcome = keystone.validate(b"third").await;
    assert_eq!(refusal(outcome), Refusal::Unavailable);
    assert_eq!(server.asked(LOGIN).len(), 3);
    let asked = server.asked(LOOK);
    assert_eq!(asked.len(), 6);
    assert_eq!(own_token(&asked[2]), "second");
}

#[tokio::test]
async fn a_caller_whom_keystone_does_not_know_costs_no_token() {
    let server = Server::start().await;
    server.on(LOGIN, [login(&json!([]))]);
    server.on(LOOK, [refused(404)]);
    let keystone = keystone(&server.url(), &CREDENTIALS);
    for number in 0..20 {
        let token = format!("wrong-{number}");
        let outcome = keystone.validate(token.as_bytes()).await;
        assert_eq!(refusal(outcome), Refusal::Invalid);
    }
    assert_eq!(server.asked(LOGIN).len(), 1);
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again_for_a_minute() {
    let clock = Clock::stop();
    let server = Server::start().await;
    server.on(LOGIN, [refused(401)]);
    let keystone = keystone(&server.url(), &CREDENTIALS);
    for number in 0..20 {
        let token = format!("any-{number}");
        let outcome = keystone.validate(token.as_bytes()).await;
        assert_eq!(refusal(outcome), Refusal::Unavailable);
        clock.pass(Duration::from_secs(2)).await;
    }
    assert_eq!(server.asked(LOGIN).len(), 1);
    clock.pass(Duration::from_secs(20)).await;
    keystone.validate(TOKEN).await.unwrap_err();
    assert_eq!(server.asked(LOGIN).len(), 2);
    assert!(server.asked(LOOK).is_empty());
}

#[tokio::test]
async fn an_agent_that_may_not_look_at_tokens_lets_nobody_in() {
    let server = Server::start().await;
    server.on(LOGIN, [login(&json!([]))]);
    server.on(LOOK, [refused(403)]);
    let keystone = keystone(&server.url(), &CREDENTIALS);
    assert_eq!(
        refusal(keystone.validate(TOKEN).await),
        Refusal::Unavailable
    );
}

#[tokio::test]
async fn a_login_without_a_token_is_none() {
    let server = Server::start().await;
    for answer in [
        Answer::bytes(201, "{}"),
        Answer::bytes(201, "{}").with("x-subject-token", OWN),
        Answer::bytes(500, "{}").with("x-subject-token", OWN),
    ] {
        server.on(LOGIN, [answer]);
        let keystone = keystone(&server.url(), &CREDENTIALS);
        let outcome = keystone.validate(TOKEN).await;
        assert_eq!(refusal(outcome), Refusal::Unavailable);
    }
    assert!(server.asked(LOOK).is_empty());
}

#[tokio::test]
async fn tokens_are_looked_at_by_the_catalogues_endpoint() {
    let (front, inside, far) = (
        Server::start().await,
        Server::start().await,
        Server::start().await,
    );
    let endpoint = |interface: &str, region: &str, server: &Server| json!({"interface": interface, "region_id": region, "url": format!("{}/v3", server.url())});
    let catalog: Value = json!([{"type": "identity", "endpoints": [
        endpoint("public", "one", &front),
        endpoint("internal", "one", &inside),
        endpoint("internal", "two", &far),
    ]}]);
    for server in [&front, &inside, &far] {
        server
            .on(LOGIN, [login(&catalog)])
            .on(LOOK, [known("project")]);
    }
    for (options, asked) in [
        (&[][..], &inside),
        (&[("interface", "public")], &front),
        (&[("region_name", "two")], &far),
        (&[("interface", "admin")], &front),
        (&[("region_name", "three")], &front),
    ] {
        let before = asked.asked(LOOK).len();
        let options = [&CREDENTIALS, options].concat();
        let keystone = keystone(&front.url(), &options);
        keystone.validate(TOKEN).await.unwrap();
        assert_eq!(asked.asked(LOOK).len(), before + 1, "{options:?}");
    }
    assert!(inside.asked(LOGIN).is_empty() && far.asked(LOGIN).is_empty());
}
