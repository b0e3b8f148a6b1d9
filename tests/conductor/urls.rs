//! An API with several URLs, of which some are dead.

use super::{client, config, dead_url, heartbeat_of, look_up};
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use serde_json::json;
use std::io;
use std::net::TcpListener;
use support::conductor::{self, Answer, Conductor, TOKEN};

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

/// What answers need not be Ironic: its own host has other paths, and other services.
#[tokio::test]
async fn after_a_refusal_the_next_api_is_asked_at_once_and_is_the_first_from_then_on() {
    for status in [302, 400, 401, 403, 404, 405, 406, 409, 500, 503] {
        let (other, ironic) = (willing().await, willing().await);
        let refusal = || [Answer::fault(status, "no")];
        other
            .on("GET /", refusal())
            .on(LOOKUP, refusal())
            .on(HEARTBEAT, refusal());
        let config = config(&format!("ipa-api-url={},{}", other.url(), ironic.url()));
        let client = client(&config);
        look_up(&config, &client).await.unwrap();
        for _ in 0..2 {
            heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
        }
        assert_eq!(ironic.asked(HEARTBEAT).len(), 2, "{status}");
        let asked = (other.asked(LOOKUP).len(), other.asked(HEARTBEAT).len());
        assert_eq!(asked, (1, 0), "{status}");
    }
}

#[tokio::test]
async fn another_path_of_ironics_own_host_keeps_no_heartbeat_from_it() {
    let ironic = willing().await;
    let url = ironic.url();
    let config = config(&format!("ipa-api-url={url}/nonsense,{url}"));
    let client = client(&config);
    for _ in 0..2 {
        heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    }
    look_up(&config, &client).await.unwrap();
    assert_eq!(ironic.asked(HEARTBEAT).len(), 2);
    let strange = (
        ironic.asked("POST /nonsense").len(),
        ironic.asked("GET /nonsense/v1").len(),
    );
    assert_eq!(strange, (1, 0));
}

#[tokio::test]
async fn a_lookup_that_is_not_understood_is_no_answer_of_ironic() {
    let (other, ironic) = (willing().await, willing().await);
    other.on(LOOKUP, [Answer::bytes(200, "{}")]);
    let config = config(&format!("ipa-api-url={},{}", other.url(), ironic.url()));
    let client = client(&config);
    for _ in 0..2 {
        look_up(&config, &client).await.unwrap();
    }
    let asked = (other.asked(LOOKUP).len(), ironic.asked(LOOKUP).len());
    assert_eq!(asked, (1, 2));
}

#[tokio::test]
async fn an_api_that_accepted_a_heartbeat_stays_the_first_after_one_that_was_lost() {
    let (ironic, other) = (willing().await, willing().await);
    let accepted = || Answer::bytes(202, "");
    ironic.on(HEARTBEAT, [accepted(), Answer::hang_up(), accepted()]);
    other.on(HEARTBEAT, [Answer::fault(404, "no")]);
    let config = config(&format!("ipa-api-url={},{}", ironic.url(), other.url()));
    let client = client(&config);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let outcome = heartbeat::once(&client, &heartbeat_of(None)).await;
        outcomes.push(outcome.map_err(|error| chain(&error)));
    }
    let lost = Err("error 404: no".to_owned());
    assert_eq!(outcomes, [Ok(()), lost, Ok(())]);
    let asked = (ironic.asked(HEARTBEAT).len(), other.asked(HEARTBEAT).len());
    assert_eq!(asked, (3, 1));
}

/// A node is locked now and then, and the token is not shown to others because of that.
#[tokio::test]
async fn what_ironic_says_of_a_heartbeat_decides_once_it_is_known_to_be_ironic() {
    for (status, others) in [
        (400, 0),
        (401, 0),
        (403, 0),
        (406, 0),
        (409, 0),
        (404, 1),
        (500, 1),
    ] {
        let (ironic, other) = (willing().await, willing().await);
        ironic.on(HEARTBEAT, [Answer::fault(status, "of Ironic")]);
        other.on(HEARTBEAT, [Answer::fault(404, "of another")]);
        let config = config(&format!("ipa-api-url={},{}", ironic.url(), other.url()));
        let client = client(&config);
        look_up(&config, &client).await.unwrap();
        let outcome = heartbeat::once(&client, &heartbeat_of(None)).await;
        assert_eq!(
            chain(&outcome.unwrap_err()),
            format!("error {status}: of Ironic")
        );
        assert_eq!(other.asked(HEARTBEAT).len(), others, "{status}");
    }
}

#[tokio::test]
async fn when_all_apis_refuse_the_first_is_quoted_but_for_one_that_tells_of_a_lock() {
    for (one, two, told) in [
        (404, 400, "error 404: one"),
        (400, 404, "error 400: one"),
        (404, 409, "error 409: two"),
        (409, 404, "error 409: one"),
        (409, 409, "error 409: one"),
        (503, 404, "error 404: two"),
        (404, 503, "error 404: one"),
    ] {
        let (first, second) = (willing().await, willing().await);
        first.on(HEARTBEAT, [Answer::fault(one, "one")]);
        second.on(HEARTBEAT, [Answer::fault(two, "two")]);
        let config = config(&format!("ipa-api-url={},{}", first.url(), second.url()));
        let error = heartbeat::once(&client(&config), &heartbeat_of(None))
            .await
            .unwrap_err();
        assert_eq!(chain(&error), told);
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
