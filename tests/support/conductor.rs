//! A conductor that says what a test wants and remembers what it was asked.
//!
//! One real server on the loopback interface, so that TLS, broken bodies and refused connections are real ones. A route's
//! answers are given in order, the last one again and again; a route without answers is 404, but `GET /` tells a version.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;

pub use answers::{Answer, NODE, TOKEN, lookup, lookup_with};

use answers::{Manner, Said};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /v1/lookup?addresses=…`.
    pub line: String,
    /// Header names are in lower case.
    pub headers: HashMap<String, String>,
    /// What the request carried.
    pub body: Vec<u8>,
}

impl Asked {
    /// The body as a document.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The version that was asked for.
    pub fn version(&self) -> Option<&str> {
        self.headers
            .get("x-openstack-ironic-api-version")
            .map(String::as_str)
    }
}

/// The server; it ends with this value.
#[derive(Debug)]
pub struct Conductor {
    /// Where it listens.
    pub address: SocketAddr,
    scheme: &'static str,
    script: Arc<Script>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Script {
    /// What is said instead of HTTP.
    nonsense: Option<&'static [u8]>,
    routes: Mutex<HashMap<String, VecDeque<Answer>>>,
    asked: watch::Sender<Vec<Asked>>,
    /// Connections.
    open: watch::Sender<usize>,
}

impl Conductor {
    /// Serves in clear.
    pub async fn start() -> Self {
        Self::serve(None, None).await
    }

    /// The same, but not on the loopback interface.
    pub async fn start_on(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        Self::serve_on(listener, None, None)
    }

    /// Serves over TLS.
    pub async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::serve(Some(TlsAcceptor::from(config)), None).await
    }

    /// Takes connections and sends these bytes, whatever is asked.
    pub async fn start_talking(nonsense: &'static [u8]) -> Self {
        Self::serve(None, Some(nonsense)).await
    }

    async fn serve(acceptor: Option<TlsAcceptor>, nonsense: Option<&'static [u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve_on(listener, acceptor, nonsense)
    }

    fn serve_on(
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        nonsense: Option<&'static [u8]>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            routes: Mutex::default(),
            nonsense,
            asked: watch::Sender::new(Vec::new()),
            open: watch::Sender::new(0),
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
    pub fn on(&self, route: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        let answers = answers.into_iter().collect();
        let mut routes = self.script.routes.lock().unwrap();
        routes.insert(route.to_owned(), answers);
        self
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Everything that was asked so far on a route.
    pub fn asked(&self, route: &str) -> Vec<Asked> {
        let asked = self.script.asked.borrow();
        asked
            .iter()
            .filter(|asked| matches_route(route, &asked.line))
            .cloned()
            .collect()
    }

    /// Waits until a route was asked so often.
    pub async fn until_asked(&self, route: &str, times: usize) {
        let asked = |all: &[Asked]| {
            let found = all.iter().filter(|asked| matches_route(route, &asked.line));
            found.count() >= times
        };
        self.script.until(asked).await;
    }

    /// Waits until so many connections are open, neither more nor fewer.
    pub async fn until_open(&self, connections: usize) {
        let mut open = self.script.open.subscribe();
        open.wait_for(|open| *open == connections).await.unwrap();
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(&script);
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            script.open.send_modify(|open| *open += 1);
            match acceptor {
                None => converse(stream, &script).await,
                // A client that does not trust us hangs up: that is what some tests want.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, &script).await;
                    }
                }
            }
            script.open.send_modify(|open| *open -= 1);
        });
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &Arc<Script>) {
    if let Some(nonsense) = script.nonsense {
        let _ = stream.write_all(nonsense).await;
        // The end of the connection would be an answer of its own.
        return future::pending().await;
    }
    let service = service_fn(|request| answer(Arc::clone(script), request));
    // Clients that go away early are their own business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(script: Arc<Script>, request: Request<Incoming>) -> io::Result<Response<Said>> {
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
    match answer.manner {
        Manner::After(requests) => script.until(|all| all.len() >= requests).await,
        Manner::HangsUp => return Err(io::ErrorKind::ConnectionAborted.into()),
        Manner::Silent => future::pending().await,
        Manner::Spoken => {}
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(answer.body).unwrap())
}

impl Script {
    async fn until(&self, enough: impl Fn(&[Asked]) -> bool) {
        let mut asked = self.asked.subscribe();
        asked.wait_for(|all| enough(all)).await.unwrap();
    }

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
