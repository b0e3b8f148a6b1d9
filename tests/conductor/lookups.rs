//! What is asked for the node, and what its answer may be.

use super::{client, config, look_up, machine};
use ferrite::conductor::lookup::{self, LookupQuery, LookupToken};
use ferrite::conductor::{Error, RetryPolicy};
use ferrite::error::chain;
use ferrite::tls::MinVersion;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::clock::{self, Clock};
use support::conductor::{self, Answer, Conductor, NODE, TOKEN};
use tokio_util::sync::CancellationToken;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const LOOKUP: &str = "GET /v1/lookup";

#[tokio::test]
async fn a_lookup_asks_as_ipa_does_and_gives_node_settings_and_token() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [conductor::lookup(json!(TOKEN))]);
    let config = config(&format!(
        "ipa-api-url={}/ ipa-global-request-id=req-1",
        conductor.url()
    ));
    let found = look_up(&config, &client(&config)).await.unwrap();

    assert_eq!(found.node.uuid.to_string(), NODE);
    assert_eq!(found.settings.tls_min_version, MinVersion::Tls13);
    let LookupToken::Issued(token) = found.token else {
        panic!("no token: {:?}", found.token);
    };
    assert!(token.matches(TOKEN.as_bytes()));

    let lookups = conductor.asked(LOOKUP);
    assert_eq!(
        lookups[0].line,
        "GET /v1/lookup?addresses=52%3A54%3A00%3A00%3A00%3A01%2C52%3A54%3A00%3A00%3A00%3A02"
    );
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-openstack-request-id", "req-1"),
        // The answer holds the token: no buffer of a connection is to keep it.
        ("connection", "close"),
    ] {
        assert_eq!(lookups[0].headers[name], value);
    }
    for name in ["authorization", "x-auth-token", "cookie"] {
        assert!(!lookups[0].headers.contains_key(name), "{name}");
    }
}

/// Counts the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_lookup_that_calls_the_token_unneeded_is_warned_of() {
    for (required, expected) in [(json!(true), 0), (json!(null), 0), (json!(false), 1)] {
        let conductor = Conductor::start().await;
        let answer = conductor::lookup_with(json!({
            "heartbeat_timeout": 300,
            "agent_token": TOKEN,
            "agent_token_required": required,
        }));
        conductor.on(LOOKUP, [answer]);
        let config = config(&format!("ipa-api-url={}", conductor.url()));
        let client = client(&config);
        let warnings = Warnings::default();
        let _guard =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(warnings.clone()));
        look_up(&config, &client).await.unwrap();
        assert_eq!(warnings.0.load(Ordering::Relaxed), expected, "{required}");
    }
}

#[tokio::test]
async fn without_a_request_id_none_is_sent() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [conductor::lookup(json!(TOKEN))]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    look_up(&config, &client(&config)).await.unwrap();
    for asked in conductor.asked("GET ") {
        assert!(!asked.headers.contains_key("x-openstack-request-id"));
    }
}

#[tokio::test]
async fn a_node_that_inspection_told_is_named() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [conductor::lookup(json!(TOKEN))]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let machine = LookupQuery {
        node: Some(NODE.parse().unwrap()),
        ..machine()
    };
    lookup::attempt(&client(&config), &machine, &config, None)
        .await
        .unwrap();
    let line = &conductor.asked(LOOKUP)[0].line;
    assert!(line.ends_with(&format!("&node_uuid={NODE}")), "{line}");
}

