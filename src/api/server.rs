//! Connections: accepted, bounded, wrapped in TLS, drained at the end.

use super::answer::Service;
use super::envelope::Enveloping;
use super::handshakes::Handshakes;
use super::log_budget::LogBudget;
use super::strangers::{Strangers, network};
use super::{Limits, State};
use crate::tls::stream::ServerStream;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Serves the API until cancelled, then finishes the answers in flight. Plain HTTP without TLS settings.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
    cancel: CancellationToken,
) {
    serve_within(Limits::default(), listener, tls, state, cancel).await;
}

/// [`serve`] with limits of one's own.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
    cancel: CancellationToken,
) {
    let server = Server {
        service: Arc::new(Service {
            state,
            limits,
            strangers: Strangers::new(&limits),
            inventory_turn: Mutex::default(),
            users_lines: LogBudget::new(USERS_LINES_A_MINUTE),
            user_body: Semaphore::new(1),
            user_answers: Arc::new(Semaphore::new(limits.user_answers)),
            scheme: if tls.is_some() { "https" } else { "http" },
        }),
        tls,
        handshakes: Arc::new(Handshakes::new(limits.handshakes)),
        accept_errors: Arc::new(LogBudget::new(ACCEPT_ERRORS_A_MINUTE)),
        cancel,
    };
    server.run(listener).await;
}

/// What the answers learn and tell about a connection.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    trusted: AtomicBool,
    left_body: AtomicBool,
}

impl Peer {
    /// The caller showed the token: its connection is not given up for another.
    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// Whether it ever did.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }

    /// A body was answered unread.
    pub(super) fn leave_body(&self) {
        self.left_body.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Server {
    service: Arc<Service>,
    tls: Option<Arc<ServerConfig>>,
    handshakes: Arc<Handshakes>,
    accept_errors: Arc<LogBudget>,
    cancel: CancellationToken,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut connections = Connections::default();
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => break,
                Some(ended) = connections.tasks.join_next() => note(ended),
                (stream, address) = self.accept(&listener) => self.admit(stream, address, &mut connections),
            }
        }
        drop(listener);
        let mut tasks = connections.tasks;
        let drained = async {
            while let Some(ended) = tasks.join_next().await {
                note(ended);
            }
        };
        if timeout(self.service.limits.drain, drained).await.is_err() {
            tracing::warn!(connections = tasks.len(), "Cut connections off at the end");
        }
        tasks.shutdown().await;
    }

    /// The next connection. What fails here is one caller's or passes, as a lack of descriptors does.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    if let Some(untold) = self.accept_errors.take() {
                        tracing::warn!(%error, untold, "A connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, connections: &mut Connections) {
        let Ok(local) = stream.local_addr() else {
            return;
        };
        if !connections.make_room(self.service.limits.connections) {
            return self.service.strangers.crowded_out(address.ip());
        }
        let peer = Arc::new(Peer {
            address: canonical(address),
            local: canonical(local),
            trusted: AtomicBool::new(false),
            left_body: AtomicBool::new(false),
        });
        let task = self.clone().connection(stream, Arc::clone(&peer));
        let task = connections.tasks.spawn(task);
        connections.open.push_back((task, peer));
    }

    async fn connection(self, stream: TcpStream, peer: Arc<Peer>) {
        let client = peer.address.ip();
        // Answers are small and awaited; without this option they only come later.
        let _ = stream.set_nodelay(true);
        let ended = match &self.tls {
            None => self.http(stream, &peer).await,
            Some(tls) => {
                let limit = self.service.limits.handshake;
                let handshake = timeout(limit, async {
                    // Who says nothing takes no turn.
                    stream.readable().await?;
                    let handshake = ServerStream::accept(Arc::clone(tls), stream);
                    self.handshakes.take_turn(client, handshake).await
                });
                match self.cancel.run_until_cancelled(handshake).await {
                    None => return,
                    Some(Ok(Ok(stream))) => self.http(stream, &peer).await,
                    Some(Ok(Err(error))) => {
                        return self.service.strangers.broke(client, error);
                    }
                    Some(Err(_)) => {
                        return self
                            .service
                            .strangers
                            .broke(client, "its TLS handshake took too long");
                    }
                }
            }
        };
        if let Err(error) = ended
            && let Some(untold) = self.service.strangers.take_debug_line()
        {
            tracing::debug!(%client, untold, %error, "A connection broke");
        }
    }

    async fn http<S>(&self, stream: S, peer: &Arc<Peer>) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.service.limits;
        let (service, caller) = (Arc::clone(&self.service), Arc::clone(peer));
        // Boxed, so that the connection can be taken apart below.
        let answers = service_fn(move |request| {
            let (service, caller) = (Arc::clone(&service), Arc::clone(&caller));
            Box::pin(async move { Ok::<_, Infallible>(service.answer(request, &caller).await) })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes)
            .serve_connection(TokioIo::new(Enveloping::new(stream)), answers);
        let serving = poll_fn(|cx| connection.poll_without_shutdown(cx));
        let ended = match self.cancel.run_until_cancelled(serving).await {
            Some(ended) => ended,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        let unread = match ended {
            Ok(()) => peer.left_body.load(Ordering::Relaxed),
            Err(error) if error.is_parse() => {
                self.service.strangers.broke(peer.address.ip(), error);
                true
            }
            Err(error) => return Err(error),
        };
        let stream = connection.into_parts().io.into_inner();
        close(stream, unread, limits.linger).await;
        Ok(())
    }
}

/// The connections of the moment, oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<(AbortHandle, Arc<Peer>)>,
}

impl Connections {
    /// Whether one more fits: one that never showed the token goes if need be, so that strangers who only hold connections
    /// open cannot keep the conductor out.
    fn make_room(&mut self, most: usize) -> bool {
        self.open.retain(|(task, _)| !task.is_finished());
        if self.open.len() < most {
            return true;
        }
        match self.one_too_many().and_then(|at| self.open.remove(at)) {
            Some((task, _)) => {
                task.abort();
                true
            }
            None => false,
        }
    }

    /// The oldest stranger of the network that has the most of them: a crowd makes room for itself, and not at the cost of a
    /// caller from elsewhere who is about to show the token.
    fn one_too_many(&self) -> Option<usize> {
        let mut crowds: HashMap<IpAddr, (usize, Reverse<usize>)> = HashMap::new();
        for (at, (_, peer)) in self.open.iter().enumerate() {
            if !peer.is_trusted() {
                let crowd = crowds.entry(network(peer.address.ip()));
                crowd.or_insert((0, Reverse(at))).0 += 1;
            }
        }
        let (_, Reverse(oldest)) = crowds.into_values().max()?;
        Some(oldest)
    }
}

/// An IPv4 caller of a `::` listener as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Ends a connection. Closing one with bytes left unread resets it, and the caller would lose the answer that says why:
/// so what still comes is thrown away for a moment.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, unread: bool, limit: Duration) {
    let _ = timeout(limit, async {
        stream.shutdown().await?;
        let mut scratch = [0; 4096];
        while unread && stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

/// A task that panicked took one connection with it; the rest goes on.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "A connection's task panicked");
    }
}

/// Enough for several people who look each second.
const USERS_LINES_A_MINUTE: u32 = 240;
const ACCEPT_ERRORS_A_MINUTE: u32 = 6;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
