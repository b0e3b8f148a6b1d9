//! Strangers at the door: those who guess, and those who only want it shut.

use super::harness::{Answer, Api, Client, TOKEN};
use super::tls;
use ferrite::api::Limits;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::pki_types::ServerName;

/// Longer than any test takes: a refusal that waits so long is not answered.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_right_token_is_let_in_at_once_from_the_address_that_showed_wrong_ones() {
    let api = Api::limited(Limits {
        failure_delay: NEVER,
        failure_delay_max: NEVER,
        ..Limits::default()
    })
    .await;
    let wrong = "/v1/commands/?agent_token=wrong";
    let right = format!("/v1/commands/?agent_token={TOKEN}");
    // The first is answered, the others wait.
    assert_eq!(api.get(wrong).await.status, 401);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut guesser = api.connect().await;
        guesser.send("GET", wrong, "").await;
        waiting.push(guesser);
    }
    for _ in 0..5 {
        assert_eq!(api.get(&right).await.status, 200);
        assert_eq!(api.get("/v1/status").await.status, 200);
    }
    for guesser in &mut waiting {
        assert!(
            timeout(Duration::from_millis(1), guesser.answer("GET"))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn no_more_guessers_are_kept_waiting_than_may() {
    let api = Api::limited(Limits {
        failure_delay: NEVER,
        failure_delay_max: NEVER,
        max_delayed: 1,
        ..Limits::default()
    })
    .await;
    let wrong = "/v1/commands/?agent_token=wrong";
    assert_eq!(api.get(wrong).await.status, 401);
    let mut answered = JoinSet::new();
    for _ in 0..10 {
        let mut guesser = api.connect().await;
        guesser.send("GET", wrong, "").await;
        answered.spawn(async move { guesser.answer("GET").await.unwrap().status });
    }
    // Nine of the ten: which one waits is for chance to say.
    for _ in 0..9 {
        assert_eq!(answered.join_next().await.unwrap().unwrap(), 401);
    }
    answered.abort_all();
}

#[tokio::test]
async fn every_refusal_is_the_same_bytes_whatever_was_shown() {
    let api = Api::start().await;
    let mut refusals = Vec::new();
    for query in [
        String::new(),
        "?agent_token=".into(),
        "?agent_token=x".into(),
        format!("?agent_token={}", &TOKEN[1..]),
        format!("?agent_token={}", TOKEN.to_lowercase()),
        format!("?agent_token={TOKEN}x"),
        format!("?agent_token={}", "x".repeat(8000)),
    ] {
        let answer = api.get(&format!("/v1/commands/{query}")).await;
        let mut headers = answer.headers;
        headers.retain(|(name, _)| name != "date");
        refusals.push((answer.status, headers, answer.body));
    }
    assert_eq!(refusals[0].0, 401);
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]));
}

#[tokio::test]
async fn requests_behind_one_with_the_token_are_answered_in_their_order() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let right = get(&format!("/v1/commands/?agent_token={TOKEN}"));
    let all = [
        right.clone(),
        get("/v1/commands/?agent_token=wrong"),
        get("/nothing"),
        right,
        "nonsense\r\n\r\n".into(),
    ];
    client.write(all.concat()).await;
    let all = String::from_utf8(client.closed().await).unwrap();
    let statuses: Vec<_> = all
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .filter(|status| status.parse::<u16>().is_ok())
        .collect();
    assert_eq!(statuses, ["200", "401", "404", "200", "400"], "{all}");
}

#[tokio::test]
async fn a_crowd_from_one_address_makes_room_for_itself_and_not_at_the_cost_of_others() {
    let api = Api::limited(Limits {
        connections: 4,
        grace: Duration::ZERO,
        ..Limits::default()
    })
    .await;
    // Older than everybody, and a stranger yet.
    let mut conductor = Client(from(CONDUCTOR, api.address).await.unwrap());
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(api.connect().await);
    }
    for early in crowd.iter_mut().take(17) {
        assert_eq!(early.closed().await, b"");
    }
    let list = format!("/v1/commands/?agent_token={TOKEN}");
    conductor.send("GET", &list, "").await;
    assert_eq!(conductor.answer("GET").await.unwrap().status, 200);
}

