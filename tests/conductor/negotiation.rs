//! Which version of the API is spoken.

use super::{client, config, heartbeat_of, look_up};
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use serde_json::json;
use support::conductor::{self, Answer, Conductor, TOKEN};

const LOOKUP: &str = "GET /v1/lookup";
const HEARTBEAT: &str = "POST /v1/heartbeat";

/// A conductor of this version that takes everything.
async fn of_version(version: &str) -> Conductor {
    let conductor = Conductor::start().await;
    conductor
        .on("GET /", [Answer::version(version)])
        .on(LOOKUP, [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    conductor
}

#[tokio::test]
async fn each_call_asks_for_no_more_than_it_needs_and_no_more_than_there_is() {
    for (version, lookup, heartbeat, certificate) in [
        ("1.115", "1.62", "1.68", true),
        ("1.68", "1.62", "1.68", true),
        ("1.67", "1.62", "1.67", false),
        ("1.62", "1.62", "1.62", false),
    ] {
        let conductor = of_version(version).await;
        let config = config(&format!("ipa-api-url={}", conductor.url()));
        let client = client(&config);
        look_up(&config, &client).await.unwrap();
        heartbeat::once(&client, &heartbeat_of(Some("PEM\n")))
            .await
            .unwrap();
        // The version itself is asked for without one, and once.
        let asked = conductor.asked("GET /");
        assert_eq!((asked.len(), asked[0].version()), (1, None));
        assert_eq!(conductor.asked(LOOKUP)[0].version(), Some(lookup));
        let beat = &conductor.asked(HEARTBEAT)[0];
        assert_eq!(beat.version(), Some(heartbeat));
        assert_eq!(beat.json().get("agent_verify_ca").is_some(), certificate);
        assert_eq!(client.supports_verify_ca().await.unwrap(), certificate);
    }
}

#[tokio::test]
async fn whatever_hides_the_version_is_not_remembered_and_hinders_nothing() {
    for hidden in [
        Answer::bytes(500, ""),
        Answer::fault(404, "no"),
        Answer::fault(503, "no"),
        Answer::bytes(200, "<html>"),
        Answer::json(200, &json!({"versions": []})),
        Answer::json(200, &json!({"default_version": {"version": "newest"}})),
        Answer::json(200, &json!({"default_version": {"version": 1.115}})),
        Answer::redirect("http://127.0.0.1:9/".into()),
        Answer::hang_up(),
        Answer::bytes(200, "{").broken(),
        Answer::bytes(200, vec![b' '; 4096]).endless(),
    ] {
        let conductor = of_version("1.115").await;
        conductor.on("GET /", [hidden, Answer::version("1.115")]);
        let config = config(&format!("ipa-api-url={}", conductor.url()));
        let client = client(&config);
        for _ in 0..3 {
            look_up(&config, &client).await.unwrap();
        }
        // Hidden, told, remembered.
        assert_eq!(conductor.asked("GET /").len(), 2);
        // What the token needs is asked for all the same: IPA would ask for 1.31 and get an answer without one.
        for asked in conductor.asked(LOOKUP) {
            assert_eq!(asked.version(), Some("1.62"));
        }
    }
}

#[tokio::test]
async fn a_heartbeat_brings_everything_where_the_version_is_hidden() {
    let conductor = of_version("1.115").await;
    conductor.on("GET /", [Answer::bytes(500, "")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    heartbeat::once(&client, &heartbeat_of(Some("PEM\n")))
        .await
        .unwrap();
    let beat = &conductor.asked(HEARTBEAT)[0];
    assert_eq!(beat.version(), Some("1.68"));
    assert_eq!(beat.json()["agent_verify_ca"], "PEM\n");
    assert!(client.supports_verify_ca().await.unwrap());
}

/// Ironic was rolled back, or two versions of it are behind one address.
#[tokio::test]
async fn after_a_refused_version_the_version_is_asked_for_again() {
    let conductor = of_version("1.115").await;
    let refused = || Answer::fault(406, "Request not acceptable: the API speaks up to 1.66");
    conductor
        .on("GET /", [Answer::version("1.115"), Answer::version("1.66")])
        .on(
            HEARTBEAT,
            [Answer::bytes(202, ""), refused(), Answer::bytes(202, "")],
        );
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    let beat = heartbeat_of(Some("PEM\n"));
    heartbeat::once(&client, &beat).await.unwrap();
    let error = heartbeat::once(&client, &beat).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "error 406: Request not acceptable: the API speaks up to 1.66"
    );
    heartbeat::once(&client, &beat).await.unwrap();
    let asked = conductor.asked(HEARTBEAT);
    let versions: Vec<_> = asked.iter().map(|asked| asked.version()).collect();
    assert_eq!(versions, [Some("1.68"), Some("1.68"), Some("1.66")]);
    // The certificate's field is newer than that.
    assert_eq!(asked[2].json().get("agent_verify_ca"), None);
    assert_eq!(conductor.asked("GET /").len(), 2);
}

#[tokio::test]
async fn a_configured_version_is_not_asked_for() {
    let conductor = of_version("1.115").await;
    let config = config(&format!(
        "ipa-api-url={} ipa-ironic-api-version=1.65",
        conductor.url()
    ));
    heartbeat::once(&client(&config), &heartbeat_of(Some("PEM\n")))
        .await
        .unwrap();
    assert_eq!(conductor.asked("GET /").len(), 0);
    let asked = &conductor.asked(HEARTBEAT)[0];
    assert_eq!(asked.version(), Some("1.65"));
    assert_eq!(asked.json().get("agent_verify_ca"), None);
}

#[tokio::test]
async fn a_configured_version_that_is_none_is_asked_for_all_the_same() {
    let conductor = of_version("1.115").await;
    let config = config(&format!(
        "ipa-api-url={} ipa-ironic-api-version=latest",
        conductor.url()
    ));
    heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap();
    assert_eq!(conductor.asked("GET /").len(), 1);
    assert_eq!(conductor.asked(HEARTBEAT)[0].version(), Some("1.68"));
}

#[tokio::test]
async fn an_api_that_is_too_old_is_told_in_one_sentence_and_never_looked_up() {
    let conductor = of_version("1.58").await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let error = look_up(&config, &client(&config)).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "Ironic's API speaks version 1.58 at most, and agents need 1.62 for their token: upgrade Ironic"
    );
    assert_eq!(conductor.asked(LOOKUP).len(), 0);
}

#[tokio::test]
async fn an_api_that_is_too_old_keeps_no_other_from_being_looked_up_at() {
    let (old, new) = (of_version("1.58").await, of_version("1.115").await);
    let config = config(&format!("ipa-api-url={},{}", old.url(), new.url()));
    let client = client(&config);
    old.on(LOOKUP, [Answer::fault(406, "no")]);
    look_up(&config, &client).await.unwrap();
    let asked = (old.asked(LOOKUP).len(), new.asked(LOOKUP).len());
    assert_eq!(asked, (1, 1));
    assert_eq!(new.asked(LOOKUP)[0].version(), Some("1.62"));
}
