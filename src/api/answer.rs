//! One request to one answer: route, token, body, dispatcher; and the line in the log.

use super::auth::{Authorised, authorise};
use super::body::Body;
use super::fault::Fault;
use super::query::Query;
use super::routes::{self, Document, Operation, Route};
use super::server::Peer;
use super::strangers::Strangers;
use super::wire::{self, RunRequest};
use super::{Limits, Readers, State};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, SERVER,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Uri};
use std::net::IpAddr;
use std::time::Instant;

pub(super) type Answer = Response<Full<Bytes>>;

/// What every connection answers from.
pub(super) struct Service {
    pub(super) state: State,
    pub(super) limits: Limits,
    pub(super) strangers: Strangers,
    pub(super) scheme: &'static str,
}

impl Service {
    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Answer {
        let (head, incoming) = request.into_parts();
        let mut log = RequestLog::begin(&head, peer);
        let mut body = Body::new(incoming);
        let mut answer = match self.route(&head, &mut body, peer).await {
            Ok(answer) => answer,
            Err(fault) => refusal(&fault),
        };
        let headers = answer.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("ironic-python-agent"));
        if body.is_left() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            peer.leave_body();
        }
        log.status = Some(answer.status());
        log.is_strangers = !peer.is_trusted();
        answer
    }

    async fn route(&self, head: &Parts, body: &mut Body, peer: &Peer) -> Result<Answer, Fault> {
        let path = routes::decoded(head.uri.path());
        match routes::find(&head.method, &path) {
            Route::Guarded(Operation::List) if self.is_for_everybody(head) => {
                document(wire::open_list(&self.state.dispatcher.list()))
            }
            Route::Guarded(operation) => {
                let query = Query::of(&head.uri);
                let shown = authorise(self.state.token.get().as_deref(), query);
                let proof = match shown {
                    Ok(proof) => proof,
                    Err(fault) => {
                        self.strangers.refuse(peer.address.ip()).await;
                        return Err(fault);
                    }
                };
                peer.trust();
                self.operate(operation, query, body, proof).await
            }
            Route::MethodNotAllowed(allowed) => Err(Fault::MethodNotAllowed(allowed)),
            Route::NotFound => Err(Fault::NotFound),
            Route::Open(document) => self.document(document, &self.base(head, peer)),
            Route::Slash => redirect(&self.base(head, peer), &head.uri),
        }
    }

    /// Whether this is how an old conductor asks for the list: at one path, with one method, and with no token at all. A wrong
    /// one is refused as ever.
    fn is_for_everybody(&self, head: &Parts) -> bool {
        self.state.readers == Readers::Everybody
            && head.method == Method::GET
            && head.uri.path() == "/v1/commands/"
            && Query::of(&head.uri).token().is_none()
    }

    async fn operate(
        &self,
        operation: Operation<'_>,
        query: Query<'_>,
        body: &mut Body,
        _proof: Authorised,
    ) -> Result<Answer, Fault> {
        let dispatcher = &self.state.dispatcher;
        let view = match operation {
            Operation::List => return document(wire::list(&dispatcher.list())),
            Operation::Command(id) => dispatcher.command(id, query.wait()).await,
            Operation::Run => {
                let body = body.read(&self.limits).await?;
                let request = RunRequest::parse(&body).map_err(Fault::BadRequest)?;
                drop(body);
                dispatcher
                    .run(&request.name, request.params, query.wait())
                    .await
            }
        };
        document(wire::command(&view.map_err(Fault::Agent)?))
    }

    fn document(&self, wanted: Document, base: &str) -> Result<Answer, Fault> {
        document(match wanted {
            Document::Root => wire::root(base),
            Document::Status => wire::status(self.state.started_at, self.state.version),
            Document::Version => wire::version(base),
        })
    }

    /// Scheme and host as the caller sees them; our own address where the caller names none that could be one.
    fn base(&self, head: &Parts, peer: &Peer) -> String {
        let named = |text: &HeaderValue| text.to_str().ok()?.parse::<Authority>().ok();
        let host = head.uri.authority().cloned();
        let host = host
            .or_else(|| head.headers.get(HOST).and_then(named))
            .filter(|host| !host.as_str().contains('@'));
        match host {
            Some(host) => format!("{}://{host}", self.scheme),
            None => format!("{}://{}", self.scheme, peer.local),
        }
    }
}

