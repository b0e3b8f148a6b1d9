//! When the agent asks again, and how long it waits for an answer.

use super::{client, config, heartbeat_of, machine};
use ferrite::conductor::heartbeat;
use ferrite::conductor::{Error, RetryPolicy, lookup};
use ferrite::error::chain;
use serde_json::json;
use std::time::Duration;
use support::clock::{self, Clock};
use support::conductor::{self, Answer, Conductor, TOKEN};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const LOOKUP: &str = "GET /v1/lookup";
const HEARTBEAT: &str = "POST /v1/heartbeat";

/// Looks up while these answers are given, each of which is followed by a wait of so many seconds.
async fn lookup_waits(
    arguments: &str,
    answers: Vec<(Answer, u64)>,
) -> Result<lookup::Lookup, Error> {
    lookup_waits_and(arguments, answers, conductor::lookup(json!(TOKEN))).await
}

/// The same, with this answer at last.
async fn lookup_waits_and(
    arguments: &str,
    answers: Vec<(Answer, u64)>,
    last: Answer,
) -> Result<lookup::Lookup, Error> {
    let clock = Clock::stop();
    let conductor = Conductor::start().await;
    let (answers, waits): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    conductor.on(LOOKUP, answers.into_iter().chain([last]));
    let config = config(&format!("ipa-api-url={} {arguments}", conductor.url()));
    let (client, machine, cancel) = (client(&config), machine(), CancellationToken::new());
    let law = RetryPolicy {
        random: clock::longest,
        ..RetryPolicy::of(&config)
    };
    let looking = lookup::lookup(&client, &machine, &config, None, &law, &cancel);
    let passing = async {
        for (index, seconds) in waits.into_iter().enumerate() {
            let asked = index + 1;
            clock::waits(asked).await;
            let quiet = || conductor.asked(LOOKUP).len() == asked;
            clock
                .pass_quietly(Duration::from_secs(seconds), quiet)
                .await;
        }
    };
    tokio::join!(looking, passing).0
}

fn no(status: u16) -> Answer {
    Answer::fault(status, "no")
}

#[tokio::test]
async fn lookups_wait_ever_longer_up_to_a_minute() {
    let waits = [1, 2, 4, 8, 16, 32, 60, 60];
    let answers = waits.map(|seconds| (no(404), seconds)).into();
    lookup_waits("", answers).await.unwrap();
}

