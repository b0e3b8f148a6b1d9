//! As many requests as an agent answers: a client that costs little itself.

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Answers a second to `GET /v1/status`, over connections that stay open.
pub(crate) async fn rate(port: u16, certificate: &str) -> Result<f64> {
    let connector = connector(certificate)?;
    let mut clients = JoinSet::new();
    let begin = Instant::now();
    for _ in 0..CONNECTIONS {
        clients.spawn(ask(connector.clone(), port, begin + DURATION));
    }
    let mut answers = 0;
    while let Some(count) = clients.join_next().await {
        answers += count??;
    }
    Ok(f64::from(answers) / begin.elapsed().as_secs_f64())
}

/// A client that trusts the agent's own certificate and nothing else.
fn connector(certificate: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn ask(connector: TlsConnector, port: u16, end: Instant) -> Result<u32> {
    let host = IpAddr::from(Ipv4Addr::LOCALHOST);
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = connector
        .connect(ServerName::IpAddress(host.into()), stream)
        .await?;
    let mut buffer = Vec::new();
    let mut answers = 0;
    while Instant::now() < end {
        stream.write_all(REQUEST).await?;
        answer(&mut stream, &mut buffer).await?;
        answers += 1;
    }
    Ok(answers)
}

/// Reads one whole answer.
async fn answer(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the agent hung up");
        }
        let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
        if !text.starts_with("HTTP/1.1 200 ") {
            bail!("answered {text}");
        }
        if buffer.len() >= head + 4 + length(text)? {
            return Ok(());
        }
    }
}

fn length(head: &str) -> Result<usize> {
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    Ok(value
        .context("an answer without a length")?
        .trim()
        .parse()?)
}

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 8;
/// How long it is asked.
pub(crate) const DURATION: Duration = Duration::from_secs(4);
const REQUEST: &[u8] = b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