fn document(json: serde_json::Result<Vec<u8>>) -> Result<Answer, Fault> {
    match json {
        Ok(json) => Ok(with_type(json, "application/json")),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written");
            Err(Fault::Internal)
        }
    }
}

fn refusal(fault: &Fault) -> Answer {
    let mut answer = with_type(fault.body(), "application/json");
    *answer.status_mut() = fault.status();
    if let Fault::MethodNotAllowed(allowed) = fault {
        let allowed = HeaderValue::from_static(allowed);
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

/// To the same path with a slash. The page says no address: the query may hold the token.
fn redirect(base: &str, uri: &Uri) -> Result<Answer, Fault> {
    let query = uri.query().map(|query| format!("?{query}"));
    let location = format!("{base}{}/{}", uri.path(), query.unwrap_or_default());
    let location = HeaderValue::try_from(location).map_err(|_| Fault::Internal)?;
    let mut answer = with_type(REDIRECTED.into(), "text/html; charset=utf-8");
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    if Query::of(uri).token().is_some() {
        // It is repeated here, and the buffer it is written from lives as long as the connection.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

fn with_type(body: Vec<u8>, kind: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(body));
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// The request's line in the log, written when its answer is there or its caller is gone. A stranger who is refused gets none
/// at the usual level: [`Strangers`] tells of them all, and nobody fills the log by being refused.
struct RequestLog {
    client: IpAddr,
    method: Method,
    target: String,
    begin: Instant,
    status: Option<StatusCode>,
    is_strangers: bool,
}

impl RequestLog {
    fn begin(head: &Parts, peer: &Peer) -> Self {
        let query = Query::of(&head.uri).redacted();
        let mark = if query.is_empty() { "" } else { "?" };
        Self {
            client: client(&head.headers).unwrap_or_else(|| peer.address.ip()),
            method: head.method.clone(),
            target: format!("{:.256}{mark}{query:.256}", shown(head.uri.path())),
            begin: Instant::now(),
            status: None,
            is_strangers: !peer.is_trusted(),
        }
    }
}

/// A path for the log: our own words and command ids. A caller that puts the token there, instead of into the query, gets
/// 404, and the log does not repeat it.
fn shown(path: &str) -> String {
    let known = |part: &str| {
        let ours = ["", "v1", "status", "commands"].contains(&part);
        ours || uuid::Uuid::try_parse(part).is_ok()
    };
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if known(part) { part } else { "***" })
        .collect();
    parts.join("/")
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let (client, method, target) = (self.client, &self.method, &self.target);
        let ms = self.begin.elapsed().as_millis();
        match self.status {
            Some(status) if self.is_strangers && status.is_client_error() => {
                let status = status.as_u16();
                tracing::debug!(%client, %method, target, status, ms, "Answered a request");
            }
            Some(status) => {
                let status = status.as_u16();
                tracing::info!(%client, %method, target, status, ms, "Answered a request");
            }
            None if self.is_strangers => {
                tracing::debug!(%client, %method, target, ms, "A caller left before its answer");
            }
            None => tracing::info!(%client, %method, target, ms, "A caller left before its answer"),
        }
    }
}

/// The caller's address as a proxy names it.
fn client(headers: &HeaderMap) -> Option<IpAddr> {
    let named = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        text.split(',').next()?.trim().parse().ok()
    };
    named("x-forwarded-for").or_else(|| named("x-real-ip"))
}

const REDIRECTED: &str = "<!doctype html>\n<html lang=en>\n<title>Redirecting</title>\n<h1>Redirecting</h1>\n<p>The same address with a slash at its end is right.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_words_that_are_not_ours() {
        let id = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
        assert_eq!(shown("/v1/commands/"), "/v1/commands/");
        assert_eq!(shown(&format!("/commands/{id}")), format!("/commands/{id}"));
        assert_eq!(shown("/v1/commands/hush"), "/v1/commands/***");
        assert_eq!(shown("/agent_token=hush/v1"), "/***/v1");
        assert_eq!(shown("/"), "/");
    }

    #[test]
    fn a_proxys_word_for_the_client_counts_if_it_is_an_address() {
        for (name, value, expected) in [
            ("x-forwarded-for", "192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
            ("x-real-ip", "2001:db8::1", Some("2001:db8::1")),
            ("x-forwarded-for", "evil\u{21}", None),
            ("host", "192.0.2.1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(client(&headers), expected, "{name}: {value}");
        }
    }
}