/// Strangers at a time.
const STRANGERS: u32 = 1000;
/// Another address than theirs.
const CONDUCTOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Connections of theirs that may come for each of their places while a command of the conductor's is on its way, from its first packet
/// to the answer. This measures its share of the agent's work, whatever else the machine does.
const TIMES_ROUND: u32 = 2;
/// By chance many may come: one of so many commands must be answered before, and all of them at all.
const COMMANDS: usize = 5;
/// What the process may grow by: the server's part of a thousand connections, and the strangers' own.
const MOST_GROWTH: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_connections_do_not_keep_the_conductor_out() {
    let (api, connector) = tls::start(Limits::default()).await;
    let (api, before) = (Arc::new(api), resident());
    let begun = Arc::new(AtomicU32::new(0));
    let mut strangers = JoinSet::new();
    for number in 0..STRANGERS {
        let (api, connector) = (Arc::clone(&api), connector.clone());
        let begun = Arc::clone(&begun);
        strangers.spawn(async move {
            // Whoever is shown the door comes again.
            loop {
                let address = Ipv4Addr::from(0x7f01_0000 + number % ADDRESSES);
                let Ok(stream) = from(address, api.address).await else {
                    continue;
                };
                begun.fetch_add(1, Ordering::Relaxed);
                hostile(number, stream, &connector).await;
            }
        });
    }
    while begun.load(Ordering::Relaxed) < STRANGERS {
        yield_now().await;
    }
    let mut came = Vec::new();
    for _ in 0..COMMANDS {
        let before = begun.load(Ordering::Relaxed);
        let answer = timeout(Duration::from_secs(60), command(&api, &connector)).await;
        let record = answer.unwrap().json();
        assert_eq!(record["command_status"], "SUCCEEDED");
        came.push(begun.load(Ordering::Relaxed) - before);
    }
    let grown = resident().saturating_sub(before);
    strangers.shutdown().await;
    assert!(grown < MOST_GROWTH, "{grown} bytes");
    let fewest = came.iter().min().unwrap();
    assert!(*fewest < TIMES_ROUND * STRANGERS, "{came:?}");
    // Nobody else's command ran.
    assert_eq!(api.dispatcher.list().len(), COMMANDS);
}

/// A command over a connection of its own.
async fn command(api: &Api, connector: &TlsConnector) -> Answer {
    let stream = from(CONDUCTOR, api.address).await.unwrap();
    let name = api.address.ip().into();
    let mut client = Client(connector.connect(name, stream).await.unwrap());
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let body = json!({"name": "test.text", "params": {}}).to_string();
    client.send("POST", &target, &body).await;
    client.answer("POST").await.unwrap()
}

async fn from(address: Ipv4Addr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    socket.connect(target).await
}

/// One connection of one of ten kinds, until the server ends it.
async fn hostile(number: u32, mut stream: TcpStream, connector: &TlsConnector) {
    let name = stream.peer_addr().map(|peer| peer.ip().into());
    // A hello of TLS 1.2 that announces more than it brings.
    let hello = [0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    let sent = match number % 10 {
        0 => Ok(()),
        1 => slowly(&mut stream, &hello).await,
        2 => stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await,
        3 => stream.write_all(&[0xff; 4096]).await,
        4 => match stream.write_all(&hello).await {
            Ok(()) => stream.shutdown().await,
            error => error,
        },
        kind => {
            if let Ok(mut stream) = connector.connect(name.unwrap(), stream).await {
                let _ = match kind {
                    5 => Ok(()),
                    6 => slowly(&mut stream, b"GET /v1/status HTTP/1.1\r\nHost: a\r\n").await,
                    7 => stream.write_all(&[b'x'; 64 * 1024]).await,
                    8 => {
                        let wrong =
                            "GET /v1/commands/?agent_token=wrong HTTP/1.1\r\nHost: a\r\n\r\n";
                        stream.write_all(wrong.repeat(50).as_bytes()).await
                    }
                    _ => {
                        let deep = "[".repeat(100_000);
                        let head = "POST /v1/commands/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
                        stream.write_all(format!("{head}{deep}").as_bytes()).await
                    }
                };
                drain(&mut stream).await;
            }
            return;
        }
    };
    if sent.is_ok() {
        drain(&mut stream).await;
    }
}

/// A byte at a time, each as soon as it may be sent and everybody else had a turn.
async fn slowly(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        yield_now().await;
    }
    Ok(())
}

