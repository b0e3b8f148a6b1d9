//! Accepts connections, limits them, wraps them in TLS and drains them at shutdown.

use super::auth_throttle::AuthThrottle;
use super::handler::Handler;
use super::handshake_limit::Handshakes;
use super::hyper_errors::ErrorBodyStream;
use super::known::KnownAddresses;
use super::limits::Limits;
use super::peer::Peer;
use super::places::{Crowds, Holder, Places, Stage};
use super::state::State;
use crate::logging::LogBudget;
use crate::tls::stream::{Handshake, Progress, ServerStream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Serves the API until cancelled, then finishes the responses in flight. Without TLS settings it
/// serves plain HTTP.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
    cancel: CancellationToken,
) {
    serve_within(Limits::default(), listener, tls, state, cancel).await;
}

/// Serves the API like [`serve`], with the given limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
    cancel: CancellationToken,
) {
    let server = Server {
        service: Arc::new(Handler {
            state,
            limits,
            throttle: AuthThrottle::new(&limits),
            known: KnownAddresses::default(),
            inventory_lock: Arc::new(AsyncMutex::default()),
            users_lines: LogBudget::new(USERS_LINES_A_MINUTE),
            users_commands: LogBudget::new(USERS_COMMANDS_A_MINUTE),
            user_body: Semaphore::new(1),
            user_answers: Arc::new(Semaphore::new(limits.user_answers)),
            user_turn: Arc::default(),
            scheme: if tls.is_some() { "https" } else { "http" },
        }),
        tls,
        handshakes: Arc::new(Handshakes::new()),
        accept_errors: Arc::new(LogBudget::new(ACCEPT_ERRORS_A_MINUTE)),
        cancel,
    };
    server.run(listener).await;
}

#[derive(Clone)]
struct Server {
    service: Arc<Handler>,
    tls: Option<Arc<ServerConfig>>,
    handshakes: Arc<Handshakes>,
    accept_errors: Arc<LogBudget>,
    cancel: CancellationToken,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut connections = Connections::default();
        let mut computing = JoinSet::new();
        if self.tls.is_some() {
            let handshakes = Arc::clone(&self.handshakes);
            computing.spawn(async move { handshakes.run().await });
        }
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => break,
                Some(ended) = connections.tasks.join_next() => log_panic(ended),
                (stream, address) = self.accept(&listener) => self.accept_connection(stream, address, &mut connections),
            }
        }
        drop(listener);
        let mut tasks = connections.tasks;
        let drained = async {
            while let Some(ended) = tasks.join_next().await {
                log_panic(ended);
            }
        };
        if timeout(self.service.limits.drain, drained).await.is_err() {
            tracing::warn!(connections = tasks.len(), "Cut connections off at the end");
        }
        tasks.shutdown().await;
    }

    /// Accepts the next connection. An error is either one client's or transient, such as a lack of
    /// descriptors, so it retries.
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

    fn accept_connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        connections: &mut Connections,
    ) {
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let places = Places {
            number: self.service.limits.connections,
            grace: self.service.limits.grace,
        };
        let crowd = connections.crowds.join(address.ip());
        let peer = Arc::new(Peer::new(address, local, crowd));
        if !connections.make_room(places, &peer, &self.service.known) {
            return self.service.throttle.note_eviction(peer.address.ip());
        }
        let task = self.clone().connection(stream, Arc::clone(&peer));
        let task = connections.tasks.spawn(task);
        connections.open.push_back((task, peer));
    }

    async fn connection(self, stream: TcpStream, peer: Arc<Peer>) {
        let client = peer.address.ip();
        // Responses are small and awaited; without this option they are only delayed.
        let _ = stream.set_nodelay(true);
        let ended = match &self.tls {
            None => self.http(stream, &peer).await,
            Some(tls) => {
                let handshake = self.handshake(tls, stream, &peer);
                match self.cancel.run_until_cancelled(handshake).await {
                    None => return,
                    Some(Ok(stream)) => self.http(stream, &peer).await,
                    Some(Err(error)) => {
                        return self.service.throttle.note_protocol_error(client, error);
                    }
                }
            }
        };
        if let Err(error) = ended
            && let Some(untold) = self.service.throttle.take_debug_line()
        {
            tracing::debug!(%client, untold, %error, "A connection broke");
        }
    }

    /// Performs the TLS handshake. The peer's own part of it has a timeout. The time in the queue
    /// is limited only by the number of connections: a conductor must not be dropped for the
    /// clients before it.
    async fn handshake(
        &self,
        tls: &Arc<ServerConfig>,
        stream: TcpStream,
        peer: &Peer,
    ) -> io::Result<ServerStream<TcpStream>> {
        let mut left = self.service.limits.handshake;
        let mut handshake = Handshake::new(Arc::clone(tls), stream)?;
        loop {
            within(&mut left, handshake.receive()).await?;
            let begun = peer.stage();
            peer.enter(Stage::Waiting);
            let is_known = self.service.known.contains(peer.address.ip());
            let computed = self.handshakes.compute_in_turn(handshake, is_known).await;
            let (computed, progress) = computed.ok_or(io::ErrorKind::ConnectionAborted)?;
            handshake = computed;
            peer.enter(match progress? {
                Progress::Done => break,
                Progress::Answered => Stage::Since(Instant::now()),
                // A peer that sends single bytes gets no more time than others.
                Progress::NeedsRest => begun,
            });
        }
        peer.enter(Stage::Since(Instant::now()));
        within(&mut left, handshake.finish()).await
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
            Box::pin(async move { Ok::<_, Infallible>(service.handle(request, &caller).await) })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes)
            .serve_connection(
                TokioIo::new(ErrorBodyStream::new(stream, Arc::clone(peer))),
                answers,
            );
        let serving = poll_fn(|cx| connection.poll_without_shutdown(cx));
        let ended = match self.cancel.run_until_cancelled(serving).await {
            Some(ended) => ended,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        let unread = match ended {
            Ok(()) => peer.has_left_body(),
            Err(error) if error.is_parse() => {
                self.service
                    .throttle
                    .note_protocol_error(peer.address.ip(), error);
                true
            }
            Err(error) => return Err(error),
        };
        let stream = connection.into_parts().io.into_inner();
        close(stream, unread, limits.linger).await;
        Ok(())
    }
}

