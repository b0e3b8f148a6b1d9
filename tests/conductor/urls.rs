//! An API with several URLs, of which some are dead.

use super::conductor::{self, Answer, Conductor, TOKEN};
use super::{client, config, dead_url, heartbeat_of, look_up};
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use serde_json::json;
use std::io;
use std::net::TcpListener;

const LOOKUP: &str = "GET /v1/lookup";
const HEARTBEAT: &str = "POST /v1/heartbeat";

async fn willing() -> Conductor {
    let conductor = Conductor::start().await;
    conductor
        .on(LOOKUP, [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    conductor
}

#[tokio::test]
async fn the_api_that_works_is_asked_first_from_then_on() {
    let conductor = willing().await;
    let dead = dead_url();
    let config = config(&format!("ipa-api-url={dead},{}", conductor.url()));
    let client = client(&config);
    look_up(&config, &client).await.unwrap();

    // The first one comes up, but is not needed.
    let address = dead.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    look_up(&config, &client).await.unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert_eq!(conductor.asked(LOOKUP).len(), 2);
}

#[tokio::test]
async fn an_api_that_dies_is_followed_by_the_next() {
    let (one, two) = (willing().await, willing().await);
    let config = config(&format!("ipa-api-url={},{}", one.url(), two.url()));
    let client = client(&config);
    heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    assert_eq!(two.asked("").len(), 0);
    drop(one);
    for _ in 0..2 {
        heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    }
    assert_eq!(two.asked(HEARTBEAT).len(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none_and_the_next_api_is_asked() {
    let (broken, good) = (willing().await, willing().await);
    broken
        .on("GET /", [Answer::hang_up()])
        .on(LOOKUP, [conductor::lookup(json!(TOKEN)).broken()])
        .on(HEARTBEAT, [Answer::bytes(202, "{").broken()]);
    let config = config(&format!("ipa-api-url={},{}", broken.url(), good.url()));
    let client = client(&config);
    look_up(&config, &client).await.unwrap();
    heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    assert_eq!(good.asked(HEARTBEAT).len(), 1);
}

#[tokio::test]
async fn a_gateway_with_nobody_behind_it_is_passed_over() {
    for status in [502, 503, 504] {
        let (gateway, good) = (willing().await, willing().await);
        gateway.on(HEARTBEAT, [Answer::bytes(status, "")]);
        let config = config(&format!("ipa-api-url={},{}", gateway.url(), good.url()));
        let client = client(&config);
        for _ in 0..2 {
            heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
        }
        assert_eq!(gateway.asked(HEARTBEAT).len(), 1, "{status}");
        assert_eq!(good.asked(HEARTBEAT).len(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_other_api_is_asked() {
    for status in [400, 404, 409, 500] {
        let (one, two) = (willing().await, willing().await);
        one.on(HEARTBEAT, [Answer::fault(status, "no")]);
        let config = config(&format!("ipa-api-url={},{}", one.url(), two.url()));
        let error = heartbeat::once(&client(&config), &heartbeat_of(None))
            .await
            .unwrap_err();
        assert_eq!(chain(&error), format!("error {status}: no"));
        assert_eq!(two.asked("").len(), 0);
    }
}

#[tokio::test]
async fn when_no_api_has_time_its_own_words_are_told() {
    let (one, two) = (willing().await, willing().await);
    one.on(HEARTBEAT, [Answer::fault(503, "No worker is free.")]);
    two.on(HEARTBEAT, [Answer::hang_up()]);
    let config = config(&format!("ipa-api-url={},{}", one.url(), two.url()));
    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert_eq!(chain(&error), "error 503: No worker is free.");
}

#[tokio::test]
async fn when_no_api_answers_the_last_one_is_named() {
    let (one, two) = (dead_url(), dead_url());
    let config = config(&format!("ipa-api-url={one},{two}"));
    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert!(
        chain(&error).starts_with(&format!("asking {two}: ")),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn an_api_below_a_path_is_asked_there() {
    let conductor = Conductor::start().await;
    conductor
        .on("GET /baremetal/", [Answer::version("1.115")])
        .on("POST /baremetal/v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={}/baremetal/", conductor.url()));
    heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap();
    assert_eq!(conductor.asked("GET /baremetal/").len(), 1);
}

#[tokio::test]
async fn two_idle_connections_are_kept_and_no_more() {
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [Answer::bytes(202, "").after(4)]);
    let config = config(&format!(
        "ipa-api-url={} ipa-ironic-api-version=1.115",
        conductor.url()
    ));
    let (client, heartbeat) = (client(&config), heartbeat_of(None));
    let beat = || heartbeat::once(&client, &heartbeat);
    let (one, two, three, four) = tokio::join!(beat(), beat(), beat(), beat());
    assert!([one, two, three, four].iter().all(Result::is_ok));
    conductor.until_open(2).await;
    beat().await.unwrap();
    conductor.until_open(2).await;
}
