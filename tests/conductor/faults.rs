//! A conductor that answers as no conductor should. Nothing of it costs more than the one request.

use super::{client, config, heartbeat_of, look_up, machine};
use ferrite::conductor::{Error, heartbeat, lookup};
use ferrite::secret::AgentToken;
use serde_json::json;
use support::conductor::{self, Answer, Conductor, TOKEN};

const LOOKUP: &str = "GET /v1/lookup";
const HEARTBEAT: &str = "POST /v1/heartbeat";

#[tokio::test]
async fn an_answer_without_end_is_refused_whether_it_tells_its_length_or_not() {
    let conductor = Conductor::start().await;
    let huge = Answer::bytes(200, vec![b' '; 8 * 1024 * 1024]);
    let endless = Answer::bytes(200, vec![b' '; 64 * 1024]).endless();
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    for answer in [huge.clone(), huge.chunked(), endless] {
        conductor.on(LOOKUP, [answer]);
        let error = lookup::attempt(&client(&config), &machine(), &config, None)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_without_end_is_told_by_its_beginning() {
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [Answer::bytes(500, vec![b'x'; 4096]).endless()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("error 500: {}", "x".repeat(500)));
}

/// Ironic's checks of arguments repeat values, and a proxy between may repeat whatever it was sent.
#[tokio::test]
async fn a_refusal_that_repeats_the_token_under_no_name_does_not_show_it() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    let heartbeat = heartbeat_of(None);
    let own = AgentToken::from_operator(TOKEN.to_owned()).unwrap();
    for (told, right) in [
        (
            format!("Schema error for body: '{TOKEN}' is too long"),
            "Schema error for body: '******' is too long",
        ),
        (
            format!("agent_token</td><td>{TOKEN}</td> {TOKEN}"),
            "agent_token</td><td>******</td> ******",
        ),
    ] {
        let right = format!("error 400: {right}");
        let refusal = || Answer::bytes(400, told.clone().into_bytes());
        conductor.on(HEARTBEAT, [refusal()]);
        let error = heartbeat::once(&client, &heartbeat).await.unwrap_err();
        assert_eq!(error.to_string(), right);
        conductor.on(LOOKUP, [refusal()]);
        let looking = lookup::attempt(&client, &machine(), &config, Some(&own)).await;
        assert_eq!(looking.unwrap_err().to_string(), right);
    }
    // An operator's token may have characters that JSON escapes; Ironic's errors are JSON within JSON.
    let odd = AgentToken::from_operator("Qz\"Lm\\8".to_owned()).unwrap();
    let inner = json!({"faultstring": "bad Qz\"Lm\\8 end"}).to_string();
    let document = json!({ "error_message": inner }).to_string();
    conductor.on(LOOKUP, [Answer::bytes(400, document.into_bytes())]);
    let looking = lookup::attempt(&client, &machine(), &config, Some(&odd)).await;
    let told = looking.unwrap_err().to_string();
    assert_eq!(told, "error 400: bad ****** end");
}

/// What json.dumps, PHP and Go make of `ä/&"\`; Ironic's errors are JSON within JSON.
#[tokio::test]
async fn a_refusal_that_repeats_the_token_escaped_does_not_show_it() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    let own = AgentToken::from_operator("Q\u{e4}/&\"\\9".to_owned()).unwrap();
    for written in [
        r#"Q\u00e4/&\"\\9"#,
        r#"Q\u00E4\/&\"\\9"#,
        r#"Qä/\u0026\"\\9"#,
        r#"Q\u00e4\/\u0026\u0022\u005c9"#,
    ] {
        let inner = format!(r#"{{"faultstring": "bad {written} end"}}"#);
        let outer = json!({ "error_message": inner }).to_string();
        for (body, right) in [
            (inner.clone(), "bad ****** end".to_owned()),
            (outer.clone(), "bad ****** end".to_owned()),
            // What was cut off is no JSON.
            (
                format!("<p>{inner}"),
                r#"<p>{"faultstring": "bad ****** end"}"#.into(),
            ),
            (
                format!("<p>{outer}"),
                r#"<p>{"error_message":"{\"faultstring\": \"bad ****** end\"}"}"#.into(),
            ),
        ] {
            conductor.on(LOOKUP, [Answer::bytes(400, body.into_bytes())]);
            let looking = lookup::attempt(&client, &machine(), &config, Some(&own)).await;
            let told = looking.unwrap_err().to_string();
            assert_eq!(told, format!("error 400: {right}"));
        }
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_the_password_of_the_url_does_not_show_it() {
    let conductor = Conductor::start().await;
    let url = format!("http://ironic:U%C3%A4rl%2FPw@{}", conductor.address);
    let config = config(&format!("ipa-api-url={url}"));
    let client = client(&config);
    let basic = "aXJvbmljOlXDpHJsL1B3";
    for repeated in ["Uärl/Pw", r"U\u00e4rl\/Pw", "U%C3%A4rl%2FPw", basic] {
        let body = format!(r#"{{"faultstring": "Login '{repeated}' is not known here"}}"#);
        let refusal = || Answer::bytes(401, body.clone().into_bytes());
        let told = "error 401: Login '******' is not known here";
        conductor.on(LOOKUP, [refusal()]).on(HEARTBEAT, [refusal()]);
        let looking = lookup::attempt(&client, &machine(), &config, None).await;
        assert_eq!(looking.unwrap_err().to_string(), told);
        let beat = heartbeat::once(&client, &heartbeat_of(None)).await;
        assert_eq!(beat.unwrap_err().to_string(), told);
    }
    let shown = &conductor.asked(LOOKUP)[0].headers["authorization"];
    assert_eq!(shown, &format!("Basic {basic}"));
}

#[tokio::test]
async fn an_answer_that_does_not_tell_its_length_is_read() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [conductor::lookup(json!(TOKEN)).chunked()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    look_up(&config, &client(&config)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for nonsense in [
        &b"\x15\x03\x01\x00\x02\x02\x46"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\ncontent-length: 1e9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
    ] {
        let conductor = Conductor::start_talking(nonsense).await;
        let config = config(&format!(
            "ipa-api-url={} ipa-ironic-api-version=1.68",
            conductor.url()
        ));
        let error = heartbeat::once(&client(&config), &heartbeat_of(None))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_redirection_does_not_take_the_token_elsewhere() {
    let conductor = Conductor::start().await;
    let elsewhere = Conductor::start().await;
    let away = || Answer::redirect(format!("{}/v1/steal", elsewhere.url()));
    conductor.on(HEARTBEAT, [away()]).on(LOOKUP, [away()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    assert!(heartbeat::once(&client, &heartbeat_of(None)).await.is_err());
    assert!(
        lookup::attempt(&client, &machine(), &config, None)
            .await
            .is_err()
    );
    assert_eq!(elsewhere.asked("").len(), 0);
}

#[tokio::test]
async fn no_error_repeats_what_may_be_the_token() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    for answer in [
        Answer::bytes(200, format!(r#"{{"config": {{"agent_token": "{TOKEN}""#)),
        conductor::lookup_with(json!({"agent_token": TOKEN})),
        conductor::lookup_with(json!({"agent_token": [TOKEN], "heartbeat_timeout": 1})),
    ] {
        conductor.on(LOOKUP, [answer]);
        let error = lookup::attempt(&client(&config), &machine(), &config, None)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains(TOKEN));
    }
}
