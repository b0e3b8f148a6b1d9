//! Tests that the duration of a refusal does not reveal how much of the token is right. It times
//! decoding, comparison and response together, by the method of `tests/timing/`.
//!
//! The control does the same and adds a comparison that stops at the first difference. The method
//! must detect that among everything else that is timed.

// The method, with its own tests, belongs to the program that times the comparison alone. This file
// is in the library because the timed functions are not public.
#[path = "../../tests/timing/samples.rs"]
mod samples;
#[path = "../../tests/timing/table.rs"]
mod table;
#[path = "../../tests/timing/welch.rs"]
mod welch;

use super::authenticate::Authenticator;
use super::authorize::{Authorizer, Resources};
use super::fault::Fault;
use super::handler::refusal;
use super::query::Query;
use super::routes::Operation;
use crate::policy::{Attributes, DEFAULTS, Enforcer, Settings};
use crate::secret::{AgentToken, CurrentToken};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use samples::Class;
use serde_json::Value;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use table::{CLASSES, LIMIT, Table};

/// A token of the length that Ironic issues.
const TOKEN: &str = "hjSYAN0bRP3d0Y7Zk1lQ2eO5cWmVxTuIa8fG4sK6tDn";

#[derive(Debug)]
struct Machine;

impl Resources for Machine {
    fn attributes(&self) -> Attributes {
        Attributes::new()
    }

    fn inventory(&self) -> Value {
        Value::Null
    }

    fn log(&self) -> String {
        String::new()
    }
}

fn gate() -> Authorizer {
    let token = AgentToken::from_lookup(TOKEN.into()).unwrap();
    Authorizer {
        credentials: Authenticator {
            token: CurrentToken::new(Some(Arc::new(token))),
            observer: None,
            keystone: None,
        },
        policy: Arc::new(Enforcer::load(DEFAULTS, Settings::default()).unwrap()),
        subject: Arc::new(Machine),
    }
}

/// Builds a request head with this token, as it is or with each byte escaped.
fn head(presented: &[u8], is_escaped: bool) -> Parts {
    let shown: String = match is_escaped {
        true => presented
            .iter()
            .map(|byte| format!("%{byte:02x}"))
            .collect(),
        false => presented.iter().copied().map(char::from).collect(),
    };
    let target = format!("/v1/commands/?agent_token={shown}");
    let request = Request::get(target).header("host", "agent.example:9999");
    request.body(()).unwrap().into_parts().0
}

/// Returns whether a request is authorized. The response to a refused one is built completely.
fn accepts(gate: &Authorizer, head: &Parts) -> bool {
    let admitted = pin!(gate.authorize(Operation::List, head));
    match admitted.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(fault @ Fault::Unauthorized)) => {
            let answer = black_box(refusal(&fault));
            answer.status() != StatusCode::UNAUTHORIZED
        }
        _ => true,
    }
}

#[test]
#[ignore = "only optimised code takes its true time: `make test-timing` runs it"]
fn the_time_of_a_refusal_tells_nothing_of_the_token_and_would_be_seen_if_it_did() {
    let gate = gate();
    let refuses = |head: &Parts| accepts(&gate, head);
    let early = |head: &Parts| {
        let shown = Query::of(&head.uri).token().unwrap();
        // One byte at a time: `==` compares many bytes at once, and the difference would disappear
        // in the rest.
        let is_right = shown.len() == TOKEN.len()
            && shown
                .iter()
                .zip(TOKEN.as_bytes())
                .all(|(shown, own)| black_box(shown) == own);
        accepts(&gate, head) | is_right
    };
    let mut table = Table::new();
    let mut row = |name: &str, classes, is_escaped, accepts: &dyn Fn(&Parts) -> bool| {
        let prepare = move |presented: &[u8]| head(presented, is_escaped);
        table.row(name, TOKEN.as_bytes(), classes, &prepare, accepts)
    };
    let mut ours: Vec<_> = CLASSES
        .into_iter()
        .map(|classes| row("a refusal", classes, false, &refuses))
        .collect();
    // The digits of random characters differ from the token's, so only these two classes decode
    // alike.
    let alike = [Class::LastByte, Class::FirstByte];
    ours.push(row("a refusal, the token escaped", alike, true, &refuses));
    let seen = row("a refusal, and byte by byte", alike, false, &early);
    let table = table.text();
    println!("{table}");
    assert!(seen > LIMIT, "the method sees no leak at all:\n{table}");
    assert!(ours.iter().all(|t| *t < LIMIT), "{table}");
}
