//! What the log is told of Keystone and its users, and what it never is.

use super::{
    CREDENTIALS, LOGIN, LOOK, OWN, PASSWORD, Server, TOKEN, keystone, known, login, refused,
};
use serde_json::json;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::clock::Clock;
use support::conductor::Answer;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Every event of this thread, one line each: level and fields in their order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let line = (*event.metadata().level(), line.0);
        self.0.lock().unwrap().push(line);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Lines {
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        (lines, tracing::subscriber::set_default(subscriber))
    }

    /// The room's lines of one level.
    fn of(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let of_level = lines.iter().filter(|(of, line)| {
            *of == level && line.contains("Keystone") && !line.contains("NOT verified")
        });
        of_level.map(|(_, line)| line.clone()).collect()
    }
}

#[tokio::test]
async fn a_user_is_told_once_with_roles_and_scope() {
    let (lines, _guard) = Lines::listen();
    let server = Server::start().await;
    server.on(LOOK, [known("project"), known("project"), known("system")]);
    let keystone = keystone(&server.url(), &[("token_cache_time", "0")]);
    for _ in 0..5 {
        keystone.validate(TOKEN).await.unwrap();
    }
    assert_eq!(
        lines.of(Level::INFO),
        [
            "message=A user of Keystone's shows a token user=\"olga@Default\" roles=\"manager,reader,member\" scope=\"project baremetal@Default\" ",
            "message=A user of Keystone's shows a token user=\"olga@Default\" roles=\"reader\" scope=\"system all\" ",
        ]
    );
    assert_eq!(lines.of(Level::WARN), [""; 0]);
}

#[tokio::test]
async fn a_keystone_that_fails_is_told_once_and_its_return_too() {
    let (lines, _guard) = Lines::listen();
    let clock = Clock::stop();
    let server = Server::start().await;
    let fails = || Answer::hang_up();
    server.on(
        LOOK,
        [
            fails(),
            fails(),
            fails(),
            known("project"),
            fails(),
            known("project"),
        ],
    );
    let keystone = keystone(&server.url(), &[("token_cache_time", "0")]);
    for _ in 0..6 {
        let _ = keystone.validate(TOKEN).await;
        clock.pass(Duration::from_secs(2)).await;
    }
    let warned = lines.of(Level::WARN);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("nobody is let in by one"));
    assert!(warned[0].contains(&format!("asking {}/v3/auth/tokens", server.url())));
    let told = lines.of(Level::INFO);
    let returns = told.iter().filter(|line| line.contains("answers again"));
    assert_eq!(returns.count(), 1);
    // A minute later it is told anew.
    server.on(LOOK, [fails()]);
    clock.pass(Duration::from_secs(60)).await;
    keystone.validate(TOKEN).await.unwrap_err();
    assert_eq!(lines.of(Level::WARN).len(), 2);
}

#[tokio::test]
async fn tokens_that_are_invented_and_a_failing_keystone_leave_the_debug_log_readable() {
    for (answer, others) in [
        (refused(404), 0),
        // The first is a warning.
        (Answer::bytes(500, "oops"), 1),
        (Answer::bytes(409, "oops"), 1),
    ] {
        let (lines, _guard) = Lines::listen();
        let clock = Clock::stop();
        let server = Server::start().await;
        server.on(LOOK, [answer]);
        let keystone = keystone(&server.url(), &[]);
        let invent = async |number: u32| {
            let token = format!("invented-{number}");
            keystone.validate(token.as_bytes()).await.unwrap_err();
        };
        for number in 0..50 {
            invent(number).await;
        }
        assert_eq!(lines.of(Level::DEBUG).len(), 20);
        clock.pass(Duration::from_secs(60)).await;
        invent(50).await;
        let told = lines.of(Level::DEBUG);
        let untold = format!(" untold={} ", 30 - others);
        assert!(told.len() == 21 && told[20].contains(&untold), "{told:?}");
    }
}

#[tokio::test]
async fn a_user_of_ever_other_projects_leaves_the_log_readable() {
    let (lines, _guard) = Lines::listen();
    let clock = Clock::stop();
    let server = Server::start().await;
    let scoped = |number: u32| {
        let mut known = super::recorded("project");
        known["token"]["project"]["name"] = format!("project {number}").into();
        Answer::json(200, &known)
    };
    server.on(LOOK, (0..31).map(scoped));
    let keystone = keystone(&server.url(), &[("token_cache_time", "0")]);
    for _ in 0..30 {
        keystone.validate(TOKEN).await.unwrap();
    }
    assert_eq!(lines.of(Level::INFO).len(), 20);
    clock.pass(Duration::from_secs(60)).await;
    keystone.validate(TOKEN).await.unwrap();
    let told = lines.of(Level::INFO);
    assert!(
        told.len() == 21 && told[20].contains("project 30@"),
        "{told:?}"
    );
    assert!(told[20].contains(" untold=10 "), "{told:?}");
}

#[tokio::test]
async fn a_wrong_clock_is_told() {
    let (lines, _guard) = Lines::listen();
    let server = Server::start().await;
    let mut expired = super::recorded("project");
    expired["token"]["expires_at"] = "2001-01-01T00:00:00.000000Z".into();
    server.on(LOOK, [Answer::json(200, &expired)]);
    let keystone = keystone(&server.url(), &[("token_cache_time", "0")]);
    for _ in 0..3 {
        keystone.validate(TOKEN).await.unwrap_err();
    }
    let warned = lines.of(Level::WARN);
    assert_eq!(warned.len(), 1);
    assert!(warned[0].contains("is the clock right?"));
}

#[tokio::test]
async fn no_line_of_any_level_holds_a_token_or_a_password() {
    let (lines, _guard) = Lines::listen();
    let server = Server::start().await;
    let token = str::from_utf8(TOKEN).unwrap();
    // What was sent is said again, in no form that the redactor could know.
    let error = |status: u16, sent: &str| {
        let message = format!("Could not find {sent} anywhere");
        Answer::json(status, &json!({"error": {"message": message}}))
    };
    for (credentials, sent) in [
        (&[][..], token.to_owned()),
        (&CREDENTIALS, format!("{token} for {OWN}")),
    ] {
        let echo = |status| error(status, &sent);
        for look in [
            known("project"),
            refused(404),
            echo(404),
            echo(401),
            echo(403),
            echo(500),
            Answer::bytes(200, sent.clone()),
            Answer::bytes(503, sent.clone()),
            Answer::hang_up(),
        ] {
            let of_password = |status| error(status, PASSWORD);
            for answer in [
                login(&json!([])),
                of_password(401),
                of_password(400),
                of_password(500),
            ] {
                server.on(LOOK, [look.clone()]).on(LOGIN, [answer]);
                let keystone = keystone(&server.url(), credentials);
                let _ = keystone.validate(TOKEN).await;
                let _ = keystone.validate(TOKEN).await;
                let shown = format!("{keystone:?}");
                assert!(!shown.contains("canary"), "{shown}");
            }
        }
    }
    let lines = lines.0.lock().unwrap();
    assert!(lines.len() > 40, "{}", lines.len());
    let held: Vec<_> = lines
        .iter()
        .filter(|(_, line)| line.contains("canary"))
        .collect();
    assert!(held.is_empty(), "{held:?}");
}
