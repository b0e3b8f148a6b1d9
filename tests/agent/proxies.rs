//! Ironic behind a proxy, as the environment names it.

use super::session::{HEARTBEAT, LOOKUP, start_agent, willing_conductor};
use ferrite::tls::{Identity, MinVersion, server};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::process::{Program, free_port, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Starts an agent for an API that only a proxy knows.
fn start(url: &str, environment: &[(&str, &str)]) -> Program {
    let port = free_port().to_string();
    let options = [
        "agent",
        "--api_url",
        url,
        "--listen_port",
        &port,
        "--advertise_port",
        &port,
        "--disk_wait_attempts",
        "0",
        "--ironic_api_version",
        "1.115",
        "--insecure",
    ];
    Program::start(&options, environment)
}

#[tokio::test]
async fn an_api_in_clear_is_asked_through_http_proxy() {
    let conductor = Conductor::start().await;
    let at = |route: &str| route.replace(" /", " http://ironic.example:6385/");
    conductor
        .on(&at(LOOKUP), [conductor::lookup(json!(TOKEN))])
        .on(&at(HEARTBEAT), [Answer::bytes(202, "")]);
    for name in ["http_proxy", "HTTP_PROXY"] {
        let before = conductor.asked(&at(HEARTBEAT)).len();
        let proxy = conductor.url();
        let _agent = start("http://ironic.example:6385", &[(name, &proxy)]);
        let route = at(HEARTBEAT);
        within("a heartbeat", conductor.until_asked(&route, before + 1)).await;
    }
    // The way to the proxy is the way that Ironic comes back, as far as anybody can tell.
    let heartbeat = conductor.asked(&at(HEARTBEAT))[0].json();
    let url = heartbeat["callback_url"].as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
}

#[tokio::test]
async fn an_api_over_tls_is_asked_through_a_tunnel_of_https_proxy() {
    let made = rcgen::generate_simple_self_signed(["ironic.example".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
    let tls = server::server_config(&identity, MinVersion::Tls13, None).unwrap();
    let conductor = Conductor::start_tls(tls).await;
    conductor
        .on(LOOKUP, [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    let proxy = Tunnel::to(conductor.address).await;
    let url = format!("http://{}", proxy.address);
    let _agent = start("https://ironic.example:6385", &[("https_proxy", &url)]);
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    let asked = proxy.asked.lock().unwrap();
    assert_eq!(asked[0], "CONNECT ironic.example:6385 HTTP/1.1");
}

#[tokio::test]
async fn an_api_in_no_proxy_is_asked_directly() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let dead = format!("http://127.0.0.1:{}", free_port());
    let with_port = format!("x.example, {}", conductor.address);
    for (name, value) in [
        ("no_proxy", "127.0.0.1"),
        ("NO_PROXY", "x.example,127.0.0.0/8"),
        ("no_proxy", &with_port),
    ] {
        let before = conductor.asked(HEARTBEAT).len();
        let environment = [("http_proxy", dead.as_str()), (name, value)];
        let _agent = start_agent(&conductor, free_port(), &[], &environment);
        within("a heartbeat", conductor.until_asked(HEARTBEAT, before + 1)).await;
    }
}

/// A proxy whose every tunnel ends at one place.
struct Tunnel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Tunnel {
    async fn to(end: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let told = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(tunnel(stream, end, Arc::clone(&told)));
            }
        });
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }
}

async fn tunnel(mut stream: TcpStream, end: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    asked
        .lock()
        .unwrap()
        .push(head.lines().next().unwrap().to_owned());
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut end = TcpStream::connect(end).await.unwrap();
    // Whoever hangs up first: the conversation is over.
    let _ = copy_bidirectional(&mut stream, &mut end).await;
}