async fn drain(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut scratch = [0; 1024];
    while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A stranger's addresses, and connections that it holds from each.
const ADDRESSES: u32 = 256;
const FROM_EACH: u32 = 3;
/// Of the conductor's, during an attack.
const REQUESTS: usize = 12;

/// What a stranger does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// Asks for the commands without the token, again and again.
    Ask,
    /// Makes the handshake and says nothing more.
    Handshake,
    /// Sends the first message of a handshake, which costs it nothing, and goes no further.
    Hello,
    /// Says nothing.
    Idle,
    /// Sends a handshake's first message or a request a byte at a time.
    Slow,
}

/// The first message of a client's handshake.
fn hello(connector: &TlsConnector) -> Vec<u8> {
    let name = Ipv4Addr::LOCALHOST.into();
    let config = Arc::clone(connector.config());
    let mut client = ClientConnection::new(config, ServerName::IpAddress(name)).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// One of a stranger's connections, until the server ends it.
async fn attack(attack: Attack, mut stream: TcpStream, tls: Option<&TlsConnector>, hello: &[u8]) {
    let name = stream.peer_addr().map(|peer| peer.ip().into());
    let ask = b"GET /v1/commands/ HTTP/1.1\r\nHost: a\r\n\r\n";
    match (attack, tls) {
        (Attack::Idle, _) => drain(&mut stream).await,
        (Attack::Hello, Some(_)) => {
            if stream.write_all(hello).await.is_ok() {
                drain(&mut stream).await;
            }
        }
        (Attack::Slow, Some(_)) => {
            let _ = slowly(&mut stream, hello).await;
        }
        (Attack::Slow, None) => {
            let _ = slowly(&mut stream, ask).await;
        }
        (Attack::Ask | Attack::Hello | Attack::Handshake, None) => {
            while stream.write_all(ask).await.is_ok()
                && stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0)
            {}
        }
        (Attack::Ask | Attack::Handshake, Some(connector)) => {
            if let Ok(name) = name
                && let Ok(mut stream) = connector.connect(name, stream).await
            {
                if attack == Attack::Ask {
                    let _ = stream.write_all(ask).await;
                }
                drain(&mut stream).await;
            }
        }
    }
}

/// A stranger on processor time of its own: its connections come again as soon as the server ends them.
struct Stranger {
    runtime: Option<Runtime>,
    /// Connections that it began.
    begun: Arc<AtomicU32>,
}