#[tokio::test]
async fn the_shortest_wait_between_lookups_is_the_operators() {
    let answers = [10, 10, 10, 10, 16].map(|seconds| (no(404), seconds));
    lookup_waits("ipa-lookup-interval=10", answers.into())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_locked_node_is_left_alone_longer_until_it_answers_otherwise() {
    let answers = vec![
        (no(409), 1 + 5),
        (no(409), 2 + 10),
        (no(409), 4 + 30),
        (no(409), 8 + 30),
        (no(404), 16),
        (no(409), 32 + 5),
    ];
    lookup_waits("", answers).await.unwrap();
}

#[tokio::test]
async fn every_wrong_answer_to_a_lookup_is_waited_out_alike() {
    let answers = vec![
        (no(400), 1),
        (no(403), 2),
        (no(406), 4),
        (no(500), 8),
        (no(503), 16),
        (Answer::bytes(200, "no JSON"), 32),
        (Answer::json(200, &json!({"node": {}, "config": {}})), 60),
        (
            Answer::json(200, &json!({"config": {"heartbeat_timeout": 1}})),
            60,
        ),
        (Answer::hang_up(), 60),
        (Answer::bytes(204, ""), 60),
    ];
    lookup_waits("", answers).await.unwrap();
}

#[tokio::test]
async fn lookups_end_when_their_time_is_over() {
    let arguments = "ipa-lookup-timeout=15";
    let answers = || [1, 2, 4, 8].map(|seconds| (no(404), seconds)).into();
    let right = conductor::lookup(json!(TOKEN));
    let found = lookup_waits_and(arguments, answers(), right).await;
    assert!(found.is_ok(), "the answer of the last moment counts");
    let error = lookup_waits_and(arguments, answers(), no(404)).await;
    assert_eq!(
        chain(&error.unwrap_err()),
        "no lookup succeeded in 15 seconds: error 404: no"
    );
}

/// Heartbeats while these answers are given, each of which is followed by a wait of so many seconds.
async fn heartbeat_waits(answers: Vec<(Answer, u64)>) {
    heartbeat_waits_by(clock::longest, answers).await;
}

/// The same, with waits drawn so.
async fn heartbeat_waits_by(chance: fn() -> f64, answers: Vec<(Answer, u64)>) {
    let clock = Clock::stop();
    let conductor = Conductor::start().await;
    let (answers, waits): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    conductor.on(HEARTBEAT, answers);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    let mut heartbeat = heartbeat_of(None);
    heartbeat.random = chance;
    let (_commands, completions) = watch::channel(0);
    let beating = heartbeat::run(&client, &heartbeat, completions, &cancel);
    let passing = async {
        clock.tick().await;
        for (index, seconds) in waits.into_iter().enumerate() {
            let asked = index + 1;
            clock::waits(asked).await;
            let quiet = || conductor.asked(HEARTBEAT).len() == asked;
            clock
                .pass_quietly(Duration::from_secs(seconds), quiet)
                .await;
        }
        cancel.cancel();
    };
    tokio::join!(beating, passing);
}

#[tokio::test]
async fn an_accepted_heartbeat_is_followed_by_the_next_well_within_the_timeout() {
    let accepted = || Answer::bytes(202, "");
    heartbeat_waits(vec![
        (accepted(), 180),
        (accepted(), 180),
        (accepted(), 180),
    ])
    .await;
}

#[tokio::test]
async fn a_heartbeat_that_fails_in_any_way_follows_in_ten_seconds_at_most() {
    let answers = vec![
        (no(400), 10),
        (no(404), 10),
        (no(409), 10),
        // When no worker is free.
        (no(503), 10),
        (Answer::hang_up(), 10),
        (Answer::bytes(202, "{").broken(), 10),
        (Answer::bytes(200, ""), 10),
        (Answer::bytes(202, ""), 180),
        (no(500), 10),
    ];
    heartbeat_waits(answers).await;
}

#[tokio::test]
async fn a_heartbeat_with_a_refused_token_is_tried_again_for_ever_and_never_within_five_seconds() {
    let refused = || Answer::fault(400, "Invalid or missing agent token received.");
    let answers = (0..50).map(|_| (refused(), 5)).collect();
    heartbeat_waits_by(clock::shortest, answers).await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_brings_one_heartbeat_and_not_those_it_leaves_out() {
    const DAY: u64 = 86_400;
    let clock = Clock::stop();
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    let mut heartbeat = heartbeat_of(None);
    heartbeat.random = clock::longest;
    let (_commands, completions) = watch::channel(0);
    let beating = heartbeat::run(&client, &heartbeat, completions, &cancel);
    let passing = async {
        clock.tick().await;
        clock::waits(1).await;
        clock.pass(Duration::from_secs(DAY)).await;
        clock::waits(2).await;
        assert_eq!(conductor.asked(HEARTBEAT).len(), 2);
        let quiet = || conductor.asked(HEARTBEAT).len() == 2;
        clock.pass_quietly(Duration::from_secs(180), quiet).await;
        clock::waits(3).await;
        cancel.cancel();
    };
    tokio::join!(beating, passing);
    assert_eq!(clock.seconds(), DAY + 180);
}

/// What a heartbeat fails with when so many seconds pass after it was asked for.
async fn given_up(answer: Answer, seconds: u64) -> (Error, u64) {
    let clock = Clock::stop();
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [answer]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let (client, heartbeat) = (client(&config), heartbeat_of(None));
    let beating = heartbeat::once(&client, &heartbeat);
    let passing = async {
        conductor.until_asked(HEARTBEAT, 1).await;
        let quiet = || conductor.asked(HEARTBEAT).len() == 1;
        clock
            .pass_quietly(Duration::from_secs(seconds), quiet)
            .await;
    };
    let (outcome, ()) = tokio::join!(beating, passing);
    (outcome.unwrap_err(), clock.seconds())
}

#[tokio::test]
async fn an_api_that_never_answers_is_given_up_in_half_a_minute() {
    let (error, seconds) = given_up(Answer::silence(), 30).await;
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(seconds, 30);
}

#[tokio::test]
async fn a_body_whose_rest_never_comes_is_given_up_in_a_minute() {
    let (error, _) = given_up(Answer::bytes(202, "{").stalled(), 60).await;
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}
