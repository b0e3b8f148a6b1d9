//! A Keystone that gives no usable answer lets nobody in, and is left alone for a moment.

use super::{LOOK, Server, TOKEN, dead_url, keystone, known, refusal};
use ferrite::keystone::Refusal;
use std::time::Duration;
use support::clock::Clock;
use support::conductor::Answer;
use tokio::time::Instant;

#[tokio::test]
async fn answers_that_are_none_are_no_refusals_and_not_remembered() {
    let server = Server::start().await;
    for answer in [
        Answer::bytes(200, "no JSON"),
        Answer::bytes(200, "{}"),
        Answer::bytes(200, r#"{"token": {"user": {"id": "x"}}}"#),
        Answer::bytes(204, ""),
        Answer::bytes(200, vec![b' '; 256 * 1024 + 1]),
        Answer::bytes(200, vec![b' '; 64 * 1024])
            .endless()
            .chunked(),
        Answer::bytes(200, "{").broken(),
        Answer::hang_up(),
        // Of something that is no Keystone, or of a wrong path.
        Answer::bytes(401, "<html>"),
        Answer::bytes(404, "<html>"),
        Answer::bytes(429, ""),
        Answer::bytes(500, r#"{"error": {"code": 500}}"#),
        Answer::bytes(503, ""),
    ] {
        server.on(LOOK, [answer.clone(), known("project")]);
        let clock = Clock::stop();
        let keystone = keystone(&server.url(), &[]);
        let refusal = refusal(keystone.validate(TOKEN).await);
        assert_eq!(refusal, Refusal::Unavailable, "{answer:?}");
        clock.pass(Duration::from_millis(1_100)).await;
        keystone.validate(TOKEN).await.unwrap();
    }
}

#[tokio::test]
async fn a_redirection_takes_the_token_nowhere() {
    let (server, other) = (Server::start().await, Server::start().await);
    other.on(LOOK, [known("project")]);
    let to = format!("{}/v3/auth/tokens", other.url());
    server.on(LOOK, [Answer::redirect(to)]);
    let keystone = keystone(&server.url(), &[]);
    assert_eq!(
        refusal(keystone.validate(TOKEN).await),
        Refusal::Unavailable
    );
    assert!(other.asked(LOOK).is_empty());
}

#[tokio::test]
async fn nobody_there_is_told_at_once_and_not_asked_again_for_a_second() {
    let clock = Clock::stop();
    let keystone = keystone(&dead_url(), &[]);
    for _ in 0..3 {
        assert_eq!(
            refusal(keystone.validate(TOKEN).await),
            Refusal::Unavailable
        );
    }
    assert_eq!(clock.seconds(), 0);
}

#[tokio::test]
async fn a_keystone_that_fails_is_left_alone_for_a_second_whoever_comes() {
    let clock = Clock::stop();
    let server = Server::start().await;
    server.on(LOOK, [Answer::hang_up(), known("project")]);
    let keystone = keystone(&server.url(), &[]);
    assert_eq!(
        refusal(keystone.validate(TOKEN).await),
        Refusal::Unavailable
    );
    for number in 0..100 {
        let token = format!("another-{number}");
        let outcome = keystone.validate(token.as_bytes()).await;
        assert_eq!(refusal(outcome), Refusal::Unavailable);
    }
    clock.pass(Duration::from_millis(900)).await;
    assert_eq!(
        refusal(keystone.validate(TOKEN).await),
        Refusal::Unavailable
    );
    assert_eq!(server.asked(LOOK).len(), 1);
    clock.pass(Duration::from_millis(200)).await;
    keystone.validate(TOKEN).await.unwrap();
}

#[tokio::test]
async fn one_odd_token_that_keystone_stumbles_over_keeps_nobody_else_out() {
    let server = Server::start().await;
    server.on(LOOK, [Answer::bytes(500, "oops"), known("project")]);
    let keystone = keystone(&server.url(), &[]);
    assert_eq!(
        refusal(keystone.validate(b"odd").await),
        Refusal::Unavailable
    );
    keystone.validate(TOKEN).await.unwrap();
}

#[tokio::test]
async fn what_is_remembered_counts_while_keystone_is_away() {
    let server = Server::start().await;
    server.on(LOOK, [known("project"), Answer::hang_up()]);
    let keystone = keystone(&server.url(), &[]);
    keystone.validate(TOKEN).await.unwrap();
    assert_eq!(
        refusal(keystone.validate(b"another").await),
        Refusal::Unavailable
    );
    keystone.validate(TOKEN).await.unwrap();
}

#[tokio::test]
async fn a_keystone_that_is_slow_in_any_way_has_the_operators_seconds() {
    for answer in [Answer::silence(), Answer::bytes(200, "{").stalled()] {
        let clock = Clock::stop();
        let server = Server::start().await;
        server.on(LOOK, [answer]);
        let keystone = keystone(&server.url(), &[("http_connect_timeout", "3")]);
        let began = Instant::now();
        let asking = keystone.validate(TOKEN);
        let passing = async {
            server.until_asked(LOOK, 1).await;
            clock
                .pass_quietly(Duration::from_secs(3), || server.asked(LOOK).len() == 1)
                .await;
        };
        let (outcome, ()) = tokio::join!(asking, passing);
        assert_eq!(refusal(outcome), Refusal::Unavailable);
        assert_eq!(began.elapsed().as_secs(), 3);
        // And nobody else waits for it in the next second.
        assert_eq!(
            refusal(keystone.validate(b"another").await),
            Refusal::Unavailable
        );
        assert_eq!(server.asked(LOOK).len(), 1);
    }
}

#[tokio::test]
async fn the_largest_answer_is_still_read() {
    let server = Server::start().await;
    let mut body = super::recorded("project").to_string();
    body.push_str(&" ".repeat(256 * 1024 - body.len()));
    server.on(
        LOOK,
        [
            Answer::bytes(200, body.clone()).chunked(),
            Answer::bytes(200, body),
        ],
    );
    let keystone = keystone(&server.url(), &[]);
    keystone.validate(TOKEN).await.unwrap();
    keystone.validate(b"another").await.unwrap();
}