impl Stranger {
    /// Begins an attack; it is under way when this has returned.
    async fn begin(kind: Attack, target: SocketAddr, connector: Option<&TlsConnector>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let hello = Arc::new(connector.map(hello).unwrap_or_default());
        let under_way = Arc::new(Semaphore::new(0));
        let begun = Arc::new(AtomicU32::new(0));
        let all = ADDRESSES * FROM_EACH;
        for number in 0..all {
            let (connector, hello) = (connector.cloned(), Arc::clone(&hello));
            let (under_way, begun) = (Arc::clone(&under_way), Arc::clone(&begun));
            let address = Ipv4Addr::from(0x7f01_0000 + number % ADDRESSES);
            runtime.spawn(async move {
                let mut is_first = true;
                loop {
                    if let Ok(stream) = from(address, target).await {
                        begun.fetch_add(1, Ordering::Relaxed);
                        if std::mem::take(&mut is_first) {
                            under_way.add_permits(1);
                        }
                        attack(kind, stream, connector.as_ref(), &hello).await;
                    }
                    yield_now().await;
                }
            });
        }
        let _all = under_way.acquire_many(all).await.unwrap();
        Self {
            runtime: Some(runtime),
            begun,
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Each attack from 256 addresses, three connections of each. The conductor's requests, each over a connection of its own, are all
/// answered, and the first one too, when nothing is known of its address.
async fn withstand(kind: Attack, is_tls: bool) {
    let limits = Limits {
        // The machine may have much else to do.
        handshake: Duration::from_secs(60),
        ..Limits::default()
    };
    let (api, connector) = match is_tls {
        true => {
            let (api, connector) = tls::start(limits).await;
            (api, Some(connector))
        }
        false => (Api::limited(limits).await, None),
    };
    let stranger = Stranger::begin(kind, api.address, connector.as_ref()).await;
    let mut came = Vec::new();
    for number in 0..REQUESTS {
        let before = stranger.begun.load(Ordering::Relaxed);
        let answer = timeout(Duration::from_secs(60), list(&api, connector.as_ref())).await;
        let status = answer.unwrap().map(|answer| answer.status);
        assert_eq!(
            status.ok(),
            Some(200),
            "{kind:?}, TLS: {is_tls}, request {number}"
        );
        came.push(stranger.begun.load(Ordering::Relaxed) - before);
    }
    drop(stranger);
    let fewest = came.iter().min().unwrap();
    assert!(
        *fewest < TIMES_ROUND * ADDRESSES * FROM_EACH,
        "{kind:?}, TLS: {is_tls}: {came:?}"
    );
}

/// A first message for each of these is there before the conductor's, whose address is known.
const CROWD: u32 = 200;

#[tokio::test]
async fn a_known_address_has_its_turn_at_the_handshake_before_a_crowd_that_came_earlier() {
    let (api, connector) = tls::start(Limits::default()).await;
    assert_eq!(list(&api, Some(&connector)).await.unwrap().status, 200);
    // Nothing is awaited here, so that the server sees them all at once.
    let begin = |address: Ipv4Addr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&api.address.into()).unwrap();
        let mut stream = std::net::TcpStream::from(socket);
        stream.write_all(&hello(&connector)).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let crowd = (1..=CROWD).map(|number| begin(Ipv4Addr::from(0x7f01_0000 + number)));
    let crowd: Vec<_> = crowd.collect();
    let conductor = TcpStream::from_std(begin(CONDUCTOR)).unwrap();
    conductor.readable().await.unwrap();
    let answered = crowd.iter().filter(|stream| stream.peek(&mut [0]).is_ok());
    let answered = answered.count();
    assert!(answered < 100, "{answered} of {CROWD} were answered before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_with_256_addresses_does_not_keep_the_conductor_out_over_tls() {
    for kind in [
        Attack::Ask,
        Attack::Handshake,
        Attack::Hello,
        Attack::Idle,
        Attack::Slow,
    ] {
        withstand(kind, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_with_256_addresses_does_not_keep_the_conductor_out_over_http() {
    for kind in [Attack::Ask, Attack::Idle, Attack::Slow] {
        withstand(kind, false).await;
    }
}

/// The command list over a connection of its own, from the conductor's address.
async fn list(api: &Api, connector: Option<&TlsConnector>) -> std::io::Result<Answer> {
    let stream = from(CONDUCTOR, api.address).await?;
    let target = format!("/v1/commands/?agent_token={TOKEN}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = match connector {
        Some(connector) => {
            let mut client = Client(connector.connect(api.address.ip().into(), stream).await?);
            client.0.write_all(request.as_bytes()).await?;
            client.answer("GET").await
        }
        None => {
            let mut client = Client(stream);
            client.0.write_all(request.as_bytes()).await?;
            client.answer("GET").await
        }
    };
    answer.ok_or_else(|| std::io::ErrorKind::ConnectionReset.into())
}
