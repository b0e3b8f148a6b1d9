//! A conductor that says what a test wants and remembers what it was asked.
//!
//! One real server on the loopback interface, so that TLS, broken bodies and refused connections are real ones. A route's
//! answers are given in order, the last one again and again; a route without answers is 404, but `GET /` tells a version.

#![allow(dead_code, reason = "each test program uses what it needs of this")]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A token as Ironic makes them.
pub(crate) const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// The node of [`lookup`].
pub(crate) const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

/// An answer to give.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    /// A status with bytes as its body.
    pub(crate) fn bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A status with a document as its body.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string())
    }

    /// A refusal as Ironic words it.
    pub(crate) fn fault(status: u16, faultstring: &str) -> Self {
        let inner = json!({ "faultcode": "Client", "faultstring": faultstring });
        Self::json(status, &json!({ "error_message": inner.to_string() }))
    }

    /// The root document of an API.
    pub(crate) fn version(version: &str) -> Self {
        let body = json!({ "default_version": { "id": "v1", "version": version } });
        Self::json(200, &body)
    }

    /// The same without telling its length before.
    pub(crate) fn chunked(mut self) -> Self {
        self.headers.push(("transfer-encoding", "chunked".into()));
        self
    }

    /// A redirection.
    pub(crate) fn redirect(location: String) -> Self {
        Self {
            headers: vec![("location", location)],
            ..Self::bytes(307, "")
        }
    }
}

/// The lookup's answer of Ironic 39, with this in the token's place.
pub(crate) fn lookup(token: Value) -> Answer {
    Answer::json(
        200,
        &json!({
            "node": {"uuid": NODE, "properties": {}, "instance_info": {}, "driver_internal_info": {}, "links": []},
            "config": {
                "metrics": {"backend": "noop", "prepend_host": false},
                "heartbeat_timeout": 300,
                "agent_containers": {"allow_arbitrary_containers": false},
                "agent_token": token,
                "agent_token_required": true,
                "agent_md5_checksum_enable": false,
                "disable_deep_image_inspection": false,
                "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
                "agent_skip_bmc_detect": false,
                "enable_bios_bootloader_install": false,
                "tls_min_version": "1.3",
                "tls_cipher_suites": null,
            },
        }),
    )
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /v1/lookup?addresses=…`.
    pub(crate) line: String,
    /// Header names are in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The body as a document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The version that was asked for.
    pub(crate) fn version(&self) -> Option<&str> {
        self.headers
            .get("x-openstack-ironic-api-version")
            .map(String::as_str)
    }
}

/// The server; it ends with this value.
pub(crate) struct Conductor {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    script: Arc<Script>,
    _tasks: JoinSet<()>,
}

struct Script {
    routes: Mutex<HashMap<String, VecDeque<Answer>>>,
    asked: watch::Sender<Vec<Asked>>,
}

impl Conductor {
    /// Serves in clear.
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    /// Serves over TLS.
    pub(crate) async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::serve(Some(TlsAcceptor::from(config))).await
    }

    async fn serve(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            routes: Mutex::default(),
            asked: watch::Sender::new(Vec::new()),
        });
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, Arc::clone(&script)));
        Self {
            address,
            scheme,
            script,
            _tasks: tasks,
        }
    }

    /// Gives these answers on a route such as `GET /v1/lookup`; the rest of the path and the query do not count.
    pub(crate) fn on(&self, route: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        let answers = answers.into_iter().collect();
        let mut routes = self.script.routes.lock().unwrap();
        routes.insert(route.to_owned(), answers);
        self
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Everything that was asked so far on a route.
    pub(crate) fn asked(&self, route: &str) -> Vec<Asked> {
        let asked = self.script.asked.borrow();
        asked
            .iter()
            .filter(|asked| matches_route(route, &asked.line))
            .cloned()
            .collect()
    }

    /// Waits until a route was asked so often.
    pub(crate) async fn until_asked(&self, route: &str, times: usize) {
        let enough = |asked: &Vec<Asked>| {
            let found = asked
                .iter()
                .filter(|asked| matches_route(route, &asked.line));
            found.count() >= times
        };
        self.script
            .asked
            .subscribe()
            .wait_for(enough)
            .await
            .unwrap();
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(&script);
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            match acceptor {
                None => converse(stream, script).await,
                // A client that does not trust us hangs up: that is what some tests want.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, script).await;
                    }
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, script: Arc<Script>) {
    let service = service_fn(|request| answer(Arc::clone(&script), request));
    // Clients that go away early are their own business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        line: format!("{} {}", head.method, head.uri),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_default(),
    };
    let answer = script.next(&asked.line);
    script.asked.send_modify(|all| all.push(asked));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body)).unwrap())
}

impl Script {
    fn next(&self, line: &str) -> Answer {
        let mut routes = self.routes.lock().unwrap();
        let found = routes
            .iter_mut()
            .find(|(route, _)| matches_route(route, line));
        match found {
            Some((_, answers)) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some((_, answers)) => answers.front().unwrap().clone(),
            None if line == "GET /" => Answer::version("1.115"),
            None => Answer::fault(404, "Resource could not be found."),
        }
    }
}

/// `GET /` is itself alone, every other route is a beginning.
fn matches_route(route: &str, line: &str) -> bool {
    line == route || (route != "GET /" && line.starts_with(route))
}
