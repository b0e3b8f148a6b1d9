//! What Keystone is asked, and how long its answer is believed.

use super::{LOOK, Server, TOKEN, keystone, known, recorded, refusal, refused};
use ferrite::keystone::Refusal;
use std::time::Duration;
use support::clock::Clock;
use support::conductor::Answer;

#[tokio::test]
async fn a_token_is_shown_to_keystone_to_ask_about_itself() {
    let server = Server::start().await;
    server.on(LOOK, [known("project")]);
    let keystone = keystone(&server.url(), &[]);
    let identity = keystone.validate(b" gAAAAABcallers-canary-token ").await;
    let identity = identity.unwrap();
    assert_eq!(identity.user, "olga@Default");
    assert_eq!(identity.attributes["project_name"], "baremetal");
    assert_eq!(identity.roles(), ["manager", "reader", "member"]);
    let asked = server.asked(LOOK);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "GET /v3/auth/tokens?nocatalog");
    let token = str::from_utf8(TOKEN).unwrap();
    for (name, value) in [
        ("x-auth-token", token),
        ("x-subject-token", token),
        ("accept", "application/json"),
        // Neither side keeps the token in the buffers of a connection.
        ("connection", "close"),
    ] {
        assert_eq!(asked[0].headers[name], value, "{name}");
    }
    server.until_open(0).await;
}

#[tokio::test]
async fn a_url_may_end_with_a_version_or_not() {
    for (below, route) in [
        ("/", LOOK),
        ("/v3", LOOK),
        ("/v3/", LOOK),
        ("/v2.0", LOOK),
        ("/identity", "GET /identity/v3/auth/tokens"),
        ("/identity/v3", "GET /identity/v3/auth/tokens"),
    ] {
        let server = Server::start().await;
        server.on(route, [known("system")]);
        let keystone = keystone(&format!("{}{below}", server.url()), &[]);
        let identity = keystone.validate(TOKEN).await.unwrap();
        assert_eq!(identity.attributes["system_scope"], "all", "{below}");
    }
}

#[tokio::test]
async fn an_answer_is_believed_for_its_time_and_a_revoked_token_refused_after_it() {
    let clock = Clock::stop();
    let server = Server::start().await;
    server.on(LOOK, [known("project"), refused(404)]);
    let keystone = keystone(&server.url(), &[]);
    let first = keystone.validate(TOKEN).await.unwrap();
    clock.pass(Duration::from_millis(59_900)).await;
    let again = keystone.validate(TOKEN).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(server.asked(LOOK).len(), 1);
    clock.pass(Duration::from_millis(200)).await;
    assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
    assert_eq!(server.asked(LOOK).len(), 2);
}

#[tokio::test]
async fn without_a_time_keystone_is_always_asked() {
    for time in ["0", "-1"] {
        let server = Server::start().await;
        server.on(LOOK, [known("project"), refused(404)]);
        let keystone = keystone(&server.url(), &[("token_cache_time", time)]);
        keystone.validate(TOKEN).await.unwrap();
        assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
        assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
        assert_eq!(server.asked(LOOK).len(), 3);
    }
}

#[tokio::test]
async fn a_refused_token_is_asked_about_again_after_ten_seconds() {
    let clock = Clock::stop();
    let server = Server::start().await;
    server.on(LOOK, [refused(401), known("project")]);
    let keystone = keystone(&server.url(), &[]);
    for _ in 0..3 {
        assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
    }
    clock.pass(Duration::from_millis(9_900)).await;
    assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
    assert_eq!(server.asked(LOOK).len(), 1);
    clock.pass(Duration::from_millis(200)).await;
    keystone.validate(TOKEN).await.unwrap();
}

#[tokio::test]
async fn a_token_that_has_expired_by_our_own_clock_is_nobodys_whatever_keystone_says() {
    let server = Server::start().await;
    let mut expired = recorded("project");
    expired["token"]["expires_at"] = "2001-01-01T00:00:00.000000Z".into();
    server.on(LOOK, [Answer::json(200, &expired)]);
    let keystone = keystone(&server.url(), &[]);
    assert_eq!(refusal(keystone.validate(TOKEN).await), Refusal::Invalid);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_without_a_question() {
    let server = Server::start().await;
    server.on(LOOK, [known("project")]);
    let keystone = keystone(&server.url(), &[]);
    for wrong in [
        &b""[..],
        b"a b",
        b"\xff\xff",
        b"a\nb",
        &[b'a'; 8 * 1024 + 1],
    ] {
        assert_eq!(refusal(keystone.validate(wrong).await), Refusal::Invalid);
    }
    assert!(server.asked(LOOK).is_empty());
    keystone.validate(&[b'a'; 8 * 1024]).await.unwrap();
}

#[tokio::test]
async fn every_way_in_which_keystone_knows_nobody_is_a_refusal() {
    let server = Server::start().await;
    for (status, body) in [
        (401, r#"{"error": {"code": 401}}"#),
        (403, r#"{"error": {"code": 403}}"#),
        (404, r#"{"error": {"code": 404}}"#),
        // Of servers before Keystone, to a header that is too long for them.
        (400, "<html>Bad Request</html>"),
        (431, ""),
        (200, r#"{"access": {"token": {"id": "x"}}}"#),
    ] {
        server.on(LOOK, [Answer::bytes(status, body)]);
        let keystone = keystone(&server.url(), &[]);
        let refusal = refusal(keystone.validate(TOKEN).await);
        assert_eq!(refusal, Refusal::Invalid, "{status} {body}");
    }
}