/// Open connections, oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    crowds: Crowds,
    open: VecDeque<(AbortHandle, Arc<Peer>)>,
}

impl Connections {
    /// Makes room for a new connection, by eviction if necessary. Returns whether there is room.
    fn make_room(&mut self, places: Places, newcomer: &Peer, known: &KnownAddresses) -> bool {
        self.open.retain(|(task, _)| !task.is_finished());
        self.crowds.tidy();
        if self.open.len() < places.number {
            return true;
        }
        let known = known.all();
        let holders = self.open.iter().map(|(_, peer)| Holder {
            address: peer.address.ip(),
            crowd: peer.crowd.size(),
            is_known: known.contains(&peer.address.ip()),
            stage: peer.stage(),
        });
        let holders: Vec<_> = holders.collect();
        let is_known = known.contains(&newcomer.address.ip());
        let own = (!is_known).then(|| newcomer.crowd.size());
        let victim = places.victim(&holders, own, Instant::now());
        match victim.and_then(|at| self.open.remove(at)) {
            Some((task, _)) => {
                task.abort();
                true
            }
            None => false,
        }
    }
}

/// Waits for one part of a handshake, within the time left for all parts.
async fn within<T>(
    left: &mut Duration,
    part: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let begin = Instant::now();
    let done = timeout(*left, part).await;
    *left = left.saturating_sub(begin.elapsed());
    done.unwrap_or_else(|_| {
        let slow = "its TLS handshake took too long";
        Err(io::Error::new(io::ErrorKind::TimedOut, slow))
    })
}

/// Closes a connection. With unread bytes, a close would reset it and the client would lose the
/// response that gives the reason. Further bytes are therefore discarded for up to `limit`.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, unread: bool, limit: Duration) {
    let _ = timeout(limit, async {
        stream.shutdown().await?;
        let mut scratch = [0; 4096];
        while unread && stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

/// Logs a panic of a connection's task. Other connections continue.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "A connection's task panicked");
    }
}

/// Enough for several users that poll each second.
const USERS_LINES_A_MINUTE: u32 = 240;
/// Each command has two lines: one at its start and one at its end.
const USERS_COMMANDS_A_MINUTE: u32 = 60;
const ACCEPT_ERRORS_A_MINUTE: u32 = 6;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