#[tokio::test]
async fn lookups_go_on_through_refusals_and_nonsense() {
    let conductor = Conductor::start().await;
    let nonsense = [
        Answer::fault(404, "Resource could not be found."),
        Answer::bytes(503, "<html>"),
        Answer::bytes(200, "not JSON"),
        Answer::json(200, &json!({"node": {}, "config": {}})),
        Answer::json(200, &json!({"node": {"uuid": NODE}})),
        Answer::json(200, &json!({"node": {"uuid": 7}, "heartbeat_timeout": 1})),
        Answer::json(200, &json!({"node": NODE, "heartbeat_timeout": 1})),
        Answer::json(200, &json!([])),
        Answer::bytes(202, ""),
        Answer::bytes(200, vec![b' '; 1024 * 1024 + 1]),
    ];
    let count = nonsense.len();
    let right = conductor::lookup(json!(TOKEN));
    conductor.on(LOOKUP, nonsense.into_iter().chain([right]));
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    look_up(&config, &client(&config)).await.unwrap();
    assert_eq!(conductor.asked(LOOKUP).len(), count + 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_ironics_words_whatever_its_form() {
    let inner = json!({"faultcode": "Client", "faultstring": "Node is locked."});
    let conductor = Conductor::start().await;
    let config = config(&format!(
        "ipa-api-url={} ipa-lookup-timeout=0",
        conductor.url()
    ));
    for (body, told) in [
        (
            json!({ "error_message": inner }).to_string(),
            "Node is locked.",
        ),
        (
            json!({ "error_message": inner.to_string() }).to_string(),
            "Node is locked.",
        ),
        (inner.to_string(), "Node is locked."),
        (json!({"title": "Gone"}).to_string(), "Gone"),
        (
            json!({"error_message": {"title": "Gone"}}).to_string(),
            "Gone",
        ),
        ("Service\r\nUnavailable".into(), "Service  Unavailable"),
    ] {
        conductor.on(LOOKUP, [Answer::bytes(409, body)]);
        let error = look_up(&config, &client(&config)).await.unwrap_err();
        assert_eq!(
            chain(&error),
            format!("no lookup succeeded in 0 seconds: error 409: {told}")
        );
    }
}

#[tokio::test]
async fn every_kind_of_token_field_is_told_apart() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    for (field, wanted) in [
        (json!("******"), "Masked"),
        (json!("short"), "Invalid(Short(5))"),
        (json!(""), "None"),
        (Value::Null, "None"),
        (json!(TOKEN), "Issued(AgentToken([redacted]))"),
    ] {
        conductor.on(LOOKUP, [conductor::lookup(field)]);
        let found = lookup::attempt(&client, &machine(), &config, None)
            .await
            .unwrap();
        assert_eq!(format!("{:?}", found.token), wanted);
    }
}

#[tokio::test]
async fn a_node_is_looked_up_again_for_its_own_sake_and_not_for_its_settings() {
    let conductor = Conductor::start().await;
    let node = json!({"uuid": NODE, "properties": {"root_device": {"name": "/dev/sdb"}}});
    // No settings, and where the token was: what could not be a first lookup.
    let masked = Answer::json(
        200,
        &json!({"node": node, "config": {"agent_token": "******"}}),
    );
    conductor.on(LOOKUP, [Answer::fault(409, "Node is locked."), masked]);
    let config = config(&format!(
        "ipa-api-url={} ipa-lookup-interval=0",
        conductor.url()
    ));
    let machine = LookupQuery {
        node: Some(NODE.parse().unwrap()),
        ..machine()
    };
    let clock = Clock::stop();
    let law = RetryPolicy {
        random: clock::longest,
        ..RetryPolicy::of(&config)
    };
    let (client, cancel) = (client(&config), CancellationToken::new());
    let asking = lookup::refresh_node(&client, &machine, None, &law, &cancel);
    let passing = async {
        clock::waits(1).await;
        let quiet = || conductor.asked(LOOKUP).len() == 1;
        clock.pass_quietly(Duration::from_secs(6), quiet).await;
    };
    let (found, ()) = tokio::join!(asking, passing);
    assert_eq!(found.unwrap().document.into_value(), node);
    let line = &conductor.asked(LOOKUP)[1].line;
    assert!(line.ends_with(&format!("&node_uuid={NODE}")), "{line}");
}

#[tokio::test]
async fn a_lookup_ends_when_the_agent_does() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [Answer::silence()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let (client, machine, cancel) = (client(&config), machine(), CancellationToken::new());
    let law = RetryPolicy::of(&config);
    let (found, ()) = tokio::join!(
        lookup::lookup(&client, &machine, &config, None, &law, &cancel),
        async {
            conductor.until_asked(LOOKUP, 1).await;
            cancel.cancel();
        }
    );
    assert!(matches!(found, Err(Error::Cancelled)), "{found:?}");
}
